/** One activity as this member sees it: its points, its interruption and resumption. Decides nothing: the server does. */

import {
  type ActivityEntry,
  type Activity as ActivityState,
  type MemberCommand,
  type MemberId,
  memberId,
  type Offset,
  RostrumError,
  type Serial,
} from "@rostrum/protocol";
import { type ActivityPoint, type ActivityView, activityView, isHere, pointSeen, type Sight } from "./activity-view.ts";
import { awaited } from "./awaited.ts";
import type { Stored } from "./engine/outbox.ts";
import { type Observable, observable, type Source } from "./observable.ts";

/** What an activity needs of the session. */
export interface ActivityHost extends Sight {
  readonly submit: (command: MemberCommand) => Promise<Stored>;
  /** A copy as it travels. @throws RostrumError MESSAGE_INVALID */
  readonly payload: (value: unknown) => unknown;
}

const over = (name: string, id: Offset, reason: string): RostrumError =>
  new RostrumError("ACTIVITY_INTERRUPTED", `The activity "${name}" does not run here (any more): ${reason}.`, {
    activity: id,
    reason,
  });

/** How a view ends that has nothing behind it any more. */
const endOf = (entry: ActivityEntry | undefined): "ended" | "discarded" | "gone" =>
  entry?.type === "activity-ended" ? "ended" : entry?.type === "activity-discarded" ? "discarded" : "gone";

/** Why a run is over, in a word; `undefined`: it was brought to its end. */
const whyOver = (entry: ActivityEntry | undefined): string | undefined => {
  switch (entry?.type) {
    case "activity-ended":
      return undefined;
    case "activity-interrupted":
      return entry.reason;
    case "activity-discarded":
      return "discarded";
    case "activity-resumed":
      return "resumed";
    default:
      return "unknown";
  }
};

export class Activity implements Observable<ActivityView> {
  readonly get: () => ActivityView;
  readonly subscribe: (listener: (value: ActivityView) => void) => () => void;
  readonly id: Offset;
  readonly name: string;
  private readonly source: Source<ActivityView>;
  /** The run that is, or was last, this member's; else the last that was heard of: the server refuses what is not ours. */
  private run: Offset;
  private running: AbortController | undefined;
  private signal: AbortSignal;
  /** Points and resumptions of the last while, by the offset of their entry: what a command came to. */
  private readonly outcomes = new Map<Offset, ActivityPoint | null>();

  constructor(
    state: ActivityState,
    private readonly host: ActivityHost,
  ) {
    this.id = state.id;
    this.name = state.name;
    this.run = state.run;
    this.source = observable(activityView(state, host));
    this.get = this.source.get;
    this.subscribe = this.source.subscribe;
    this.signal = AbortSignal.abort(over(this.name, this.id, "elsewhere"));
    this.seen(state, undefined);
  }

  /**
   * The present run. Fires when it is over without having been brought to its end: interrupted, taken up again, here or by
   * somebody else, or discarded. It is as the log says: while the link is down nothing fires. If the activity does not run
   * here, it has fired. The reason is a `RostrumError` ACTIVITY_INTERRUPTED, `details.reason` says why: `asked`, `handed`,
   * `dropped`, `left`, `resumed`, `discarded`, `elsewhere` or `unknown`.
   */
  get lost(): AbortSignal {
    return this.signal;
  }

  /**
   * Sets a sync point: from here the activity goes on if it is interrupted. With `confirm`, only once somebody else (or the
   * server's app) has confirmed it: see `confirmed` in the view. Resolves when it is stored.
   * @throws RostrumError ACTIVITY_INTERRUPTED, ACTIVITY_NOT_HELD, SYNC_LIMIT (16 points wait for confirmation)
   * @example
   * await activity.point({ page: 12 })
   */
  point(data?: unknown, { confirm = false }: { readonly confirm?: boolean } = {}): Promise<ActivityPoint> {
    return awaited(
      this.submit(() => ({
        type: "activity-point",
        activity: this.id,
        run: this.run,
        ...(data === undefined ? {} : { data: this.host.payload(data) }),
        ...(confirm ? { confirm } : {}),
      })).then(({ offset }) => {
        const point = this.outcomes.get(offset);
        if (point !== undefined && point !== null) return point;
        throw this.unknown("The point was set, but which serial it has");
      }),
    );
  }

  /** Confirms the point with this serial, and all before it. @throws RostrumError SYNC_NOT_ASKED, SYNC_UNKNOWN */
  confirm(serial: Serial): Promise<void> {
    return this.does(() => ({ type: "activity-confirm", activity: this.id, serial }));
  }

  /**
   * Stops here, to be resumed at the last confirmed point by any member of the same user, or by `for` alone.
   * @throws RostrumError ACTIVITY_NOT_HELD, ACTIVITY_INTERRUPTED, RECIPIENT_UNKNOWN
   */
  interrupt({ for: heir, data }: { readonly for?: string; readonly data?: unknown } = {}): Promise<void> {
    return this.does(() => ({
      type: "activity-interrupt",
      activity: this.id,
      run: this.run,
      ...(heir === undefined ? {} : { for: memberId(heir) }),
      ...(data === undefined ? {} : { data: this.host.payload(data) }),
    }));
  }

