/** One lane: a second connection of a member, over which its bytes run. It sits in no session and hears no entries. */

import {
  type Activity,
  type ChunkFrame,
  type FetchFrame,
  type FinishFrame,
  type LaneRefusedFrame,
  type Limits,
  type MemberId,
  type Offset,
  RostrumError,
  type SessionId,
  toWire,
  type UploadFrame,
} from "@rostrum/protocol";
import { Fetch, type FetchRim } from "./fetch.ts";
import type { Outlet } from "./outlet.ts";
import { type Carrier, mostFiles, type Upload } from "./upload.ts";

/** Most uploads, and most fetches, that one lane carries at once. */
const most = 16;

/** What a lane needs of its session. */
export interface LaneRim {
  readonly session: SessionId;
  readonly member: MemberId;
  readonly incarnation: number;
  readonly limits: Limits;
  readonly outlet: Outlet;
  /** The activity, if it has bytes and concerns the member. */
  visible(activity: Offset): Activity | undefined;
  upload(activity: Offset): Upload;
  /** Whether as many uploads are at work on this server as may be. */
  crowded(): boolean;
  /** What a fetch needs besides its lane. */
  source(activity: Offset): Pick<FetchRim, "blob" | "blobs" | "turns" | "traffic">;
  /** Calls when the activity has changed; with an error, when it is there no more. Returns its undo. */
  follow(activity: Offset, changed: (over?: RostrumError) => void): () => void;
  /** It is a lane no more. */
  closed(): void;
}

interface Fetching {
  readonly fetch: Fetch;
  readonly unfollow: () => void;
}

const busy = (what: string): RostrumError =>
  new RostrumError("SERVER_BUSY", `The lane carries ${most} ${what}, which is the limit; wait until one is over.`, {
    limit: most,
  });

const crowded = (): RostrumError =>
  new RostrumError(
    "SERVER_BUSY",
    `${mostFiles} uploads are at work on this server, which is the limit; nothing was lost. Go on later.`,
    { limit: mostFiles },
  );

export class Lane implements Carrier {
  private readonly uploads = new Map<Offset, Upload>();
  private readonly fetches = new Map<Offset, Fetching>();
  /** The last ones that are over: their readers may have asked for more before they heard so. */
  private readonly fetched = new Map<Offset, Fetch>();
  private over = false;

  constructor(private readonly rim: LaneRim) {}

  get incarnation(): number {
    return this.rim.incarnation;
  }

  get member(): MemberId {
    return this.rim.member;
  }

  get fetching(): number {
    return this.fetches.size;
  }

  upload({ activity: id, run }: UploadFrame): void {
    const refusal = this.refusalOf(id, run);
    if (refusal !== undefined) return this.refused(id, refusal);
    if (this.uploads.size >= most && !this.uploads.has(id)) return this.refused(id, busy("uploads"));
    const upload = this.rim.upload(id);
    if (!upload.carried && this.rim.crowded()) return this.refused(id, crowded());
    this.uploads.set(id, upload);
    upload.attach(this, run);
  }

  // Frames of what this lane does not carry (any more) were sent before its client heard so.
  chunk({ activity, at, bytes }: ChunkFrame): void {
    this.uploads.get(activity)?.chunk(this, at, bytes);
  }

  finish({ activity, bytes, digest }: FinishFrame): void {
    this.uploads.get(activity)?.finish(this, { bytes, digest });
  }

