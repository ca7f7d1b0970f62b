/**
 * A transfer on its way out, from its start to its end: begins the activity, sends under one run after the other, takes it up
 * again when a drop has interrupted it, and stops for nobody but the app.
 */

import {
  type MemberId,
  memberId,
  type Offset,
  RostrumError,
  type TransferInfo,
  type TransferPoint,
} from "@rostrum/protocol";
import { backoff } from "../engine/pulse.ts";
import type { Source as Observed } from "../observable.ts";
import type { SendingProgress, SendOptions, TransferSource } from "../transfer-view.ts";
import { infoOf } from "../transfer-view.ts";
import { Feed } from "./feed.ts";
import type { PorterHost } from "./porter.ts";
import { sourceOf } from "./source.ts";
import type { Interruption, Track } from "./track.ts";
import { type UploadHost, upload } from "./upload.ts";

/** What shows the app how far it is. */
export interface Shown {
  readonly progress: Observed<SendingProgress>;
  readonly receivedBy: Observed<readonly MemberId[]>;
}

/** A transfer that is new, or one that was begun before, with what it is to be sent from. */
export type Errand =
  | { readonly source: TransferSource; readonly options: SendOptions }
  | { readonly source: TransferSource; readonly id: Offset; readonly signal?: AbortSignal | undefined };

type End = { readonly id: Offset; readonly bytes: number; readonly digest: string };

export interface OutgoingHost extends UploadHost {
  readonly porter: PorterHost;
  /** Resolves when the session is live. */
  readonly live: (signal: AbortSignal) => Promise<void>;
  /** Resolves when an interruption of it that is on its way has come about. */
  readonly letGo: (id: Offset) => Promise<void> | undefined;
}

const has = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof RostrumError && codes.includes(error.code);

export class Outgoing {
  readonly id: Promise<Offset>;
  readonly done: Promise<End>;
  private readonly stop = new AbortController();
  private feed: Feed | undefined;
  private track: Track | undefined;
  /** The app has stopped it, and has to start it again. */
  private paused = false;
  /** An interruption of our own is on its way. */
  private interrupting = false;
  /** The interruption that the app does not want any more. */
  private overruled: Interruption | undefined;
  private wake: (() => void) | undefined;
  private sent = 0;
  private flowing = false;
  private phase: "starting" | "under-way" | "done" | "failed" = "starting";
  private resent = 0;
  private size: number | undefined;
  /** Tries to take it up again since bytes last went. */
  private attempts = 0;

  constructor(
    private readonly errand: Errand,
    private readonly host: OutgoingHost,
    private readonly shown: Shown,
  ) {
    const signal = "id" in errand ? errand.signal : errand.options.signal;
    const aborted = (): void => this.stop.abort(signal?.reason);
    if (signal?.aborted === true) aborted();
    else signal?.addEventListener("abort", aborted, { once: true });
    this.id = this.begin();
    const given = new Promise<never>((_, reject) => {
      const { signal: stopped } = this.stop;
      if (stopped.aborted) reject(stopped.reason);
      else stopped.addEventListener("abort", () => reject(stopped.reason), { once: true });
    });
    this.done = Promise.race([given, this.id.then((id) => this.run(id))])
      .then(
        (end) => this.over("done", end),
        (error: unknown) => {
          this.over("failed", undefined, error);
          throw error;
        },
      )
      .finally(() => signal?.removeEventListener("abort", aborted));
    for (const each of [this.id, this.done]) each.catch(() => {});
  }

  get isOver(): boolean {
    return (this.phase === "done" || this.phase === "failed") && this.track?.isOver !== false;
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.interrupt();
    this.look();
  }

  resume(): void {
    this.paused = false;
    this.overruled = this.track?.interruption;
    this.look();
  }

  abort(reason?: string): void {
    this.stop.abort(
      new RostrumError("TRANSFER_ABORTED", `The transfer was given up here: ${reason ?? "no reason given"}.`, {
        why: "asked",
        reason: reason ?? null,
      }),
    );
  }

  /** The session is over here: nothing more is done for it. */
  close(error: RostrumError): void {
    this.track?.fail(error);
    this.phase = this.phase === "done" ? "done" : "failed";
    this.stop.abort(error);
  }

  // ---- beginning ----

