/** The demo's server: Socket.IO with Rostrum on it, and beside it plain Socket.IO with its own recovery, to compare. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { attachSessions, embeddedStore } from "@rostrum/server";
import { yjsDocuments } from "@rostrum/yjs/server";
import { Server } from "socket.io";

const [port = "0", folder = ""] = process.argv.slice(2);

const http = createServer();
// Short heartbeats, for both: a visitor does not wait 45 seconds to see a half-open link noticed.
const io = new Server(http, {
  cors: { origin: true },
  pingInterval: 2_000,
  pingTimeout: 2_000,
  connectionStateRecovery: {},
});

const sessions = attachSessions(io.of("/rostrum"), {
  store: embeddedStore(folder),
  authenticate: ({ auth }) => {
    const { name, role = "member" } = (auth ?? {}) as { name?: unknown; role?: unknown };
    if (typeof name !== "string" || name === "" || name.length >= 40) return null;
    // It is a demo: whoever says so is the chair. An app looks that up.
    return role === "member" || role === "chair" ? { user: name, name, roles: [role] } : null;
  },
  roles: {
    chair: ["*"],
    member: ["emit", "volatile", "floor", "sync", "priority", "transfer", "activity", "document"],
  },
  floors: {
    mic: { capacity: 1, maxHold: 60_000, grace: 8_000 },
    air: { capacity: 1, maxHold: 30_000, grace: 8_000 },
    pen: { capacity: 1, grace: 8_000 },
  },
  guards: { talk: "mic", "@doc/minutes": "pen" },
  // Who has not come so far by then holds nobody up: a visitor does not wait half a minute to see that either.
  sync: { confirmWithin: 15_000 },
  // A sync point every half second of a transfer at the demo's pace: what a visitor breaks costs less than that.
  activities: { interval: 2_000_000, fetchWithin: 3_600_000 },
  limits: { members: 50 },
  documents: yjsDocuments(),
});

io.of("/plain").on("connection", (socket) => {
  // Recovery needs one event before it works at all; it gets one.
  socket.emit("hello");
  socket.on("note", (id: string, stored: () => void) => {
    io.of("/plain").emit("note", id);
    stored();
  });
});

http.listen(Number(port), "127.0.0.1", () => process.send?.({ port: (http.address() as AddressInfo).port }));
process.once("disconnect", () => process.exit());
process.once("SIGTERM", () => {
  void sessions.drain({ within: 2_000 }).then(() => process.exit());
});
