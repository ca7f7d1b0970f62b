/** How entries change the dialog. */

import type { DialogEntry } from "../entry.ts";
import type { MemberId } from "../ids.ts";
import type { Dialog } from "./dialog.ts";

/** Who has left has no more say. */
export const withoutMember = (dialog: Dialog, member: MemberId): Dialog =>
  dialog.proposal?.waiting.includes(member) === true
    ? { ...dialog, proposal: { ...dialog.proposal, waiting: dialog.proposal.waiting.filter((id) => id !== member) } }
    : dialog;

/** Records and applies no rule. */
export const foldDialog = (dialog: Dialog, entry: DialogEntry): Dialog => {
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
