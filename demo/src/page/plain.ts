/**
 * The same messages by plain Socket.IO, through the same broken network: recovery is on, one event was sent first, what
 * is emitted while offline is buffered, and an acknowledgement is awaited. What it lost is counted against what the
 * session delivered.
 */

import { io, type Socket } from "socket.io-client";

export class PlainSide {
  private socket: Socket | undefined;
  private readonly seen = new Map<string, number>();
  private readonly expected = new Set<string>();
  private known = new Set<string>();
  sent = 0;
  note = "";

  constructor(
    private readonly url: string,
    /** Ids of what the session has delivered here. */
    private readonly delivered: () => readonly string[],
    private readonly changed: () => void,
  ) {}

  start(): void {
    if (this.socket !== undefined) return;
    this.known = new Set(this.delivered());
    const socket = io(this.url, { transports: ["websocket"], forceNew: true });
    this.socket = socket;
    socket.on("connect", () =>
      this.say(socket.recovered ? "reconnected, recovered: true" : "connected, recovered: false"),
    );
    socket.on("disconnect", (reason) => this.say(`disconnected: ${reason}`));
    socket.on("note", (id: string) => {
      this.seen.set(id, (this.seen.get(id) ?? 0) + 1);
      this.changed();
    });
  }

  stop(): void {
    this.socket?.disconnect();
    this.socket = undefined;
    this.seen.clear();
    this.expected.clear();
    this.sent = 0;
  }

  send(id: string): void {
    if (this.socket === undefined) return;
    this.sent += 1;
    this.socket.emitWithAck("note", id).catch(() => this.changed());
  }

  get received(): number {
    return this.seen.size;
  }

  get doubled(): number {
    let more = 0;
    for (const times of this.seen.values()) more += times - 1;
    return more;
  }

  /** What the session brought since the comparison began, and this side did not. Settles a moment after the session has. */
  get lost(): number {
    if (this.socket === undefined) return 0;
    for (const id of this.delivered()) if (!this.known.has(id)) this.expected.add(id);
    let missing = 0;
    for (const id of this.expected) if (!this.seen.has(id)) missing += 1;
    return missing;
  }

  private say(text: string): void {
    this.note = `Plain Socket.IO: ${text}.`;
    this.changed();
  }
}
