/** Turns of all that moves bytes: one piece in each round of the event loop, so that messages are never held up. */

interface Turn {
  readonly step: () => void;
  readonly wanted: () => boolean;
}

const always = (): boolean => true;

export class Turns {
  private waiting: Turn[] = [];
  /** Those before are done. */
  private first = 0;
  private planned = false;

  constructor(private readonly defer: (then: () => void) => void = setImmediate) {}

  /**
   * Runs `step` when it is its turn. Who has more to do takes another turn, behind the others. What is no longer wanted by
   * then takes none: however many were begun and given up, others do not wait for them.
   */
  take(step: () => void, wanted: () => boolean = always): void {
    this.waiting.push({ step, wanted });
    this.plan();
  }

  next(): Promise<void> {
    return new Promise((resolve) => this.take(resolve));
  }

  private plan(): void {
    if (this.planned || this.waiting.length === 0) return;
    this.planned = true;
    this.defer(() => {
      this.planned = false;
      const step = this.shift();
      this.plan();
      step?.();
    });
  }

  private shift(): (() => void) | undefined {
    let found: Turn | undefined;
    while (found === undefined && this.first < this.waiting.length) {
      const turn = this.waiting[this.first];
      this.first += 1;
      if (turn?.wanted() === true) found = turn;
    }
    if (this.first * 2 >= this.waiting.length) {
      this.waiting = this.waiting.slice(this.first);
      this.first = 0;
    }
    return found?.step;
  }
}
