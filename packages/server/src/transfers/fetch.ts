/** One member's reading of a transfer: piece by piece, up to what is confirmed, as far as the reader has room. */

import { type Activity, type Offset, RostrumError, type SessionId, storedBytes } from "@rostrum/protocol";
import type { BlobReader, BlobStore } from "../blobs.ts";
import type { Traffic } from "./traffic.ts";
import type { Turns } from "./turns.ts";

export interface FetchRim {
  readonly session: SessionId;
  readonly activity: Offset;
  readonly blob: string;
  readonly blobs: BlobStore;
  readonly turns: Turns;
  readonly traffic: Traffic;
  /** As it stands, if it concerns who reads. */
  present(): Activity | undefined;
  /** Resolves when the connection takes more. */
  clear(): Promise<void>;
  send(at: number, bytes: Uint8Array, end: boolean): void;
  refused(error: RostrumError): void;
  /** The last piece was sent, or it was refused. */
  over(): void;
}

const nothing = new Uint8Array(0);

export class Fetch {
  private busy = false;
  private stopped = false;
  private complete = false;
  private reader: BlobReader | undefined;
  /** The reader has said that it has everything before. */
  private taken: number;

  constructor(
    private readonly rim: FetchRim,
    private at: number,
    private upTo: number,
  ) {
    this.taken = at;
  }

  /** There is room for more. `false`: this is no part of what is being read. */
  raise(at: number, upTo: number): boolean {
    if (at < this.taken || at > this.at) return false;
    this.taken = at;
    this.upTo = Math.max(this.upTo, upTo);
    this.wake();
    return true;
  }

  /** All was sent, and this was said before its reader had heard so: it goes on from what it had said before. */
  isLate(at: number): boolean {
    return this.complete && at > this.taken && at <= this.at;
  }

  /** Something has changed: more is confirmed, or it has ended, or there is more room. */
  wake(): void {
    if (this.busy || this.stopped) return;
    this.busy = true;
    this.rim.turns.take(() => {
      this.step()
        .then((again) => {
          this.busy = false;
          if (again) this.wake();
        })
        .catch((cause: unknown) => {
          const failed = new RostrumError("BLOB_FAILED", "The bytes could not be read. Try again.", {}, { cause });
          this.refuse(cause instanceof RostrumError ? cause : failed);
        });
    });
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    // A reader that does not like to be closed is none the better for being told so.
    this.reader?.close().catch(() => {});
  }

  /** Sends a piece. Answers whether there may be more to do. */
  private async step(): Promise<boolean> {
    const present = this.rim.present();
    if (this.stopped) return false;
    // Why, those who follow it are told.
    if (present === undefined) return false;
    const stored = storedBytes(present);
    const ended = present.status === "ended";
    const length = Math.min(stored, this.upTo, this.at + this.rim.traffic.room.chunkBytes) - this.at;
    if (ended && this.at > stored) {
      this.refuse(
        new RostrumError("FRAME_INVALID", `Byte ${this.at} was asked for, and the transfer has ${stored}.`, {
          at: this.at,
          bytes: stored,
        }),
      );
      return false;
    }
    if (length <= 0) {
      if (ended && this.at === stored) this.deliver(nothing, true);
      return false;
    }
    const bytes = await this.read(length);
    await this.rim.clear();
    if (this.stopped) return false;
    const now = this.rim.present();
    this.deliver(bytes, now?.status === "ended" && this.at + bytes.length === storedBytes(now));
    return true;
  }

  private async read(length: number): Promise<Uint8Array> {
    this.reader ??= await this.rim.blobs.read(this.rim.session, this.rim.blob);
    if (this.stopped) {
      await this.reader.close();
      return nothing;
    }
    const bytes = await this.reader.read(this.at, length);
    if (bytes.length === 0 && !this.stopped)
      throw new RostrumError("BLOB_FAILED", `Nothing could be read from byte ${this.at}.`, { at: this.at });
    return bytes;
  }

  private deliver(bytes: Uint8Array, end: boolean): void {
    this.rim.send(this.at, bytes, end);
    this.at += bytes.length;
    if (!end) return;
    this.complete = true;
    this.stop();
    this.rim.over();
  }

  /** It goes no further. */
  refuse(error: RostrumError): void {
    if (this.stopped) return;
    this.stop();
    this.rim.refused(error);
    this.rim.over();
  }
}
