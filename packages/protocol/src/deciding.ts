/** What the rules write into: a folding and the entries that led to it. */

import type { UpdateItem } from "./documents/document.ts";
import type { Draft, Entry } from "./entry.ts";
import { type ErrorCode, type ErrorDetails, RostrumError } from "./errors.ts";
import { beginFolding, endFolding, type Folding, foldInto } from "./fold.ts";
import type { MemberId, Seq, Time } from "./ids.ts";
import type { SessionState } from "./state.ts";

/** A command, or part of one, that was refused. `seq` and `count` name what the member sent. */
export interface Refusal {
  readonly seq: Seq;
  readonly count: number;
  readonly error: RostrumError;
}

/**
 * The host's look into an update of a document, after everything else has been checked: `undefined` if it may be stored, and
 * then it counts as stored for what is decided next.
 */
export interface Inspect {
  (document: string, item: UpdateItem, by: MemberId | null, state: SessionState): RostrumError | undefined;
  /** What to answer if it is stored already; nothing else is looked at, and nothing changes. */
  readonly known?: (
    document: string,
    item: UpdateItem,
    by: MemberId | null,
    state: SessionState,
  ) => RostrumError | undefined;
}

export interface Deciding {
  readonly state: Folding;
  readonly entries: Entry[];
  readonly now: Time;
  /** Absent: the host keeps no documents. */
  readonly inspect: Inspect | undefined;
}

/** `now` is the server's clock; within the log time never runs backwards. */
export const beginDeciding = (state: SessionState, now: Time, inspect?: Inspect): Deciding => ({
  state: beginFolding(state),
  entries: [],
  now: Math.max(now, state.at),
  inspect,
});

/** Records a fact: it gets the next offset and the time, and the rules that follow see its effect. */
export const record = (to: Deciding, draft: Draft): Entry => {
  const entry = { ...draft, offset: to.state.head + 1, at: to.now } as Entry;
  to.entries.push(entry);
  foldInto(to.state, entry);
  return entry;
};

export const decided = (to: Deciding): { readonly state: SessionState; readonly entries: readonly Entry[] } => ({
  state: endFolding(to.state),
  entries: to.entries,
});

/** Rules refuse by throwing this; `decideInto` catches it before anything was recorded. */
export const refuse = (code: ErrorCode, message: string, details?: ErrorDetails): never => {
  throw new RostrumError(code, message, details);
};

/** Whom something is addressed to has to be there. */
export const requireRecipients = ({ members }: SessionState, to: readonly MemberId[] | undefined): void => {
  for (const id of to ?? []) {
    if (members.has(id)) continue;
    refuse("RECIPIENT_UNKNOWN", `The session has no member ${id} to send to; nothing was stored.`, { member: id });
  }
};
