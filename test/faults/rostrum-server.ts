/** The server of the Rostrum column: the same Socket.IO server, with sessions attached and the embedded store. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { attachSessions, embeddedStore } from "@rostrum/server";
import { Server } from "socket.io";
import { type ServerOrder, type ServerSetup, sessionName } from "./orders.ts";
import { pings } from "./pings.ts";
import { obey, report, setup } from "./wire.ts";

const { port, folder } = setup<ServerSetup>();
const http = createServer();
const io = new Server(http, { ...pings, cors: { origin: "*" } });

let rejections = 0;
const sessions = attachSessions(io, {
  store: embeddedStore(folder),
  authenticate: () => {
    if (rejections === 0) return { user: "visitor" };
    rejections -= 1;
    throw new Error("token expired");
  },
});
const session = sessions.get(sessionName);
session.on("up", (number: number) => report({ said: "handled", number }));
session.on("probe", (mark: number) => report({ said: "probed", mark }));

io.on("connection", (socket) => {
  const count = (): void => report({ said: "pages", count: io.of("/").sockets.size });
  count();
  socket.on("disconnect", count);
});

obey<ServerOrder>(async (order) => {
  switch (order.do) {
    case "send":
      // Every emit is stored before it resolves, and none is a "broadcast with ack": `as` makes no difference.
      await Promise.all(order.numbers.map((number) => session.emit("down", number)));
      break;
    case "send-volatile-text":
      session.volatile.emit("typing", order.text);
      break;
    case "probe":
      session.volatile.emit("probe", order.mark);
      break;
    case "purge-packets":
      break; // has no counterpart
    case "reject-next-token":
      rejections += 1;
      break;
    case "write-elsewhere":
      await writeElsewhere(order.entries);
      break;
  }
});

async function writeElsewhere(entries: number): Promise<void> {
  const others = Array.from({ length: 20 }, (_, i) => sessions.get(`elsewhere-${i}`));
  for (let done = 0; done < entries; done += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, i) => others[i % others.length]?.emit("down", i)));
  }
}

process.on("SIGTERM", () => {
  void sessions.drain({ within: 1_000 }).then(async () => {
    await io.close();
    process.exit();
  });
});

await session.state(); // the listeners are in place from here on
http.listen(port, "127.0.0.1", () => report({ said: "listening", port: (http.address() as AddressInfo).port }));
