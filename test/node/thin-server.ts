/** A server that dies when it is about to thin a log, and says what it has in it. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { attachSessions, embeddedStore, type Store } from "@rostrum/server";
import { yjsDocuments } from "@rostrum/yjs/server";
import { Server } from "socket.io";

const store = embeddedStore(process.argv[2] ?? "");
const dying: Store = Object.create(store, {
  thin: {
    value: () => {
      process.kill(process.pid, "SIGKILL");
      return new Promise(() => {});
    },
  },
});
const http = createServer();
attachSessions(new Server(http), {
  store: dying,
  documents: yjsDocuments(),
  snapshotEvery: 50,
  retention: { updates: 20 },
  flicker: 50,
});
http.listen(0, "127.0.0.1", () => process.send?.(`http://127.0.0.1:${(http.address() as AddressInfo).port}`));
