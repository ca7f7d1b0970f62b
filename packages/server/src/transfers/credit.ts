/** Memory for bytes under way, shared by all uploads of a server: who wants to send is told how much there is room for. */

/** One upload's part of it. */
export interface Claim {
  /** Bytes handed out and not given back. */
  held: number;
  /** When it last got or used some. */
  touched: number;
  /** Others wait, and this one has not used what it holds for a long time. */
  readonly stalled: () => void;
}

interface Asking {
  readonly claim: Claim;
  readonly wanted: number;
  readonly least: number;
  readonly granted: (bytes: number) => void;
}

/** First come, first served: who has used up its part asks again, behind those who wait. */
export class Credit {
  private used = 0;
  private readonly waiting: Asking[] = [];
  private readonly holders = new Set<Claim>();

  constructor(
    readonly total: number,
    private readonly now: () => number,
  ) {}

  /** Bytes that are handed out. */
  get out(): number {
    return this.used;
  }

  get awaited(): boolean {
    return this.waiting.length > 0;
  }

  /** `granted` is called once, now or later, with all that is wanted, or with as many times `least` as there is room for. */
  ask(claim: Claim, wanted: number, least: number, granted: (bytes: number) => void): void {
    this.waiting.push({ claim, wanted, least: Math.min(least, wanted, this.total), granted });
    this.serve();
  }

  /** It wants none any more. */
  cancel(claim: Claim): void {
    const index = this.waiting.findIndex((asking) => asking.claim === claim);
    if (index >= 0) this.waiting.splice(index, 1);
    this.serve();
  }

  giveBack(claim: Claim, bytes: number): void {
    if (bytes === 0) return;
    claim.held -= bytes;
    this.used -= bytes;
    if (claim.held === 0) this.holders.delete(claim);
    this.serve();
  }

  use(claim: Claim): void {
    claim.touched = this.now();
  }

  /** While some wait, nobody may sit on what it does not use for longer than so many milliseconds. */
  reclaim(patience: number): void {
    if (!this.awaited) return;
    const since = this.now() - patience;
    for (const claim of [...this.holders]) if (claim.touched <= since) claim.stalled();
  }

  private serve(): void {
    for (;;) {
      const [first] = this.waiting;
      const free = this.total - this.used;
      if (first === undefined || free < first.least) return;
      this.waiting.shift();
      const bytes = free >= first.wanted ? first.wanted : free - (free % first.least);
      this.used += bytes;
      first.claim.held += bytes;
      this.holders.add(first.claim);
      this.use(first.claim);
      first.granted(bytes);
    }
  }
}