  fetch({ activity, at, upTo }: FetchFrame): void {
    const { laneBytes } = this.rim.limits;
    if (upTo === at) {
      this.fetched.delete(activity);
      return this.drop(activity);
    }
    if (this.rim.visible(activity) === undefined) return this.refused(activity, this.unknown(activity));
    if (upTo < at || upTo - at > laneBytes) {
      this.drop(activity);
      return this.refused(
        activity,
        new RostrumError(
          "FRAME_INVALID",
          `Bytes ${at} to ${upTo} were asked for; at most ${laneBytes} may be asked for at once. Nothing more was sent.`,
          { at, upTo, limit: laneBytes },
        ),
      );
    }
    if (this.fetches.get(activity)?.fetch.raise(at, upTo) === true) return;
    if (this.fetched.get(activity)?.isLate(at) === true) return;
    this.fetched.delete(activity);
    this.drop(activity);
    if (this.fetches.size >= most) return this.refused(activity, busy("fetches"));
    const { session, outlet } = this.rim;
    const fetch = new Fetch(
      {
        ...this.rim.source(activity),
        session,
        activity,
        present: () => this.rim.visible(activity),
        outlet,
        send: (from, bytes, end) =>
          outlet.send({ type: "bytes", session, activity, at: from, bytes, ...(end ? { end } : {}) }),
        refused: (error) => this.tell(activity, error),
        over: () => this.forget(activity, fetch),
      },
      at,
      upTo,
    );
    this.fetches.set(activity, {
      fetch,
      unfollow: this.rim.follow(activity, (over) => (over === undefined ? fetch.wake() : fetch.refuse(over))),
    });
    fetch.wake();
  }

  // ---- as what carries uploads ----

  proceed(activity: Offset, at: number, upTo: number, piece: number): void {
    const { outlet, session } = this.rim;
    outlet.send({ type: "continue", session, activity, at, upTo, piece });
  }

  refused(activity: Offset, error: RostrumError): void {
    this.uploads.delete(activity);
    this.tell(activity, error);
  }

  done(activity: Offset): void {
    this.uploads.delete(activity);
  }

  /** It is a lane no more; with an error, its client is told why. */
  end(error?: RostrumError): void {
    if (this.over) return;
    this.over = true;
    if (error !== undefined) this.tell(0, error);
    for (const upload of [...this.uploads.values()]) upload.detach(this);
    this.uploads.clear();
    for (const activity of [...this.fetches.keys()]) this.drop(activity);
    this.rim.closed();
  }

  private tell(activity: Offset, error: RostrumError): void {
    const { outlet, session } = this.rim;
    const frame: LaneRefusedFrame = { type: "lane-refused", session, activity, error: toWire(error) };
    outlet.send(frame);
  }

  private drop(activity: Offset): void {
    const fetching = this.fetches.get(activity);
    if (fetching === undefined) return;
    this.fetches.delete(activity);
    fetching.unfollow();
    fetching.fetch.stop();
  }

  private forget(activity: Offset, fetch: Fetch): void {
    if (this.fetches.get(activity)?.fetch !== fetch) return;
    this.drop(activity);
    this.fetched.set(activity, fetch);
    const [oldest] = this.fetched.keys();
    if (this.fetched.size > most && oldest !== undefined) this.fetched.delete(oldest);
  }

  private unknown(activity: Offset): RostrumError {
    return new RostrumError(
      "ACTIVITY_UNKNOWN",
      `There is no such transfer (${activity}) under way: it has ended, was given up, is no longer kept, or does not concern you.`,
      { activity },
    );
  }

  /** Only who runs it may send its bytes. */
  private refusalOf(id: Offset, run: Offset): RostrumError | undefined {
    const activity = this.rim.visible(id);
    if (activity === undefined || activity.status === "ended") return this.unknown(id);
    if (activity.status !== "running") {
      return new RostrumError(
        "ACTIVITY_INTERRUPTED",
        `The transfer "${activity.name}" is ${activity.status}; resume it first.`,
        {
          activity: id,
          status: activity.status,
        },
      );
    }
    if (activity.holder !== this.rim.member || activity.run !== run) {
      return new RostrumError(
        "ACTIVITY_NOT_HELD",
        `The transfer "${activity.name}" is run by somebody else, or was taken up anew since.`,
        { activity: id, run: activity.run },
      );
    }
    return undefined;
  }
}
