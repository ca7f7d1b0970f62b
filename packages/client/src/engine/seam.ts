/** What an extension has of the engine itself; the rest is the session's, or whatever stands in its place. */

import type { Engine } from "./engine.ts";
import type { ExtensionHost } from "./extension.ts";
import { updatesIn } from "./fork.ts";

export const seamOf = (engine: Engine): Omit<ExtensionHost, "command" | "send" | "keep" | "warn"> => ({
  state: () => engine.state,
  self: () => engine.member,
  limits: () => engine.limits,
  features: () => engine.features,
  isLive: () => engine.phase.kind === "live",
  received: () => engine.received,
  holds: (floor) => engine.grantOn(floor) !== undefined,
  update: (item, asks) => engine.update(item, asks),
  withdraw: (item) => engine.withdraw(item),
  undecided: () => updatesIn(engine.outbox.all()),
  volatile: (event, args, to) => engine.sendVolatile(event, args, to),
});
