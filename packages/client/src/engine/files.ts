/** Lists of numbered things on the disk, each list under a key, which can go when all that is in it can. */

import type { Seq } from "@rostrum/protocol";
import type { Key } from "./record.ts";

/** Seqs that lie under one key. */
export interface Filed {
  readonly key: Key;
  readonly seqs: readonly Seq[];
}

export class Files {
  private readonly bySeq = new Map<Seq, Filed & { open: number }>();
  /** How many lists there are. */
  size = 0;

  add({ key, seqs }: Filed): void {
    const file = { key, seqs, open: seqs.length };
    for (const seq of seqs) this.bySeq.set(seq, file);
    if (seqs.length > 0) this.size += 1;
  }

  has(seq: Seq): boolean {
    return this.bySeq.has(seq);
  }

  /** This seq is no longer needed. Answers the list if nothing in it is. */
  close(seq: Seq): Filed | undefined {
    const file = this.bySeq.get(seq);
    if (file === undefined) return undefined;
    this.bySeq.delete(seq);
    file.open -= 1;
    if (file.open > 0) return undefined;
    this.size -= 1;
    return file;
  }

  /** Everything goes. Answers the keys. */
  clear(): readonly Key[] {
    const keys = [...new Set([...this.bySeq.values()].map(({ key }) => key))];
    this.bySeq.clear();
    this.size = 0;
    return keys;
  }
}
