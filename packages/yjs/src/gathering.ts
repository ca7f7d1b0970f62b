/** Gathers what is typed: the first at once, then some at a time while more comes. */

import { merge } from "./copy.ts";
import type { Effects } from "./terms.ts";

const most = 200;
/**
 * Milliseconds that who goes on writing is read later at most: each update costs the server and every reader the same, whatever is
 * in it. Hardly anybody types a second letter within the first of these; what writes faster than people do waits longer.
 */
const pauseAfter = (edits: number): number => (edits < 2 ? 50 : edits < 8 ? 100 : 150);
/** While the server has not stored what was sent before, so many pauses: it, or the way to it, is busy. */
const mostPauses = 2;

export class Gathering {
  private parts: Uint8Array[] = [];
  private bytes = 0;
  private isDue = false;
  private undo: (() => void) | undefined;

  constructor(
    private readonly effects: Pick<Effects, "defer" | "after">,
    private readonly largest: () => number,
    private readonly isUnderWay: () => boolean,
    private readonly send: (update: Uint8Array) => void,
  ) {}

  get isEmpty(): boolean {
    return this.parts.length === 0;
  }

  add(update: Uint8Array): void {
    // What one message can carry is the limit of one update.
    if (this.bytes + update.byteLength > this.largest()) this.flush();
    this.parts.push(update);
    this.bytes += update.byteLength;
    if (this.parts.length >= most) this.flush();
    else if (this.undo === undefined && !this.isDue) {
      this.isDue = true;
      this.effects.defer(() => {
        this.isDue = false;
        this.flush();
      });
    }
  }

  /** Sends what there is now. */
  flush(): void {
    const pause = pauseAfter(this.parts.length);
    const update = this.take();
    if (update === undefined) return;
    this.rest(pause, mostPauses);
    this.send(update);
  }

  private rest(pause: number, pauses: number): void {
    this.undo ??= this.effects.after(pause, () => {
      this.undo = undefined;
      if (this.parts.length > 0 && pauses > 1 && this.isUnderWay()) this.rest(pause, pauses - 1);
      else this.flush();
    });
  }

  /** What there is, to be done with otherwise. */
  take(): Uint8Array | undefined {
    const { parts } = this;
    if (parts.length === 0) return undefined;
    this.parts = [];
    this.bytes = 0;
    return merge(parts);
  }

  stop(): void {
    this.undo?.();
    this.undo = undefined;
    this.parts = [];
  }
}
