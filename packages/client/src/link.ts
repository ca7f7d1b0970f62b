/** The connection: one Socket.IO socket for all sessions of a client. Dials, doubts, gives up and dials again. */

import {
  type ClientFrame,
  type DrainFrame,
  fromPacket,
  type ServerFrame,
  toPacket,
  wireEvent,
} from "@rostrum/protocol";
import type { Socket } from "socket.io-client";
import { backoff, Pulse, type PulseOptions } from "./engine/pulse.ts";

export interface LinkEvents {
  readonly connected: () => void;
  readonly disconnected: () => void;
  readonly frames: (frames: readonly ServerFrame[]) => void;
  readonly changed: () => void;
}

export interface Retry {
  readonly attempt: number;
  /** When the next attempt is made, milliseconds since 1970. */
  readonly at: number;
}

export class Link {
  private socket: Socket | undefined;
  private pulse: Pulse | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private up = false;
  private closed = false;
  retrying: Retry | undefined;

  constructor(
    private readonly dial: () => Socket,
    private readonly options: PulseOptions & { readonly connectWithin: number },
    private readonly events: LinkEvents,
  ) {}

  get connected(): boolean {
    return this.up;
  }

  send(frames: readonly ClientFrame[]): void {
    if (this.up) this.socket?.emit(wireEvent, ...toPacket(frames));
  }

  /** Connects now, whatever the backoff says. */
  connect(): void {
    if (this.closed || this.up || (this.socket !== undefined && this.retrying === undefined)) return;
    this.hangUp();
    this.retrying = undefined;
    const socket = this.dial();
    this.socket = socket;
    socket.on("connect", () => this.opened(socket));
    socket.on("disconnect", () => this.lost(socket));
    socket.on("connect_error", () => this.lost(socket));
    socket.on(wireEvent, (...packet: [frames: unknown, holes?: unknown, bytes?: unknown]) => {
      if (socket === this.socket) this.take(fromPacket(...packet) as readonly ServerFrame[]);
    });
    // A black hole answers never, a slow network late: the first tries are short, the later ones patient.
    this.setTimer(Math.min(this.options.connectWithin, 3_000 * 2 ** this.attempt), () => this.lost(socket));
    if (socket.connected) this.opened(socket);
    else socket.connect();
    this.events.changed();
  }

  /** Is it still there? Asks at once, or dials at once. */
  probe(): void {
    if (!this.up) {
      this.attempt = 0;
      this.connect();
    } else if (this.pulse !== undefined) {
      const { ping } = this.pulse.probe(performance.now(), 2_500);
      this.send([{ type: "ping", n: ping }]);
      this.beat();
    }
  }

  /** Asks, unless it is being asked already. */
  doubt(): void {
    if (this.pulse?.asking === false) this.probe();
  }

  /** Gives the present connection up and dials again after `wait` milliseconds. */
  reconnect(wait = 0): void {
    if (this.closed) return;
    const { up } = this;
    this.hangUp();
    if (up) this.events.disconnected();
    this.later(wait);
  }

  close(): void {
    this.closed = true;
    const { up } = this;
    this.hangUp();
    if (up) this.events.disconnected();
  }

  private opened(socket: Socket): void {
    if (socket !== this.socket || this.up) return;
    this.up = true;
    this.attempt = 0;
    this.pulse = new Pulse(this.options, performance.now());
    this.beat();
    this.events.connected();
  }

  private lost(socket: Socket): void {
    if (socket !== this.socket) return;
    this.reconnect(backoff(this.attempt, Math.random()));
    this.attempt += 1;
  }

  private later(wait: number): void {
    this.retrying = { attempt: this.attempt + 1, at: Date.now() + wait };
    this.setTimer(wait, () => this.connect());
    this.events.changed();
  }

  private hangUp(): void {
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = undefined;
    this.pulse = undefined;
    this.up = false;
    if (socket === undefined) return;
    for (const event of ["connect", "disconnect", "connect_error", wireEvent]) socket.removeAllListeners(event);
    // On a half-open link a polite goodbye would wait for ever: the engine is closed as well.
    socket.disconnect();
    socket.io.engine?.close();
  }

  private take(frames: readonly ServerFrame[]): void {
    for (const frame of frames) {
      if (frame.type === "pong") {
        this.pulse?.answered(frame.n, performance.now());
        this.beat();
      } else if (frame.type === "drain") this.drained(frame);
    }
    this.events.frames(frames);
  }

  private drained({ wait }: DrainFrame): void {
    const { socket } = this;
    setTimeout(() => {
      if (socket === this.socket) this.reconnect(250);
    }, wait);
  }

  /** Sets the timer for the next heartbeat, or for the end of our patience with the last. */
  private beat(): void {
    const { pulse } = this;
    if (pulse === undefined) return;
    this.setTimer(Math.max(0, pulse.deadline - performance.now()), () => {
      const due = pulse.tick(performance.now());
      if (due === "dead") return this.reconnect();
      if (due !== undefined) this.send([{ type: "ping", n: due.ping }]);
      this.beat();
    });
  }

  private setTimer(wait: number, then: () => void): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, wait);
  }
}
