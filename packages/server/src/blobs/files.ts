/**
 * Blobs as files: a folder per session, a file per blob. A session's folder is called by the hash of its id, as an id may
 * be anything; a blob's file by its name, with capitals marked, as some file systems do not tell them from small letters.
 */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rmdir, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { SessionId } from "@rostrum/protocol";
import type { BlobReader, BlobStore, BlobWriter } from "../blobs.ts";
import { codeOf, orAbsent, sizeOf, syncFolder, told } from "./disk.ts";
import { FileReader } from "./file-reader.ts";
import { FileWriter } from "./file-writer.ts";
import { beyond, checkName, checkWhole, closed, removed, replaced, unknown } from "./refusals.ts";

const fileOf = (blob: string): string => `b-${blob.replace(/[A-Z]/g, (capital) => `+${capital.toLowerCase()}`)}`;

/** `undefined`: not one of ours. */
const blobOf = (file: string): string | undefined =>
  /^b-(?:[a-z0-9_-]|\+[a-z])+$/.test(file)
    ? file.slice(2).replace(/\+(.)/g, (_, letter: string) => letter.toUpperCase())
    : undefined;

/** A file that writers and readers have open here. */
interface Opened {
  writer: FileWriter | undefined;
  by: number;
}

/**
 * Blobs in a folder, which is made when the first one is written. It belongs to one process at a time; nothing but that is
 * expected of it, and files of others in it are left alone.
 *
 * @param ready What must have come true before anything there is touched.
 * @example fileBlobs("./data/blobs")
 */
export const fileBlobs = (folder: string, ready: Promise<unknown> = Promise.resolve()): BlobStore =>
  new FileBlobs(resolve(folder), ready);

