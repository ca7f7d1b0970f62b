/** What is measured of documents. Each case answers for one contender; the rows take them in turn and compare medians. */

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createFaultProxy } from "@rostrum/testing";
import type { Doc } from "yjs";
import { sleep, turn } from "../load.ts";
import { Part } from "../transfer.ts";
import { type Contender, DocumentServer } from "./contender.ts";
import { paper } from "./paper.ts";
import { seeded } from "./random.ts";
import { agedState, apply, textOf } from "./replay.ts";
import type { WritersOrder } from "./writers.ts";

/** The longest that any wait may take. */
const patience = 300_000;

process.setMaxListeners(0);

/** Two processes of writers, half of the writers each. */
class Writers implements AsyncDisposable {
  private constructor(private readonly parts: readonly Part[]) {}

  static async start(server: DocumentServer, processes = 2): Promise<Writers> {
    const file = new URL("./writers.ts", import.meta.url);
    const start = (): Promise<Part> => Part.start(file, server.contender.name, server.url);
    return new Writers(await Promise.all(Array.from({ length: processes }, start)));
  }

  async ask(order: (index: number) => WritersOrder): Promise<readonly unknown[]> {
    return Promise.all(this.parts.map((part, index) => part.ask(order(index))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.parts.map((part) => part[Symbol.asyncDispose]()));
  }
}

export interface Load {
  /** Edits that everybody has, for each second of the server's CPU. */
  readonly rate: number;
  /** Bytes over the server's connections for each edit. */
  readonly bytes: number;
}

/** Seconds. */
const warmUpFor = 10;

/** Twenty writers in one document: what is edited, until all have the same. */
const load = async (
  contender: Contender,
  edit: (writers: Writers) => Promise<number>,
  document = "shared",
): Promise<Load> => {
  await using server = await DocumentServer.start(contender);
  await using writers = await Writers.start(server);
  await writers.ask(() => ({ ask: "open", document, count: 10 }));
  // A server is not measured while its engine still compiles what it runs.
  const warmUp = await writers.ask((index) => ({ ask: "type", perSecond: 50, seconds: warmUpFor, seed: 100 + index }));
  const typed = warmUp.reduce<number>((sum, each) => sum + Number(each), 0);
  await writers.ask(() => ({ ask: "converge", length: typed }));
  await sleep(200);
  const before = { cpu: await server.cpu(), wire: await server.wire() };
  const edits = await edit(writers);
  const digests = new Set(await writers.ask(() => ({ ask: "converge", length: typed + edits })));
  if (digests.size !== 1) throw new Error(`${contender.name}: the replicas differ`);
  const cpu = (await server.cpu()) - before.cpu;
  return { rate: edits / cpu, bytes: ((await server.wire()) - before.wire) / edits };
};

export const flat = (contender: Contender, edits = 500): Promise<Load> =>
  load(contender, async (writers) => {
    await writers.ask((index) => ({ ask: "flat", edits, seed: index + 1 }));
    return 20 * edits;
  });

export const typing = (contender: Contender, seconds = 5): Promise<Load> =>
  load(contender, async (writers) => {
    const typed = await writers.ask((index) => ({ ask: "type", perSecond: 50, seconds, seed: index + 1 }));
    return typed.reduce<number>((sum, each) => sum + Number(each), 0);
  });

/** A folder for as long as somebody uses it. */
class Folder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), "rostrum-bench-")));
  }

  /** Bytes on the disk. */
  async size(): Promise<number> {
    const { stdout } = await promisify(execFile)("du", ["-s", "--block-size=1", this.path]);
    return Number.parseInt(stdout, 10);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** A document of a megabyte with a long history, which every server begins with. */
export class AgedDocument implements AsyncDisposable {
  private constructor(
    private readonly folder: Folder,
    readonly path: string,
  ) {}

  static async make(bytes = 1_000_000): Promise<AgedDocument> {
    const folder = await Folder.make();
    const path = join(folder.path, "state");
    await writeFile(path, agedState(bytes));
    return new AgedDocument(folder, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.folder[Symbol.asyncDispose]();
  }
}

/** Settles when it holds, looked at after each change of the document. */
const until = (doc: Doc, holds: () => boolean, what: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const look = (): void => {
      if (!holds()) return;
      clearTimeout(timer);
      doc.off("update", look);
      resolve();
    };
    const timer = setTimeout(() => {
      doc.off("update", look);
      reject(new Error(`${what}: not within ${patience} ms`));
    }, patience);
    doc.on("update", look);
    look();
  });

export interface Reconnected {
  /** Over the client's connection, both ways, from dialling on. */
  readonly bytes: number;
  /** From dialling to having all. */
  readonly time: number;
}

/** A client that has the document is cut off, misses ten edits of somebody else's, and comes back. */
export const reconnect = async (contender: Contender, aged: AgedDocument): Promise<Reconnected> => {
  await using server = await DocumentServer.start(contender, { content: aged.path });
  await using proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: server.port } });
  const stays = await contender.connect(server.url);
  const leaves = await contender.connect(proxy.url);
  const length = (doc: Doc): number => doc.getText("text").length;
  try {
    const { doc: present } = await stays.open("aged");
    await until(present, () => length(present) > 0, `${contender.name} loads`);
    const full = length(present);
    const { doc: absent } = await leaves.open("aged");
    await until(absent, () => length(absent) === full, `${contender.name} loads`);
    await sleep(500);
    leaves.cut();
    await sleep(100);
    // The link as well, for whoever would be back before its time.
    proxy.set({ kind: "off" });
    await sleep(200);
    const random = seeded(6);
    for (let each = 0; each < 10; each += 1) {
      present.getText("text").insert(random.below(length(present)), random.word(1));
      await sleep(20);
    }
    await sleep(200);
    const { bytesUp, bytesDown } = proxy.stats;
    const started = performance.now();
    proxy.set({ kind: "ok" });
    leaves.comeBack();
    await until(absent, () => length(absent) === full + 10, `${contender.name} comes back`);
    const time = performance.now() - started;
    // What is still said about it counts as well.
    await sleep(700);
    if (textOf(absent) !== textOf(present)) throw new Error(`${contender.name}: the replicas differ`);
    return { bytes: proxy.stats.bytesUp - bytesUp + proxy.stats.bytesDown - bytesDown, time };
  } finally {
    stays.close();
    leaves.close();
  }
};

