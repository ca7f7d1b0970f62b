/** A transfer on its way in: a stream that goes on after drops, and tells its sender when all of it was received. */

import { type Activity as ActivityState, type MemberId, type Offset, RostrumError } from "@rostrum/protocol";
import { awaited } from "../awaited.ts";
import { observable, type Source } from "../observable.ts";
import { type IncomingTransfer, type ReceivingProgress, saidOf } from "../transfer-view.ts";
import { download } from "./download.ts";
import type { PorterHost } from "./porter.ts";
import type { Track } from "./track.ts";
import type { UploadHost } from "./upload.ts";

export class Incoming implements IncomingTransfer {
  readonly id: Offset;
  readonly from: MemberId | null;
  readonly name: string;
  readonly type?: string;
  readonly size?: number;
  readonly data?: unknown;
  readonly progress: Source<ReceivingProgress>;
  private readonly track: Track;
  private reading = false;
  private flowing = false;
  private received = 0;
  private end: "done" | "failed" | undefined;

  constructor(
    activity: ActivityState,
    private readonly host: PorterHost,
    private readonly means: UploadHost,
  ) {
    this.id = activity.id;
    this.from = activity.by;
    this.name = activity.name;
    Object.assign(this, saidOf(activity));
    this.track = means.track(activity.id);
    this.progress = observable(this.present());
    this.track.watch(() => this.show());
  }

  stream({ signal }: { readonly signal?: AbortSignal } = {}): ReadableStream<Uint8Array> {
    const stop = new AbortController();
    let bytes: AsyncGenerator<Uint8Array, void> | undefined;
    /** Nothing more is read; with a reason, it was stopped before its end. */
    const over = (end: "done" | "failed" | undefined, reason?: unknown): void => {
      if (bytes === undefined) return;
      signal?.removeEventListener("abort", aborted);
      stop.abort(reason);
      // If it waits to be read, nobody will.
      bytes.return().catch(() => {});
      bytes = undefined;
      this.reading = false;
      this.end = end;
      this.show();
    };
    let control: ReadableStreamDefaultController<Uint8Array> | undefined;
    const aborted = (): void => {
      over("failed", signal?.reason);
      control?.error(signal?.reason);
    };
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          signal?.throwIfAborted();
          if (this.reading)
            throw new RostrumError("USAGE", `The transfer "${this.name}" is being read already; nothing was fetched.`);
          control = controller;
          this.reading = true;
          this.end = undefined;
          this.received = 0;
          signal?.addEventListener("abort", aborted, { once: true });
          bytes = this.bytes(stop.signal);
        },
        pull: async (controller) => {
          try {
            const next = await bytes?.next();
            if (next?.done === false) return controller.enqueue(next.value);
            // It may have been stopped meanwhile, and says why by itself.
            if (bytes === undefined) return;
            over("done");
            controller.close();
          } catch (error) {
            over("failed", error);
            throw error;
          }
        },
        cancel: (reason) => over(undefined, reason),
      },
      // Nothing is fetched before somebody reads.
      { highWaterMark: 0 },
    );
  }

  async blob(options: { readonly signal?: AbortSignal } = {}): Promise<Blob> {
    const reader = this.stream(options).getReader();
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts, this.type === undefined ? {} : { type: this.type });
      parts.push(value as Uint8Array<ArrayBuffer>);
    }
  }

  decline(reason?: string): Promise<void> {
    const { to, declined = [] } = this.track.state ?? {};
    const self = this.host.self();
    // Of what is for everybody, nobody in particular is waited for.
    if (to === undefined || (self !== undefined && declined.includes(self))) return Promise.resolve();
    return awaited(
      this.host
        .submit({
          type: "activity-decline",
          activity: this.id,
          ...(reason === undefined || reason === "" ? {} : { reason: reason.slice(0, 500) }),
        })
        .then(() => {}),
    );
  }

  private async *bytes(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const hooks = {
      received: (bytes: number) => {
        this.received = bytes;
        this.show();
      },
      flowing: (flowing: boolean) => {
        this.flowing = flowing;
        this.show();
      },
    };
    yield* download(this.means, this.id, hooks, signal);
    const { state } = this.track;
    const self = this.host.self();
    if (state?.status !== "ended" || self === undefined || state.waiting?.includes(self) !== true) return;
    // It stays in the outbox until it is stored. Refused, somebody else has said so for this member.
    this.host.submit({ type: "activity-confirm", activity: this.id, serial: state.next - 1 }).catch(() => {});
  }

  private show(): void {
    this.progress.set(this.present());
  }

  private present(): ReceivingProgress {
    const { state, failure, stored } = this.track;
    const moving = this.flowing && (state?.status === "running" || state?.status === "ended");
    const idle = failure === undefined ? "idle" : "failed";
    return {
      state: this.end ?? (this.reading ? (moving ? "running" : "waiting") : idle),
      received: this.received,
      available: Math.max(stored, this.received),
      ...(this.size === undefined ? {} : { size: this.size }),
    };
  }
}
