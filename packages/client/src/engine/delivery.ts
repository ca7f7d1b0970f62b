/**
 * What the app is given: entries one after the other, each when the handlers of the one before have finished; its states where
 * it has to go back. The cursor and the checkpoints follow. Pure, as the engine is.
 */

import {
  type Entry,
  isVoid,
  lastOffset,
  type Offset,
  type Resynchronized,
  type SessionState,
  type SyncPoint,
} from "@rostrum/protocol";
import { Checkpoints } from "./checkpoints.ts";
import type { Checkpoint, Kept } from "./record.ts";

/** Where the state came from that the app went back to. `none`: there was none; the app keeps what it has. */
export type RestoredFrom = "device" | "shared" | "beginning" | "none";

export interface DeliveryEffects {
  /** Runs the handlers for an entry; `done` when the last has finished. */
  deliver(entry: Entry, replayed: boolean, done: () => void): void;
  checkpoint(): unknown;
  restore(state: unknown): void;
  /** Gets the app's state at a sync point from the server; `undefined`: it is not to be had. */
  fetchState(point: SyncPoint, done: (state: { readonly value: unknown } | undefined) => void): void;
  /** The app has gone back. */
  wentBack(entry: Resynchronized, from: RestoredFrom): void;
}

export interface DeliveryOptions {
  /** Whether the app gives its state to be kept. */
  readonly keepsState: boolean;
  /** How many states are kept at sync points. */
  readonly pointStates: number;
}

type Step =
  | {
      readonly kind: "entry";
      readonly entry: Entry;
      /** Which life of the log it belongs to, as this client counts them. */
      readonly life: number;
      /** The cursor was behind it before: it comes again, to rebuild what the page has lost. */
      readonly replayed: boolean;
    }
  /** Takes the state up that is shared at a point. */
  | { readonly kind: "take-up"; readonly point: SyncPoint; readonly life: number };

export class Delivery {
  readonly checkpoints: Checkpoints;
  /** The handlers have run up to here. */
  processed: Offset = 0;
  /** The generation in which the app's state is: what it sends belongs to it. */
  generation = 0;
  private steps: Step[] = [];
  private running = false;
  private handling = false;
  private life = 0;
  /** The app's state before it was given anything. */
  private pristine: Checkpoint | undefined;
  /** Up to here entries are known, though they come again. */
  private known: Offset = 0;

  constructor(
    private readonly options: DeliveryOptions,
    private readonly effects: DeliveryEffects,
    private readonly state: () => SessionState,
    /** An entry, or a state, was taken up. `undefined`: it belonged to what is over, or came again. */
    private readonly handled: (entry: Entry | undefined) => void,
    /** Nothing waits any more. */
    private readonly idle: () => void,
    /** A handler that had to be waited for has finished, and what followed it. */
    private readonly later: () => void,
  ) {
    this.checkpoints = new Checkpoints(options.pointStates);
  }

  /** Called once, before anything is given: with what the device kept, if it kept something. */
  begin(kept: Kept | undefined): void {
    if (this.options.keepsState) this.pristine = { offset: 0, generation: 0, state: this.effects.checkpoint() };
    if (kept === undefined) return;
    const { meta, checkpoint, points, tail } = kept;
    this.checkpoints.load(checkpoint, meta.checkpoint, points);
    this.processed = meta.processed;
    this.generation = checkpoint !== undefined && this.options.keepsState ? checkpoint.generation : meta.generation;
    if (checkpoint !== undefined) this.effects.restore(checkpoint.state);
    for (const entry of tail) {
      if (lastOffset(entry) <= (checkpoint?.offset ?? 0)) continue;
      const replayed = lastOffset(entry) <= this.processed;
      if (replayed && !this.options.keepsState) continue;
      const rest = replayed ? entry : entryAfter(entry, this.processed);
      this.steps.push({ kind: "entry", entry: rest, life: this.life, replayed });
    }
  }

  push(entry: Entry): void {
    this.steps.push({ kind: "entry", entry, life: this.life, replayed: false });
  }

  /** What the handlers have not had, of this life. */
  get pending(): readonly Entry[] {
    return this.steps.flatMap((step) =>
      step.kind === "entry" && !step.replayed && step.life === this.life ? [step.entry] : [],
    );
  }

  get isEmpty(): boolean {
    return this.steps.length === 0;
  }

  /** Whether the app's state is that of the cursor: nothing is under way, nothing is to be given again. */
  get isSettled(): boolean {
    const [first] = this.steps;
    return !this.handling && first?.kind !== "take-up" && !(first?.kind === "entry" && first.replayed);
  }

  /** The log from here on is another one: what waits is void. The app begins from nothing. */
  startAnew(at: Offset): void {
    this.drop(at);
    this.checkpoints.forgetAfter(-1);
    if (this.pristine !== undefined) this.effects.restore(this.pristine.state);
  }

