/** A server with a store on disk that carries transfers, to be killed. Says when it listens. */

import { createServer } from "node:http";
import { attachSessions, embeddedStore } from "@rostrum/server";
import { Server } from "socket.io";

const [folder = "", port = "0"] = process.argv.slice(2);
const http = createServer();
attachSessions(new Server(http), {
  store: embeddedStore(folder),
  flicker: 50,
  authenticate: ({ auth }) => ({ user: String(auth) }),
  activities: { interval: 65_536 },
  limits: { chunkBytes: 8_192, laneBytes: 32_768 },
});
http.listen(Number(port), "127.0.0.1", () => process.send?.(http.address()));
