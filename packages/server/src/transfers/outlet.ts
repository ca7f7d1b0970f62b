/** One socket's way out for bulk: the next piece goes when the one before has left the process. */

import { type ServerFrame, wireEvent } from "@rostrum/protocol";
import type { Socket } from "socket.io";

/** Most pieces that lie in memory until they can go, on one socket. */
const mostPieces = 2;

/** Somebody waits. */
export interface Ticket {
  /** Whether it has come about; `false`: it was taken back. */
  readonly ready: Promise<boolean>;
  /** Nobody waits any more. */
  readonly cancel: () => void;
}

const queueUp = (queue: ((come: boolean) => void)[]): Ticket => {
  let resolve = (_come: boolean): void => {};
  const ready = new Promise<boolean>((settle) => (resolve = settle));
  queue.push(resolve);
  const cancel = (): void => {
    const index = queue.indexOf(resolve);
    if (index >= 0) queue.splice(index, 1);
    resolve(false);
  };
  return { ready, cancel };
};

export class Outlet {
  private readonly waiting: ((come: boolean) => void)[] = [];
  private readonly entering: ((come: boolean) => void)[] = [];
  private inside = 0;
  private unwatch: (() => void) | undefined;

  constructor(private readonly socket: Socket) {}

  send(frame: ServerFrame): void {
    this.socket.emit(wireEvent, [frame]);
  }

  /**
   * Resolves when one more piece may be read to be sent here: few at a time, as who does not read would else have the server
   * hold one for each thing that it asks for. `leave` when it is sent, or is not to be.
   */
  enter(): Ticket {
    const ticket = queueUp(this.entering);
    this.admit();
    return ticket;
  }

  leave(): void {
    this.inside -= 1;
    this.admit();
  }

  private admit(): void {
    while (this.inside < mostPieces) {
      const next = this.entering.shift();
      if (next === undefined) return;
      this.inside += 1;
      next(true);
    }
  }

  /** Resolves in turn, when there is nothing that waits to be sent; also when the socket is gone. */
  clear(): Ticket {
    const ticket = queueUp(this.waiting);
    this.pump();
    return ticket;
  }

  private get free(): boolean {
    return this.socket.disconnected || this.socket.conn.transport.writable;
  }

  private pump(): void {
    this.unwatch?.();
    this.unwatch = undefined;
    if (this.free) {
      const next = this.waiting.shift();
      next?.(true);
      // What it sends, it sends in a moment: look again behind that.
      if (this.waiting.length > 0) setImmediate(() => this.pump());
    } else if (this.waiting.length > 0) this.watch();
  }

  private watch(): void {
    const { conn } = this.socket;
    const { transport } = conn;
    // The connection's own listener comes first: what it still had has been handed on when this one is called.
    const look = (): void => this.pump();
    transport.on("ready", look);
    conn.on("upgrade", look);
    conn.on("close", look);
    this.unwatch = () => {
      transport.off("ready", look);
      conn.off("upgrade", look);
      conn.off("close", look);
    };
  }
}
