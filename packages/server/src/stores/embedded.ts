/**
 * The durable store for one machine: LevelDB in a folder. An append is acknowledged when it is flushed to disk. Appends
 * that arrive while one flush is under way share the next (group commit), so that load makes flushes fuller, not slower.
 *
 * Keys: `m!…` what the folder is; `s!<session>` snapshots; `e!<session>!<offset>` one record for each appended batch; `d!…` the
 * documents.
 * LevelDB leaves the subfolder of the blobs alone.
 */

import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { type Entry, isControl, lastOffset, type Offset, RostrumError, type SessionId, span } from "@rostrum/protocol";
import { ClassicLevel } from "classic-level";
import { Packr } from "msgpackr";
import { fileBlobs } from "../blobs/files.ts";
import type { BlobStore } from "../blobs.ts";
import type { Appended, Condition, DocumentStore, Loaded, Snapshot, Store } from "../store.ts";
import { documentsOf, EmbeddedDocuments } from "./embedded-documents.ts";
import { Followers, movedTo } from "./log.ts";

const format = 1;
const blobsFolder = "blobs";

/** One appended batch. `control` is the control head after it, so that the last record tells how to go on. */
interface Batch {
  readonly control: Offset;
  readonly entries: readonly Entry[];
}

interface Head {
  first: Offset;
  head: Offset;
  control: Offset;
}

type Operation =
  | { readonly type: "put"; readonly key: string; readonly value: Buffer }
  | { readonly type: "del"; readonly key: string };

interface Write {
  readonly operations: readonly Operation[];
  readonly done: () => void;
  readonly failed: (cause: unknown) => void;
}

const packr = new Packr({ useRecords: false, structuredClone: false });

/** A value with its checksum before it. */
const seal = (value: unknown): Buffer => {
  const body = packr.pack(value);
  const sealed = Buffer.allocUnsafe(body.length + 4);
  sealed.writeUInt32LE(crc32(body), 0);
  body.copy(sealed, 4);
  return sealed;
};

const corrupt = (folder: string, what: string, cause?: unknown): RostrumError =>
  new RostrumError(
    "STORE_CORRUPT",
    `${what} in the store's folder ${folder}. Nothing was changed or removed there. Restore the folder from a backup, or move it away and start with an empty one.`,
    { folder, what },
    cause === undefined ? {} : { cause },
  );

const failed = (what: string, cause?: unknown): RostrumError =>
  new RostrumError("STORE_FAILED", what, {}, cause === undefined ? {} : { cause });

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** Sessions' ids as key parts: base64url has no `!`, so no id is the beginning of another's range. */
const part = (session: SessionId): string => Buffer.from(session).toString("base64url");
const padded = (offset: Offset): string => offset.toString().padStart(16, "0");
const entryKey = (session: SessionId, offset: Offset): string => `e!${part(session)}!${padded(offset)}`;
const snapshotKey = (session: SessionId): string => `s!${part(session)}`;

/**
 * A durable store in a folder of its own, blobs included. The folder belongs to one process at a time; another one that
 * opens it is refused with STORE_LOCKED.
 *
 * @example attachSessions(io, { store: embeddedStore("./data") })
 */
export const embeddedStore = (folder: string): Store => new EmbeddedStore(folder);

class EmbeddedStore implements Store {
  readonly durable = true;
  readonly blobs: BlobStore;
  readonly documents: DocumentStore;
  private level: ClassicLevel<string, Buffer> | undefined;
  private readonly opened: Promise<Buffer>;
  private readonly heads = new Map<SessionId, Promise<Head>>();
  private readonly followers = new Followers();
  private waiting: Write[] = [];
  private flushing: Promise<void> | undefined;
  private closed = false;

  constructor(private readonly folder: string) {
    this.opened = this.open();
    // Told to each who asks; here it must only not end the process.
    this.opened.catch(() => {});
    // Under the same lock, and nothing is made in a folder that is not ours.
    this.blobs = fileBlobs(join(this.folder, blobsFolder), this.opened);
    const store = this;
    this.documents = new EmbeddedDocuments({
      get db() {
        return store.db;
      },
      ready: () => this.ready(),
      write: (operations, what) =>
        this.write(operations).catch((cause: unknown) => {
          throw failed(`The store could not ${what}: ${messageOf(cause)}.`, cause);
        }),
      seal,
      unseal: (key, value) => this.unseal(key, value),
      corrupt: (what) => corrupt(this.folder, what),
    });
  }

