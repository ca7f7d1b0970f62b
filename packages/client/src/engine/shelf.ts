/**
 * What has changed since the device's record was last written, as the next transaction: entries since the checkpoint,
 * commands that the server has not confirmed, and the head of it all. Pure: the engine has it written.
 */

import { type Entry, type Seq, type SessionState, toRecord } from "@rostrum/protocol";
import type { Outgoing } from "./outbox.ts";
import { type Kept, type Key, type Meta, outboxKey, type Queued, type Transaction, tailKey } from "./record.ts";

/** Commands that lie on the disk under one key. */
interface Chunk {
  readonly key: Key;
  readonly seqs: readonly Seq[];
  /** How many of them are not decided. */
  open: number;
}

export interface Writing {
  readonly transaction: Transaction;
  /** On the disk when it is written. */
  readonly queued: readonly Outgoing[];
}

export class Shelf {
  private tail = 0;
  private tailKeys: Key[] = [];
  private tailFresh: Entry[] = [];
  private readonly chunks = new Map<Seq, Chunk>();
  /** Seqs that are in chunks on the disk, but refused: a later life of the page must not send them again. */
  private readonly struck = new Set<Seq>();
  private fresh: Outgoing[] = [];
  private removals: Key[] = [];
  private dirty = false;
  /** The state of which the view is on the disk. Messages change its head, and nothing that is looked at. */
  private viewed: Pick<SessionState, "birth" | "control"> | undefined;

  /** What is there already. Answers the commands that are still to be decided. */
  load({ meta, view, tail, tailKeys, outbox, outboxKeys }: Kept): readonly Queued[] {
    // One of an older format is written anew.
    if (view !== undefined && meta.format > 1) this.viewed = { birth: view.birth, control: view.control };
    this.tail = tail.length;
    this.tailKeys = [...tailKeys];
    for (const seq of meta.struck ?? []) this.struck.add(seq);
    for (const { key, seqs } of outboxKeys) {
      const chunk: Chunk = { key, seqs, open: seqs.length };
      for (const seq of seqs) this.chunks.set(seq, chunk);
    }
    const open = outbox.filter(({ seq }) => !this.struck.has(seq));
    for (const seq of [...this.struck]) this.decided(seq);
    return open;
  }

  /** It was over before it was read: nothing is left of it, least of all something without its head. */
  discard(kept: Kept | undefined): void {
    this.removals.push(...(kept?.tailKeys ?? []), ...(kept?.outboxKeys ?? []).map(({ key }) => key));
  }

  /** The head has changed. */
  touch(): void {
    this.dirty = true;
  }

  get isClean(): boolean {
    return !this.dirty && this.fresh.length === 0;
  }

  /** Entries since the checkpoint. */
  get tailLength(): number {
    return this.tail;
  }

  addCommand(outgoing: Outgoing): void {
    this.fresh.push(outgoing);
  }

  addEntry(entry: Entry): void {
    this.tail += 1;
    this.tailFresh.push(entry);
  }

  /** The checkpoint holds everything but these. */
  forgetTail(but: readonly Entry[]): void {
    this.removals.push(...this.tailKeys);
    this.tailKeys = [];
    this.tail = but.length;
    this.tailFresh = [...but];
  }

  /** Commands that were taken before the disk was read are numbered anew. */
  forgetCommands(): void {
    this.fresh = [];
  }

  /** The command is decided. Its place on the disk is free as soon as its neighbours there are decided too. */
  decided(seq: Seq): void {
    const chunk = this.chunks.get(seq);
    if (chunk === undefined) return;
    this.chunks.delete(seq);
    chunk.open -= 1;
    if (chunk.open > 0) return;
    this.removals.push(chunk.key);
    for (const each of chunk.seqs) this.struck.delete(each);
    this.dirty = true;
  }

  /** The command was refused. Answers whether it lies on the disk, where that has to be noted. */
  strike(seq: Seq): boolean {
    if (!this.chunks.has(seq)) return false;
    this.struck.add(seq);
    this.dirty = true;
    return true;
  }

  /** Nothing is to be kept any more. */
  wipe(): void {
    this.removals.push("meta", "view", ...this.tailKeys);
    this.dirty = false;
    this.fresh = [];
    this.tailFresh = [];
    this.tailKeys = [];
  }

  /** The next transaction, if there is something to write. `isOpen` tells whether a command is still to be decided. */
  write(isOpen: (seq: Seq) => boolean, state: SessionState, meta: () => Omit<Meta, "struck">): Writing | undefined {
    const set: (readonly [Key, unknown])[] = [];
    const queued = this.fresh.filter(({ seq }) => isOpen(seq));
    this.fresh = [];
    const [first] = queued;
    if (first !== undefined) {
      const chunk: Chunk = { key: outboxKey(first.seq), seqs: queued.map(({ seq }) => seq), open: queued.length };
      for (const { seq } of queued) this.chunks.set(seq, chunk);
      set.push([chunk.key, queued.map(({ seq, command }): Queued => ({ seq, command }))]);
    }
    const [tailFirst] = this.tailFresh;
    if (tailFirst !== undefined) {
      const key = tailKey(tailFirst.offset);
      this.tailKeys.push(key);
      set.push([key, this.tailFresh]);
      this.tailFresh = [];
      this.dirty = true;
    }
    const isShown = this.viewed?.birth === state.birth && this.viewed.control === state.control;
    if (this.dirty && state.birth !== "" && !isShown) {
      this.viewed = { birth: state.birth, control: state.control };
      set.push(["view", toRecord(state)]);
    }
    if (this.dirty) set.push(["meta", this.struck.size === 0 ? meta() : { ...meta(), struck: [...this.struck] }]);
    const written = new Set(set.map(([key]) => key));
    const remove = [...new Set(this.removals)].filter((key) => !written.has(key));
    if (set.length === 0 && remove.length === 0) return undefined;
    this.removals = [];
    this.dirty = false;
    return { transaction: { set, remove }, queued };
  }
}
