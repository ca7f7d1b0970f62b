/**
 * Whether people are using the server's sessions just now. Then bytes come in small pieces and few at a time, so that a
 * message never waits behind many of them in the same process; in quiet they may have all there is.
 */

/** Milliseconds after a command during which more are expected. */
const lasts = 250;

export const defaultBeside: Room = { chunkBytes: 65_536, laneBytes: 524_288 };

export interface Room {
  /** Largest piece. */
  readonly chunkBytes: number;
  /** Most bytes of one upload under way. */
  readonly laneBytes: number;
}

export class Traffic {
  private last = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly most: Room,
    private readonly beside: Room,
    private readonly now: () => number,
  ) {}

  /** Somebody's command has come. */
  seen(): void {
    this.last = this.now();
  }

  get room(): Room {
    if (this.now() - this.last > lasts) return this.most;
    const { chunkBytes, laneBytes } = this.most;
    const { beside } = this;
    return { chunkBytes: Math.min(chunkBytes, beside.chunkBytes), laneBytes: Math.min(laneBytes, beside.laneBytes) };
  }
}
