/** Where a transfer's bytes come from. What can be read again is; of the rest, what may have to be sent again is kept. */

import { RostrumError } from "@rostrum/protocol";
import type { TransferSource } from "../transfer-view.ts";

/** Bytes by their position. */
export interface Source {
  /** Bytes in all, if that is known before the end. */
  readonly size: number | undefined;
  /** At most `most` bytes from `at` on; `undefined`: it ends there. @throws RostrumError TRANSFER_SOURCE */
  read(at: number, most: number): Promise<Uint8Array | undefined>;
  /** What is before will not be asked for again. */
  forget(before: number): void;
  /** No more will be read. */
  close(reason?: unknown): void;
}

const unreadable = (at: number, cause: unknown): RostrumError =>
  new RostrumError(
    "TRANSFER_SOURCE",
    `What is sent cannot be read from byte ${at} on: ${String(cause)}.`,
    { at },
    { cause },
  );

const inMemory = (bytes: Uint8Array): Source => ({
  size: bytes.length,
  read: async (at, most) => (at < bytes.length ? bytes.subarray(at, at + most) : undefined),
  forget: () => {},
  close: () => {},
});

/** Measured: reading a file by pieces of a quarter of this costs twice the time. */
const blockBytes = 1_048_576;
/**
 * Blocks that are read ahead. In Node each reading gets on by 64 KiB in a turn of the event loop, of which a sender has few:
 * one at a time would be the slowest part of a transfer.
 */
const ahead = 4;

/** Reads whole blocks, the next ones while the present one is sent. */
class InBlob implements Source {
  readonly size: number;
  private readonly blocks = new Map<number, Promise<Uint8Array>>();

  constructor(private readonly blob: Blob) {
    this.size = blob.size;
  }

  async read(at: number, most: number): Promise<Uint8Array | undefined> {
    if (at >= this.size) return undefined;
    const start = at - (at % blockBytes);
    try {
      const wanted = this.block(start);
      const last = Math.min(start + ahead * blockBytes, this.size - 1);
      for (let next = start + blockBytes; next <= last; next += blockBytes) this.block(next).catch(() => {});
      const block = await wanted;
      for (const old of this.blocks.keys()) if (old < start || old > last) this.blocks.delete(old);
      return block.subarray(at - start, at - start + most);
    } catch (cause) {
      this.blocks.clear();
      // A file was changed or removed on the disk.
      throw unreadable(at, cause);
    }
  }

  forget(): void {}

  close(): void {
    this.blocks.clear();
  }

  private block(start: number): Promise<Uint8Array> {
    const known = this.blocks.get(start);
    if (known !== undefined) return known;
    const block = this.blob
      .slice(start, start + blockBytes)
      .arrayBuffer()
      .then((buffer) => new Uint8Array(buffer));
    this.blocks.set(start, block);
    return block;
  }
}

/** Of what flows by once, the bytes from the last confirmed point on are kept: the server may go back there. */
class Flowing implements Source {
  readonly size: undefined;
  private readonly pieces: Uint8Array[] = [];
  /** What is kept lies in `[base, end)`. */
  private base = 0;
  private end = 0;
  private over = false;
  private pulling: Promise<void> | undefined;

  constructor(
    private readonly next: () => Promise<IteratorResult<Uint8Array, unknown>>,
    private readonly stop: (reason?: unknown) => unknown,
  ) {}

  async read(at: number, most: number): Promise<Uint8Array | undefined> {
    if (at < this.base) {
      throw new RostrumError(
        "TRANSFER_SOURCE",
        `The server goes back to byte ${at}, and of what is sent only the bytes from ${this.base} on are still here; it is a stream that cannot be read again. Send it anew.`,
        { at, kept: this.base },
      );
    }
    while (at >= this.end && !this.over) await (this.pulling ??= this.pull());
    let from = this.base;
    for (const piece of this.pieces) {
      if (at < from + piece.length) return piece.subarray(at - from, at - from + most);
      from += piece.length;
    }
    return undefined;
  }

  forget(before: number): void {
    for (let first = this.pieces[0]; first !== undefined && this.base + first.length <= before; [first] = this.pieces) {
      this.base += first.length;
      this.pieces.shift();
    }
  }

  close(reason?: unknown): void {
    const { over } = this;
    this.over = true;
    this.pieces.length = 0;
    this.base = this.end;
    if (!over) Promise.resolve(this.stop(reason)).catch(() => {});
  }

  private async pull(): Promise<void> {
    try {
      const { done, value } = await this.next();
      if (this.over) return;
      if (done === true) this.over = true;
      else if (!ArrayBuffer.isView(value)) throw new Error(`a ${typeof value} came, a Uint8Array is due`);
      else if (value.byteLength > 0) {
        this.pieces.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
        this.end += value.byteLength;
      }
    } catch (cause) {
      throw unreadable(this.end, cause);
    } finally {
      this.pulling = undefined;
    }
  }
}

/** @throws RostrumError USAGE */
export const sourceOf = (from: TransferSource): Source => {
  if (from instanceof Blob) return new InBlob(from);
  if (ArrayBuffer.isView(from)) return inMemory(new Uint8Array(from.buffer, from.byteOffset, from.byteLength));
  if (typeof from === "object" && "getReader" in from) {
    const reader = from.getReader();
    return new Flowing(
      () => reader.read() as Promise<IteratorResult<Uint8Array, unknown>>,
      (reason) => reader.cancel(reason),
    );
  }
  if (typeof from === "object" && Symbol.asyncIterator in from) {
    const iterator = from[Symbol.asyncIterator]();
    return new Flowing(
      () => iterator.next(),
      () => iterator.return?.(),
    );
  }
  throw new RostrumError(
    "USAGE",
    "What is to be sent is no Blob, stream, async iterable or Uint8Array; nothing was sent.",
  );
};
