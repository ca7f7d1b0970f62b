/** y-socket.io 1.1.3, the only other one over Socket.IO; its last word is of 2023. */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { Server } from "socket.io";
import type { SocketIOProvider } from "y-socket.io";
import type { Document } from "y-socket.io/dist/server";
import type { Contender, Serving } from "./contender.ts";
import { type LeveldbPersistence, listen, stop } from "./peers.ts";

export const ySocketIo: Contender = {
  name: "y-socket.io",

  serve: async ({ folder, content }): Promise<Serving> => {
    const [{ YSocketIO }, { applyUpdate }] = await Promise.all([import("y-socket.io/dist/server"), import("yjs")]);
    const http = createServer();
    const io = new Server(http, { transports: ["websocket"], maxHttpBufferSize: 1e8 });
    const documents = new YSocketIO(io, folder === undefined ? {} : { levelPersistenceDir: folder });
    if (content !== undefined) {
      const state = await readFile(content);
      documents.on("document-loaded", (document: Document) => applyUpdate(document, state));
    }
    documents.initialize();
    await listen(http);
    const persistence = (
      documents as unknown as { readonly persistence: { readonly provider: LeveldbPersistence } | null }
    ).persistence?.provider;
    return {
      http,
      // What it asks for waits behind all that was there before.
      persisted: async (document) => void (await persistence?.getMeta(document, "none")),
      close: async () => {
        io.disconnectSockets(true);
        await stop(http);
        await persistence?.destroy();
      },
    };
  },

  connect: async (url, documents = "one") => {
    const [{ SocketIOProvider }, { Doc }] = await Promise.all([import("y-socket.io"), import("yjs")]);
    const providers: SocketIOProvider[] = [];
    return {
      open: (document) =>
        new Promise((resolve) => {
          const doc = new Doc();
          const provider = new SocketIOProvider(
            url,
            document,
            doc,
            // Or the replicas of one process would talk past the server.
            { disableBc: true },
            // A namespace for each document; by default, a connection for each as well.
            { forceNew: documents === "one" },
          );
          provider.once("synced", () => resolve({ doc }));
          providers.push(provider);
        }),
      cut: () => providers.forEach((each) => each.disconnect()),
      comeBack: () => providers.forEach((each) => each.connect()),
      close: () => providers.forEach((each) => each.destroy()),
    };
  },
};
