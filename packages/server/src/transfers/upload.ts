/**
 * One upload at work: takes chunks in order, writes and hashes them, sets the activity's points and ends it. It outlives
 * the lane that carries it: the next one goes on at the exact byte, as long as this process has it at work.
 */

import { createHash, type Hash } from "node:crypto";
import {
  type Activity,
  type ActivityConfig,
  type Limits,
  type MemberCommand,
  type Offset,
  RostrumError,
  type ServerCommand,
  type SessionId,
  storedBytes,
  type TransferInfo,
  type TransferPoint,
} from "@rostrum/protocol";
import type { BlobStore, BlobWriter } from "../blobs.ts";
import { hashUpTo } from "./blob.ts";
import type { Claim, Credit } from "./credit.ts";
import { Progress } from "./progress.ts";
import type { Traffic } from "./traffic.ts";
import type { Turns } from "./turns.ts";

/** The lane, as what it carries sees it. */
export interface Carrier {
  /** Bytes are taken up to `at`, and may be sent up to `upTo`. */
  proceed(activity: Offset, at: number, upTo: number, piece: number): void;
  /** It goes no further on this lane. */
  refused(activity: Offset, error: RostrumError): void;
  /** All is done. */
  done(activity: Offset): void;
}

/** What all uploads of a server share. */
export interface Means {
  readonly blobs: BlobStore;
  readonly limits: Limits;
  readonly credit: Credit;
  readonly turns: Turns;
  readonly traffic: Traffic;
  /** Uploads that have a file open, or are about to. */
  readonly files: { open: number };
}

/** Most of those: who waits for memory has a file open, and a process has only so many. */
export const mostFiles = 1_024;

/** What an upload needs of its session. */
export interface UploadRim {
  readonly session: SessionId;
  readonly activity: Offset;
  readonly blob: string;
  /** As it stands. */
  present(): Activity | undefined;
  config(): ActivityConfig;
  /** Bytes that the session keeps besides this one's. */
  others(): number;
  submit(command: MemberCommand | ServerCommand, answer: (refused: RostrumError | undefined) => void): void;
  /** It is over: what is still under way ends with `end()`. */
  over(): void;
}

/** What the two sides say of the whole. */
interface Ending {
  readonly bytes: number;
  readonly digest: string;
}

/** Chunks are joined up to so many bytes. */
const joinedBytes = 65_536;

const typed = (cause: unknown): RostrumError =>
  cause instanceof RostrumError
    ? cause
    : new RostrumError("BLOB_FAILED", "The bytes could not be stored. Try again.", {}, { cause });

export class Upload {
  /** `parked`: without a lane, and without a file that is open. */
  private phase: "parked" | "opening" | "open" | "over" = "parked";
  private carrier: Carrier | undefined;
  private run: Offset = 0;
  private progress = new Progress(0, -1);
  private hash: Hash | undefined;
  private hashed = 0;
  private writer: BlobWriter | undefined;
  private readonly queue: Uint8Array[] = [];
  /** Appends and flushes under way. */
  private pending = 0;
  private asking = false;
  private planned = false;
  private ending: Ending | undefined;
  private finishing = false;
  /** Opening and closing, one after the other. */
  private work: Promise<unknown>;
  private readonly claim: Claim = { held: 0, touched: 0, stalled: () => this.stalled() };

  /** `after`: who had the blob before lets go of it. */
  constructor(
    private readonly means: Means,
    private readonly rim: UploadRim,
    after: Promise<unknown>,
  ) {
    this.work = after;
  }

  /** Bytes of it in memory. */
  get held(): number {
    return this.progress.received - this.progress.written;
  }

  get received(): number {
    return this.progress.received;
  }

  get carried(): boolean {
    return this.carrier !== undefined;
  }

  /** A lane carries it from here on, under this run. Another one that did is told so. */
  attach(carrier: Carrier, run: Offset): void {
    if (this.carrier !== carrier) {
      this.halt(
        new RostrumError("REPLACED", "The upload goes on over another lane of its member; nothing was lost.", {
          at: this.progress.received,
        }),
      );
    }
    this.withdraw();
    this.carrier = carrier;
    this.run = run;
    if (!this.finishing) this.ending = undefined;
    const { confirmed } = this.rim.present() ?? { confirmed: null };
    // A point that was under way when the activity was interrupted was refused: it is due now.
    this.progress.pointed = (confirmed?.data as TransferPoint | undefined)?.bytes ?? -1;
    if (this.phase === "parked") this.open();
    else if (this.phase === "open") this.begin();
  }

  /** Its lane is gone. What was received is stored all the same. */
  detach(carrier: Carrier): void {
    if (this.carrier !== carrier) return;
    this.carrier = undefined;
    this.withdraw();
    this.rest();
  }

  /** Takes it off its lane, which is told why. */
  halt(error: RostrumError): void {
    const { carrier } = this;
    if (carrier === undefined) return;
    this.detach(carrier);
    carrier.refused(this.rim.activity, error);
  }

