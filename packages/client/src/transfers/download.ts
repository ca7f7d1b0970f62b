/**
 * Receives the bytes of an activity, as far as the reader has room, and goes on at the very byte after the loss of the lane.
 * What has come in full is compared with the SHA-256 in the log.
 */

import { type Limits, type Offset, RostrumError } from "@rostrum/protocol";
import { backoff } from "../engine/pulse.ts";
import { type Hash, sha256 } from "./hash.ts";
import type { LaneUser } from "./lane.ts";
import type { Track } from "./track.ts";
import type { UploadHost } from "./upload.ts";

export interface DownloadHooks {
  /** Bytes that have come so far. */
  readonly received?: (bytes: number) => void;
  /** Whether bytes can come at present, or a lane is waited for. */
  readonly flowing?: (flowing: boolean) => void;
}

/** Refusals by a server that is not where the log is yet: asked again, for so many times in a row. */
const patience = 12;

/**
 * The bytes in order, as they are confirmed; ends when the activity has ended and all of it has come.
 * @throws RostrumError TRANSFER_DIGEST, and what the activity came to: TRANSFER_ABORTED …
 * @throws the signal's reason
 */
export async function* download(
  host: UploadHost,
  activity: Offset,
  hooks: DownloadHooks,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  signal.throwIfAborted();
  const reading = new Download(host, activity, hooks);
  const undo = [host.track(activity).watch(() => reading.wake())];
  const wake = (): void => reading.wake();
  signal.addEventListener("abort", wake, { once: true });
  undo.push(host.lane.attach(reading));
  try {
    for (;;) {
      signal.throwIfAborted();
      const piece = reading.next();
      if (piece !== undefined) yield piece;
      else if (reading.isWhole) return;
      else await reading.news();
    }
  } finally {
    signal.removeEventListener("abort", wake);
    reading.close();
    for (const each of undo) each();
  }
}

class Download implements LaneUser {
  private readonly track: Track;
  private readonly hash: Hash = sha256();
  private limits: Limits | undefined;
  private readonly pieces: Uint8Array[] = [];
  /** Bytes that have come, that were handed on, and that were asked for. */
  private received = 0;
  private taken = 0;
  private wanted = 0;
  /** The server says that there are no more. */
  private ended = false;
  private error: unknown;
  private attempts = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private waking: (() => void) | undefined;

  constructor(
    private readonly host: UploadHost,
    readonly activity: Offset,
    private readonly hooks: DownloadHooks,
  ) {
    this.track = host.track(activity);
  }

  /** All has come and is what it should be. @throws RostrumError what is wrong */
  get isWhole(): boolean {
    const { failure, result } = this.track;
    if (failure !== undefined) throw failure;
    if (this.error !== undefined) throw this.error;
    // The log may be behind the lane.
    if (!this.ended || result === undefined) return false;
    const digest = this.hash.digest();
    if (digest === result.digest && this.received === result.bytes) return true;
    throw new RostrumError(
      "TRANSFER_DIGEST",
      `${this.received} bytes came, with the SHA-256 ${digest}; ${result.bytes} with ${result.digest} were sent. Do not use them; fetch it again.`,
      { bytes: result.bytes, digest: result.digest, received: this.received, found: digest },
    );
  }

  /** A piece that has come; taking it makes room for another. */
  next(): Uint8Array | undefined {
    const piece = this.pieces.shift();
    if (piece === undefined) return undefined;
    this.taken += piece.length;
    const window = this.limits?.laneBytes ?? 0;
    if (!this.ended && this.wanted - this.taken <= window / 2) this.ask();
    return piece;
  }

  /** Resolves when something has changed. */
  news(): Promise<void> {
    return new Promise((resolve) => {
      this.waking = resolve;
    });
  }

  wake(): void {
    this.waking?.();
    this.waking = undefined;
  }

  close(): void {
    clearTimeout(this.timer);
    const { session } = this.host;
    const { activity, received: at } = this;
    // Nobody reads it any more. Said also at its end: what is asked for next begins anew, and is not more of this.
    if (this.limits !== undefined) this.host.lane.send({ type: "fetch", session, activity, at, upTo: at });
    this.hooks.flowing?.(false);
  }

  // ---- as a user of the lane ----

  opened(limits: Limits): void {
    this.limits = limits;
    if (this.ended) return;
    this.hooks.flowing?.(true);
    this.ask();
  }

  bytes(at: number, bytes: Uint8Array, end: boolean): void {
    if (this.ended || at > this.received) return;
    // What came before over another lane may come again.
    const fresh = bytes.subarray(Math.min(bytes.length, this.received - at));
    if (fresh.length > 0) {
      this.attempts = 0;
      this.hash.update(fresh);
      this.received += fresh.length;
      this.pieces.push(fresh);
      this.hooks.received?.(this.received);
    }
    if (end && at + bytes.length === this.received) this.ended = true;
    this.wake();
  }

  refused(error: RostrumError): void {
    if (this.ended) return;
    this.hooks.flowing?.(false);
    this.attempts += 1;
    const mends = error.retryable || ["ACTIVITY_UNKNOWN", "FRAME_INVALID", "TRANSFER_ABORTED"].includes(error.code);
    const gone = this.track.state === undefined;
    if (!mends || gone || (!error.retryable && this.attempts > patience)) return this.failed(error);
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => {
        if (this.limits !== undefined) this.opened(this.limits);
      },
      backoff(this.attempts, Math.random()),
    );
  }

  lost(): void {
    this.limits = undefined;
    clearTimeout(this.timer);
    this.hooks.flowing?.(false);
  }

  failed(error: RostrumError): void {
    this.error = error;
    this.wake();
  }

  // ---- inside ----

  private ask(): void {
    if (this.limits === undefined) return;
    this.wanted = this.taken + this.limits.laneBytes;
    this.host.lane.send({
      type: "fetch",
      session: this.host.session,
      activity: this.activity,
      at: this.received,
      upTo: this.wanted,
    });
  }
}