class FileBlobs implements BlobStore {
  readonly durable = true;
  /** By path; only while somebody has it open. */
  private readonly opened = new Map<string, Opened>();
  private readonly handles = new Set<FileWriter | FileReader>();
  /** What makes and removes files of a session goes one after the other. */
  private readonly turns = new Map<string, Promise<unknown>>();
  /** The lowest folder that was there before us: from a blob's folder up to it, all must be flushed. */
  private base: string;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly folder: string,
    private readonly ready: Promise<unknown>,
  ) {
    this.base = folder;
  }

  async size(session: SessionId, blob: string): Promise<number | undefined> {
    const { path } = this.place(session, blob);
    await this.start();
    const written = this.opened.get(path)?.writer?.size;
    return written ?? (await told(`The size of the blob ${blob} could not be read`, () => sizeOf(path)));
  }

  async write(session: SessionId, blob: string, at: number): Promise<BlobWriter> {
    checkWhole("at", at);
    const { folder, path } = this.place(session, blob);
    return this.inTurn(folder, () =>
      told(`The blob ${blob} could not be opened for writing from ${at}`, async () => {
        const before = this.opened.get(path)?.writer;
        const size = before?.size ?? (await sizeOf(path)) ?? 0;
        if (at > size) throw beyond(blob, at, size);
        await before?.end(replaced(blob));
        return this.writer(folder, path, blob, at);
      }),
    );
  }

  async read(session: SessionId, blob: string): Promise<BlobReader> {
    const { folder, path } = this.place(session, blob);
    return this.inTurn(folder, () =>
      told(`The blob ${blob} could not be opened for reading`, async () => {
        const handle = await orAbsent(open(path, "r"));
        if (handle === undefined) throw unknown(blob);
        const opened = this.open(path);
        const reader = new FileReader({
          blob,
          handle,
          written: () => opened.writer?.size,
          onClosed: () => this.letGo(path, opened, reader),
        });
        this.handles.add(reader);
        return reader;
      }),
    );
  }

  async list(session: SessionId): Promise<readonly string[]> {
    await this.start();
    return told("The session's blobs could not be listed", () => listOf(this.folderOf(session)));
  }

  async remove(session: SessionId, blob: string): Promise<void> {
    const { folder, path } = this.place(session, blob);
    await this.inTurn(folder, () =>
      told(`The blob ${blob} could not be removed`, async () => {
        if (await this.unlink(path, blob)) await this.tidy(folder);
      }),
    );
  }

  async removeAll(session: SessionId): Promise<void> {
    const folder = this.folderOf(session);
    await this.inTurn(folder, () =>
      told("The session's blobs could not be removed", async () => {
        for (const blob of await listOf(folder)) await this.unlink(join(folder, fileOf(blob)), blob);
        await this.tidy(folder);
      }),
    );
  }

  close(): Promise<void> {
    this.closing ??= this.letGoOfAll();
    return this.closing;
  }

  // ---- inside ----

  private folderOf(session: SessionId): string {
    return join(this.folder, createHash("sha256").update(session).digest("hex"));
  }

  private place(session: SessionId, blob: string): { readonly folder: string; readonly path: string } {
    checkName(blob);
    const folder = this.folderOf(session);
    return { folder, path: join(folder, fileOf(blob)) };
  }

  private async start(): Promise<void> {
    if (this.closing !== undefined) throw closed("blob store");
    await this.ready;
  }

  private inTurn<T>(folder: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.turns.get(folder) ?? Promise.resolve()).then(async () => {
      await this.start();
      return work();
    });
    const over = mine
      .catch(() => {})
      .then(() => {
        if (this.turns.get(folder) === over) this.turns.delete(folder);
      });
    this.turns.set(folder, over);
    return mine;
  }

  private open(path: string): Opened {
    const opened = this.opened.get(path) ?? { writer: undefined, by: 0 };
    opened.by += 1;
    this.opened.set(path, opened);
    return opened;
  }

  private letGo(path: string, opened: Opened, handle: FileWriter | FileReader): void {
    this.handles.delete(handle);
    opened.by -= 1;
    if (opened.writer === handle) opened.writer = undefined;
    if (opened.by === 0 && this.opened.get(path) === opened) this.opened.delete(path);
  }

  private async writer(folder: string, path: string, blob: string, at: number): Promise<FileWriter> {
    const made = await mkdir(folder, { recursive: true });
    if (made !== undefined && this.folder.startsWith(made)) this.base = dirname(made);
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, constants.O_RDWR | constants.O_CREAT);
      const { size } = await handle.stat();
      if (size < at) throw beyond(blob, at, size);
      if (size > at) {
        await handle.truncate(at);
        // At once: what was cut off must not come back under bytes that are flushed later.
        await handle.sync();
      }
    } catch (cause) {
      await handle?.close().catch(() => {});
      // Only if it is empty.
      await rmdir(folder).catch(() => {});
      throw cause;
    }
    const opened = this.open(path);
    const writer = new FileWriter({
      blob,
      handle,
      size: at,
      keep: () => this.keep(folder),
      onClosed: () => this.letGo(path, opened, writer),
    });
    opened.writer = writer;
    this.handles.add(writer);
    return writer;
  }

  /** Makes it durable that there are files in a session's folder. */
  private async keep(folder: string): Promise<void> {
    for (let at = folder; ; at = dirname(at)) {
      await syncFolder(at);
      if (at === this.base || at === dirname(at)) return;
    }
  }

  /** Whether there was one. */
  private async unlink(path: string, blob: string): Promise<boolean> {
    const opened = this.opened.get(path);
    await opened?.writer?.end(removed(blob));
    const gone = await orAbsent(unlink(path).then(() => true));
    // Who reads it goes on with what was there; a new blob of this name is none of theirs.
    this.opened.delete(path);
    return gone ?? false;
  }

  /** After files were removed from a session's folder. */
  private async tidy(folder: string): Promise<void> {
    try {
      await rmdir(folder);
    } catch (cause) {
      const code = codeOf(cause);
      if (code === "ENOENT") return;
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw cause;
      return syncFolder(folder);
    }
    await syncFolder(this.folder);
  }

  private async letGoOfAll(): Promise<void> {
    // Who is opening a file has it open then, and nobody comes after.
    await Promise.all(this.turns.values());
    // A disk that fails at closing fails for bytes that nobody had flushed.
    await Promise.allSettled([...this.handles].map((each) => each.close()));
  }
}

/** Sorted; none if there is no folder. */
const listOf = async (folder: string): Promise<readonly string[]> =>
  ((await orAbsent(readdir(folder))) ?? []).flatMap((file) => blobOf(file) ?? []).sort();