  private async begin(): Promise<Offset> {
    this.stop.signal.throwIfAborted();
    return "id" in this.errand ? this.takeUp(this.errand.id) : this.start(this.errand.options);
  }

  private async start(options: SendOptions): Promise<Offset> {
    const from = this.errand.source;
    const source = sourceOf(from);
    const blob = from instanceof Blob ? from : undefined;
    const { name = (blob as Partial<File> | undefined)?.name ?? "transfer", data, to } = options;
    const { nameLength } = this.host.porter.limits();
    if (name === "" || name.length > nameLength) {
      throw new RostrumError(
        "USAGE",
        `The name of a transfer has 1 to ${nameLength} characters; this has ${name.length}. Pass another as its name.`,
      );
    }
    const size = source.size ?? options.size;
    const type = options.type ?? blob?.type;
    this.size = size;
    this.feed = new Feed(source, size);
    this.show();
    const info: TransferInfo = {
      ...(size === undefined ? {} : { size }),
      ...(type === undefined || type === "" ? {} : { type }),
      ...(data === undefined ? {} : { data: this.host.porter.payload(data) }),
    };
    const { offset: id } = await this.host.porter.submit({
      type: "activity-start",
      kind: "transfer",
      name,
      data: info,
      ...(to === undefined ? {} : { to: to.map(memberId) }),
    });
    this.follow(id);
    if (this.stop.signal.aborted) this.giveUp(this.stop.signal.reason);
    return id;
  }

  /** Another life of the page, or another device, has begun it: the bytes that are there have to be those of this source. */
  private async takeUp(id: Offset): Promise<Offset> {
    const { signal } = this.stop;
    await this.host.live(signal);
    await this.host.letGo(id);
    const track = this.follow(id);
    const state = track.state;
    if (state?.kind !== "transfer") {
      throw new RostrumError(
        "ACTIVITY_UNKNOWN",
        `There is no transfer ${id} that could be taken up; nothing was sent.`,
        {
          activity: id,
        },
      );
    }
    const source = sourceOf(this.errand.source);
    const { size } = infoOf(state);
    this.size = size;
    this.feed = new Feed(source, size);
    if (size !== undefined && source.size !== undefined && size !== source.size) {
      throw new RostrumError(
        "TRANSFER_SOURCE",
        `The transfer "${state.name}" has ${size} bytes, and what was given has ${source.size}; nothing was sent. Choose the same file.`,
        { size, found: source.size },
      );
    }
    const point = state.confirmed?.data as TransferPoint | undefined;
    if (point !== undefined) {
      await this.feed.compare(point);
      this.sent = point.bytes;
    }
    signal.throwIfAborted();
    if (!(state.status === "running" && state.holder === this.host.self())) await this.resumeRun(id);
    signal.throwIfAborted();
    return id;
  }

  private follow(id: Offset): Track {
    const track = this.host.track(id);
    this.track = track;
    track.watch(() => this.look());
    this.look();
    return track;
  }

  // ---- under way ----

  private async run(id: Offset): Promise<End> {
    const { feed, track } = this;
    const { signal } = this.stop;
    if (feed === undefined || track === undefined) throw new RostrumError("USAGE", "A transfer without a source.");
    this.phase = "under-way";
    if (this.paused) this.interrupt();
    const hooks = {
      sent: (upTo: number, bytes: number) => {
        this.attempts = 0;
        this.resent += Math.max(0, Math.min(bytes, this.sent - (upTo - bytes)));
        this.sent = Math.max(this.sent, upTo);
        this.show();
      },
      flowing: (flowing: boolean) => {
        this.flowing = flowing;
        this.show();
      },
    };
    for (;;) {
      const run = await this.runnable(id, track);
      if (typeof run !== "number") return { id, ...run };
      try {
        return { id, ...(await upload(this.host, id, run, feed, hooks, signal)) };
      } catch (error) {
        if (!has(error, "ACTIVITY_INTERRUPTED")) throw error;
      }
    }
  }

