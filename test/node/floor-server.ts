/** A server with one floor and a store on disk, to be killed. Says when it listens. */

import { createServer } from "node:http";
import { attachSessions, embeddedStore } from "@rostrum/server";
import { Server } from "socket.io";

const [folder = "", port = "0"] = process.argv.slice(2);
const http = createServer();
attachSessions(new Server(http), { store: embeddedStore(folder), floors: { mic: { grace: 8_000 } }, flicker: 50 });
http.listen(Number(port), "127.0.0.1", () => process.send?.(http.address()));
