/**
 * One blob's file while it is written. Appends land in the order of the calls. A flush waits for those before it; those after
 * it do not wait for the flush: a disk that flushes is no reason to stop receiving.
 */

import type { RostrumError } from "@rostrum/protocol";
import type { BlobWriter } from "../blobs.ts";
import { refusalOf } from "./disk.ts";
import { closed } from "./refusals.ts";

/** What is used of a `FileHandle`. */
export interface WrittenFile {
  writev(pieces: readonly Uint8Array[], position: number): Promise<{ bytesWritten: number }>;
  truncate(size: number): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

export interface FileWriterOptions {
  readonly blob: string;
  readonly handle: WrittenFile;
  /** Bytes in the file. */
  readonly size: number;
  /** Makes it durable that the file is there. */
  readonly keep: () => Promise<void>;
  readonly onClosed: () => void;
}

interface Append {
  readonly bytes: Uint8Array;
  readonly landed: () => void;
  readonly failed: (error: unknown) => void;
}

/** Most bytes that are written at once, and most pieces, of which systems take 1,024. */
const mostBytes = 4_194_304;
const mostPieces = 256;

export class FileWriter implements BlobWriter {
  private landed: number;
  private flushed: number;
  private kept = false;
  /** Why nothing more is taken. */
  private over: RostrumError | undefined;
  private readonly waiting: Append[] = [];
  /** The last append that was asked for, and the last flush. */
  private tail: Promise<void> = Promise.resolve();
  private syncing: Promise<void> = Promise.resolve();
  private closing: Promise<void> | undefined;

  constructor(private readonly options: FileWriterOptions) {
    this.landed = options.size;
    this.flushed = options.size;
  }

  get size(): number {
    return this.landed;
  }

  append(bytes: Uint8Array): Promise<void> {
    const done = new Promise<void>((landed, failed) => this.waiting.push({ bytes, landed, failed }));
    // What has come while the disk was at work goes there at once: a disk takes much as soon as little.
    this.tail = this.tail.then(() => this.drain());
    return done;
  }

  flush(): Promise<void> {
    const done = Promise.all([this.tail, this.syncing]).then(() => {
      this.check();
      return this.sync();
    });
    this.syncing = done.catch(() => {});
    return done;
  }

  close(): Promise<void> {
    this.closing ??= Promise.all([this.tail, this.syncing]).then(async () => {
      this.over ??= closed("blob's writer");
      try {
        await this.options.handle.close();
      } catch (cause) {
        throw refusalOf(cause, `The blob ${this.options.blob} could not be closed`, `It has ${this.landed} bytes.`);
      } finally {
        this.options.onClosed();
      }
    });
    return this.closing;
  }

  /** Refuses everything from here on, what waits included. Resolves when nothing can land any more. */
  async end(why: RostrumError): Promise<void> {
    this.over ??= why;
    // Whether the disk liked the closing matters to nobody: its bytes are given up.
    await this.close().catch(() => {});
  }

  private async drain(): Promise<void> {
    let bytes = 0;
    let count = 0;
    for (const { length } of this.waiting.map((append) => append.bytes)) {
      if (count > 0 && (count === mostPieces || bytes + length > mostBytes)) break;
      bytes += length;
      count += 1;
    }
    const batch = this.waiting.splice(0, count);
    if (batch.length === 0) return;
    try {
      this.check();
      await this.put(
        batch.map((append) => append.bytes),
        bytes,
      );
      for (const { landed } of batch) landed();
    } catch (error) {
      for (const { failed } of batch) failed(error);
    }
  }

  private check(): void {
    if (this.over !== undefined) throw this.over;
  }

  private async put(pieces: readonly Uint8Array[], length: number): Promise<void> {
    const { blob, handle } = this.options;
    const at = this.landed;
    try {
      let left = pieces;
      for (let done = 0; done < length; ) {
        const { bytesWritten } = await handle.writev(left, at + done);
        if (bytesWritten === 0) throw new Error("The disk takes nothing.");
        done += bytesWritten;
        left = behind(left, bytesWritten);
        this.check();
      }
      this.landed = at + length;
    } catch (cause) {
      await this.cut(at);
      throw (this.over ??= refusalOf(
        cause,
        `The blob ${blob} could not grow by ${length} bytes at ${at}`,
        `It was cut back to ${at} bytes, and this writer takes nothing more. Open the blob anew, at its size.`,
        { blob, bytes: length, size: at },
      ));
    }
  }

  private async sync(): Promise<void> {
    const { blob, handle, keep } = this.options;
    const upTo = this.landed;
    if (this.kept && this.flushed >= upTo) return;
    const bytes = upTo - this.flushed;
    try {
      await handle.datasync();
      if (!this.kept) await keep();
      this.kept = true;
      this.flushed = upTo;
    } catch (cause) {
      this.over ??= refusalOf(
        cause,
        `The last ${bytes} bytes of the blob ${blob} could not be flushed`,
        `It was cut back to ${this.flushed} bytes, and this writer takes nothing more. Open the blob anew, at its size.`,
        { blob, bytes, size: this.flushed },
      );
      // An append under way finds that it is over, and cuts off what it wrote.
      await this.tail;
      // A disk that failed to flush once may say "done" the next time for bytes it has dropped: they are not trusted.
      this.landed = this.flushed;
      await this.cut(this.flushed);
      throw this.over;
    }
    this.check();
  }

  /** If it cannot be cut, this writer's `size` still tells how much is good. */
  private async cut(at: number): Promise<void> {
    await this.options.handle.truncate(at).catch(() => {});
  }
}

/** What is left of the pieces behind so many bytes. */
const behind = (pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] => {
  let skip = bytes;
  return pieces.flatMap((piece) => {
    const from = Math.min(skip, piece.length);
    skip -= from;
    return from < piece.length ? [piece.subarray(from)] : [];
  });
};
