/** How an end of a case talks to the runner: over process IPC in Node, over Playwright's bridge in a page. */

import type { Report } from "./orders.ts";

type Obey<Order> = (order: Order) => Promise<void> | void;

declare global {
  /** In a page: given by the runner. */
  var reportToRunner: ((report: Report) => Promise<void>) | undefined;
  /** In a page: called by the runner. */
  var obeyRunner: Obey<never> | undefined;
}

export const inPage: boolean = typeof process === "undefined";

export function report(said: Report): void {
  if (inPage) void globalThis.reportToRunner?.(said);
  else process.send?.(said);
}

/** Carries out the runner's orders one at a time; each is answered when it is done. */
export function obey<Order>(carryOut: Obey<Order>): void {
  if (inPage) {
    globalThis.obeyRunner = carryOut as Obey<never>;
    return;
  }
  let before: Promise<void> = Promise.resolve();
  process.on("message", ({ id, order }: { id: number; order: Order }) => {
    before = before.then(() => carryOut(order)).then(() => void process.send?.({ answered: id }));
  });
  process.on("disconnect", () => process.exit()); // the runner is gone
}

export function setup<Setup>(): Setup {
  const text = inPage ? decodeURIComponent(location.hash.slice(1)) : process.argv[2];
  return JSON.parse(text ?? "null") as Setup;
}
