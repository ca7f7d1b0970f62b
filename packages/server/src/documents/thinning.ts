/**
 * How far the log may be thinned of documents' updates, and when it is worth it: they are in the documents' records, and whoever
 * lacks them asks for the document.
 */

import {
  documentIn,
  type Entry,
  isUpdate,
  lastOffset,
  type Offset,
  recordedUpTo,
  type SessionState,
  span,
} from "@rostrum/protocol";
import type { Retention } from "../retention.ts";
import type { Mark } from "../store.ts";

/** Updates, and bytes of them, that are worth thinning the log; and worth it where nobody is that it could hold up. */
const worth = { updates: 256, bytes: 131_072 };
const worthAtRest = { updates: 16, bytes: 4_096 };
/** Bytes of updates that are kept at most where nobody is: who comes back then asks for the document sooner. */
const mostAtRest = 65_536;
/** Bytes of updates after which the state is saved for their sake: the log is not thinned above what is saved. */
const worthSaving = 262_144;
/** How finely the weight of updates is noted. */
const step = { updates: 32, bytes: 8_192 };
/** Bytes that an update takes in the log besides its own. */
const around = 48;

/** What an entry's updates weigh in the log; 0: it has none. */
export const weightOf = (entry: Entry): number => {
  if (entry.type !== "messages" || documentIn(entry) === undefined) return 0;
  let bytes = 0;
  for (const item of entry.items) bytes += around + (isUpdate(item) ? item[4].byteLength : 0);
  return bytes;
};

/** What lay up to an offset, since the log's birth and since it was loaded. */
interface Step {
  readonly offset: Offset;
  readonly updates: number;
  readonly bytes: number;
}

const nothing: Step = { offset: 0, updates: 0, bytes: 0 };

export class Thinning {
  private steps: Step[] = [];
  private last: Step = nothing;
  private savedBytes = 0;
  /** Up to here the store has done it, in this life of the host. */
  private done: Offset = 0;
  /** Who waits for what is being dropped; absent: nothing is. */
  private waiting: (() => void)[] | undefined;

  constructor(private readonly retention: Pick<Retention, "updates" | "updateBytes">) {}

  /** The log's marks say how many updates are in it; what they weigh is known of what comes. */
  begin(marks: readonly Mark[]): void {
    this.steps = marks.map(({ offset, updates = 0 }) => ({ offset, updates, bytes: 0 }));
    this.last = this.steps.at(-1) ?? nothing;
  }

  /** Nothing is being dropped. */
  get resting(): boolean {
    return this.waiting === undefined;
  }

  /** Offsets of updates since the log's birth. */
  get updates(): number {
    return this.last.updates;
  }

  /** These entries are in the log. */
  note(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const weight = weightOf(entry);
      if (weight === 0) continue;
      const { updates, bytes } = this.last;
      this.last = { offset: lastOffset(entry), updates: updates + span(entry), bytes: bytes + weight };
      const before = this.steps.at(-1) ?? nothing;
      if (this.last.updates - before.updates >= step.updates || this.last.bytes - before.bytes >= step.bytes)
        this.steps.push(this.last);
    }
  }

  /** The state is being saved: what came by now does not ask for it again. */
  saving(): void {
    this.savedBytes = this.last.bytes;
  }

  /** Whether the state is to be saved so that the log can be thinned: much has come, and a record has taken it in. */
  wantsSaving(entries: readonly Entry[]): boolean {
    return this.last.bytes - this.savedBytes >= worthSaving && entries.some(({ type }) => type === "document-saved");
  }

  /** Where to thin up to; `undefined`: it is not worth it. `first`: the lowest offset in the log. */
  line(state: SessionState, saved: Offset, first: Offset, atRest: boolean): Offset | undefined {
    const line = Math.min(
      saved,
      recordedUpTo(state),
      Math.max(state.head - this.retention.updates, this.heavy(atRest)),
    );
    const before = Math.max(state.thinned, first - 1);
    if (line <= before) return undefined;
    const from = this.upTo(before);
    const to = this.upTo(line);
    const least = atRest ? worthAtRest : worth;
    const isWorth = to.updates - from.updates >= least.updates || to.bytes - from.bytes >= least.bytes;
    return isWorth ? line : undefined;
  }

  /** Runs what thins the store, unless that is done. What a process that died has left undone is done by the next one. */
  run(thinned: Offset, thin: (upTo: Offset, done: (isDone: boolean) => void) => void, done: () => void): void {
    if (thinned <= this.done) return done();
    if (this.waiting !== undefined) return void this.waiting.push(done);
    const waiting = [done];
    this.waiting = waiting;
    thin(thinned, (isDone) => {
      this.waiting = undefined;
      if (isDone) this.done = thinned;
      // The step at or below the line is what the next line is counted from.
      const below = this.steps.findLastIndex(({ offset }) => offset <= thinned);
      if (below > 0) this.steps = this.steps.slice(below);
      for (const each of waiting) each();
    });
  }

  /** Above this lie no more bytes of updates than are kept. */
  private heavy(atRest: boolean): Offset {
    const { bytes } = this.last;
    const most = atRest ? Math.min(mostAtRest, this.retention.updateBytes) : this.retention.updateBytes;
    if (bytes <= most) return 0;
    return this.steps.find((each) => bytes - each.bytes <= most)?.offset ?? this.last.offset;
  }

  private upTo(offset: Offset): Step {
    return this.steps.findLast((each) => each.offset <= offset) ?? nothing;
  }
}
