/** The server of the plain column: Socket.IO with connection state recovery, as its documentation sets it up. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { type ServerOrder, type ServerSetup, sessionName } from "./orders.ts";
import { pings } from "./pings.ts";
import { obey, report, setup } from "./wire.ts";

const { port, redisUrl } = setup<ServerSetup>();
const redis = redisUrl === undefined ? undefined : await createClient({ url: redisUrl }).connect();

const http = createServer();
const io = new Server(http, {
  ...pings,
  ...(redis && { adapter: createAdapter(redis) }),
  cors: { origin: "*" },
  // The default skips the middlewares for a recovered client, and with them the check of its token.
  connectionStateRecovery: { skipMiddlewares: false },
});

let rejections = 0;
io.use((_socket, next) => {
  if (rejections === 0) return next();
  rejections -= 1;
  next(new Error("token expired"));
});

io.on("connection", (socket) => {
  void socket.join(sessionName);
  report({ said: "pages", count: io.of("/").sockets.size });
  socket.on("disconnect", () => report({ said: "pages", count: io.of("/").sockets.size }));
  socket.on("probe", (mark: number) => report({ said: "probed", mark }));
  socket.on("up", (number: number, ack: () => void) => {
    report({ said: "handled", number });
    ack();
  });
});

obey<ServerOrder>(async (order) => {
  const room = io.to(sessionName);
  switch (order.do) {
    case "send":
      for (const number of order.numbers) {
        if (order.as === "event") room.emit("down", number);
        else room.timeout(60_000).emit("down", number, () => {});
      }
      break;
    case "send-volatile-text":
      room.volatile.emit("typing", order.text);
      break;
    case "probe":
      room.volatile.emit("probe", order.mark);
      break;
    case "purge-packets":
      (io.of("/").adapter as unknown as { packets: unknown[] }).packets.length = 0;
      break;
    case "reject-next-token":
      rejections += 1;
      break;
    case "write-elsewhere":
      for (let i = 0; i < order.entries; i += 1) io.to(`elsewhere-${i % 20}`).emit("down", i);
      break;
  }
  await redis?.ping(); // written in order, so what was emitted before it is in the stream
});

process.on("SIGTERM", () => {
  void io.close().then(async () => {
    await redis?.close();
    process.exit();
  });
});

http.listen(port, "127.0.0.1", () => report({ said: "listening", port: (http.address() as AddressInfo).port }));
