/** The activities of a session that concern this member: named pieces of work that can be interrupted and resumed. */

import {
  type ActivityEntry,
  type Activity as ActivityState,
  type Entry,
  foldActivity,
  fromPayload,
  isActivityEntry,
  type MemberId,
  memberId,
  type Offset,
  RostrumError,
  type SessionState,
} from "@rostrum/protocol";
import { Activity, type ActivityChange, type ActivityHost } from "./activity.ts";
import { type ActivityView, activityView } from "./activity-view.ts";
import { awaited } from "./awaited.ts";
import { type Derived, derived, type Observable } from "./observable.ts";

export interface StartOptions {
  /** Whom it concerns, besides this member and the other devices of its user; absent: everybody. */
  readonly to?: readonly string[];
  readonly data?: unknown;
  /** Discards it if it fires before it has begun. */
  readonly signal?: AbortSignal;
}

export interface ActivitiesHost extends ActivityHost {
  readonly state: () => SessionState;
  /** Tells the app. */
  readonly tell: (change: ActivityChange) => void;
}

/** Who follows activities more closely than apps do. */
export interface Follower {
  /** An entry, and what the activity has become by it; `undefined`: it is no longer there. */
  happened(entry: ActivityEntry, activity: ActivityState | undefined): void;
  update(): void;
  reset(): void;
  close(error: RostrumError): void;
}

export class Activities implements Observable<readonly ActivityView[]> {
  /** Without an id: all that concern this member, oldest first. With one: that activity, the same object each time. */
  readonly get: {
    (): readonly ActivityView[];
    (id: number): Activity | undefined;
  };
  readonly subscribe: (listener: (value: readonly ActivityView[]) => void) => () => void;
  private readonly view: Derived<readonly ActivityView[]>;
  private readonly known = new Map<Offset, Activity>();
  private follower: Follower | undefined;
  /** As they were when last looked at, and what entries have made of them since. */
  private before: SessionState["activities"] = new Map();
  private readonly since = new Map<Offset, ActivityState | undefined>();
  private birth = "";

  constructor(private readonly host: ActivitiesHost) {
    this.view = derived(() =>
      [...host.state().activities.values()]
        // The states of sync points are the session's own affair.
        .filter(({ kind }) => kind !== "state")
        .map((activity) => activityView(activity, host)),
    );
    this.get = ((id?: number) => (id === undefined ? this.view.get() : this.find(id))) as Activities["get"];
    this.subscribe = this.view.subscribe;
  }

  /**
   * Begins an activity, which this member runs. It survives the member's being away: then it is interrupted, and any
   * device of the same user may resume it at its last confirmed point.
   * @throws RostrumError FORBIDDEN, ACTIVITY_LIMIT, FLOOR_NOT_HELD (somebody else holds "@major-activity"), RECIPIENT_UNKNOWN
   * @example
   * const review = await session.activities.start("review", { data: { document } })
   * for (const page of pages) { await check(page, review.lost); await review.point({ page: page.number }) }
   * await review.end({ verdict: "good" })
   */
  start(name: string, { to, data, signal }: StartOptions = {}): Promise<Activity> {
    const begin = async (): Promise<Activity> => {
      signal?.throwIfAborted();
      const { offset: id } = await this.host.submit({
        type: "activity-start",
        name,
        kind: "app",
        ...(to === undefined ? {} : { to: to.map(memberId) }),
        ...(data === undefined ? {} : { data: this.host.payload(data) }),
      });
      const activity = this.find(id);
      if (signal?.aborted === true) {
        this.host.submit({ type: "activity-discard", activity: id }).catch(() => {});
        throw signal.reason;
      }
      if (activity !== undefined) return activity;
      throw new RostrumError("OUTCOME_UNKNOWN", "The activity was begun, and is over already.", { activity: id });
    };
    return awaited(begin());
  }

  // ---- for the session ----

  /** @internal */
  followedBy(follower: Follower): void {
    this.follower = follower;
  }

  /** @internal An entry was folded in; others of its frame may have been as well. */
  happened(entry: Entry): void {
    if (!isActivityEntry(entry)) return;
    const { activities, members } = this.host.state();
    const id = entry.type === "activity-started" ? entry.offset : entry.activity;
    const old = this.since.has(id) ? this.since.get(id) : this.before.get(id);
    // Not even its start was seen: it is as the state says.
    const unseen = old === undefined && entry.type !== "activity-started";
    const now = unseen ? activities.get(id) : foldActivity(old, entry, (member) => members.get(member)?.user);
    this.since.set(id, now);
    const shown = now ?? old;
    if (shown !== undefined && shown.kind !== "state") {
      const activity = this.known.get(id) ?? new Activity(shown, this.host);
      this.known.set(id, activity);
      activity.seen(now, entry);
      const change = changeOf(entry, activity);
      if (change !== undefined) this.host.tell(change);
      if (now === undefined) this.known.delete(id);
    }
    this.follower?.happened(entry, now);
  }

  /** @internal The state has changed. */
  update(): void {
    const { activities, birth } = this.host.state();
    if (birth !== this.birth) this.reset();
    this.birth = birth;
    this.before = activities;
    this.since.clear();
    for (const [id, activity] of this.known) {
      const state = activities.get(id);
      activity.seen(state, undefined);
      if (state === undefined) this.known.delete(id);
    }
    this.view.changed();
    this.follower?.update();
  }

  /** @internal Another log, or another branch of it: its numbers mean something else. */
  reset(): void {
    for (const activity of this.known.values()) activity.seen(undefined, undefined);
    this.known.clear();
    this.since.clear();
    this.before = new Map();
    this.follower?.reset();
  }

  /** @internal */
  close(error: RostrumError): void {
    for (const activity of this.known.values()) activity.close(error);
    this.follower?.close(error);
  }

  private find(id: Offset): Activity | undefined {
    const known = this.known.get(id);
    const state = this.host.state().activities.get(id);
    if (known !== undefined || state === undefined) return known;
    const activity = new Activity(state, this.host);
    this.known.set(id, activity);
    return activity;
  }
}

/** What the app is told of an entry. */
const changeOf = (entry: ActivityEntry, activity: Activity): ActivityChange | undefined => {
  const by: MemberId | null = entry.by;
  const about = { activity, by };
  switch (entry.type) {
    case "activity-started":
      return { ...about, type: "started" };
    case "activity-point": {
      const { points, confirmed } = activity.get();
      const point = [...points, confirmed].find((each) => each?.serial === entry.serial);
      if (point === null || point === undefined) return undefined;
      return { ...about, type: "point", point, confirm: entry.confirmed !== true };
    }
    case "activity-confirmed":
      return { ...about, type: "confirmed", serial: entry.serial };
    case "activity-interrupted": {
      const { reason, for: heir, data } = entry;
      return {
        ...about,
        type: "interrupted",
        reason,
        ...(heir === undefined ? {} : { for: heir }),
        ...(data === undefined ? {} : { data: fromPayload(data) }),
      };
    }
    case "activity-resumed":
      return { ...about, type: "resumed", from: activity.get().confirmed };
    case "activity-declined":
      return { ...about, type: "declined", by: entry.member, ...words(entry) };
    case "activity-ended": {
      const { result } = activity.get();
      return { ...about, type: "ended", ...(result === undefined ? {} : { result }) };
    }
    case "activity-discarded":
      return { ...about, type: "discarded", why: entry.why, ...words(entry) };
    default:
      return undefined;
  }
};

const words = ({ reason }: { readonly reason?: string }): { readonly reason?: string } =>
  reason === undefined ? {} : { reason };
