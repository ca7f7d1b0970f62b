/** A server and raw sockets that say to it whatever they like. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ServerFrame } from "@rostrum/protocol";
import { attachSessions, memoryStore, type Sessions, type SessionsOptions } from "@rostrum/server";
import { Server } from "socket.io";
import { io as connect, type Socket } from "socket.io-client";
import { expect } from "vitest";

export type Opened = Extract<ServerFrame, { type: "opened" }>;

export const opening = { type: "open", session: "s", versions: [1], features: [], required: [], instance: "i" };

export const refusals = (heard: readonly ServerFrame[]): string[] =>
  heard.flatMap((frame) => (frame.type === "refused" || frame.type === "closed" ? [frame.error.code] : []));

export const answers = (socket: Socket): ServerFrame[] => {
  const heard: ServerFrame[] = [];
  socket.on("rostrum", (got: readonly ServerFrame[]) => heard.push(...got));
  return heard;
};

export const opened = async (socket: Socket, heard: ServerFrame[], more: object = {}): Promise<Opened> => {
  socket.emit("rostrum", [{ ...opening, ...more }]);
  await expect.poll(() => heard.find(({ type }) => type === "opened" || type === "closed")).toBeDefined();
  const answer = heard.find((frame) => frame.type === "opened");
  if (answer?.type !== "opened") throw new Error(JSON.stringify(heard));
  return answer;
};

export class Wire {
  private readonly sockets: Socket[] = [];

  private constructor(
    readonly io: Server,
    readonly sessions: Sessions,
    readonly url: string,
  ) {}

  static async open(options: Partial<SessionsOptions>): Promise<Wire> {
    const http = createServer();
    const io = new Server(http);
    const sessions = attachSessions(io, { store: memoryStore(), ...options });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return new Wire(io, sessions, `http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  }

  async dial(): Promise<Socket> {
    const socket = connect(this.url, { transports: ["websocket"], forceNew: true, reconnection: false });
    this.sockets.push(socket);
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    return socket;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets.splice(0)) socket.disconnect();
    await this.sessions.close();
    await this.io.close();
  }
}
