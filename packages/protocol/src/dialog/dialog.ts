/** How members take turns in the session as a whole, and what one of them has proposed to the others (X.215). */

import type { DialogMode } from "../config.ts";
import type { MemberId, Offset, Time } from "../ids.ts";

/** What can be proposed: another dialog mode, or to end the session in good order (X.215: negotiated release). */
export type Subject =
  | { readonly kind: "dialog"; readonly mode: DialogMode }
  | { readonly kind: "release"; readonly reason?: string };

export interface Proposal {
  readonly id: Offset;
  /** `null`: the server. */
  readonly by: MemberId | null;
  readonly subject: Subject;
  readonly at: Time;
  /** Who has not answered by then is missing, and the proposal has failed. */
  readonly until: Time;
  /** Whose answer is still due. */
  readonly waiting: readonly MemberId[];
}

export interface Dialog {
  readonly mode: DialogMode;
  readonly proposal: Proposal | null;
}
