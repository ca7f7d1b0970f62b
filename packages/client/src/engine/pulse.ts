/**
 * Whether the connection still carries both ways. Pure: fed with times of a monotonic clock. What the operating system
 * and Socket.IO believe of a half-open link does not matter here: only an answer proves it.
 */

export interface PulseOptions {
  /** Milliseconds between heartbeats. */
  readonly every: number;
  /** Milliseconds that an answer may take. */
  readonly within: number;
}

export const defaultPulse: PulseOptions = { every: 10_000, within: 5_000 };

export class Pulse {
  private n = 0;
  private outstanding: { readonly n: number; readonly sentAt: number; readonly within: number } | undefined;
  private nextAt: number;

  constructor(
    private readonly options: PulseOptions,
    now: number,
  ) {
    this.nextAt = now + options.every;
  }

  get asking(): boolean {
    return this.outstanding !== undefined;
  }

  /** When `tick` next has something to say. */
  get deadline(): number {
    return this.outstanding === undefined ? this.nextAt : this.outstanding.sentAt + this.outstanding.within;
  }

  /** `ping`: send one with this number. `dead`: an answer is overdue, give the connection up. */
  tick(now: number): { readonly ping: number } | "dead" | undefined {
    if (now < this.deadline) return undefined;
    return this.outstanding === undefined ? this.probe(now) : "dead";
  }

  /** Asks at once: the device woke up, or the network changed. `within` shortens the wait for the answer. */
  probe(now: number, within: number = this.options.within): { readonly ping: number } {
    this.n += 1;
    this.outstanding = { n: this.n, sentAt: now, within };
    return { ping: this.n };
  }

  /** An answer to the last question. */
  answered(n: number, now: number): void {
    if (this.outstanding?.n !== n) return;
    this.outstanding = undefined;
    this.nextAt = now + this.options.every;
  }
}

/** Milliseconds to wait before the attempt (from 0), with full jitter; `random` in [0, 1). Never gives up. */
export const backoff = (attempt: number, random: number): number => {
  const steps = [0, 250, 500, 1_000, 2_000, 4_000, 8_000, 10_000];
  const most = steps[Math.min(attempt, steps.length - 1)] ?? 10_000;
  return Math.floor(most * (0.5 + random / 2));
};
