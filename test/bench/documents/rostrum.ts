/** Ourselves: all documents in one session, kept in the embedded store or in memory. */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { attachSessions, embeddedStore, memoryStore } from "@rostrum/server";
import { Server } from "socket.io";
import { openClient } from "../load.ts";
import type { Contender, Serving } from "./contender.ts";
import { listen, stop } from "./peers.ts";

const room = "documents";
let clients = 0;

export const rostrum: Contender = {
  name: "rostrum",
  unloads: true,

  serve: async ({ folder, content }): Promise<Serving> => {
    const { yjsDocuments } = await import("@rostrum/yjs/server");
    const first = content === undefined ? undefined : new Uint8Array(await readFile(content));
    const http = createServer();
    const store = folder === undefined ? memoryStore() : embeddedStore(folder);
    const sessions = attachSessions(new Server(http, { transports: ["websocket"] }), {
      store,
      authenticate: ({ auth }) => ({ user: String(auth) }),
      documents: yjsDocuments(first === undefined ? {} : { load: async () => first }),
      limits: { rate: 1e9, burst: 1e9, sessionsPerUser: 1e6, windowCommands: 1_000 },
      flicker: 120_000,
    });
    await listen(http);
    return {
      http,
      // Nobody is told of an edit before it is stored, so whoever has it all knows that it lies in the folder.
      persisted: async () => {},
      close: async () => {
        await sessions.drain({ within: 2_000, spread: 1 });
        await stop(http);
        await store.close();
      },
    };
  },

  connect: async (url) => {
    const [{ bindDoc }, { Doc }] = await Promise.all([import("@rostrum/yjs"), import("yjs")]);
    clients += 1;
    const { client, session } = await openClient(url, room, `writer-${process.pid}-${clients}`);
    const bindings: { destroy(): void }[] = [];
    return {
      open: async (document) => {
        const binding = bindDoc(session, document, { create: () => new Doc() });
        bindings.push(binding);
        await binding.whenSynced;
        return {
          get doc() {
            return binding.doc;
          },
        };
      },
      // A client of ours never gives up; the link is what is cut.
      cut: () => {},
      comeBack: () => client.retry(),
      close: () => {
        for (const binding of bindings) binding.destroy();
        client.close();
      },
    };
  },
};
