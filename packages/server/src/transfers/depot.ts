/**
 * One session's bytes at this server: its lanes, its uploads at work, and the blobs that the log still names. Follows the
 * log: what is over there is over here, and what it took is freed.
 */

import {
  type Activity,
  concerns,
  type Entry,
  type MemberId,
  type Offset,
  RostrumError,
  type SessionId,
  type SessionState,
  storedBytes,
  type TransferInfo,
  type TransferPoint,
} from "@rostrum/protocol";
import createDebug from "debug";
import type { Host } from "../host.ts";
import type { Seat } from "../seat.ts";
import { blobOf } from "./blob.ts";
import { Lane } from "./lane.ts";
import type { Outlet } from "./outlet.ts";
import { type Means, mostFiles, Upload } from "./upload.ts";

const debug: createDebug.Debugger = createDebug("rostrum:transfer");

/** A transfer has ended: all of its bytes are stored. */
export interface TransferEnd {
  readonly session: SessionId;
  readonly activity: Activity;
  readonly status: "ended";
  readonly bytes: number;
  /** SHA-256 in hex. */
  readonly digest: string;
}

/** While what it returns is not settled, the bytes stay where they are. */
export type TransferListener = (end: TransferEnd) => void | Promise<void>;

/** Most lanes of one member; the oldest gives way, as it may be a dead connection that nobody has noticed yet. */
const mostLanes = 4;

/** Calls when the activity has changed; with an error, when it is there no more. */
export type Changed = (over?: RostrumError) => void;

const aborted = (entry: Extract<Entry, { type: "activity-discarded" | "activity-forgotten" }>): RostrumError => {
  const { why, reason } = entry.type === "activity-discarded" ? entry : { why: "forgotten", reason: undefined };
  return new RostrumError(
    "TRANSFER_ABORTED",
    `The transfer was given up (${why}), and its bytes were removed. Send it again if it still matters.`,
    { activity: entry.activity, why, reason: reason ?? null },
  );
};

const replaced = (why: string): RostrumError => new RostrumError("REPLACED", why);

const inState = (activity: Activity): number => {
  const { size = 0 } = (activity.data ?? {}) as TransferInfo;
  return activity.status === "ended" ? storedBytes(activity) : Math.max(size, storedBytes(activity));
};

