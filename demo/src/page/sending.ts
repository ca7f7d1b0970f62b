/** One transfer on its way out: how far it is, where it was broken off, where it went on, and what that cost. */

import type { OutgoingTransfer, RostrumError, SendingProgress, TransferView } from "@rostrum/client";
import { excuse } from "./excuse.ts";

/** What outlives the page, so that the next one can say what was sent again. */
interface Trace {
  readonly sent: number;
  readonly points: readonly number[];
  readonly again: readonly (readonly [from: number, to: number])[];
}

/** Where it was broken off, and what had been sent again until then. */
interface Break {
  readonly sent: number;
  readonly resent: number;
}

/** `orphan`: an earlier page had the file, and this one does not. */
export type SendingState = SendingProgress["state"] | "orphan";

const nothing: Trace = { sent: 0, points: [], again: [] };

export class Sending {
  id: number | undefined;
  state: SendingState = "starting";
  confirmed = 0;
  digest: string | undefined;
  /** Who has all of it. */
  receivers: readonly string[] = [];
  fault: string | undefined;
  private trace: Trace = nothing;
  private broken: Break | undefined;
  private before: SendingProgress["state"] = "starting";
  /** An earlier page sent so far, and this one has not gone on yet. */
  private taken: number | undefined;
  private outgoing: OutgoingTransfer | undefined;

  constructor(
    readonly key: string,
    readonly name: string,
    readonly size: number,
    /** Where traces are kept, of this session. */
    private readonly scope: string,
    private readonly changed: () => void,
  ) {}

  get sent(): number {
    return this.trace.sent;
  }
  get points(): readonly number[] {
    return this.trace.points;
  }
  get again(): readonly (readonly [from: number, to: number])[] {
    return this.trace.again;
  }
  get resent(): number {
    return this.trace.again.reduce((sum, [from, to]) => sum + to - from, 0);
  }
  get isOver(): boolean {
    return this.state === "done" || this.state === "failed";
  }

  /** A transfer that an earlier page has begun. */
  recall(view: TransferView): void {
    this.id = view.id;
    this.confirmed = view.bytes;
    const kept = localStorage.getItem(this.slot(view.id));
    this.trace = kept === null ? { ...nothing, sent: view.bytes } : (JSON.parse(kept) as Trace);
    this.state = "orphan";
  }

  follow(outgoing: OutgoingTransfer): void {
    if (this.outgoing === outgoing) return;
    this.outgoing = outgoing;
    this.fault = undefined;
    this.broken = undefined;
    this.taken = this.id === undefined ? undefined : this.trace.sent;
    this.before = "starting";
    const still = (): boolean => this.outgoing === outgoing;
    outgoing.progress.subscribe((progress) => still() && this.look(progress));
    outgoing.receivedBy.subscribe((members) => {
      this.receivers = members;
      this.changed();
    });
    outgoing.id.then(
      (id) => {
        this.id = id;
        this.changed();
      },
      (error: RostrumError) => {
        if (!still()) return;
        this.outgoing = undefined;
        this.fault = excuse(error);
        // Another file may be the right one.
        this.state = error.code === "TRANSFER_SOURCE" && this.id !== undefined ? "orphan" : "failed";
        this.changed();
      },
    );
    outgoing.done.then(
      ({ digest }) => {
        this.digest = digest;
        this.over("done");
      },
      (error: RostrumError) => {
        if (!still()) return;
        this.fault = excuse(error);
        this.over("failed");
      },
    );
    this.look(outgoing.progress.get());
  }

  get canPause(): boolean {
    return this.outgoing !== undefined && (this.state === "running" || this.state === "waiting");
  }

  pause(): void {
    this.outgoing?.pause();
  }

  resume(): void {
    this.outgoing?.resume();
  }

  /** Answers whether this page could do it. */
  giveUp(): boolean {
    this.outgoing?.abort("given up");
    return this.outgoing !== undefined;
  }

  /** Somebody else has ended it. */
  gone(): void {
    if (this.outgoing !== undefined || this.isOver) return;
    this.fault = "It was given up.";
    this.over("failed");
  }

  /** Where it went on the last time, and what was sent again for it. */
  get wentOn(): { readonly at: number; readonly again: number } | undefined {
    const last = this.trace.again.at(-1);
    return last === undefined ? undefined : { at: last[0], again: last[1] - last[0] };
  }

  private look(progress: SendingProgress): void {
    const { state, sent, confirmed, resent } = progress;
    const { before, trace } = this;
    this.before = state;
    if (state === "done" || state === "failed") return;
    this.state = state;
    if (before === "running" && state !== "running") this.broken = { sent, resent };
    let { again, points } = trace;
    if (state === "running") {
      const { broken, taken } = this;
      // A page that takes it up begins at the last point; one that had it all the time goes on at the very byte.
      if (taken !== undefined) again = [...again, [sent, Math.max(sent, taken)]];
      else if (broken !== undefined && before !== "running") again = [...again, [broken.sent, broken.sent]];
      else if (broken !== undefined && resent > broken.resent)
        again = [...again.slice(0, -1), [broken.sent - (resent - broken.resent), broken.sent]];
      this.taken = undefined;
    }
    if (confirmed > (points.at(-1) ?? 0)) points = [...points, confirmed];
    this.confirmed = Math.max(this.confirmed, confirmed);
    this.trace = { sent: Math.max(trace.sent, sent), points, again };
    if (this.id !== undefined) localStorage.setItem(this.slot(this.id), JSON.stringify(this.trace));
    this.changed();
  }

  private over(state: "done" | "failed"): void {
    this.state = state;
    if (state === "done") {
      this.confirmed = this.size;
      this.trace = { ...this.trace, sent: this.size };
    }
    if (this.id !== undefined) localStorage.removeItem(this.slot(this.id));
    this.changed();
  }

  private slot(id: number): string {
    return `${this.scope}:${id}`;
  }
}
