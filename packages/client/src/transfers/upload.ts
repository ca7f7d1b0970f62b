/**
 * Sends the bytes of an activity under one of its runs, over the lane, as far as the server asks for them. Survives the loss
 * of the lane; the end of the run ends it.
 */

import { type Limits, type Offset, RostrumError, type TransferPoint } from "@rostrum/protocol";
import { backoff } from "../engine/pulse.ts";
import type { Feed } from "./feed.ts";
import type { Lane, LaneHost, LaneUser } from "./lane.ts";
import type { Track } from "./track.ts";
import { turn } from "./turn.ts";

export interface UploadHooks {
  /** Bytes up to `upTo` were handed to the lane; `bytes` of them now. */
  readonly sent?: (upTo: number, bytes: number) => void;
  /** Whether the server takes bytes at present, or is waited for. */
  readonly flowing?: (flowing: boolean) => void;
}

/** What an upload needs of the session. */
export interface UploadHost extends Pick<LaneHost, "session"> {
  readonly lane: Lane;
  readonly self: () => string | undefined;
  /** Bytes between two points of the server. */
  readonly interval: () => number;
  /** How the activity stands, as entries tell. */
  readonly track: (id: Offset) => Track;
}

/** Refusals of which the log says more, sooner or later: until it does, it is asked again, for so many times in a row. */
const patience = 12;
const told: ReadonlySet<string> = new Set([
  "ACTIVITY_INTERRUPTED",
  "ACTIVITY_NOT_HELD",
  "ACTIVITY_UNKNOWN",
  "TRANSFER_ABORTED",
  "FRAME_INVALID",
  "REPLACED",
]);

const runOver = (activity: Offset, run: Offset): RostrumError =>
  new RostrumError("ACTIVITY_INTERRUPTED", `Run ${run} of the transfer is over.`, { activity, run });

/**
 * Resolves when the server has all of it and the log says so.
 * @throws RostrumError ACTIVITY_INTERRUPTED if the run is over, TRANSFER_SOURCE, and what the activity came to: TRANSFER_ABORTED,
 * TRANSFER_REFUSED, TRANSFER_DIGEST …
 * @throws the signal's reason
 */
export const upload = (
  host: UploadHost,
  activity: Offset,
  run: Offset,
  feed: Feed,
  hooks: UploadHooks,
  signal: AbortSignal,
): Promise<TransferPoint> => new Upload(host, activity, run, feed, hooks).run(signal);

class Upload implements LaneUser {
  private readonly track: Track;
  private limits: Limits | undefined;
  /** The next byte, and where what the server asked for ends; `undefined`: it has not said yet. */
  private at = 0;
  private upTo: number | undefined;
  /** Largest piece that the server wants at present. */
  private most = Infinity;
  private finished = false;
  private pumping = false;
  /** The server has asked for more since the pump last looked. */
  private asked = false;
  private attempts = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private settle:
    | { readonly resolve: (end: TransferPoint) => void; readonly reject: (error: unknown) => void }
    | undefined;

  constructor(
    private readonly host: UploadHost,
    readonly activity: Offset,
    private readonly under: Offset,
    private readonly feed: Feed,
    private readonly hooks: UploadHooks,
  ) {
    this.track = host.track(activity);
  }

  async run(signal: AbortSignal): Promise<TransferPoint> {
    signal.throwIfAborted();
    const aborted = (): void => this.settle?.reject(signal.reason);
    const undo: (() => void)[] = [];
    try {
      return await new Promise<TransferPoint>((resolve, reject) => {
        this.settle = { resolve, reject };
        signal.addEventListener("abort", aborted, { once: true });
        undo.push(this.track.watch(() => this.look()));
        this.look();
        if (this.settle !== undefined) undo.push(this.host.lane.attach(this));
      });
    } finally {
      this.settle = undefined;
      clearTimeout(this.timer);
      signal.removeEventListener("abort", aborted);
      for (const each of undo) each();
      this.hooks.flowing?.(false);
    }
  }

  // ---- as a user of the lane ----

  opened(limits: Limits): void {
    this.limits = limits;
    this.ask();
  }

  proceed(at: number, upTo: number, piece: number = Infinity): void {
    this.most = piece;
    // The first answer says where to go on; later ones only how far.
    if (this.upTo === undefined) {
      this.at = at;
      this.finished = false;
      this.hooks.flowing?.(true);
    } else this.attempts = 0;
    this.upTo = upTo;
    this.asked = true;
    void this.pump();
  }

  refused(error: RostrumError): void {
    this.pause();
    this.attempts += 1;
    const mends = error.retryable || told.has(error.code);
    if (!mends || (!error.retryable && this.attempts > patience)) return this.fail(error);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), backoff(this.attempts, Math.random()));
  }

  lost(): void {
    this.limits = undefined;
    this.pause();
  }

  failed(error: RostrumError): void {
    this.fail(error);
  }

  // ---- inside ----

  private pause(): void {
    this.upTo = undefined;
    clearTimeout(this.timer);
    this.hooks.flowing?.(false);
  }

  private ask(): void {
    if (this.limits === undefined || this.settle === undefined) return;
    this.upTo = undefined;
    this.host.lane.send({ type: "upload", session: this.host.session, activity: this.activity, run: this.under });
  }

  private fail(error: unknown): void {
    this.settle?.reject(error);
    this.settle = undefined;
  }

  /** The log has moved. */
  private look(): void {
    const { state, result, failure, stored } = this.track;
    if (failure !== undefined) return this.fail(failure);
    if (result !== undefined) {
      this.settle?.resolve(result);
      this.settle = undefined;
      return;
    }
    if (state?.status !== "running" || state.run !== this.under || state.holder !== this.host.self())
      return this.fail(runOver(this.activity, this.under));
    this.feed.forget(stored);
    this.asked = true;
    void this.pump();
  }

  /** Sends what may be sent, a piece in each turn of the event loop. */
  private async pump(): Promise<void> {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while (this.asked) {
        this.asked = false;
        while (await this.step()) await turn();
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.pumping = false;
    }
  }

  /** Sends one piece. Answers whether there may be more to do. */
  private async step(): Promise<boolean> {
    const { at, limits } = this;
    if (limits === undefined || this.upTo === undefined || this.finished || this.settle === undefined) return false;
    // What a fault costs, and what is kept here of a stream, is bounded: a server may be slow to set its points.
    const upTo = Math.min(this.upTo, this.track.stored + this.host.interval() + limits.laneBytes);
    if (at >= upTo && at !== this.feed.size) return false;
    // At the end that was announced, the source is asked whether it has more.
    const piece = await this.feed.read(at, at >= upTo ? 1 : Math.min(limits.chunkBytes, this.most, upTo - at));
    // The lane may have been lost meanwhile, or begun anew elsewhere.
    const end = at + (piece?.length ?? 0);
    if (this.upTo === undefined || end > this.upTo || this.at !== at || this.settle === undefined) return true;
    const { session } = this.host;
    const { activity } = this;
    if (piece === undefined) {
      this.finished = true;
      this.host.lane.send({ type: "finish", session, activity, bytes: at, digest: this.feed.digest() });
      return false;
    }
    this.at = end;
    this.host.lane.send({ type: "chunk", session, activity, at, bytes: piece });
    this.hooks.sent?.(end, piece.length);
    return true;
  }
}
