/** One blob's file while it is read. */

import type { FileHandle } from "node:fs/promises";
import type { BlobReader } from "../blobs.ts";
import { told } from "./disk.ts";
import { checkWhole, closed } from "./refusals.ts";

export interface FileReaderOptions {
  readonly blob: string;
  readonly handle: FileHandle;
  /** What the file's writer has written whole, if it has a writer. */
  readonly written: () => number | undefined;
  readonly onClosed: () => void;
}

export class FileReader implements BlobReader {
  private closing: Promise<void> | undefined;

  constructor(private readonly options: FileReaderOptions) {}

  async read(from: number, length: number): Promise<Uint8Array> {
    checkWhole("from", from);
    checkWhole("length", length);
    if (this.closing !== undefined) throw closed("blob's reader");
    const { blob, handle, written } = this.options;
    return told(`The blob ${blob} could not be read from ${from}`, async () => {
      // What a writer has under way may yet be cut off.
      const end = written() ?? (await handle.stat()).size;
      const bytes = new Uint8Array(Math.max(0, Math.min(length, end - from)));
      let done = 0;
      while (done < bytes.length) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, from + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    });
  }

  close(): Promise<void> {
    this.closing ??= this.options.handle.close().finally(this.options.onClosed);
    return this.closing;
  }
}
