/** What a client keeps on the device for one session, and how it changes: whole transactions, never single values. */

import type { Entry, MemberCommand, MemberId, Offset, Seq, StateRecord } from "@rostrum/protocol";
import type { Filed } from "./files.ts";

/**
 * Of the stored form. A newer one is refused, an older one migrated: 1 had the view in the head, 2 the app's state, and
 * neither kept what the server had stored.
 */
export const format = 3;

/** The app's state as its handlers had made it when they had run up to an offset. */
export interface Checkpoint {
  readonly offset: Offset;
  /** How often the session had been resynchronized then. */
  readonly generation: number;
  /** It leaves out what was taken back by a resynchronization as late as this, which had been told and not yet done. */
  readonly ahead?: Offset;
  readonly state: unknown;
}

/** Offsets that are missing, both included. */
export interface Gap {
  readonly from: Offset;
  readonly to: Offset;
}

/** Everything but the lists and the states. */
export interface Meta {
  readonly format: number;
  readonly instance: string;
  readonly member: MemberId | undefined;
  /** Offset of the entry that made it a member; 0: not known. */
  readonly born: Offset;
  readonly token: string | undefined;
  readonly birth: string | undefined;
  /** Told by the server up to here. */
  readonly received: Offset;
  /** Told up to here once: further than `received`, if the app has gone back alone. */
  readonly seen: Offset;
  /** The handlers have run up to here, and this was the generation then. */
  readonly processed: Offset;
  readonly generation: number;
  /** Where the newest checkpoint lies. */
  readonly checkpoint: Key | undefined;
  /** The point whose shared state the app has still to take up. */
  readonly awaited: Offset | undefined;
  /** Commands with lower seqs are sent under this generation, whatever they say: see `Engine.restate`. */
  readonly restated: { readonly below: Seq; readonly generation: number } | undefined;
  /** What the log no longer had and the app has not been told of yet. */
  readonly gap: Gap | undefined;
  /** What may be lost of what was let go here, which the app has not been told yet. */
  readonly unsaved: Gap | undefined;
  /** The highest offset of an own message that is no longer kept for sending again. */
  readonly dropped: Offset;
  /** Seqs below this may have been used, even if the outbox does not show them. */
  readonly reserved: Seq;
}

/** A command that the server has not confirmed. */
export interface Queued {
  readonly seq: Seq;
  readonly command: MemberCommand;
}

/** What became of a queued command: the offset of a message that may have to be sent again, 0 for what is done with. */
export type Decided = readonly [seq: Seq, offset: Offset];

/**
 * Keys of one session's records: `meta`, `view` (the folded state as of the last control entry: messages change nothing in
 * it, and it may be large), `state` and `point/…` (checkpoints: the newest, and those at sync points), `tail/…` (lists of
 * entries), `out/…` (lists of queued commands), `ack/…` (lists of those that are decided, as
 * long as others under their key are not).
 */
export type Key = "meta" | "view" | "state" | `point/${string}` | `tail/${string}` | `out/${string}` | `ack/${string}`;

/** Applied as one, or not at all. */
export interface Transaction<K extends string = Key> {
  readonly set: readonly (readonly [K, unknown])[];
  readonly remove: readonly K[];
}

export interface Kept {
  readonly meta: Meta;
  readonly view: StateRecord | undefined;
  readonly checkpoint: Checkpoint | undefined;
  readonly points: readonly Checkpoint[];
  readonly tail: readonly Entry[];
  readonly outbox: readonly Queued[];
  readonly decided: readonly Decided[];
  /** The keys that were there, so that they can be removed. */
  readonly tailKeys: readonly Key[];
  readonly outboxKeys: readonly Filed[];
  readonly ackKeys: readonly Filed[];
}

const padded = (value: number): string => value.toString().padStart(16, "0");
export const pointKey = (offset: Offset): Key => `point/${padded(offset)}`;
export const tailKey = (offset: Offset): Key => `tail/${padded(offset)}`;
export const outboxKey = (seq: Seq): Key => `out/${padded(seq)}`;
export const ackKey = (list: number): Key => `ack/${padded(list)}`;

/** Whether something waits in the record that a page has still to send. */
export const hasUnsent = ({ outbox, decided }: Kept): boolean => {
  const done = new Set(decided.map(([seq]) => seq));
  return outbox.some(({ seq }) => !done.has(seq));
};

/** A head as versions 1 and 2 had it. */
interface OldMeta {
  readonly view?: StateRecord;
  readonly checkpoint?: { readonly offset: Offset; readonly state: unknown };
  readonly struck?: readonly Seq[];
}

/** Reads what a storage gave back. `undefined`: nothing is there. @throws Error for what is not a record of ours. */
export const readRecord = (values: ReadonlyMap<string, unknown>): Kept | undefined => {
  const meta = values.get("meta") as Meta | undefined;
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
  const under = (prefix: string): (readonly [Key, unknown])[] =>
    [...values]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [key as Key, value] as const);
  const lists = <T>(prefix: string): (readonly [Key, readonly T[]])[] =>
    under(prefix).map(([key, value]) => {
      if (!Array.isArray(value)) throw new Error(`no list at ${key}`);
      return [key, value as readonly T[]] as const;
    });
  const tail = lists<Entry>("tail/");
  const outbox = lists<Queued>("out/");
  const acks = lists<Decided>("ack/");
  const old = meta.format < 3 ? (meta as unknown as OldMeta) : undefined;
  const oldCheckpoint = old?.checkpoint === undefined ? undefined : { ...old.checkpoint, generation: 0 };
  const present = old === undefined && meta.checkpoint !== undefined ? values.get(meta.checkpoint) : oldCheckpoint;
  return {
    meta: { ...meta, born: meta.born ?? 0, generation: meta.generation ?? 0, dropped: meta.dropped ?? 0 },
    view: (values.get("view") as StateRecord | undefined) ?? old?.view,
    checkpoint: present as Checkpoint | undefined,
    points: under("point/").map(([, value]) => value as Checkpoint),
    tail: tail.flatMap(([, entries]) => entries),
    outbox: outbox.flatMap(([, queued]) => queued),
    decided: [...acks.flatMap(([, pairs]) => pairs), ...(old?.struck ?? []).map((seq): Decided => [seq, 0])],
    tailKeys: tail.map(([key]) => key),
    outboxKeys: outbox.map(([key, queued]) => ({ key, seqs: queued.map(({ seq }) => seq) })),
    ackKeys: acks.map(([key, pairs]) => ({ key, seqs: pairs.map(([seq]) => seq) })),
  };
};
