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
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
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

export class FileWriter implements BlobWriter {
  private landed: number;
  private flushed: number;
  private kept = false;
  /** Why nothing more is taken. */
  private over: RostrumError | undefined;
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
    return this.next(() => this.put(bytes));
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

  private next(work: () => Promise<void>): Promise<void> {
    const done = this.tail.then(() => {
      this.check();
      return work();
    });
    this.tail = done.catch(() => {});
    return done;
  }

  private check(): void {
    if (this.over !== undefined) throw this.over;
  }

  private async put(bytes: Uint8Array): Promise<void> {
    const { blob, handle } = this.options;
    const at = this.landed;
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
        if (bytesWritten === 0) throw new Error("The disk takes nothing.");
        done += bytesWritten;
        this.check();
      }
      this.landed = at + bytes.length;
    } catch (cause) {
      await this.cut(at);
      throw (this.over ??= refusalOf(
        cause,
        `The blob ${blob} could not grow by ${bytes.length} bytes at ${at}`,
        `It was cut back to ${at} bytes, and this writer takes nothing more. Open the blob anew, at its size.`,
        { blob, bytes: bytes.length, size: at },
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