export class Depot {
  private readonly lanes = new Map<MemberId, Lane[]>();
  private readonly uploads = new Map<Offset, Upload>();
  /** Uploads that are over and let go of their file. */
  private readonly endings = new Map<Offset, Promise<unknown>>();
  private readonly followers = new Map<Offset, Set<Changed>>();
  /** Who reads on this server, and needs the bytes though the log does not any more. */
  private readonly holds = new Map<Offset, number>();
  private readonly work = new Set<Promise<unknown>>();
  private sweeping: Promise<unknown> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly session: SessionId,
    private readonly host: Host<Seat>,
    private readonly means: Means,
    private readonly listeners: ReadonlySet<TransferListener>,
  ) {}

  get state(): SessionState {
    return this.host.current;
  }

  /** For a health check: lanes, uploads that are carried, fetches, and bytes in memory. */
  get counts(): { readonly lanes: number; readonly uploads: number; readonly fetches: number; readonly bytes: number } {
    const lanes = [...this.lanes.values()].flat();
    const uploads = [...this.uploads.values()];
    return {
      lanes: lanes.length,
      uploads: uploads.filter(({ carried }) => carried).length,
      fetches: lanes.reduce((sum, { fetching }) => sum + fetching, 0),
      bytes: uploads.reduce((sum, { held }) => sum + held, 0),
    };
  }

  /** The session is loaded: what lies here and is not named in the log, a crash has left behind. */
  begin(): void {
    if (this.state.ended !== null) return this.clear();
    this.sweeping = this.sweep().catch((error: unknown) => debug("%s: %o", this.session, error));
    this.track(this.sweeping);
  }

  private async sweep(): Promise<void> {
    for (const blob of await this.means.blobs.list(this.session)) {
      const named = (): boolean => [...this.state.activities.keys()].some((id) => this.blob(id) === blob);
      // Asked again for each: it may have been begun meanwhile.
      if (this.stopped || named()) continue;
      debug("%s: removes %s, which no activity names", this.session, blob);
      await this.means.blobs.remove(this.session, blob);
    }
  }

  lane(member: MemberId, incarnation: number, outlet: Outlet, closed: () => void): Lane {
    const { session } = this;
    const lane: Lane = new Lane({
      session,
      member,
      incarnation,
      outlet,
      limits: this.means.limits,
      visible: (id) => this.visible(id, member),
      upload: (id) => this.upload(id),
      crowded: () => this.means.files.open >= mostFiles,
      source: (id) => ({ ...this.means, blob: this.blob(id) }),
      follow: (id, changed) => this.follow(id, changed),
      closed: () => {
        const left = this.lanes.get(member)?.filter((each) => each !== lane) ?? [];
        if (left.length > 0) this.lanes.set(member, left);
        else this.lanes.delete(member);
        closed();
      },
    });
    const lanes = this.lanes.get(member) ?? [];
    const [oldest] = lanes;
    this.lanes.set(member, [...lanes, lane]);
    if (oldest !== undefined && lanes.length >= mostLanes)
      oldest.end(replaced(`The member has opened more than ${mostLanes} lanes; this one, the oldest, was closed.`));
    return lane;
  }

  /** These entries are in the log. */
  consider(entries: readonly Entry[]): void {
    for (const entry of entries) {
      switch (entry.type) {
        case "resumed":
          this.endLanes(
            entry.member,
            replaced("The member was taken up by another connection; open its lane with its new token."),
            entry.incarnation,
          );
          break;
        case "dropped":
        case "left":
          this.endLanes(
            entry.member,
            new RostrumError(
              "MEMBER_UNKNOWN",
              `The member is no longer connected (${entry.type}); its lane was closed.`,
              {
                member: entry.member,
              },
            ),
          );
          break;
        case "activity-interrupted":
          this.uploads.get(entry.activity)?.halt(
            new RostrumError("ACTIVITY_INTERRUPTED", `The transfer was interrupted (${entry.reason}).`, {
              activity: entry.activity,
              status: "interrupted",
            }),
          );
          break;
        case "activity-resumed":
          this.uploads.get(entry.activity)?.halt(
            new RostrumError("ACTIVITY_NOT_HELD", "The transfer was taken up anew; upload under its new run.", {
              activity: entry.activity,
              run: entry.offset,
            }),
          );
          break;
        case "activity-ended":
          this.retire(entry.activity);
          this.tellEnd(entry.activity);
          break;
        case "activity-discarded":
        case "activity-forgotten": {
          const over = aborted(entry);
          this.uploads.get(entry.activity)?.halt(over);
          this.retire(entry.activity);
          this.remove(entry.activity);
          this.changed(entry.activity, over);
          break;
        }
        case "ended":
          this.stop(new RostrumError("SESSION_ENDED", "The session has ended, and its transfers with it."));
          this.clear();
          return;
        default:
      }
      if ("activity" in entry) this.changed(entry.activity);
    }
  }

  /** The host stops: nothing is carried here any more. */
  stop(error: RostrumError): void {
    if (this.stopped) return;
    this.stopped = true;
    for (const lane of [...this.lanes.values()].flat()) lane.end(error);
    for (const id of [...this.uploads.keys()]) this.retire(id);
    for (const changed of [...this.followers.values()].flatMap((set) => [...set])) changed();
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.work.size > 0) await Promise.all(this.work);
  }

  /**
   * Bytes as they are confirmed, until the transfer has ended. Once that is so, they are there to the end.
   * @throws RostrumError ACTIVITY_UNKNOWN, TRANSFER_ABORTED, BLOB_FAILED, SERVER_BUSY
   */
  async *read(id: Offset, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
    const first = this.visible(id);
    if (first === undefined)
      throw new RostrumError("ACTIVITY_UNKNOWN", `There is no transfer ${id}: it was given up, or is no longer kept.`, {
        activity: id,
      });
    const release = this.hold(id);
    let known = first;
    try {
      for (let at = 0; ; ) {
        signal?.throwIfAborted();
        if (this.stopped)
          throw new RostrumError("SERVER_BUSY", `The session stopped after ${at} bytes were read. Read again.`, { at });
        const present = this.visible(id);
        if (present === undefined && known.status !== "ended")
          throw new RostrumError("TRANSFER_ABORTED", `The transfer was given up after ${at} bytes were read.`, { at });
        known = present ?? known;
        const stored = storedBytes(known);
        if (at < stored) {
          for await (const piece of this.pieces(id, at, stored, signal)) {
            at += piece.length;
            yield piece;
          }
        } else if (known.status === "ended") return;
        else await this.change(id, signal);
      }
    } finally {
      release();
    }
  }

  // ---- inside ----

  private async *pieces(
    id: Offset,
    from: number,
    upTo: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void> {
    const reader = await this.means.blobs.read(this.session, this.blob(id));
    try {
      for (let at = from; at < upTo; ) {
        signal?.throwIfAborted();
        const piece = await reader.read(at, Math.min(this.means.limits.chunkBytes, upTo - at));
        if (piece.length === 0) throw new RostrumError("BLOB_FAILED", `Nothing could be read from byte ${at}.`, { at });
        at += piece.length;
        yield piece;
      }
    } finally {
      await reader.close();
    }
  }

  private change(id: Offset, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        unfollow();
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const unfollow = this.follow(id, done);
      signal?.addEventListener("abort", done);
    });
  }

  private blob(id: Offset): string {
    return blobOf(this.state.birth, id);
  }

  private visible(id: Offset, member?: MemberId): Activity | undefined {
    const activity = this.state.activities.get(id);
    if (activity === undefined || activity.kind === "app" || this.stopped) return undefined;
    const concerned = member === undefined || concerns(this.state, activity, member);
    return concerned ? activity : undefined;
  }

  private upload(id: Offset): Upload {
    const present = this.uploads.get(id);
    if (present !== undefined) return present;
    const upload: Upload = new Upload(
      this.means,
      {
        session: this.session,
        activity: id,
        blob: this.blob(id),
        present: () => this.state.activities.get(id),
        config: () => this.state.config.activities,
        others: () => this.kept(id),
        submit: (command, answer) =>
          this.host.submit({ from: null, command }, (result) =>
            answer(result instanceof RostrumError ? result : result.refusals[0]?.error),
          ),
        over: () => this.retire(id, upload),
      },
      Promise.all([this.sweeping, this.endings.get(id)]),
    );
    this.uploads.set(id, upload);
    return upload;
  }

  /** Bytes of the session's transfers, but for one: as declared, as stored or as received, whichever is most. */
  private kept(except: Offset): number {
    let bytes = 0;
    for (const activity of this.state.activities.values()) {
      if (activity.kind === "app" || activity.id === except) continue;
      bytes += Math.max(inState(activity), this.uploads.get(activity.id)?.received ?? 0);
    }
    return bytes;
  }

  /** The upload is at work no more. */
  private retire(id: Offset, which = this.uploads.get(id)): void {
    if (which === undefined) return;
    if (this.uploads.get(id) === which) this.uploads.delete(id);
    const ending = which.ended().finally(() => {
      if (this.endings.get(id) === ending) this.endings.delete(id);
    });
    this.endings.set(id, ending);
    this.track(ending);
  }

  private remove(id: Offset): void {
    if (this.stopped || (this.holds.get(id) ?? 0) > 0) return;
    const blob = this.blob(id);
    this.track((this.endings.get(id) ?? Promise.resolve()).then(() => this.means.blobs.remove(this.session, blob)));
  }

  private clear(): void {
    this.track(Promise.all(this.endings.values()).then(() => this.means.blobs.removeAll(this.session)));
  }

  /** What fails here is found again when the session is next loaded. */
  private track(work: Promise<unknown>): void {
    const tracked = work
      .catch((error: unknown) => debug("%s: %o", this.session, error))
      .finally(() => this.work.delete(tracked));
    this.work.add(tracked);
  }

  private hold(id: Offset): () => void {
    this.holds.set(id, (this.holds.get(id) ?? 0) + 1);
    return () => {
      const left = (this.holds.get(id) ?? 1) - 1;
      if (left > 0) this.holds.set(id, left);
      else this.holds.delete(id);
      if (left === 0 && !this.state.activities.has(id)) this.remove(id);
    };
  }

  private tellEnd(id: Offset): void {
    const activity = this.state.activities.get(id);
    const point = activity?.confirmed?.data as TransferPoint | undefined;
    if (activity?.kind !== "transfer" || point === undefined) return;
    const end: TransferEnd = { session: this.session, activity, status: "ended", ...point };
    const failed = (cause: unknown): void =>
      console.error("rostrum: a listener of onTransfer threw; the transfer stays ended.", cause);
    for (const listener of this.listeners) {
      const release = this.hold(id);
      new Promise<void>((resolve) => resolve(listener(end))).catch(failed).finally(release);
    }
  }

  private endLanes(member: MemberId, error: RostrumError, below = Infinity): void {
    for (const lane of this.lanes.get(member) ?? []) if (lane.incarnation < below) lane.end(error);
  }

  private changed(id: Offset, over?: RostrumError): void {
    for (const changed of [...(this.followers.get(id) ?? [])]) changed(over);
  }

  private follow(id: Offset, changed: Changed): () => void {
    const set = this.followers.get(id) ?? new Set();
    this.followers.set(id, set.add(changed));
    return () => {
      set.delete(changed);
      if (set.size === 0 && this.followers.get(id) === set) this.followers.delete(id);
    };
  }
}
