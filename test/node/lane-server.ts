/** A server with a store on disk and a short interval between a transfer's points, to be killed. Says when it listens. */

import { createServer } from "node:http";
import { attachSessions, embeddedStore } from "@rostrum/server";
import { Server } from "socket.io";

const [folder = "", port = "0", interval = ""] = process.argv.slice(2);
const http = createServer();
attachSessions(new Server(http), {
  store: embeddedStore(folder),
  activities: { interval: Number(interval) },
  flicker: 5_000,
});
http.listen(Number(port), "127.0.0.1", () => process.send?.(http.address()));
