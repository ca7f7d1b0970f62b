/**
 * What the benchmark of documents asks of everybody who carries Yjs documents between a server and its clients. Each side
 * loads what it needs when it is called, so that no process has the other side's part, or Yjs twice.
 */

import type { Server } from "node:http";
import type { Doc } from "yjs";
import { Part } from "../transfer.ts";

export interface Contender {
  readonly name: string;
  /** With a folder, idle documents need not be in memory. For the others a folder makes no document lighter. */
  readonly unloads?: true;
  /** Listens on 127.0.0.1, on a port that is free. Runs in the server's own process. */
  readonly serve: (settings: ServerSettings) => Promise<Serving>;
  /** A client of its own. One that is to carry `many` documents carries them on one connection, if it can. */
  readonly connect: (url: string, documents?: "one" | "many") => Promise<Connection>;
}

export interface ServerSettings {
  /** Where documents are kept; without, in memory only. */
  readonly folder?: string;
  /** A file of the state that each document begins with. */
  readonly content?: string;
}

export interface Serving {
  readonly http: Server;
  /** Settles when all that has arrived of the document is in the folder. */
  readonly persisted: (document: string) => Promise<void>;
  /** Ends in order: whatever is still to be written is. */
  readonly close: () => Promise<void>;
}

export interface Connection {
  /** Settles when server and client have greeted one another about the document; what it holds may still be coming. */
  readonly open: (document: string) => Promise<Replica>;
  /** Lets the connection go, and does not try to come back. One that always tries leaves it to the link. */
  readonly cut: () => void;
  /** Dials at once. */
  readonly comeBack: () => void;
  readonly close: () => void;
}

export interface Replica {
  readonly doc: Doc;
}

export type ServerOrder =
  | { readonly ask: "cpu" | "memory" | "wire" | "close" }
  | { readonly ask: "persisted"; readonly document: string };

export interface MemoryUse {
  readonly resident: number;
  /** What lives in V8's heap and in buffers beside it. */
  readonly held: number;
}

/** A contender's server, in a process of its own. */
export class DocumentServer implements AsyncDisposable {
  private constructor(
    private readonly part: Part,
    readonly contender: Contender,
  ) {}

  static async start(contender: Contender, settings: ServerSettings = {}): Promise<DocumentServer> {
    const part = await Part.start(new URL("./server.ts", import.meta.url), contender.name, JSON.stringify(settings));
    return new DocumentServer(part, contender);
  }

  get port(): number {
    return this.part.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.part.port}`;
  }

  /** Seconds of CPU so far. */
  async cpu(): Promise<number> {
    return Number(await this.ask({ ask: "cpu" }));
  }

  /** Once everything that can go is gone. */
  async memory(): Promise<MemoryUse> {
    return (await this.ask({ ask: "memory" })) as MemoryUse;
  }

  /** Bytes over all connections so far, both ways. */
  async wire(): Promise<number> {
    return Number(await this.ask({ ask: "wire" }));
  }

  async persisted(document: string): Promise<void> {
    await this.ask({ ask: "persisted", document });
  }

  async close(): Promise<void> {
    await this.ask({ ask: "close" });
  }

  private ask(order: ServerOrder): Promise<unknown> {
    return this.part.ask(order);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.part[Symbol.asyncDispose]();
  }
}
