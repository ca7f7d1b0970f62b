/** One socket's way out for bulk: the next piece goes when the one before has left the process. */

import { type ServerFrame, wireEvent } from "@rostrum/protocol";
import type { Socket } from "socket.io";

export class Outlet {
  private readonly waiting: (() => void)[] = [];
  private unwatch: (() => void) | undefined;

  constructor(private readonly socket: Socket) {}

  send(frame: ServerFrame): void {
    this.socket.emit(wireEvent, [frame]);
  }

  /** Resolves in turn, when there is nothing that waits to be sent; also when the socket is gone. */
  clear(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.pump();
    });
  }

  private get free(): boolean {
    return this.socket.disconnected || this.socket.conn.transport.writable;
  }

  private pump(): void {
    this.unwatch?.();
    this.unwatch = undefined;
    if (this.free) {
      const next = this.waiting.shift();
      next?.();
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
