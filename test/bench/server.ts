/** The server under load, a process of its own: plain Socket.IO, or Rostrum with either store. Its parent asks it things. */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FloorConfig } from "@rostrum/protocol";
import { attachSessions, embeddedStore, memoryStore, type Sessions } from "@rostrum/server";
import { Server } from "socket.io";

export type Mode = "plain" | "memory" | "durable";
export type Order =
  | { readonly ask: "cpu" }
  | { readonly ask: "memory" }
  /** The same as it is, without tidying up first. */
  | { readonly ask: "rss" }
  | { readonly ask: "emit"; readonly room: string; readonly count: number; readonly text: string };

const mode = process.argv[2] as Mode;
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  pingInterval: 60_000,
  ...(mode === "plain"
    ? { connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: false } }
    : {}),
});
let sessions: Sessions | undefined;
const locks = new Map<string, { readonly holder: string; readonly since: number; readonly queue: readonly string[] }>();
if (mode === "plain") {
  io.use((_, next) => next());
  io.on("connection", (socket) => {
    const { room } = socket.handshake.auth as { room?: string };
    if (room !== undefined && !socket.recovered) void socket.join(room);
    // What an app without floors does: a table of locks, and an acknowledgement.
    socket.on("ask", (name: string, granted: (free: boolean) => void) => {
      const lock = locks.get(name) ?? { holder: socket.id, since: Date.now(), queue: [] };
      locks.set(name, lock);
      granted(lock.holder === socket.id);
    });
    socket.on("msg", (to: string, text: string) => io.to(to).emit("msg", text));
  });
} else {
  const folder = mkdtempSync(join(tmpdir(), "rostrum-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const order = (process.argv[3] ?? "fifo") as FloorConfig["order"];
  const contended = { maxQueue: 10_000, grace: 60_000, order, ...(order === "priority" ? { ageing: 5_000 } : {}) };
  sessions = attachSessions(io, {
    store: mode === "durable" ? embeddedStore(folder) : memoryStore(),
    authenticate: ({ auth }) => ({ user: String(auth) }),
    floors: { mic: contended, "cell:*": {} },
    limits: { rate: 1e9, burst: 1e9, sessionsPerUser: 1e6, windowCommands: 1_000 },
    flicker: 120_000,
  });
}

const answer = async (order: Order): Promise<unknown> => {
  if (order.ask === "cpu") {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  }
  if (order.ask === "rss") return process.memoryUsage().rss;
  if (order.ask === "memory") {
    globalThis.gc?.();
    globalThis.gc?.();
    return process.memoryUsage().rss;
  }
  for (let sent = 0; sent < order.count; sent += 1) {
    if (sessions === undefined) io.to(order.room).emit("msg", order.text);
    else await sessions.get(order.room).emit("msg", order.text);
  }
  return true;
};

process.on("message", (order: Order) => {
  void answer(order).then((value) => process.send?.({ value }));
});
process.once("disconnect", () => process.exit());
http.listen(0, "127.0.0.1", () => process.send?.({ value: (http.address() as AddressInfo).port }));
