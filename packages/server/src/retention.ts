/** How much of the log is kept below the last snapshot, for those who come back late. */

import type { Offset, Time } from "@rostrum/protocol";
import type { Mark } from "./store.ts";

export interface Retention {
  /** Offsets; updates of documents are not counted, as the log is thinned of them. */
  readonly count: number;
  /** Bytes; those of updates are not counted either. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly age: number;
  /** Offsets at the log's end that keep their updates of documents, so that a short absence is made good without asking for a document. */
  readonly updates: number;
  /** Most bytes of updates that are kept for that. */
  readonly updateBytes: number;
}

export const defaultRetention: Retention = {
  count: 10_000,
  bytes: 8_388_608,
  age: 24 * 3_600_000,
  updates: 256,
  updateBytes: 1_048_576,
};

/** What of retention says how far back the log reaches. */
type Reach = Pick<Retention, "count" | "bytes" | "age">;

/**
 * The lowest offset to keep. The log is cut only at marks, and never above the last one: that is the snapshot which is
 * just being saved.
 */
export const trimLine = (marks: readonly Mark[], { count, bytes, age }: Reach, now: Time): Offset => {
  const last = marks.at(-1);
  if (last === undefined) return 1;
  const counted = ({ offset, updates = 0 }: Mark): number => offset - updates;
  let line = 1;
  for (const mark of marks) {
    const over = counted(last) - counted(mark) >= count || last.bytes - mark.bytes >= bytes || now - mark.at >= age;
    if (over) line = mark.offset + 1;
  }
  return line;
};
