/** One member's reading of a transfer: piece by piece, up to what is confirmed, as far as the reader has room. */

import { type Activity, type Offset, RostrumError, type SessionId, storedBytes } from "@rostrum/protocol";
import type { BlobReader, BlobStore } from "../blobs.ts";
import type { Outlet, Ticket } from "./outlet.ts";
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
  /** The way out: whether a piece may be read for it, and whether it takes one more. */
  readonly outlet: Pick<Outlet, "enter" | "leave" | "clear">;
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
  private begun = false;
  /** What it waits for. */
  private ticket: Ticket | undefined;
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
    }, this.isWanted);
  }

  private readonly isWanted = (): boolean => !this.stopped;

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    // What it has read for a connection that takes nothing is let go of at once.
    this.ticket?.cancel();
    this.rest();
  }

  /** Nothing is to be read for now: whoever asks for little and waits holds no file open. */
  private rest(): void {
    const { reader } = this;
    this.reader = undefined;
    // A reader that does not like to be closed is none the better for being told so.
    reader?.close().catch(() => {});
  }

  private async wait(ticket: Ticket): Promise<boolean> {
    this.ticket = ticket;
    const come = await ticket.ready;
    this.ticket = undefined;
    return come;
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
      else this.rest();
      return false;
    }
    const { outlet } = this.rim;
    if (!(await this.wait(outlet.enter()))) return false;
    try {
      return await this.piece(length);
    } finally {
      outlet.leave();
    }
  }

  private async piece(length: number): Promise<boolean> {
    // The first is read when it can go: what begins anew again and again, for a connection that takes nothing, reads nothing.
    if (!this.begun) await this.wait(this.rim.outlet.clear());
    this.begun = true;
    if (this.stopped) return false;
    const bytes = await this.read(length);
    if (this.stopped) return false;
    await this.wait(this.rim.outlet.clear());
    if (this.stopped) return false;
    const now = this.rim.present();
    this.deliver(bytes, now?.status === "ended" && this.at + bytes.length === storedBytes(now));
    return true;
  }

  private async read(length: number): Promise<Uint8Array> {
    const reader = this.reader ?? (await this.rim.blobs.read(this.rim.session, this.rim.blob));
    if (this.stopped) {
      await reader.close();
      return nothing;
    }
    this.reader = reader;
    const bytes = await reader.read(this.at, length);
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