  /** The run under which bytes may go, once they may; or what it has come to. */
  private async runnable(id: Offset, track: Track): Promise<Offset | TransferPoint> {
    const { signal } = this.stop;
    for (;;) {
      signal.throwIfAborted();
      const { failure, result, state, interruption } = track;
      if (failure !== undefined) throw failure;
      if (result !== undefined) return result;
      if (state?.status === "running") {
        if (state.holder === this.host.self() && !this.paused) return state.run;
        if (state.holder !== this.host.self()) throw this.taken(id);
      } else if (this.isMeant(interruption)) {
        this.paused = true;
        this.show();
      } else if (!this.paused && this.host.porter.pass() !== undefined) {
        await this.again(signal);
        await this.resumeRun(id).catch((error: unknown) => {
          // The log says what has come of it.
          if (!has(error, "ACTIVITY_RUNNING", "ACTIVITY_UNKNOWN", "OUTCOME_UNKNOWN")) throw error;
        });
        continue;
      }
      if (state?.status === "interrupted" && !this.paused) await this.host.live(signal);
      else await this.change(signal);
    }
  }

  /** Not in a tight loop, if the server interrupts it each time. */
  private async again(signal: AbortSignal): Promise<void> {
    const wait = this.attempts === 0 ? 0 : backoff(this.attempts, Math.random());
    this.attempts += 1;
    if (wait === 0) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, wait);
      signal.addEventListener("abort", done, { once: true });
    });
    signal.throwIfAborted();
  }

  private async resumeRun(id: Offset): Promise<void> {
    await this.host.porter.submit({ type: "activity-resume", activity: id });
  }

  /** Stopped by somebody of this user through its activity, or handed on: that is the app's will as much as `pause`. */
  private isMeant(interruption: Interruption | undefined): boolean {
    if (interruption === undefined || interruption.by === null || interruption === this.overruled) return false;
    if (!this.interrupting || interruption.by !== this.host.self()) return true;
    // It was asked for here, and perhaps taken back meanwhile.
    this.overruled = interruption;
    return false;
  }

  private interrupt(): void {
    const { state } = this.track ?? {};
    if (state?.status !== "running" || state.holder !== this.host.self() || this.phase !== "under-way") return;
    this.interrupting = true;
    this.host.porter
      .submit({ type: "activity-interrupt", activity: state.id, run: state.run })
      // Somebody else was first, or it is over: the log says so.
      .catch(() => {})
      .finally(() => {
        this.interrupting = false;
      });
  }

  private taken(id: Offset): RostrumError {
    return new RostrumError(
      "ACTIVITY_NOT_HELD",
      "The transfer was taken up by another device of the user, or by whom it was handed to; it goes on there.",
      { activity: id, holder: this.track?.state?.holder ?? null },
    );
  }

  private change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener("abort", done);
        this.wake = undefined;
        resolve();
      };
      this.wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }

  private look(): void {
    this.wake?.();
    const { track } = this;
    if (track !== undefined) this.shown.receivedBy.set([...track.receivers]);
    this.show();
  }

  // ---- the end ----

  private over(phase: "done" | "failed", end: End, error?: undefined): End;
  private over(phase: "done" | "failed", end: undefined, error: unknown): undefined;
  private over(phase: "done" | "failed", end: End | undefined, error?: unknown): End | undefined {
    const closed = this.phase === "failed";
    this.phase = phase;
    this.feed?.close(error);
    this.show();
    if (phase === "failed" && !closed) this.giveUp(error);
    return end;
  }

  /** What is given up here is given up for all; what cannot go on from here may go on from elsewhere. */
  private giveUp(error: unknown): void {
    const { state } = this.track ?? {};
    if (state === undefined || state.status === "ended") return;
    if (this.stop.signal.aborted) {
      const reason = has(error, "TRANSFER_ABORTED") ? (error as RostrumError).details["reason"] : String(error);
      this.host.porter
        .submit({
          type: "activity-discard",
          activity: state.id,
          ...(typeof reason === "string" && reason !== "" ? { reason: reason.slice(0, 500) } : {}),
        })
        .catch(() => {});
    } else if (state.status === "running" && state.holder === this.host.self()) {
      this.host.porter.submit({ type: "activity-interrupt", activity: state.id, run: state.run }).catch(() => {});
    }
  }

  private show(): void {
    const { phase, sent, resent, size } = this;
    const state = phase !== "under-way" ? phase : this.paused ? "paused" : this.flowing ? "running" : "waiting";
    this.shown.progress.set({
      state,
      sent,
      confirmed: this.track?.stored ?? 0,
      resent,
      ...(size === undefined ? {} : { size }),
    });
  }
}
