/** A virtual clock and a seeded source of chance: the same seed plays the same history, as fast as the machine can. */

/** Cancels what was scheduled. */
export type Cancel = () => void;

interface Event {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

export class Scheduler {
  now = 0;
  /** Events that have run. */
  ran = 0;
  private readonly heap: Event[] = [];
  private order = 0;
  private seed: number;

  constructor(seed: number) {
    this.seed = (seed ^ 0x9e3779b9) >>> 0;
    // Neighbouring seeds begin alike in so small a generator; a few steps part them.
    for (let step = 0; step < 4; step += 1) this.random();
  }

  /** In [0, 1). mulberry32. */
  random(): number {
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.seed ^ (this.seed >>> 15), 1 | this.seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.random() * from.length)];
  }

  /** Runs `run` after `delay` milliseconds of virtual time. Equal times run in the order of their scheduling. */
  later(delay: number, run: () => void): Cancel {
    const event: Event = { at: this.now + Math.max(0, delay), order: (this.order += 1), run };
    this.push(event);
    return () => {
      event.run = undefined;
    };
  }

  /**
   * Runs everything up to a time.
   * @throws Error after `most` events: something goes round in circles.
   */
  runUntil(time: number, most = 100_000): void {
    const limit = this.ran + most;
    for (;;) {
      const next = this.heap[0];
      if (next === undefined || next.at > time) break;
      this.pop();
      if (next.run === undefined) continue;
      this.now = Math.max(this.now, next.at);
      this.ran += 1;
      if (this.ran > limit) throw new Error(`more than ${most} events until ${time}: a livelock`);
      next.run();
    }
    this.now = Math.max(this.now, time);
  }

  private before(a: Event, b: Event): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  private push(event: Event): void {
    const { heap } = this;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above] as Event;
      if (!this.before(event, parent)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = event;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && this.before(heap[below + 1] as Event, heap[below] as Event)) below += 1;
      const child = heap[below] as Event;
      if (!this.before(child, last)) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = last;
  }
}
