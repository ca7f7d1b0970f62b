/**
 * Hocuspocus 3.4.4, the newest that runs on Node 20 (4 wants 22). Its SQLite extension builds or downloads a binary, so
 * documents are kept through its Database extension, in a file each, as a database of blobs would.
 */

import { open as openFile, readFile, rename } from "node:fs/promises";
import type { Server as HttpServer } from "node:http";
import { join } from "node:path";
import { sleep } from "../load.ts";
import type { Contender, Serving } from "./contender.ts";

/** What we use of its packages, which name sources of theirs as types, and those do not hold under our settings. */
interface ServerPackage {
  readonly Server: new (
    settings: object,
  ) => {
    readonly httpServer: HttpServer;
    readonly hocuspocus: {
      readonly debouncer: {
        executeNow(id: string): unknown;
        isDebounced(id: string): boolean;
        isCurrentlyExecuting(id: string): boolean;
      };
    };
    listen(): Promise<unknown>;
    destroy(): Promise<void>;
  };
}

interface DatabasePackage {
  readonly Database: new (settings: {
    fetch(data: { readonly documentName: string }): Promise<Uint8Array | null>;
    store(data: { readonly documentName: string; readonly state: Uint8Array }): Promise<void>;
  }) => object;
}

interface ProviderPackage {
  readonly HocuspocusProviderWebsocket: new (
    settings: object,
  ) => {
    connect(): Promise<unknown>;
    disconnect(): void;
    destroy(): void;
  };
  readonly HocuspocusProvider: new (
    settings: object,
  ) => {
    attach(): void;
    destroy(): void;
  };
}

export const hocuspocus: Contender = {
  name: "hocuspocus",

  serve: async ({ folder, content }): Promise<Serving> => {
    const { Server } = (await import(import.meta.resolve("@hocuspocus/server"))) as ServerPackage;
    const { Database } = (await import(import.meta.resolve("@hocuspocus/extension-database"))) as DatabasePackage;
    const first = content === undefined ? null : new Uint8Array(await readFile(content));
    const database = new Database({
      fetch: async ({ documentName }) => {
        if (folder === undefined) return first;
        return readFile(join(folder, documentName)).catch(() => first);
      },
      store: async ({ documentName, state }) => {
        if (folder === undefined) return;
        const path = join(folder, documentName);
        const file = await openFile(`${path}.new`, "w");
        await file.writeFile(state);
        await file.sync();
        await file.close();
        await rename(`${path}.new`, path);
      },
    });
    const server = new Server({
      port: 0,
      address: "127.0.0.1",
      quiet: true,
      stopOnSignals: false,
      // By default it stores every ten seconds while somebody types. If edits come in faster than one store takes, each of
      // them then queues a store of its own, and it never gets out of that: the trace would take many minutes.
      maxDebounce: 600_000,
      extensions: folder === undefined && content === undefined ? [] : [database],
    });
    await server.listen();
    return {
      http: server.httpServer,
      persisted: async (document) => {
        const { debouncer } = server.hocuspocus;
        const id = `onStoreDocument-${document}`;
        // It waits two to ten seconds before it stores; that is its rhythm, not its speed.
        const until = performance.now() + 60_000;
        while (performance.now() < until) {
          if (debouncer.isDebounced(id)) await debouncer.executeNow(id);
          else if (debouncer.isCurrentlyExecuting(id)) await sleep(1);
          else return;
        }
      },
      close: () => server.destroy(),
    };
  },

  connect: async (url) => {
    const [{ HocuspocusProvider, HocuspocusProviderWebsocket }, { Doc }, { WebSocket }] = await Promise.all([
      import(import.meta.resolve("@hocuspocus/provider")) as Promise<ProviderPackage>,
      import("yjs"),
      import("ws"),
    ]);
    const socket = new HocuspocusProviderWebsocket({ url: url.replace("http", "ws"), WebSocketPolyfill: WebSocket });
    const providers: { destroy(): void }[] = [];
    return {
      open: (document) =>
        new Promise((resolve) => {
          const doc = new Doc();
          const provider = new HocuspocusProvider({
            websocketProvider: socket,
            name: document,
            document: doc,
            onSynced: () => resolve({ doc }),
          });
          provider.attach();
          providers.push(provider);
        }),
      cut: () => socket.disconnect(),
      comeBack: () => void socket.connect(),
      close: () => {
        for (const provider of providers) provider.destroy();
        socket.destroy();
      },
    };
  },
};
