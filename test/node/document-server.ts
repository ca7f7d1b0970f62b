/** A server with documents on disk, to be killed; `when` it dies by itself: once, over the first record that it makes. */

import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { attachSessions, type DocumentStore, embeddedStore, type Store } from "@rostrum/server";
import { yjsDocuments } from "@rostrum/yjs/server";
import { Server } from "socket.io";

const [folder = "", port = "0", when = ""] = process.argv.slice(2);
const died = join(folder, "died");

const die = (): void => {
  if (existsSync(died)) return;
  writeFileSync(died, "");
  process.kill(process.pid, "SIGKILL");
};

const store = embeddedStore(join(folder, "store"));
const dying = (documents: DocumentStore): DocumentStore => ({
  load: (...about) => documents.load(...about),
  state: (...about) => documents.state(...about),
  save: async (...about) => {
    // In the midst of its pieces, as far as that can be hit.
    if (when === "over") setTimeout(die, 1);
    if (when === "before") die();
    await documents.save(...about);
    if (when === "after") die();
  },
  versions: (...about) => documents.versions(...about),
  version: (...about) => documents.version(...about),
  saveVersion: async (...about) => {
    await documents.saveVersion(...about);
    if (when === "version") die();
  },
  removeVersion: (...about) => documents.removeVersion(...about),
  remove: (...about) => documents.remove(...about),
});
const wrapped: Store = new Proxy(store, {
  get: (of, key) => {
    if (key === "documents") return of.documents === undefined ? undefined : dying(of.documents);
    const value: unknown = Reflect.get(of, key);
    return typeof value === "function" ? value.bind(of) : value;
  },
});

const http = createServer();
attachSessions(new Server(http), { store: wrapped, documents: yjsDocuments(), flicker: 50 });
http.listen(Number(port), "127.0.0.1", () => process.send?.(http.address()));
