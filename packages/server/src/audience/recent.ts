/** The end of the log, at hand for those who come back. */

import { documentIn, type Entry, lastOffset, type Offset, redact } from "@rostrum/protocol";

/** How many offsets are kept. */
const offsets = 4_000;

export class Recent {
  private entries: Entry[] = [];
  /** Everything behind this is at hand. */
  private after: Offset = 0;

  begin(head: Offset): void {
    this.after = head;
  }

  /** What nobody here was told yet (behind `told`) is kept whatever it takes. */
  extend(entries: readonly Entry[], head: Offset, told: Offset): void {
    for (const entry of entries) this.entries.push(redact(entry));
    if (this.entries.length > 2 * offsets || head - this.after > 4 * offsets)
      this.prune(Math.min(told, head - offsets));
  }

  private prune(upTo: Offset): void {
    let cut = 0;
    while (cut < this.entries.length && lastOffset(this.entries[cut] as Entry) <= upTo) cut += 1;
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