  /**
   * Takes it up here. Resolves with the point behind which it goes on; `null`: from the beginning.
   * @throws RostrumError ACTIVITY_RUNNING, FORBIDDEN (another user's, or handed to somebody else), ACTIVITY_UNKNOWN
   * @example
   * const { from } = await session.activities.get(id).resume()
   */
  resume(): Promise<{ readonly from: ActivityPoint | null }> {
    return awaited(
      this.submit(() => ({ type: "activity-resume", activity: this.id })).then(({ offset }) => {
        const from = this.outcomes.get(offset);
        if (from !== undefined) return { from };
        if (this.get().here) return { from: this.get().confirmed };
        throw this.unknown("The activity was taken up, but what came of it since");
      }),
    );
  }

  /** Wants no part in it; of an activity that is addressed to this member. @throws RostrumError FORBIDDEN */
  decline(reason?: string): Promise<void> {
    return this.does(() => ({ type: "activity-decline", activity: this.id, ...said(reason) }));
  }

  /** Makes it void: by its user, or by who may moderate. @throws RostrumError FORBIDDEN, ACTIVITY_UNKNOWN */
  discard(reason?: string): Promise<void> {
    return this.does(() => ({ type: "activity-discard", activity: this.id, ...said(reason) }));
  }

  /** It is done. @throws RostrumError ACTIVITY_NOT_HELD, ACTIVITY_INTERRUPTED */
  end(result?: unknown): Promise<void> {
    return this.does(() => ({
      type: "activity-end",
      activity: this.id,
      run: this.run,
      ...(result === undefined ? {} : { result: this.host.payload(result) }),
    }));
  }

  // ---- for the session ----

  /** @internal It has become this, by that entry; `undefined`: it is no longer there. */
  seen(state: ActivityState | undefined, entry: ActivityEntry | undefined): void {
    if (state === undefined) {
      const result = entry?.type === "activity-ended" && entry.result !== undefined ? { result: entry.result } : {};
      this.source.set({ ...this.get(), here: false, status: endOf(entry), points: [], ...result });
      return this.stop(whyOver(entry));
    }
    const view = activityView(state, this.host);
    this.source.set(view);
    if (entry?.type === "activity-point") {
      const { serial, at, data } = entry;
      this.outcome(entry.offset, pointSeen({ serial, at, data }, this.host.local));
    } else if (entry?.type === "activity-resumed") this.outcome(entry.offset, view.confirmed);
    if (!isHere(state, this.host)) {
      if (this.running === undefined) this.run = state.run;
      return this.stop(whyOver(entry));
    }
    if (this.running !== undefined && this.run === state.run) return;
    this.stop("resumed");
    this.run = state.run;
    this.running = new AbortController();
    this.signal = this.running.signal;
  }

  /** @internal The session is over here. */
  close(error: RostrumError): void {
    this.running?.abort(error);
    this.running = undefined;
  }

  // ---- inside ----

  private stop(reason: string | undefined): void {
    const { running } = this;
    this.running = undefined;
    if (running !== undefined && reason !== undefined) running.abort(over(this.name, this.id, reason));
  }

  private outcome(offset: Offset, point: ActivityPoint | null): void {
    this.outcomes.set(offset, point);
    // Few can be on their way at once.
    for (const [old] of [...this.outcomes].slice(0, -32)) this.outcomes.delete(old);
  }

  private async submit(command: () => MemberCommand): Promise<Stored> {
    return this.host.submit(command());
  }

  private does(command: () => MemberCommand): Promise<void> {
    return awaited(this.submit(command).then(() => {}));
  }

  private unknown(what: string): RostrumError {
    return new RostrumError("OUTCOME_UNKNOWN", `${what} lies in a gap of the log.`, { activity: this.id });
  }
}

const said = (reason: string | undefined): { readonly reason?: string } =>
  reason === undefined || reason === "" ? {} : { reason: reason.slice(0, 500) };

/** Something happened to an activity that concerns this member. `by`: who did it; `null`: the server. */
export type ActivityChange = { readonly activity: Activity; readonly by: MemberId | null } & (
  | { readonly type: "started" }
  /** `confirm`: it waits for somebody's confirmation. */
  | { readonly type: "point"; readonly point: ActivityPoint; readonly confirm: boolean }
  | { readonly type: "confirmed"; readonly serial: Serial }
  | {
      readonly type: "interrupted";
      readonly reason: "asked" | "handed" | "dropped" | "left";
      readonly for?: MemberId;
      readonly data?: unknown;
    }
  | { readonly type: "resumed"; readonly from: ActivityPoint | null }
  | { readonly type: "declined"; readonly reason?: string }
  | { readonly type: "ended"; readonly result?: unknown }
  | {
      readonly type: "discarded";
      readonly why: "asked" | "declined" | "expired" | "failed";
      readonly reason?: string;
    }
);