  private async open(): Promise<Buffer> {
    // Blobs alone are what is left where the database was moved away.
    const found = (await readdir(this.folder).catch((): string[] => [])).filter((name) => name !== blobsFolder);
    if (found.length > 0 && !found.includes("CURRENT"))
      throw corrupt(this.folder, `Files that are not a store's (${found.slice(0, 3).join(", ")})`);
    // Making one opens it, and opening writes; so it is made only now.
    this.level = new ClassicLevel<string, Buffer>(this.folder, {
      keyEncoding: "utf8",
      valueEncoding: "buffer",
      // Measured: compressing and merging small files costs more than the bytes it saves.
      compression: false,
      writeBufferSize: 16_777_216,
    });
    try {
      await this.db.open();
    } catch (error) {
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : "";
      if (code === "LEVEL_LOCKED") {
        throw new RostrumError(
          "STORE_LOCKED",
          `The store's folder ${this.folder} is in use by another process. Stop that one, or give this one a folder of its own.`,
          { folder: this.folder },
          { cause },
        );
      }
      if (code === "LEVEL_CORRUPTION")
        throw corrupt(this.folder, `A database that cannot be opened (${messageOf(cause)})`, cause);
      throw failed(`The store's folder ${this.folder} could not be opened: ${messageOf(cause)}.`, cause);
    }
    const known = await this.db.get("m!format");
    if (known === undefined) {
      for await (const key of this.db.keys({ limit: 1 }))
        throw corrupt(this.folder, `A database of something else (its first key is ${key})`);
      const secret = randomBytes(32);
      await this.db.batch(
        [
          { type: "put", key: "m!format", value: Buffer.from(String(format)) },
          { type: "put", key: "m!secret", value: secret },
        ],
        { sync: true },
      );
      return secret;
    }
    if (Number(known.toString()) > format) {
      throw new RostrumError(
        "STORE_NEWER",
        `The store's folder ${this.folder} has format ${known.toString()}, this version reads ${format}. Update Rostrum; nothing was changed.`,
        { found: Number(known.toString()), known: format },
      );
    }
    const secret = await this.db.get("m!secret");
    if (Number(known.toString()) !== format || secret?.length !== 32)
      throw corrupt(this.folder, "A store without its secret");
    return secret;
  }

  private get db(): ClassicLevel<string, Buffer> {
    if (this.level === undefined) throw failed("The store is not open.");
    return this.level;
  }

  private async ready(): Promise<void> {
    if (this.closed) throw failed("The store was closed.");
    await this.opened;
  }

  secret(): Promise<Uint8Array> {
    return this.opened;
  }

  async load(session: SessionId): Promise<Loaded> {
    await this.ready();
    await this.flushed();
    const { first, head } = await this.headOf(session);
    return { snapshot: await this.snapshotOf(session), first, head };
  }

  async append(session: SessionId, condition: Condition, entries: readonly Entry[]): Promise<Appended> {
    await this.ready();
    const at = await this.headOf(session);
    if (condition.control !== at.control || (condition.head !== undefined && condition.head !== at.head))
      return { ok: false };
    const last = entries.at(-1);
    if (last === undefined) return { ok: true, first: at.head + 1, bytes: 0 };
    const first = at.head + 1;
    const placed = movedTo(entries, first);
    const control = placed.findLast(isControl)?.offset ?? at.control;
    const value = seal({ control, entries: placed } satisfies Batch);
    // From here on others append behind this batch, although it is not on the disk yet: the disk keeps their order.
    at.head = lastOffset(placed.at(-1) ?? last);
    at.control = control;
    try {
      await this.write([{ type: "put", key: entryKey(session, first), value }]);
    } catch (cause) {
      // What is on the disk now is unknown; whoever goes on reads it from there.
      this.heads.delete(session);
      throw failed(`The store could not write ${entries.length} entries: ${messageOf(cause)}.`, cause);
    }
    this.followers.tell(session, placed);
    return { ok: true, first, bytes: value.length };
  }

  async read(session: SessionId, after: Offset, limit: number): Promise<readonly Entry[]> {
    await this.ready();
    const prefix = `e!${part(session)}!`;
    // The record that holds `after + 1` may begin before it.
    const start = await this.recordAt(session, after + 1);
    const found: Entry[] = [];
    let offsets = 0;
    for await (const [key, value] of this.db.iterator({
      gte: start ?? entryKey(session, after + 1),
      lt: `${prefix}~`,
    })) {
      for (const entry of this.unseal<Batch>(key, value).entries) {
        if (lastOffset(entry) <= after) continue;
        found.push(entry);
        offsets += span(entry);
        if (offsets >= limit) return found;
      }
    }
    return found;
  }

