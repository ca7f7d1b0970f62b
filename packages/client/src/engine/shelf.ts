/**
 * What has changed since the device's record was last written, as the next transaction: entries since the checkpoint,
 * commands that the server has not confirmed or may lose again, the app's states, and the head of it all. Pure: the engine
 * has it written.
 */

import { type Entry, type Offset, type Seq, type SessionState, toRecord } from "@rostrum/protocol";
import type { Checkpoints } from "./checkpoints.ts";
import { Files } from "./files.ts";
import type { Outgoing } from "./outbox.ts";
import { ackKey, type Kept, type Key, type Meta, outboxKey, type Queued, type Transaction, tailKey } from "./record.ts";

const maxNoteLists = 32;

export interface Writing {
  readonly transaction: Transaction;
  /** On the disk when it is written. */
  readonly queued: readonly Outgoing[];
}

export class Shelf {
  private tail = 0;
  private tailKeys: Key[] = [];
  private tailFresh: Entry[] = [];
  private readonly commands = new Files();
  /** What became of commands whose list is still needed: a later life of the page must not send them again. */
  private readonly notes = new Map<Seq, Offset>();
  private readonly notesFiled = new Files();
  private notesFresh = new Set<Seq>();
  /** Notes are read in the order of their keys: the last one counts. */
  private noteLists = 0;
  private fresh: Outgoing[] = [];
  private removals: Key[] = [];
  private dirty = false;
  /** The state of which the view is on the disk. Messages change its head, and nothing that is looked at. */
  private viewed: Pick<SessionState, "birth" | "control"> | undefined;

  constructor(private readonly checkpoints: Checkpoints) {}

  /** What is there already. Answers the commands that are not done with, those with an offset being stored. */
  load({ meta, view, tail, tailKeys, outbox, outboxKeys, decided, ackKeys }: Kept): readonly (Queued & {
    readonly offset?: Offset;
  })[] {
    // One of an older format is written anew.
    if (view !== undefined && meta.format > 1) this.viewed = { birth: view.birth, control: view.control };
    this.tail = tail.length;
    this.tailKeys = [...tailKeys];
    for (const filed of outboxKeys) this.commands.add(filed);
    for (const filed of ackKeys) {
      // A later note replaces an earlier one, whose list may have been waiting for just this.
      for (const seq of filed.seqs) {
        const older = this.notesFiled.close(seq);
        if (older !== undefined) this.removals.push(older.key);
      }
      this.notesFiled.add(filed);
      this.noteLists = Math.max(this.noteLists, Number(filed.key.slice(-16)) + 1);
    }
    for (const [seq, offset] of decided) this.notes.set(seq, offset);
    const open = outbox.flatMap(({ seq, command }) => {
      const offset = this.notes.get(seq);
      if (offset === 0) return [];
      return [offset === undefined ? { seq, command } : { seq, command, offset }];
    });
    for (const [seq, offset] of decided) if (offset === 0) this.close(seq);
    return open;
  }

  /** It was over before it was read: nothing is left of it, least of all something without its head. */
  discard(kept: Kept | undefined): void {
    if (kept === undefined) return;
    const { tailKeys, outboxKeys, ackKeys, points } = kept;
    this.removals.push(...tailKeys, ...[...outboxKeys, ...ackKeys].map(({ key }) => key));
    this.checkpoints.load(kept.checkpoint, kept.meta.checkpoint, points);
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

  /** The message is stored there, and stays here: it may have to be sent again. */
  stored(seq: Seq, offset: Offset): void {
    this.note(seq, offset);
  }

  /**
   * The command is done with. Its place on the disk is free as soon as its neighbours' are; until then it is noted. Answers
   * whether it lies on the disk: until the next transaction is written, a later life of the page would send it.
   */
  decided(seq: Seq): boolean {
    if (!this.commands.has(seq)) {
      this.forget(seq);
      return false;
    }
    this.note(seq, 0);
    this.close(seq);
    return true;
  }

  /** The server has lost what it had stored: these are as if they had not been sent. What is noted is written anew. */
  lost(seqs: Iterable<Seq>): void {
    for (const seq of seqs) this.notes.delete(seq);
    this.removals.push(...this.notesFiled.clear());
    this.notesFresh = new Set(this.notes.keys());
    this.dirty = true;
  }

  private note(seq: Seq, offset: Offset): void {
    this.notes.set(seq, offset);
    this.notesFresh.add(seq);
    this.dirty = true;
  }

  private forget(seq: Seq): void {
    this.notes.delete(seq);
    this.notesFresh.delete(seq);
    const file = this.notesFiled.close(seq);
    if (file !== undefined) this.removals.push(file.key);
  }

  private close(seq: Seq): void {
    const file = this.commands.close(seq);
    if (file === undefined) return;
    this.removals.push(file.key);
    for (const each of file.seqs) this.forget(each);
    this.dirty = true;
  }

  /** Nothing is to be kept any more. */
  wipe(): void {
    this.removals.push("meta", "view", ...this.tailKeys, ...this.commands.clear(), ...this.notesFiled.clear());
    this.removals.push(...this.checkpoints.clear());
    this.dirty = false;
    this.fresh = [];
    this.notes.clear();
    this.notesFresh.clear();
    this.tailFresh = [];
    this.tailKeys = [];
  }

  /** The next transaction, if there is something to write. `isKept` tells whether a command is still needed here. */
  write(isKept: (seq: Seq) => boolean, state: SessionState, meta: () => Meta): Writing | undefined {
    const set: (readonly [Key, unknown])[] = [];
    const queued = this.fresh.filter(({ seq }) => isKept(seq));
    this.fresh = [];
    const [first] = queued;
    if (first !== undefined) {
      const key = outboxKey(first.seq);
      this.commands.add({ key, seqs: queued.map(({ seq }) => seq) });
      set.push([key, queued.map(({ seq, command }): Queued => ({ seq, command }))]);
    }
    // Few long lists are read sooner than many short ones.
    if (this.notesFiled.size > maxNoteLists) this.lost([]);
    const noted = [...this.notesFresh].filter((seq) => this.commands.has(seq) || this.notes.get(seq) === 0);
    const [notedFirst] = noted;
    if (notedFirst !== undefined) {
      // A note that replaces an older one: that one must not come back.
      for (const seq of noted) {
        const file = this.notesFiled.close(seq);
        if (file !== undefined) this.removals.push(file.key);
      }
      const key = ackKey(this.noteLists);
      this.noteLists += 1;
      this.notesFiled.add({ key, seqs: noted });
      set.push([key, noted.map((seq) => [seq, this.notes.get(seq) ?? 0])]);
    }
    this.notesFresh.clear();
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
    if (this.dirty) {
      const states = this.checkpoints.take();
      set.push(...states.set);
      this.removals.push(...states.remove);
      set.push(["meta", meta()]);
    }
    const written = new Set(set.map(([key]) => key));
    const remove = [...new Set(this.removals)].filter((key) => !written.has(key));
    if (set.length === 0 && remove.length === 0) return undefined;
    this.removals = [];
    this.dirty = false;
    return { transaction: { set, remove }, queued };
  }
}