  /** Goes back to a state that is kept; what comes after it comes again. */
  goBackTo(checkpoint: Checkpoint, known: Offset): void {
    this.drop(checkpoint.offset);
    this.known = known;
    this.generation = checkpoint.generation;
    this.checkpoints.goBackTo(checkpoint);
    this.effects.restore(checkpoint.state);
  }

  private drop(at: Offset): void {
    this.life += 1;
    this.known = 0;
    this.processed = at;
  }

  /** Takes a shared state up before anything else; what lies before it need not be given. */
  takeUp(point: SyncPoint): void {
    this.steps.unshift({ kind: "take-up", point, life: this.life });
  }

  /** The app has missed how all went back: it does so now, before anything else. */
  goBackWith(entry: Resynchronized): void {
    this.steps.unshift({ kind: "entry", entry, life: this.life, replayed: true });
  }

  /** Keeps the app's state as it is now. */
  save(atPoint = false): void {
    const { processed: offset, generation } = this;
    this.checkpoints.save({ offset, generation, state: this.effects.checkpoint() }, atPoint);
    this.checkpoints.tidy(this.state().sync);
  }

  /** Runs handlers until one has to be waited for. */
  run(stopped: () => boolean): void {
    if (this.running) return;
    this.running = true;
    while (!stopped()) {
      const [next] = this.steps;
      if (next === undefined) break;
      let sync = true;
      this.handling = true;
      this.give(next, () => {
        this.handling = false;
        this.finish(next);
        if (sync) return;
        this.running = false;
        this.run(stopped);
        this.later();
      });
      sync = false;
      if (this.handling) return;
    }
    this.running = false;
    if (this.steps.length === 0) this.idle();
  }

  private give(step: Step, done: () => void): void {
    if (step.life !== this.life) return done();
    if (step.kind === "take-up") return this.fetch(step.point, done);
    const { entry, replayed } = step;
    const { sync } = this.state();
    if (entry.type === "messages" && isVoid(sync, entry.offset)) return done();
    if (entry.type === "resynchronized") return this.resynchronize(entry, done);
    this.effects.deliver(entry, replayed || lastOffset(entry) <= this.known, done);
  }

  private finish(step: Step): void {
    // A state that has been gone back to may have put others before it.
    const at = this.steps.indexOf(step);
    if (at >= 0) this.steps.splice(at, 1);
    if (step.life !== this.life || step.kind === "take-up" || step.replayed) return this.handled(undefined);
    this.processed = Math.max(this.processed, lastOffset(step.entry));
    this.handled(step.entry);
  }

  /** The state comes from the server; entries up to it are in it. */
  private fetch(point: SyncPoint, done: () => void): void {
    const { life } = this;
    this.effects.fetchState(point, (state) => {
      if (life !== this.life || state === undefined) return done();
      this.effects.restore(state.value);
      this.steps = this.steps.filter((step) => step.kind !== "entry" || lastOffset(step.entry) > point.offset);
      this.processed = Math.max(this.processed, point.offset);
      this.generation = this.state().sync.generation;
      this.checkpoints.save(
        { offset: this.processed, generation: this.generation, state: this.effects.checkpoint() },
        true,
      );
      done();
    });
  }

  /** The app goes back with all others; what it sends from here on belongs to the new generation. */
  private resynchronize(entry: Resynchronized, done: () => void): void {
    const finish = (from: RestoredFrom): void => {
      this.generation = entry.generation;
      this.effects.wentBack(entry, from);
      done();
    };
    // A newcomer's state was never in what is void.
    if (entry.generation <= this.generation) return done();
    if (entry.kind === "set" || !this.options.keepsState) return finish("none");
    const kept = this.checkpoints.at(entry.to) ?? (entry.to === 0 ? this.pristine : undefined);
    if (kept !== undefined) {
      this.effects.restore(kept.state);
      return finish(entry.to === 0 && kept === this.pristine ? "beginning" : "device");
    }
    const point = this.state().sync.points.find(({ offset, state }) => offset === entry.to && state !== undefined);
    if (point === undefined) return finish("none");
    const { life } = this;
    this.effects.fetchState(point, (state) => {
      if (life !== this.life) return done();
      if (state !== undefined) this.effects.restore(state.value);
      finish(state === undefined ? "none" : "shared");
    });
  }
}

/** The part of an entry that lies after an offset. */
export const entryAfter = (entry: Entry, offset: Offset): Entry => {
  if (entry.type !== "messages" || entry.offset > offset) return entry;
  const skip = offset - entry.offset + 1;
  return {
    ...entry,
    offset: entry.offset + skip,
    items: entry.items.slice(skip),
    ...(entry.seq === undefined ? {} : { seq: entry.seq + skip }),
  };
};
