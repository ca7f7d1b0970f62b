/** Connections between pages and nodes: late, in order each, cut anywhere, half-open. */

import type { ClientFrame, ServerFrame } from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import type { SimNode } from "./node.ts";

export interface ClientEnd {
  readonly opened: () => void;
  readonly frames: (frames: readonly ServerFrame[]) => void;
  readonly lost: () => void;
}

let nextId = 0;

export class SimConnection {
  readonly id: number = (nextId += 1);
  /** Frames go no further in these directions; nobody is told. */
  deafUp = false;
  deafDown = false;
  clientGone = false;
  serverGone = false;
  /** The life of the log that the node had when the session was opened. */
  life = 0;
  private upAt = 0;
  private downAt = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly node: SimNode,
    private readonly end: ClientEnd,
    private readonly latency: () => number,
  ) {
    scheduler.later(latency(), () => {
      if (this.clientGone || !node.up) return this.refuse();
      node.accept(this);
      scheduler.later(latency(), () => {
        if (!this.clientGone && !this.deafDown) end.opened();
      });
    });
  }

  private refuse(): void {
    this.serverGone = true;
    this.scheduler.later(this.latency(), () => {
      if (!this.clientGone) this.dropClient();
    });
  }

  up(frames: readonly ClientFrame[]): void {
    this.upAt = Math.max(this.upAt, this.scheduler.now + this.latency());
    this.scheduler.later(this.upAt - this.scheduler.now, () => {
      if (!this.serverGone && !this.deafUp && this.node.up) this.node.receive(this, frames);
    });
  }

  down(frames: readonly ServerFrame[]): void {
    if (this.serverGone) return;
    this.downAt = Math.max(this.downAt, this.scheduler.now + this.latency());
    this.scheduler.later(this.downAt - this.scheduler.now, () => {
      if (!this.clientGone && !this.deafDown) this.end.frames(frames);
    });
  }

  /** Cut here and now: what is under way is lost, and each end learns of it in its own time. */
  cut(): void {
    this.deafUp = this.deafDown = true;
    this.scheduler.later(this.latency(), () => this.dropClient());
    this.scheduler.later(this.latency() * 3, () => this.dropServer());
  }

  /** The page hangs up (or is gone). The node learns of it unless the link is dead. */
  hangUp(): void {
    this.clientGone = true;
    // A dead link gives no sign: the node finds out by its own ping timeout.
    this.scheduler.later(this.deafUp ? 45_000 : this.latency(), () => this.dropServer());
  }

  dropClient(): void {
    if (this.clientGone) return;
    this.clientGone = true;
    this.end.lost();
  }

  dropServer(): void {
    if (this.serverGone) return;
    this.serverGone = true;
    this.node.disconnected(this);
  }
}