  chunk(carrier: Carrier, at: number, bytes: Uint8Array): void {
    if (this.carrier !== carrier || this.phase === "over") return;
    const { size } = this.info();
    const { bytes: most, bytesInAll } = this.rim.config();
    const others = size === undefined ? this.rim.others() : 0;
    const fault =
      this.phase !== "open" || this.ending !== undefined
        ? new RostrumError("FRAME_INVALID", `A chunk came for byte ${at}, and none was asked for; it was not taken.`, {
            at,
          })
        : this.progress.fault(at, bytes.length, { size, bytes: most, bytesInAll, others });
    if (fault !== undefined) return fault.code === "FRAME_INVALID" ? this.halt(fault) : this.fail(fault);
    this.progress.received += bytes.length;
    this.means.credit.use(this.claim);
    this.queue.push(bytes);
    this.plan();
  }

  finish(carrier: Carrier, ending: Ending): void {
    if (this.carrier !== carrier || this.phase === "over" || this.finishing) return;
    if (this.phase !== "open") {
      return this.halt(
        new RostrumError(
          "FRAME_INVALID",
          "The end came before the server had said where to go on; ask to upload first.",
        ),
      );
    }
    this.ending = ending;
    this.plan();
  }

  /** It can come to nothing: the activity is given up, and what it took is freed. */
  private fail(error: RostrumError): void {
    const { carrier } = this;
    void this.end();
    this.rim.over();
    carrier?.refused(this.rim.activity, error);
    const reason = `${error.code}: ${error.message}`.slice(0, 500);
    this.rim.submit({ type: "activity-fail", activity: this.rim.activity, reason }, () => {});
  }

  /** The disk does not do what it should. What is stored up to the last point is good. */
  private broken(cause: unknown): void {
    if (this.phase === "over") return;
    const error = typed(cause);
    const present = this.rim.present();
    // A full disk is not emptied by waiting for it; a state is asked for anew.
    if (error.code === "BLOB_FULL" || error.code === "TRANSFER_DIGEST" || present?.kind === "state")
      return this.fail(error);
    const { carrier, run } = this;
    void this.end();
    this.rim.over();
    carrier?.refused(this.rim.activity, error);
    if (present?.status === "running" && present.run === run)
      this.rim.submit({ type: "activity-interrupt", activity: this.rim.activity, run }, () => {});
  }

  /** Nothing more is done. Resolves when nothing is under way and the file is closed. */
  end(): Promise<unknown> {
    if (this.phase === "over") return this.work;
    this.phase = "over";
    this.carrier = undefined;
    this.withdraw();
    this.queue.length = 0;
    this.work = this.work
      .then(() => this.close())
      .then(() => {
        this.progress.written = this.progress.received;
        this.means.credit.giveBack(this.claim, this.claim.held);
      });
    return this.work;
  }

  // ---- the file ----

  /** How often it was opened and has not been closed yet: closing may still be due when it is opened again. */
  private opens = 0;

  private open(): void {
    this.phase = "opening";
    this.opens += 1;
    this.means.files.open += 1;
    this.work = this.work.then(() => this.opened()).catch((cause: unknown) => this.broken(cause));
  }

  private async opened(): Promise<void> {
    const { blobs, turns } = this.means;
    const { session, blob } = this.rim;
    if (this.hash === undefined) {
      const present = this.rim.present();
      if (this.phase === "over" || present === undefined) return;
      const point = present.confirmed?.data as TransferPoint | undefined;
      this.hash = point === undefined ? createHash("sha256") : await hashUpTo(blobs, session, blob, point, turns);
      this.hashed = point?.bytes ?? 0;
      this.progress = new Progress(this.hashed, point?.bytes ?? -1);
    }
    if (this.isOver()) return;
    this.writer = await blobs.write(session, blob, this.progress.received);
    if (this.isOver()) return;
    this.phase = "open";
    if (this.carrier === undefined) this.rest();
    else this.begin();
  }

  // Behind an `await`, what was narrowed before it is no longer so.
  private isOver(): boolean {
    return this.phase === "over";
  }

  private async close(): Promise<void> {
    const { writer } = this;
    this.writer = undefined;
    if (this.opens > 0) {
      this.opens -= 1;
      this.means.files.open -= 1;
    }
    // What it had to say, its appends and flushes have said.
    await writer?.close().catch(() => {});
  }

  /** Without a lane and with nothing under way, it needs no open file. */
  private rest(): void {
    const busy = this.queue.length > 0 || this.pending > 0 || this.ending !== undefined;
    if (this.phase !== "open" || this.carrier !== undefined || busy) return;
    this.phase = "parked";
    this.work = this.work.then(() => this.close());
  }

  // ---- credit ----

  private info(): TransferInfo {
    return (this.rim.present()?.data ?? {}) as TransferInfo;
  }

  /** Where to go on, and how far: at once if nothing more is due, else when there is room. */
  private begin(): void {
    this.ask(true);
  }

