/** The end of the log, at hand for those who come back. */

import { documentIn, type Entry, lastOffset, type Offset, redact } from "@rostrum/protocol";

/** How many offsets are kept. */
const offsets = 4_000;
/** And how many bytes of updates of documents, each of which may be as large as eight messages. */
const mostBytes = 16_777_216;

const bytesOf = (entry: Entry): number => {
  if (entry.type !== "messages" || documentIn(entry) === undefined) return 0;
  let bytes = 0;
  for (const item of entry.items) if (item[4] instanceof Uint8Array) bytes += item[4].byteLength;
  return bytes;
};

export class Recent {
  private entries: Entry[] = [];
  /** Everything behind this is at hand. */
  private after: Offset = 0;
  private bytes = 0;

  begin(head: Offset): void {
    this.after = head;
  }

  /** What nobody here was told yet (behind `told`) is kept whatever it takes. */
  extend(entries: readonly Entry[], head: Offset, told: Offset): void {
    for (const entry of entries) {
      this.entries.push(redact(entry));
      this.bytes += bytesOf(entry);
    }
    if (this.isHeavy) this.prune(told, mostBytes / 2);
    if (this.entries.length > 2 * offsets || head - this.after > 4 * offsets)
      this.prune(Math.min(told, head - offsets));
  }

  /** Those who were not told yet should be. */
  get isHeavy(): boolean {
    return this.bytes > mostBytes;
  }

  /** Cuts up to an offset, and no more than brings the bytes down to so many. */
  private prune(upTo: Offset, bytes = -1): void {
    let cut = 0;
    while (cut < this.entries.length && lastOffset(this.entries[cut] as Entry) <= upTo && this.bytes > bytes) {
      this.bytes -= bytesOf(this.entries[cut] as Entry);
      cut += 1;
    }
    const last = this.entries[cut - 1];
    if (last === undefined) return;
    this.after = lastOffset(last);
    this.entries = this.entries.slice(cut);
  }

  /** The entries behind an offset; `undefined` if they reach not back that far. */
  since(after: Offset): readonly Entry[] | undefined {
    if (after < this.after) return undefined;
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lastOffset(this.entries[middle] as Entry) > after) high = middle;
      else low = middle + 1;
    }
    return this.entries.slice(low);
  }

  /** Where the last `count` messages begin, as far as they are at hand. Updates of documents are not counted: they are not said to anybody. */
  lastMessages(count: number, head: Offset): Offset {
    let left = count;
    for (let index = this.entries.length - 1; index >= 0 && left > 0; index -= 1) {
      const entry = this.entries[index];
      if (entry?.type === "messages" && documentIn(entry) === undefined) {
        left -= entry.items.length;
        if (left <= 0) return entry.offset - 1 - Math.min(0, left);
      }
    }
    return left > 0 ? Math.max(0, this.after - left) : head;
  }
}
