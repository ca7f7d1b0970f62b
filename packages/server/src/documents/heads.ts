/** Who has written how much of a document: what an update is held against, without the document itself. */

import type { Offset, Time } from "@rostrum/protocol";
import type { DocumentRecord, DocumentWriter } from "../store.ts";
import type { Clocks, UpdateFacts } from "./codec.ts";

export interface Writer {
  readonly user: string | null;
  /** Where its next addition begins. */
  readonly clock: number;
  /** The number of its next update. */
  readonly n: number;
}

/** A document that is being edited. */
export class DocumentHead {
  readonly writers: Map<number, Writer> = new Map();
  /** Bytes of the record's state, and of the updates behind it. */
  bytes: number;
  lineage: Offset;
  /** Everything up to here is in it. */
  upTo: Offset;
  touched: number;
  /** Bytes of the record's state. */
  recordBytes: number;
  /** Till then a new record is made only for what it saves: many small updates alone are not worth all of a thread. */
  restsUntil: Time = 0;

  constructor(record: DocumentRecord | undefined, now: number) {
    this.bytes = this.recordBytes = record?.bytes ?? 0;
    this.lineage = record?.lineage ?? 0;
    this.upTo = record?.offset ?? 0;
    this.touched = now;
    for (const { replica, ...writer } of record?.writers ?? []) this.writers.set(replica, writer);
  }
}

/** An update as the log has it. */
export interface LoggedUpdate {
  readonly offset: Offset;
  readonly replica: number;
  readonly n: number;
  readonly update: Uint8Array;
  /** `undefined`: nobody remembers whose member it was. */
  readonly user: string | undefined;
}

/** Takes a stored update into the writers. */
export const noteUpdate = (
  writers: Map<number, Writer>,
  { replica, n, user }: Pick<LoggedUpdate, "replica" | "n" | "user">,
  { adds }: UpdateFacts,
): void => {
  const before = writers.get(replica);
  let { clock } = before ?? { clock: 0 };
  for (const { client, to } of adds) {
    if (client === replica) clock = Math.max(clock, to);
    else {
      // Only the server brings what others once wrote.
      const known = writers.get(client);
      writers.set(client, { user: known?.user ?? null, n: known?.n ?? 0, clock: Math.max(known?.clock ?? 0, to) });
    }
  }
  writers.set(replica, {
    user: before === undefined ? (user ?? null) : (before.user ?? user ?? null),
    clock,
    n: n + 1,
  });
};

/** The writers as a record keeps them: with the clocks that its state has. */
export const writersOf = (writers: ReadonlyMap<number, Writer>, clocks: Clocks): readonly DocumentWriter[] => {
  const all = new Map<number, DocumentWriter>();
  for (const [replica, { user, n }] of writers) all.set(replica, { replica, user, n, clock: clocks.get(replica) ?? 0 });
  for (const [replica, clock] of clocks) {
    if (!all.has(replica)) all.set(replica, { replica, user: null, n: 0, clock });
  }
  return [...all.values()];
};