  private ask(first = false): void {
    const { credit, traffic } = this.means;
    if (this.carrier === undefined || this.asking || this.finishing) return;
    const { laneBytes, chunkBytes } = traffic.room;
    const { bytes, due } = this.progress.wants(this.info().size, laneBytes, chunkBytes);
    const proceed = (): void => {
      const { received, written, upTo } = this.progress;
      this.carrier?.proceed(this.rim.activity, first ? received : written, upTo, chunkBytes);
    };
    if (first && bytes <= 0) return proceed();
    if (!first && !due) return;
    this.asking = true;
    credit.ask(this.claim, bytes, chunkBytes, (granted) => {
      this.asking = false;
      this.progress.upTo += granted;
      proceed();
    });
  }

  /** What was allowed and has not come is no longer allowed. */
  private withdraw(): void {
    const { credit } = this.means;
    this.asking = false;
    credit.cancel(this.claim);
    const { owed } = this.progress;
    this.progress.upTo = this.progress.received;
    credit.giveBack(this.claim, owed);
  }

  private stalled(): void {
    if (this.progress.owed === 0) return;
    this.halt(
      new RostrumError(
        "SERVER_BUSY",
        `Others wait to send, and ${this.progress.owed} bytes that were asked for have not come. Go on later, at byte ${this.progress.received}.`,
        { at: this.progress.received },
      ),
    );
  }

  // ---- bytes ----

  private plan(): void {
    if (this.planned || this.phase === "over") return;
    this.planned = true;
    this.means.turns.take(() => {
      this.planned = false;
      this.step();
    });
  }

  private step(): void {
    if (this.phase !== "open") return;
    const bytes = this.next();
    if (bytes !== undefined) this.put(bytes);
    if (this.queue.length > 0) return this.plan();
    if (this.ending !== undefined && !this.finishing) this.conclude(this.ending);
    else this.rest();
  }

  /** What to write next: small chunks that have come meanwhile as one, or single bytes would come faster than they go. */
  private next(): Uint8Array | undefined {
    let count = 0;
    let bytes = 0;
    for (const { length } of this.queue) {
      if (count > 0 && bytes + length > joinedBytes) break;
      count += 1;
      bytes += length;
    }
    const taken = this.queue.splice(0, count);
    return taken.length > 1 ? Buffer.concat(taken, bytes) : taken[0];
  }

  /** Writes a chunk; where a point lies in it, hashes up to exactly there. */
  private put(bytes: Uint8Array): void {
    const from = this.hashed;
    let done = 0;
    for (const { to, point } of this.progress.cut(from, bytes.length, this.rim.config().interval)) {
      const piece = bytes.subarray(done, to - from);
      done = to - from;
      this.hash?.update(piece);
      this.hashed = to;
      this.under(this.writer?.append(piece), () => this.landed(piece.length));
      if (point) this.mark();
    }
  }

  private landed(bytes: number): void {
    if (this.phase === "over") return;
    this.progress.written += bytes;
    this.means.credit.giveBack(this.claim, bytes);
    this.ask();
  }

  /** Waits for the disk without waiting: what follows goes on meanwhile. */
  private under(work: Promise<void> | undefined, then: () => void): void {
    if (work === undefined) return;
    this.pending += 1;
    work.then(then).then(
      () => {
        this.pending -= 1;
        this.rest();
      },
      (cause: unknown) => {
        this.pending -= 1;
        this.broken(cause);
      },
    );
  }

  private digest(): string {
    return this.hash?.copy().digest("hex") ?? "";
  }

  /** A point at the byte up to which was hashed: set when that is durable. */
  private mark(): void {
    const point: TransferPoint = { bytes: this.hashed, digest: this.digest() };
    this.progress.pointed = point.bytes;
    this.under(this.writer?.flush(), () => this.set(point));
  }

  private set(data: TransferPoint): void {
    const present = this.rim.present();
    if (this.phase === "over" || present === undefined) return;
    if (present.confirmed !== null && storedBytes(present) >= data.bytes) return;
    this.rim.submit({ type: "activity-point", activity: this.rim.activity, run: this.run, data }, () => {});
  }

  /** All is written. If it is what the sender meant, the activity ends. */
  private conclude(ending: Ending): void {
    const { received } = this.progress;
    const { size = ending.bytes } = this.info();
    const own = this.digest();
    if (size !== ending.bytes || ending.bytes !== received || ending.digest !== own) {
      return this.fail(
        new RostrumError(
          "TRANSFER_DIGEST",
          `The transfer was to have ${size} bytes, its sender says it has ${ending.bytes} with SHA-256 ${ending.digest}, and ${received} with ${own} arrived. It was given up: the file changed while it was sent. Begin it anew.`,
          { size, bytes: received, said: ending.bytes, received: own, sent: ending.digest },
        ),
      );
    }
    this.finishing = true;
    this.under(this.writer?.flush(), () => {
      this.set({ bytes: received, digest: own });
      const { activity } = this.rim;
      this.rim.submit({ type: "activity-end", activity, run: this.run, result: ending }, (refused) => {
        this.finishing = false;
        // Interrupted meanwhile: whoever takes it up says again that this is all.
        if (refused !== undefined) {
          this.ending = undefined;
          this.begin();
        }
        this.rest();
      });
    });
  }

  /** The activity has ended: the lane need not carry it any more. */
  ended(): Promise<unknown> {
    this.carrier?.done(this.rim.activity);
    return this.end();
  }
}
