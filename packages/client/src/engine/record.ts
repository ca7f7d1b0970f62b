/** What a client keeps on the device for one session, and how it changes: whole transactions, never single values. */

import type { Entry, MemberCommand, MemberId, Offset, Seq, StateRecord } from "@rostrum/protocol";

/** Of the stored form. A newer one is refused, an older one migrated: 1 had the view in the head. */
export const format = 2;

export interface Checkpoint {
  /** The app's state is as of this offset. */
  readonly offset: Offset;
  readonly state: unknown;
}

/** Offsets that are missing, both included. */
export interface Gap {
  readonly from: Offset;
  readonly to: Offset;
}

/** Everything but the two lists. */
export interface Meta {
  readonly format: number;
  readonly instance: string;
  readonly member: MemberId | undefined;
  readonly token: string | undefined;
  readonly birth: string | undefined;
  /** Told by the server up to here. */
  readonly received: Offset;
  /** The handlers have run up to here. */
  readonly processed: Offset;
  readonly checkpoint: Checkpoint | undefined;
  /** What the log no longer had and the app has not been told of yet. */
  readonly gap: Gap | undefined;
  /** Seqs below this may have been used, even if the outbox does not show them. */
  readonly reserved: Seq;
  /** Seqs that are among the queued commands, but were refused. */
  readonly struck?: readonly Seq[];
}

/** A command that the server has not confirmed. */
export interface Queued {
  readonly seq: Seq;
  readonly command: MemberCommand;
}

/**
 * Keys of one session's records: `meta`, `view` (the folded state as of the last control entry: messages change nothing in
 * it, and it may be large), `tail/…` (lists of entries), `out/…` (lists of queued commands).
 */
export type Key = "meta" | "view" | `tail/${string}` | `out/${string}`;

/** Applied as one, or not at all. */
export interface Transaction {
  readonly set: readonly (readonly [Key, unknown])[];
  readonly remove: readonly Key[];
}

export interface Kept {
  readonly meta: Meta;
  readonly view: StateRecord | undefined;
  readonly tail: readonly Entry[];
  readonly outbox: readonly Queued[];
  /** The keys that were there, so that they can be removed. */
  readonly tailKeys: readonly Key[];
  readonly outboxKeys: readonly { readonly key: Key; readonly seqs: readonly Seq[] }[];
}

const padded = (value: number): string => value.toString().padStart(16, "0");
export const tailKey = (offset: Offset): Key => `tail/${padded(offset)}`;
export const outboxKey = (seq: Seq): Key => `out/${padded(seq)}`;

/** Reads what a storage gave back. `undefined`: nothing is there. @throws Error for what is not a record of ours. */
export const readRecord = (values: ReadonlyMap<string, unknown>): Kept | undefined => {
  const meta = values.get("meta") as (Meta & { readonly view?: StateRecord }) | undefined;
  if (meta === undefined) {
    if (values.size > 0) throw new Error("records without a head");
    return undefined;
  }
  if (
    typeof meta !== "object" ||
    typeof meta.instance !== "string" ||
    !Number.isSafeInteger(meta.received) ||
    !Number.isSafeInteger(meta.processed)
  ) {
    throw new Error("a head that is not one");
  }
  const lists = <T>(prefix: string): (readonly [Key, readonly T[]])[] =>
    [...values]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => {
        if (!Array.isArray(value)) throw new Error(`no list at ${key}`);
        return [key as Key, value as readonly T[]] as const;
      });
  const tail = lists<Entry>("tail/");
  const outbox = lists<Queued>("out/");
  return {
    meta,
    view: (values.get("view") as StateRecord | undefined) ?? meta.view,
    tail: tail.flatMap(([, entries]) => entries),
    outbox: outbox.flatMap(([, queued]) => queued),
    tailKeys: tail.map(([key]) => key),
    outboxKeys: outbox.map(([key, queued]) => ({ key, seqs: queued.map(({ seq }) => seq) })),
  };
};
