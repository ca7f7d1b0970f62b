/** A source with the SHA-256 of what was read of it: each byte is hashed once, in the pass in which it is first sent. */

import { RostrumError, type TransferPoint } from "@rostrum/protocol";
import { type Hash, sha256 } from "./hash.ts";
import type { Source } from "./source.ts";
import { turn } from "./turn.ts";

const pieceBytes = 262_144;

export class Feed {
  private readonly hash: Hash = sha256();
  /** Everything before is in the hash. */
  private hashed = 0;

  constructor(
    private readonly source: Source,
    /** Bytes that were announced, if any were. */
    readonly size: number | undefined,
  ) {}

  /** The next bytes from `at` on, at most `most`; `undefined`: that was all. @throws RostrumError TRANSFER_SOURCE */
  async read(at: number, most: number): Promise<Uint8Array | undefined> {
    await this.advance(at);
    const piece = await this.source.read(at, most);
    if (piece === undefined) {
      if (this.size !== undefined && at !== this.size) throw this.otherSize(at);
      return undefined;
    }
    this.take(at, piece);
    if (this.size !== undefined && at + piece.length > this.size) throw this.otherSize(at + piece.length);
    return piece;
  }

  /**
   * Reads up to the point, without sending anything.
   * @throws RostrumError TRANSFER_SOURCE if those are not the bytes of the point
   */
  async compare({ bytes, digest }: TransferPoint): Promise<void> {
    await this.advance(bytes, true);
    if (bytes > 0 && this.digest() !== digest) {
      throw new RostrumError(
        "TRANSFER_SOURCE",
        `The first ${bytes} bytes are not those that were sent before; nothing was sent. Choose the same file, or send this one as a transfer of its own.`,
        { bytes },
      );
    }
  }

  /** Of all that was read. */
  digest(): string {
    return this.hash.digest();
  }

  forget(before: number): void {
    this.source.forget(before);
  }

  close(reason?: unknown): void {
    this.source.close(reason);
  }

  /** `done`: it will not be asked for again. */
  private async advance(to: number, done = false): Promise<void> {
    while (this.hashed < to) {
      const at = this.hashed;
      const piece = await this.source.read(at, Math.min(pieceBytes, to - at));
      if (piece === undefined) {
        throw new RostrumError(
          "TRANSFER_SOURCE",
          `The server has ${to} bytes of it, and what was given has only ${at}; nothing was sent.`,
          { bytes: to, found: at },
        );
      }
      this.take(at, piece);
      if (done) this.source.forget(this.hashed);
      await turn();
    }
  }

  private take(at: number, piece: Uint8Array): void {
    if (at + piece.length <= this.hashed) return;
    this.hash.update(piece.subarray(this.hashed - at));
    this.hashed = at + piece.length;
  }

  private otherSize(found: number): RostrumError {
    return new RostrumError(
      "TRANSFER_SOURCE",
      `The transfer was to have ${this.size} bytes, and there are ${found > (this.size ?? 0) ? "more" : `only ${found}`}; it was interrupted.`,
      { size: this.size ?? null, found },
    );
  }
}
