/** A store with a disk that is slow, full or gone for a while. It keeps what it acknowledged, and perhaps a little more. */

import { documentIn, type Entry, isControl, lastOffset, type Offset, RostrumError, span } from "@rostrum/protocol";
import type { Appended, Condition, Loaded, Snapshot } from "@rostrum/server";
import type { Scheduler } from "@rostrum/testing";
import { type KeptDocument, SimDocuments } from "./document-store.ts";
import type { Sabotage } from "./sabotage.ts";

type Done<T> = (result: T | RostrumError) => void;

/** A copy of the store as it was: what a backup keeps. */
export interface Copy {
  readonly entries: number;
  readonly first: Offset;
  readonly thinned: Offset;
  readonly snapshot: Snapshot | undefined;
  readonly head: Offset;
  readonly control: Offset;
  readonly documents: ReadonlyMap<string, KeptDocument>;
}

/** A log that was lost: everything of it, and how much of it the one that took its place has. */
export interface LostLog {
  readonly truth: readonly Entry[];
  readonly kept: Offset;
}

/** What a node uses of the store; it stops answering when the node dies. */
export class SimStore {
  /** Everything that was ever durable in the present log, trimmed or not: the truth that promises are measured against. */
  truth: Entry[] = [];
  /** The logs before it; the present one's life is their number. */
  readonly lost: LostLog[] = [];
  /** Told of everything that is stored, in the moment in which it is. */
  placed: (entry: Entry) => void = () => {};
  /** The log was cut. */
  trimmed: () => void = () => {};
  readonly documents: SimDocuments;
  first: Offset = 1;
  /** Updates of documents are not read any more up to here. */
  thinned: Offset = 0;
  snapshot: Snapshot | undefined;
  head: Offset = 0;
  control: Offset = 0;
  /** Appends fail: the disk is full. */
  full = false;
  slow = false;
  private readonly followers = new Map<number, { readonly on: (entries: readonly Entry[]) => void; at: number }>();
  private nextFollower = 0;
  /** Writes happen one after the other. */
  private writing = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly sabotage: Sabotage,
  ) {
    this.documents = new SimDocuments(scheduler, this);
  }

  get life(): number {
    return this.lost.length + 1;
  }

  copy(): Copy {
    const { truth, first, thinned, snapshot, head, control } = this;
    return { entries: truth.length, first, thinned, snapshot, head, control, documents: this.documents.copy() };
  }

  /** The disk is lost, and what was copied takes its place. Nobody may be at work on it. */
  restore(copy: Copy): void {
    this.lost.push({ truth: this.truth, kept: copy.head });
    this.truth = this.truth.slice(0, copy.entries);
    this.first = copy.first;
    this.thinned = copy.thinned;
    this.snapshot = copy.snapshot;
    this.head = copy.head;
    this.control = copy.control;
    this.documents.restore(copy.documents);
    this.followers.clear();
  }

  get delay(): number {
    return this.slow ? this.scheduler.between(50, 800) : this.scheduler.between(0, 6);
  }

  /** `alive` answers whether the asking node still runs: a dead one's write may be lost, and its answer surely is. */
  append(alive: () => boolean, condition: Condition, entries: readonly Entry[], done: Done<Appended>): void {
    const { scheduler } = this;
    const at = Math.max(scheduler.now + this.delay, this.writing);
    this.writing = at;
    const early = this.sabotage === "ack-before-durable";
    const { life } = this;
    scheduler.later(at - scheduler.now, () => {
      if (life !== this.life) return;
      if (!alive() && (early || scheduler.chance(0.5))) return;
      if (this.full) {
        // The caller must take it as unknown: sometimes it was written all the same.
        if (scheduler.chance(0.3)) this.write(condition, entries);
        return answer(new RostrumError("STORE_FAILED", "The disk is full."));
      }
      const result = this.write(condition, entries);
      if (!early) answer(result);
    });
    const answer = (result: Appended | RostrumError): void => {
      scheduler.later(this.delay, () => alive() && done(result));
    };
    if (early) scheduler.later(0, () => alive() && done({ ok: true, first: this.head + 1, bytes: 100 }));
  }

  private write(condition: Condition, entries: readonly Entry[]): Appended {
    if (this.sabotage === "skip-control-check") return this.place(entries);
    if (condition.control !== this.control) return { ok: false };
    if (condition.head !== undefined && condition.head !== this.head && this.sabotage !== "skip-head-check")
      return { ok: false };
    return this.place(entries);
  }

  private place(entries: readonly Entry[]): Appended {
    const first = this.head + 1;
    const moved = first - (entries[0]?.offset ?? first);
    const skewed = this.sabotage === "time-runs-back" ? this.scheduler.between(-5_000, 0) : 0;
    const placed = entries.map((entry) => ({ ...entry, offset: entry.offset + moved, at: entry.at + skewed }));
    for (const entry of placed) {
      this.truth.push(entry);
      this.head = lastOffset(entry);
      if (isControl(entry)) this.control = entry.offset;
      this.placed(entry);
    }
    for (const follower of this.followers.values()) {
      // Late, but in order.
      follower.at = Math.max(
        follower.at,
        this.scheduler.now + (this.scheduler.chance(0.1) ? this.scheduler.between(50, 500) : this.delay),
      );
      this.scheduler.later(follower.at - this.scheduler.now, () => follower.on(placed));
    }
    return { ok: true, first, bytes: placed.reduce((sum, entry) => sum + 50 * span(entry), 0) };
  }

  load(alive: () => boolean, done: Done<Loaded>): void {
    this.scheduler.later(this.delay, () => {
      if (!alive()) return;
      if (this.sabotage === "forget-the-log" && this.head > 20) return done({ snapshot: undefined, first: 1, head: 0 });
      done({ snapshot: this.snapshot, first: this.first, head: this.head });
    });
  }

  read(alive: () => boolean, after: Offset, limit: number, done: Done<readonly Entry[]>): void {
    this.scheduler.later(this.delay, () => {
      if (!alive()) return;
      const found: Entry[] = [];
      let offsets = 0;
      for (const entry of this.since(Math.max(after, this.first - 1))) {
        if (offsets >= limit) break;
        if (lastOffset(entry) <= this.thinned && documentIn(entry) !== undefined) continue;
        found.push(entry);
        offsets += span(entry);
      }
      done(found);
    });
  }

  /** The entries that end after an offset, trimmed ones included. */
  since(after: Offset): readonly Entry[] {
    const { truth } = this;
    let low = 0;
    let high = truth.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lastOffset(truth[middle] as Entry) > after) high = middle;
      else low = middle + 1;
    }
    return truth.slice(low);
  }

  save(alive: () => boolean, snapshot: Snapshot, done: (error: RostrumError | undefined) => void): void {
    const { life } = this;
    this.scheduler.later(this.delay, () => {
      if (life !== this.life) return;
      if (!alive() && this.scheduler.chance(0.5)) return;
      if (!this.full && snapshot.state.head >= (this.snapshot?.state.head ?? 0)) {
        this.snapshot =
          this.sabotage === "forget-seqs-at-snapshot"
            ? { ...snapshot, state: { ...snapshot.state, seqs: [] } }
            : snapshot;
      }
      const error = this.full ? new RostrumError("STORE_FAILED", "The disk is full.") : undefined;
      this.scheduler.later(this.delay, () => alive() && done(error));
    });
  }

  trim(below: Offset): void {
    const line = this.sabotage === "trim-above-snapshot" ? this.head : below;
    // Whole entries only, as a real store does it.
    const entry = this.since(line - 1)[0];
    this.first = Math.max(this.first, Math.min(line, entry?.offset ?? line));
    this.trimmed();
  }

  /** A node that dies over it may have done it or not. */
  thin(alive: () => boolean, upTo: Offset, done: (isDone: boolean) => void): void {
    const { life } = this;
    this.scheduler.later(this.delay, () => {
      if (life !== this.life || (!alive() && this.scheduler.chance(0.5))) return;
      this.thinned = Math.max(this.thinned, upTo);
      if (alive()) done(true);
    });
  }

  follow(on: (entries: readonly Entry[]) => void): () => void {
    const id = (this.nextFollower += 1);
    this.followers.set(id, { on, at: 0 });
    return () => void this.followers.delete(id);
  }
}
