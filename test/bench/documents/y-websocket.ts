/**
 * y-websocket 2.1.0 with the server that it ships, the last of the Yjs 13 line. Its successor, @y/websocket-server
 * 0.1.5, does not install beside Yjs 13: it takes a pre-release of Yjs 14, and protocols that want yet another one.
 */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { type WebSocket, WebSocketServer } from "ws";
import type { WebsocketProvider } from "y-websocket";
import type { applyUpdate, Doc } from "yjs";
import type { Contender, Serving } from "./contender.ts";
import { type LeveldbPersistence, listen, stop } from "./peers.ts";

/** What we use of its server, which has no types. */
interface Utilities {
  setupWSConnection(socket: WebSocket, request: object): void;
  getPersistence(): { readonly provider: LeveldbPersistence } | null;
  setContentInitializor(initialize: (doc: Doc) => Promise<void>): void;
}

export const yWebsocket: Contender = {
  name: "y-websocket",

  serve: async ({ folder, content }): Promise<Serving> => {
    // It reads where to keep documents when it is loaded.
    if (folder !== undefined) process.env["YPERSISTENCE"] = folder;
    const require = createRequire(import.meta.url);
    const server = require("y-websocket/bin/utils") as Utilities;
    if (content !== undefined) {
      const state = await readFile(content);
      // As it loads it, or there would be two.
      const yjs = require("yjs") as { readonly applyUpdate: typeof applyUpdate };
      server.setContentInitializor(async (doc) => yjs.applyUpdate(doc, state));
    }
    const http = createServer();
    const sockets = new WebSocketServer({ server: http });
    sockets.on("connection", (socket, request) => server.setupWSConnection(socket, request));
    await listen(http);
    const persistence = server.getPersistence()?.provider;
    return {
      http,
      // What it asks for waits behind all that was there before.
      persisted: async (document) => void (await persistence?.getMeta(document, "none")),
      close: async () => {
        for (const socket of sockets.clients) socket.terminate();
        await stop(http);
        await persistence?.destroy();
      },
    };
  },

  connect: async (url) => {
    const [{ WebsocketProvider }, { Doc }, { WebSocket }] = await Promise.all([
      import("y-websocket"),
      import("yjs"),
      import("ws"),
    ]);
    const providers: WebsocketProvider[] = [];
    return {
      // One connection for each document; it has no other way.
      open: (document) =>
        new Promise((resolve) => {
          const doc = new Doc();
          const provider = new WebsocketProvider(url.replace("http", "ws"), document, doc, {
            WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
            // Or the replicas of one process would talk past the server.
            disableBc: true,
          });
          provider.once("sync", () => resolve({ doc }));
          providers.push(provider);
        }),
      cut: () => providers.forEach((each) => each.disconnect()),
      comeBack: () => providers.forEach((each) => each.connect()),
      close: () => providers.forEach((each) => each.destroy()),
    };
  },
};
