/** How members take turns in the session as a whole, and what one of them has proposed to the others (X.215). */

import type { DialogMode } from "../config.ts";
import type { Answered, DialogSwitched, Proposed, Settled } from "../entry.ts";
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

/** Who has left has no more say. */
export const withoutMember = (dialog: Dialog, member: MemberId): Dialog =>
  dialog.proposal?.waiting.includes(member) === true
    ? { ...dialog, proposal: { ...dialog.proposal, waiting: dialog.proposal.waiting.filter((id) => id !== member) } }
    : dialog;

/** Records and applies no rule. */
export const foldDialog = (dialog: Dialog, entry: Proposed | Answered | Settled | DialogSwitched): Dialog => {
  switch (entry.type) {
    case "proposed": {
      const { offset: id, by, subject, at, until, asked: waiting } = entry;
      return { ...dialog, proposal: { id, by, subject, at, until, waiting } };
    }
    case "answered":
      return entry.accept ? withoutMember(dialog, entry.member) : dialog;
    case "settled":
      return { ...dialog, proposal: null };
    case "dialog-switched":
      return { ...dialog, mode: entry.mode };
    default:
      return entry satisfies never;
  }
};
