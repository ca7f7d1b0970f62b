/** Turns of all that moves bytes: one piece in each round of the event loop, so that messages are never held up. */

export class Turns {
  private readonly waiting: (() => void)[] = [];
  private planned = false;

  constructor(private readonly defer: (then: () => void) => void = setImmediate) {}

  /** Runs `step` when it is its turn. Who has more to do takes another turn, behind the others. */
  take(step: () => void): void {
    this.waiting.push(step);
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
      const step = this.waiting.shift();
      this.plan();
      step?.();
    });
  }
}