export interface Idle {
  /** Bytes that the server's process grew by, for each document. */
  readonly resident: number;
  /** Of which it holds on to. */
  readonly held: number;
}

/** Documents of some ten kilobytes that were edited once, by one client that stays. */
export const idle = async (contender: Contender, count = 1_000): Promise<Idle> => {
  await using folder = contender.unloads === true ? await Folder.make() : undefined;
  await using server = await DocumentServer.start(contender, folder === undefined ? {} : { folder: folder.path });
  const before = await server.memory();
  await using writers = await Writers.start(server, 1);
  await writers.ask(() => ({ ask: "notes", count }));
  // Timers that store, compact or unload run out within that.
  await sleep(5_000);
  const after = await server.memory();
  return { resident: (after.resident - before.resident) / count, held: (after.held - before.held) / count };
};

export interface Traced {
  /** Until the server has it on the disk, and a second client has the text. */
  readonly seconds: number;
  /** Bytes on the disk, after the server has ended. */
  readonly stored: number;
}

/** `part` hundredths of the paper, typed by a real client into a server that keeps it. */
export const trace = async (contender: Contender, part = 100): Promise<Traced> => {
  const work = paper(part);
  // Made before the clock starts.
  const operations = [...work.operations(0)];
  const text = work.expected().text ?? "";
  await using folder = await Folder.make();
  await using server = await DocumentServer.start(contender, { folder: folder.path });
  const first = await contender.connect(server.url);
  const second = await contender.connect(server.url);
  try {
    const { doc } = await first.open("paper");
    const started = performance.now();
    for (const [index, operation] of operations.entries()) {
      apply(doc, operation);
      if (index % 100 === 99) await turn();
    }
    const { doc: other } = await second.open("paper");
    const same = (): boolean => other.getText("text").length === text.length && textOf(other) === text;
    await until(other, same, `${contender.name} types`);
    await server.persisted("paper");
    const seconds = (performance.now() - started) / 1_000;
    first.close();
    second.close();
    await sleep(200);
    await server.close();
    return { seconds, stored: await folder.size() };
  } finally {
    first.close();
    second.close();
  }
};