  async snapshot(session: SessionId, snapshot: Snapshot): Promise<void> {
    await this.ready();
    const known = await this.snapshotOf(session);
    if (known !== undefined && known.state.head > snapshot.state.head) return;
    await this.write([{ type: "put", key: snapshotKey(session), value: seal(snapshot) }]);
  }

  async trim(session: SessionId, below: Offset): Promise<void> {
    await this.ready();
    await this.flushed();
    const at = await this.headOf(session);
    const line = below > at.head ? entryKey(session, at.head + 1) : await this.recordAt(session, below);
    if (line === undefined) return;
    await this.db.clear({ gte: entryKey(session, 0), lt: line });
    at.first = await this.firstOf(session, at.head);
  }

  follow(session: SessionId, on: (entries: readonly Entry[]) => void): () => void {
    return this.followers.add(session, on);
  }

  async delete(session: SessionId): Promise<void> {
    await this.ready();
    // First: without a log nobody would know of them.
    await this.blobs.removeAll(session);
    await this.flushed();
    this.heads.delete(session);
    await this.db.clear({ gte: entryKey(session, 0), lt: `e!${part(session)}!~` });
    await this.db.clear({ gte: documentsOf(session), lt: `${documentsOf(session)}~` });
    await this.write([{ type: "del", key: snapshotKey(session) }]);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.flushed();
    await this.opened.catch(() => {});
    // Before the lock is let go.
    await this.blobs.close();
    await this.level?.close();
  }

  // ---- inside ----

  /** Where the log stands, what is being written included. Read from the disk at first use. */
  private headOf(session: SessionId): Promise<Head> {
    const known = this.heads.get(session);
    if (known !== undefined) return known;
    const read = this.readHead(session);
    this.heads.set(session, read);
    read.catch(() => this.heads.get(session) === read && this.heads.delete(session));
    return read;
  }

  private async readHead(session: SessionId): Promise<Head> {
    for await (const [key, value] of this.db.iterator({
      gte: entryKey(session, 0),
      lt: `e!${part(session)}!~`,
      reverse: true,
      limit: 1,
    })) {
      const { control, entries } = this.unseal<Batch>(key, value);
      const last = entries.at(-1);
      if (last === undefined) throw corrupt(this.folder, `An empty record at ${key}`);
      const head = lastOffset(last);
      return { first: await this.firstOf(session, head), head, control };
    }
    const { head = 0, control = 0 } = (await this.snapshotOf(session))?.state ?? {};
    return { first: head + 1, head, control };
  }

  private async firstOf(session: SessionId, head: Offset): Promise<Offset> {
    for await (const key of this.db.keys({ gte: entryKey(session, 0), lt: `e!${part(session)}!~`, limit: 1 }))
      return Number(key.slice(-16));
    return head + 1;
  }

  /** Key of the record that holds the offset, or would. */
  private async recordAt(session: SessionId, offset: Offset): Promise<string | undefined> {
    for await (const key of this.db.keys({
      gte: entryKey(session, 0),
      lte: entryKey(session, offset),
      reverse: true,
      limit: 1,
    }))
      return key;
    return undefined;
  }

  private async snapshotOf(session: SessionId): Promise<Snapshot | undefined> {
    const key = snapshotKey(session);
    const value = await this.db.get(key);
    return value === undefined ? undefined : this.unseal<Snapshot>(key, value);
  }

  private unseal<T>(key: string, value: Buffer): T {
    const body = value.subarray(4);
    if (value.length < 5 || crc32(body) !== value.readUInt32LE(0))
      throw corrupt(this.folder, `A damaged record at ${key}`);
    return packr.unpack(body) as T;
  }

  /** Puts operations on the disk with the next flush. */
  private write(operations: readonly Operation[]): Promise<void> {
    return new Promise((done, rejected) => {
      this.waiting.push({ operations, done, failed: rejected });
      this.flushing ??= this.flush();
    });
  }

  private async flush(): Promise<void> {
    while (this.waiting.length > 0) {
      const group = this.waiting;
      this.waiting = [];
      try {
        await this.db.batch(
          group.flatMap(({ operations }) => operations),
          { sync: true },
        );
        for (const { done } of group) done();
      } catch (cause) {
        // Whatever was decided on top of these is void too: its heads were never true.
        this.heads.clear();
        for (const write of [...group, ...this.waiting.splice(0)]) write.failed(cause);
      }
    }
    this.flushing = undefined;
  }

  private async flushed(): Promise<void> {
    await this.flushing;
  }
}
