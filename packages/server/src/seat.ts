/** One session on one connection: who sits there, and how much it may still say. */

import {
  type Limits,
  type MemberId,
  type ReadCommandsFrame,
  type SessionId,
  seqSpan,
  type Time,
  type UserId,
} from "@rostrum/protocol";
import type { Socket } from "socket.io";
import type { Host } from "./host.ts";

export interface Seat {
  readonly socket: Socket;
  readonly session: SessionId;
  readonly user: UserId;
  readonly limits: Limits;
  readonly features: readonly string[];
  readonly version: number;
  host: Host<Seat> | undefined;
  member: MemberId | undefined;
  expiresAt: Time | undefined;
  /** Runs out when the seat is given up. */
  readonly gone: AbortController;
}

/** A token bucket (`rate` a second, `burst` at once) with what waits in it, which the outbox window bounds. */
export class Pace {
  private tokens: number;
  private filled: Time;
  private readonly waiting: ReadCommandsFrame[] = [];
  private timer: NodeJS.Timeout | undefined;
  private underWay = 0;

  constructor(
    private readonly rate: number,
    private readonly burst: number,
    private readonly window: number,
    private readonly pass: (frame: ReadCommandsFrame, answered: () => void) => void,
  ) {
    this.tokens = burst;
    this.filled = Date.now();
  }

  /** `false` if the member has more under way than the window allows. */
  take(frame: ReadCommandsFrame): boolean {
    const weight = frame.commands.reduce((sum, command) => sum + seqSpan(command), 0);
    if (this.underWay + weight > this.window) return false;
    this.underWay += weight;
    this.waiting.push(frame);
    if (this.timer === undefined) this.drain();
    return true;
  }

  stop(): void {
    clearTimeout(this.timer);
    this.waiting.length = 0;
  }

  private drain(): void {
    this.timer = undefined;
    const now = Date.now();
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filled) * this.rate) / 1_000);
    this.filled = now;
    for (;;) {
      const frame = this.waiting[0];
      if (frame === undefined) return;
      if (this.tokens <= 0) {
        this.timer = setTimeout(() => this.drain(), Math.ceil(((1 - this.tokens) / this.rate) * 1_000));
        return;
      }
      this.waiting.shift();
      const weight = frame.commands.reduce((sum, command) => sum + seqSpan(command), 0);
      this.tokens -= weight;
      this.pass(frame, () => {
        this.underWay -= weight;
      });
    }
  }
}
