/**
 * What the app is given: entries one after the other, each when the handlers of the one before have finished; its states where
 * it has to go back. The cursor and the checkpoints follow. Pure, as the engine is.
 */

import {
  type Entry,
  isVoid,
  lastOffset,
  type Offset,
  pointAt,
  type Resync,
  type Resynchronized,
  type SessionState,
  type Sync,
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
  | { readonly kind: "take-up"; readonly point: SyncPoint; readonly life: number }
  /** The session went back without this client: the app does so now. */
  | { readonly kind: "missed"; readonly entry: Resynchronized; readonly least: Offset; readonly life: number }
  /** A state to which the app returns when the handler that was at work has finished. */
  | { readonly kind: "restore"; readonly state: unknown; readonly life: number };

export class Delivery {
  readonly checkpoints: Checkpoints;
  /** The handlers have run up to here. */
  processed: Offset = 0;
  /** The generation in which the app's state is: what it sends belongs to it. */
  generation = 0;
  private steps: Step[] = [];
  private running = false;
  private handling = false;
  /** Goes up whenever what was given before counts no more. */
  life = 0;
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

  /** What lies before the cursor came with a state that was taken up, sooner than the entries did. */
  push(entry: Entry): void {
    if (lastOffset(entry) <= this.processed) return;
    this.steps.push({ kind: "entry", entry: entryAfter(entry, this.processed), life: this.life, replayed: false });
  }

  /** What the handlers have not had, of this life. */
  get pending(): readonly Entry[] {
    return this.steps.flatMap((step) =>
      step.kind === "entry" && !step.replayed && step.life === this.life ? [step.entry] : [],
    );
  }

  /** The point whose shared state is to be taken up. */
  get awaited(): Offset | undefined {
    const step = this.steps.find(({ kind, life }) => kind === "take-up" && life === this.life);
    return step?.kind === "take-up" ? step.point.offset : undefined;
  }

  /** Whether the app's state is that of the cursor: nothing is under way, nothing is to be given again. */
  get isSettled(): boolean {
    if (this.handling) return false;
    for (const step of this.steps) {
      if (step.life !== this.life) continue;
      if (step.kind === "restore") return false;
      if (step.kind === "entry") return !step.replayed;
    }
    return true;
  }

  /**
   * The last resynchronization up to an offset that the app has missed, and that does not wait here; and how far back the
   * earlier ones that it has missed went.
   */
  missed({ resyncs }: Sync, upTo: Offset): { readonly last: Resync; readonly least: Offset } | undefined {
    const waiting = new Set(this.pending.map(({ offset }) => offset));
    const all = resyncs.filter(
      ({ offset, generation }) =>
        generation > this.generation && offset <= upTo && !waiting.has(offset) && !this.isReplayed(offset),
    );
    const newest = all.at(-1);
    if (newest === undefined) return undefined;
    // A set takes nothing back: what one before it did counts.
    const back = all.filter(({ kind }) => kind !== "set");
    const last = { ...(back.at(-1) ?? newest), generation: newest.generation };
    return { last, least: Math.min(...back.map(({ to }) => to)) };
  }

  private isReplayed(offset: Offset): boolean {
    return this.steps.some((step) => step.kind === "entry" && step.replayed && step.entry.offset === offset);
  }

  /** The log from here on is another one: what waits is void. The app begins from nothing. */
  startAnew(at: Offset): void {
    this.drop(at);
    this.checkpoints.forgetAfter(-1);
    if (this.pristine !== undefined) this.restore(this.pristine.state);
  }

  /** At once, or when a handler has finished that is still changing the state which is left. */
  private restore(state: unknown): void {
    if (this.handling) this.steps.push({ kind: "restore", state, life: this.life });
    else this.effects.restore(state);
  }

  /** Goes back to a state that is kept; what comes after it comes again. */
  goBackTo(checkpoint: Checkpoint, known: Offset): void {
    this.drop(checkpoint.offset);
    this.known = known;
    this.generation = checkpoint.generation;
    this.checkpoints.goBackTo(checkpoint);
    this.restore(checkpoint.state);
  }

  private drop(at: Offset): void {
    this.life += 1;
    this.known = 0;
    this.processed = at;
  }

  /** Takes a shared state up before anything else; what lies before it need not be given. */
  takeUp(point: SyncPoint): void {
    this.putFirst({ kind: "take-up", point, life: this.life });
  }

  /** The app has missed how all went back: it does so now, before anything else. */
  goBackWith(entry: Resynchronized, least: Offset): void {
    this.putFirst({ kind: "missed", entry, least, life: this.life });
  }

  /** Before everything else of this life, but for the state from which it begins. */
  private putFirst(step: Step): void {
    const begun = this.steps.findLastIndex(({ kind, life }) => kind === "restore" && life === this.life);
    this.steps.splice(begun + 1, 0, step);
  }

  /** Keeps the app's state as it is now. */
  save(atPoint = false): void {
    this.checkpoints.save(this.present, atPoint);
    this.checkpoints.tidy(this.state().sync, this.returns);
  }

  /** The app's state as it is now. */
  private get present(): Checkpoint {
    const { processed: offset, generation } = this;
    const state = this.effects.checkpoint();
    const last = this.state().sync.resyncs.at(-1)?.offset ?? 0;
    return { offset, generation, state, ...(last > offset ? { ahead: last } : {}) };
  }

  /** Where the app has still to go back to; what comes after that may say that nobody goes there any more. */
  private get returns(): ReadonlySet<Offset> {
    const returns = new Set<Offset>();
    for (const step of this.steps) {
      if (step.life !== this.life || (step.kind !== "entry" && step.kind !== "missed")) continue;
      if (step.entry.type === "resynchronized") returns.add(step.entry.to);
      if (step.kind === "missed") returns.add(step.least);
    }
    return returns;
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
    if (step.kind === "missed") return this.goBackLate(step.entry, step.least, done);
    if (step.kind === "restore") {
      this.effects.restore(step.state);
      return done();
    }
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
    if (step.life !== this.life || step.kind !== "entry" || step.replayed) return this.handled(undefined);
    this.processed = Math.max(this.processed, lastOffset(step.entry));
    this.handled(step.entry);
  }

  /** The state comes from the server; entries up to it are in it. */
  private fetch(point: SyncPoint, done: () => void): void {
    const { life } = this;
    this.effects.fetchState(point, (state) => {
      if (life !== this.life) return done();
      const { sync } = this.state();
      // While it was under way the session may have gone back behind it.
      if (state === undefined || pointAt(sync, point.offset) === undefined) return done();
      this.effects.restore(state.value);
      this.generation = Math.max(this.generation, generationAt(sync, point.offset));
      this.goOnFrom(point.offset, true);
      done();
    });
  }

  /** The app's state is that of an offset which the cursor may not have come to. */
  private goOnFrom(offset: Offset, atPoint: boolean): void {
    this.steps = this.steps.filter((step) => step.kind !== "entry" || lastOffset(step.entry) > offset);
    this.processed = Math.max(this.processed, offset);
    this.checkpoints.save(this.present, atPoint);
  }

  /** `least`: what it has missed before went back to there, so a state of then holds nothing that is void either. */
  private goBackLate(entry: Resynchronized, least: Offset, done: () => void): void {
    const { life } = this;
    this.resynchronize(
      { ...entry, to: this.isAtHand(entry) ? entry.to : Math.min(entry.to, least) },
      (from, to = 0) => {
        // What comes before the place is in the state already; on the disk it has to be as well, as the entry never comes.
        if (life === this.life && this.options.keepsState) this.goOnFrom(from === "none" ? 0 : to, false);
        done();
      },
    );
  }

  private isAtHand({ kind, to }: Resynchronized): boolean {
    if (kind === "set" || to === 0 || this.checkpoints.at(to) !== undefined) return true;
    return this.state().sync.points.some(({ offset, state }) => offset === to && state !== undefined);
  }

  /** The app goes back with all others; what it sends from here on belongs to the new generation. */
  private resynchronize(entry: Resynchronized, done: (from?: RestoredFrom, to?: Offset) => void): void {
    const finish = (from: RestoredFrom): void => {
      this.generation = entry.generation;
      this.effects.wentBack(entry, from);
      done(from, entry.to);
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

/** How often the session had been resynchronized at an offset. */
const generationAt = ({ generation, resyncs }: Sync, at: Offset): number => {
  const before = resyncs.findLast(({ offset }) => offset < at);
  return before?.generation ?? (resyncs[0]?.generation ?? generation + 1) - 1;
};

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
