/** All that moves bytes for one session: its lane, what goes out, what comes in. Loaded when there is something to carry. */

import {
  type ActivityEntry,
  type Activity as ActivityState,
  type Limits,
  type MemberCommand,
  type Offset,
  RostrumError,
  type SessionState,
} from "@rostrum/protocol";
import { isHere, isMine, type Sight } from "../activity-view.ts";
import type { Stored } from "../engine/outbox.ts";
import type { IncomingTransfer } from "../transfer-view.ts";
import { Incoming } from "./incoming.ts";
import { Lane, type LaneHost } from "./lane.ts";
import { type Errand, Outgoing, type OutgoingHost, type Shown } from "./outgoing.ts";
import { getState, putState } from "./states.ts";
import { Track } from "./track.ts";
import { turn } from "./turn.ts";

export interface PorterHost extends Sight, LaneHost {
  readonly state: () => SessionState;
  readonly limits: () => Limits;
  readonly submit: (command: MemberCommand) => Promise<Stored>;
  readonly payload: (value: unknown) => unknown;
  /** Whether the app listens for transfers. */
  readonly hears: () => boolean;
  readonly tell: (incoming: IncomingTransfer) => void;
  /** A transfer of this user waits to be taken up: the app may have what it is to be sent from. */
  readonly waits: (transfer: ActivityState) => void;
}

export class Porter {
  readonly lane: Lane;
  private readonly tracks = new Map<Offset, Track>();
  private readonly outgoing = new Set<Outgoing>();
  /** Those that are to be sent from here. */
  private readonly claimed = new Set<Offset>();
  private readonly told = new Set<Offset>();
  /** Runs of interrupted transfers that the app was asked about. */
  private readonly asked = new Set<Offset>();
  private readonly letting = new Map<Offset, Promise<void>>();
  private readonly means: OutgoingHost;
  private waiting: (() => void)[] = [];
  private wasLive = false;
  private everLive = false;
  private closed: RostrumError | undefined;
  private readonly over = new AbortController();

  constructor(private readonly host: PorterHost) {
    this.lane = new Lane(host);
    this.means = {
      session: host.session,
      porter: host,
      lane: this.lane,
      self: () => host.self(),
      interval: () => host.state().config.activities.interval,
      track: (id) => this.track(id),
      live: (signal) => this.live(signal),
      letGo: (id) => this.letting.get(id),
    };
  }

  carry(errand: Errand, shown: Shown): Outgoing {
    if ("id" in errand) this.claimed.add(errand.id);
    const outgoing = new Outgoing(errand, this.means, shown);
    if (this.closed !== undefined) outgoing.close(this.closed);
    else this.outgoing.add(outgoing);
    outgoing.id.then((id) => void this.claimed.add(id)).catch(() => {});
    outgoing.done.catch(() => "id" in errand && this.claimed.delete(errand.id));
    return outgoing;
  }

  /** Puts the app's state at a sync point on the server. */
  putState(point: Offset, state: unknown): Promise<void> {
    return putState({ upload: this.means, submit: this.host.submit }, point, state, this.over.signal);
  }

  /** Gets the app's state that an activity holds. */
  getState(activity: Offset): Promise<unknown> {
    return getState({ upload: this.means, submit: this.host.submit }, activity, this.over.signal);
  }

  // ---- for the session ----

  happened(entry: ActivityEntry, now: ActivityState | undefined): void {
    const id = entry.type === "activity-started" ? entry.offset : entry.activity;
    this.tracks.get(id)?.happened(entry, now);
    // One that an earlier life of the page began, and that was only now sent, has nobody here.
    if (entry.type === "activity-started" && entry.kind === "transfer" && entry.by === this.host.self())
      void turn().then(() => this.adopt(id));
  }

  /** The state has changed, or the session has come or gone. */
  update(): void {
    const { activities } = this.host.state();
    for (const [id, track] of this.tracks) {
      track.update(activities.get(id));
      if (track.isOver) this.tracks.delete(id);
    }
    for (const outgoing of this.outgoing) if (outgoing.isOver) this.outgoing.delete(outgoing);
    const isLive = this.host.pass() !== undefined;
    const came = isLive && !this.wasLive;
    this.wasLive = isLive;
    if (!isLive || this.closed !== undefined) return;
    if (came) this.came();
    if (!this.host.hears()) return;
    for (const activity of activities.values()) if (this.isNews(activity)) this.offer(activity);
  }

  /** Another log, or another branch of it. */
  reset(): void {
    const error = new RostrumError(
      "OUTCOME_UNKNOWN",
      "The server has another log, without this transfer; what came of it there is not known. Begin it anew.",
    );
    for (const track of this.tracks.values()) track.fail(error);
    for (const each of [this.tracks, this.told, this.asked, this.claimed]) each.clear();
  }

  close(error: RostrumError): void {
    this.closed = error;
    this.over.abort(error);
    for (const outgoing of this.outgoing) outgoing.close(error);
    for (const track of this.tracks.values()) track.fail(error);
    this.outgoing.clear();
    this.tracks.clear();
    this.wake();
    this.lane.close();
  }

  // ---- inside ----

  private track(id: Offset): Track {
    const known = this.tracks.get(id);
    if (known !== undefined) return known;
    const track = new Track(id);
    const state = this.host.state().activities.get(id);
    if (state !== undefined) track.update(state);
    if (this.closed !== undefined) track.fail(this.closed);
    else this.tracks.set(id, track);
    return track;
  }

  private came(): void {
    const first = !this.everLive;
    this.everLive = true;
    this.lane.refresh();
    this.wake();
    for (const activity of this.host.state().activities.values()) {
      if (activity.kind !== "transfer" || activity.status === "ended" || this.claimed.has(activity.id)) continue;
      if (!isMine(activity, this.host)) continue;
      // An earlier life of this page ran it.
      if (first && isHere(activity, this.host)) this.adopt(activity.id);
      else if (activity.status === "interrupted") this.ask(activity);
    }
  }

  private ask(activity: ActivityState): void {
    if (this.asked.has(activity.run)) return;
    this.asked.add(activity.run);
    this.host.waits(activity);
  }

  /** What it was sent from went with an earlier life of this page: others may take it up, if the app does not. */
  private adopt(id: Offset): void {
    const activity = this.host.state().activities.get(id);
    if (activity === undefined || this.closed !== undefined || this.claimed.has(id)) return;
    if (!isHere(activity, this.host)) return;
    this.let(activity);
    this.ask(activity);
  }

  private let({ id, run }: ActivityState): void {
    const interrupted = this.host.submit({ type: "activity-interrupt", activity: id, run }).then(
      () => {},
      () => {},
    );
    this.letting.set(
      id,
      interrupted.finally(() => this.letting.delete(id)),
    );
  }

  /** It is for this member, who does not have it, and has not been told. */
  private isNews({ id, kind, by, holder, to, waiting }: ActivityState): boolean {
    const self = this.host.self();
    if (kind !== "transfer" || self === undefined || by === self || holder === self || this.told.has(id)) return false;
    return to === undefined || (to.includes(self) && waiting?.includes(self) !== false);
  }

  private offer(activity: ActivityState): void {
    this.told.add(activity.id);
    this.host.tell(new Incoming(activity, this.host, this.means));
  }

  private async live(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.closed !== undefined) throw this.closed;
      if (this.host.pass() !== undefined) return;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.waiting.push(done);
        signal.addEventListener("abort", done, { once: true });
      });
    }
  }

  private wake(): void {
    for (const each of this.waiting.splice(0)) each();
  }
}
