/** Whether this member may edit a document now, as far as is known here. */

import type { ExtensionHost } from "@rostrum/client";
import { documentEvent, guardOf, may, RostrumError } from "@rostrum/protocol";

/** `role`: its roles do not permit it. `floor`: a floor guards it, and is not held. `closed`: it is over here. */
export type Writable =
  | { readonly can: true }
  | { readonly can: false; readonly why: "role" }
  | { readonly can: false; readonly why: "closed" }
  | { readonly can: false; readonly why: "floor"; readonly floor: string };

export const writableNow = (
  host: Pick<ExtensionHost, "state" | "self" | "holds">,
  document: string,
  isClosed: boolean,
): Writable => {
  if (isClosed) return { can: false, why: "closed" };
  const state = host.state();
  const self = host.self();
  // What is not known yet cannot be denied: the server decides.
  const member = self === undefined ? undefined : state.members.get(self);
  if (member === undefined) return { can: true };
  if (!may(state.config, member.roles, "edit", document)) return { can: false, why: "role" };
  const floor = guardOf(state, documentEvent(document));
  return floor === undefined || host.holds(floor) ? { can: true } : { can: false, why: "floor", floor };
};

/** What an edit that may not be made is refused with. */
export const notWritable = (document: string, writable: Extract<Writable, { readonly can: false }>): RostrumError => {
  const was = `The edit of "${document}" was taken back here and kept as a draft`;
  if (writable.why === "role")
    return new RostrumError("FORBIDDEN", `${was}: the roles of this member do not permit edit:${document}.`, {
      permission: `edit:${document}`,
    });
  if (writable.why === "closed") return new RostrumError("CLOSED", `${was}: the document is closed.`, { document });
  return new RostrumError("FLOOR_NOT_HELD", `${was}: it needs the floor "${writable.floor}", which is not held.`, {
    floor: writable.floor,
    event: documentEvent(document),
    fence: null,
  });
};
