/** How much of the log is kept below the last snapshot, for those who come back late. */

import type { Offset, Time } from "@rostrum/protocol";
import type { Mark } from "./store.ts";

export interface Retention {
  /** Offsets. */
  readonly count: number;
  readonly bytes: number;
  /** Milliseconds. */
  readonly age: number;
}

export const defaultRetention: Retention = { count: 10_000, bytes: 8_388_608, age: 24 * 3_600_000 };

/**
 * The lowest offset to keep. The log is cut only at marks, and never above the last one: that is the snapshot which is
 * just being saved.
 */
export const trimLine = (marks: readonly Mark[], { count, bytes, age }: Retention, now: Time): Offset => {
  const last = marks.at(-1);
  if (last === undefined) return 1;
  let line = 1;
  for (const mark of marks) {
    const over = last.offset - mark.offset >= count || last.bytes - mark.bytes >= bytes || now - mark.at >= age;
    if (over) line = mark.offset + 1;
  }
  return line;
};
