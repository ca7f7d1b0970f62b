/** Sync points as an app sees them: setting, confirming, and going back, alone or all together (X.215). */

import {
  type MajorRule,
  type MemberCommand,
  type MemberId,
  type Offset,
  pointNamed,
  pointOf,
  RostrumError,
  type Serial,
  type SessionState,
  type SyncPoint,
} from "@rostrum/protocol";
import { awaited } from "./awaited.ts";
import type { Stored } from "./engine/outbox.ts";
import type { Checkpoint } from "./engine/record.ts";
import { type Observable, observable } from "./observable.ts";

export interface PointOptions {
  /** By which it is found again, and shown. */
  readonly name?: string;
  /** What the app wants to keep with it: JSON values and binary. */
  readonly data?: unknown;
  /**
   * Puts the app's state at this point on the server, for those who have none of their own: newcomers, and whoever has to go
   * back to it. Needs `checkpoint`. Major points do so unless this is `false`.
   */
  readonly share?: boolean;
}

export interface MinorOptions extends PointOptions {
  /** Asks all others who are here to confirm it; `settled` tells when they have. */
  readonly confirm?: boolean;
}

export interface MajorOptions extends PointOptions {
  /** Who has to confirm it; default: what the server's `sync.major` says. */
  readonly rule?: MajorRule;
  /** Milliseconds that they have for it; at most what the server's `sync.confirmWithin` says. */
  readonly within?: number;
}

/** What came of a point that others had to confirm. */
export type PointOutcome =
  | { readonly outcome: "confirmed"; readonly point: SyncPoint }
  /** Its time ran out before these had confirmed it; a resynchronization with a serial of its own leaves nobody missing. */
  | { readonly outcome: "unconfirmed"; readonly point: SyncPoint; readonly missing: readonly MemberId[] }
  /** The session went back behind it. */
  | { readonly outcome: "void"; readonly point: SyncPoint };

interface SyncHost {
  readonly state: () => SessionState;
  readonly submit: (command: MemberCommand) => Promise<Stored>;
  readonly payload: (value: unknown) => unknown;
  /** The generation in which the app's state is. */
  readonly under: () => { readonly generation?: number };
  readonly keepsState: boolean;
  /** Whether the server keeps states. */
  readonly sharing: () => boolean;
  readonly stateAt: (offset: Offset) => Checkpoint | undefined;
  readonly goBackTo: (checkpoint: Checkpoint) => void;
  /** Puts a state on the server. */
  readonly share: (point: Offset, state: unknown) => void;
  /** Gets a state from the server. */
  readonly fetch: (point: SyncPoint) => Promise<{ readonly value: unknown } | undefined>;
}

interface Waiting {
  readonly point: SyncPoint;
  readonly resolve: (outcome: PointOutcome) => void;
  readonly reject: (error: unknown) => void;
}

export class SyncPoints {
  private readonly source = observable<readonly SyncPoint[]>([]);
  /** The listed points, oldest first, void ones among them. */
  readonly points: Observable<readonly SyncPoint[]> = this.source;
  private readonly waiting = new Set<Waiting>();
  private readonly toShare = new Set<Offset>();
  private readonly reachedEarly = new Set<Offset>();

  constructor(private readonly host: SyncHost) {}

  /**
   * Sets a minor sync point: marks this place in the log under the next serial. Resolves when it is stored.
   * @throws RostrumError FORBIDDEN, FLOOR_NOT_HELD, SYNC_LIMIT, RESYNCHRONIZED
   * @example
   * const point = await session.sync.minor({ name: "before the vote" })
   */
  minor(options: MinorOptions = {}): Promise<SyncPoint> {
    const { confirm, share = false } = options;
    return awaited(
      this.put(
        () => ({ type: "sync-minor", ...this.described(options), ...(confirm === true ? { confirm } : {}) }),
        share,
      ),
    );
  }

  /**
   * Sets a major sync point: the end of a dialogue unit, behind which nothing goes back. Nobody has to stop sending: the log's
   * order is the cut. Resolves when all who have to have confirmed it (which they do by having processed everything up to it),
   * or when its time is over. Confirmed, the server has saved the session up to there.
   * @throws RostrumError FORBIDDEN, FLOOR_NOT_HELD, SYNC_PENDING, SYNC_LIMIT, RESYNCHRONIZED
   * @example
   * const result = await session.sync.major({ name: "chapter 1" })
   * if (result.outcome === "unconfirmed") show(`${result.missing.length} have not come so far`)
   */
  major(options: MajorOptions = {}): Promise<PointOutcome> {
    const { rule, within, share = this.host.keepsState } = options;
    const put = this.put(
      () => ({
        type: "sync-major",
        ...this.described(options),
        ...(rule === undefined ? {} : { rule }),
        ...(within === undefined ? {} : { within }),
      }),
      share,
    );
    return awaited(put.then((point) => this.settled(point)));
  }

  /** Resolves when a point that waits for confirmation is settled; at once, if it asks for none. */
  settled(point: SyncPoint): Promise<PointOutcome> {
    return awaited(
      new Promise((resolve, reject) => {
        this.waiting.add({ point, resolve, reject });
        this.update();
      }),
    );
  }

  /**
   * Confirms a point and all before it: this member has done with what was sent up to there. Needed only with the option
   * `confirm: "explicit"`.
   * @throws RostrumError SYNC_UNKNOWN, SYNC_NOT_ASKED, FORBIDDEN
   */
  confirm(point: Serial | string, data?: unknown): Promise<Stored> {
    return this.does(() => ({
      type: "sync-confirm",
      serial: this.serialOf(point),
      ...this.host.under(),
      ...(data === undefined ? {} : { data: this.host.payload(data) }),
    }));
  }

  /**
   * Takes the whole session back to a point, by serial or name; 0 is the beginning. What was sent since is void: everybody's
   * app gets its state of then through `restore`, and what others still send from before comes back to them by `refused`.
   * @throws RostrumError SYNC_UNKNOWN, SYNC_SECURED (it lies before the last confirmed major point), SYNC_COLLISION (somebody
   * else was first, and goes before), FORBIDDEN
   * @example
   * await session.sync.restart("before the vote")
   */
  restart(point: Serial | string, reason?: string): Promise<Stored> {
    return this.resynchronize("restart", () => this.serialOf(point), reason);
  }

  /** Gives up everything since the last confirmed major point; the next point gets a serial that was never used. */
  abandon(reason?: string): Promise<Stored> {
    return this.resynchronize("abandon", () => undefined, reason);
  }

  /** Begins a new numbering: the next point gets this serial, from 1. Nothing stored is void; what is under way is refused. */
  set(serial: Serial, reason?: string): Promise<Stored> {
    return this.resynchronize("set", () => serial, reason);
  }

  /**
   * Reports that this member cannot go on from here (X.215: exception). What follows is the server's policy: the others are
   * told, all go back to the last confirmed point, this member is put out, or the session ends.
   */
  exception(reason: string): Promise<Stored> {
    return this.does(() => ({ type: "exception", reason: reason.slice(0, 500), ...this.host.under() }));
  }

  /**
   * The app's state as it was at a point: from this device, or as it is shared. Changes nothing.
   * @throws RostrumError SYNC_UNKNOWN, STATE_MISSING
   */
  async stateAt(point: Serial | string): Promise<unknown> {
    return (await this.checkpointAt(this.find(point))).state;
  }

  /**
   * Takes this member alone back to a point: its app gets that state, and then everything since once more, as replayed.
   * @throws RostrumError SYNC_UNKNOWN, STATE_MISSING
   */
  async restore(point: Serial | string): Promise<void> {
    this.host.goBackTo(await this.checkpointAt(this.find(point)));
  }

  // ---- for the session ----

  /** The state has changed. */
  update(): void {
    const { points } = this.host.state().sync;
    this.source.set(points);
    for (const waiting of this.waiting) {
      const point = points.findLast(({ offset, at }) => offset === waiting.point.offset && at === waiting.point.at);
      if (point?.status === "open") continue;
      this.waiting.delete(waiting);
      if (point === undefined) waiting.reject(unlisted(waiting.point.offset));
      else if (point.status === "void") waiting.resolve({ outcome: "void", point });
      else if (point.status === "unconfirmed")
        waiting.resolve({ outcome: "unconfirmed", point, missing: point.missing ?? [] });
      else waiting.resolve({ outcome: "confirmed", point });
    }
  }

  /** The handlers have come to a point, and the app's state as of it is kept. */
  reached(offset: Offset): void {
    if (!this.toShare.delete(offset)) {
      // The entry may be handled before the promise of its setting is.
      this.reachedEarly.add(offset);
      for (const old of [...this.reachedEarly].slice(0, -16)) this.reachedEarly.delete(old);
      return;
    }
    const kept = this.host.stateAt(offset);
    if (kept !== undefined) this.host.share(offset, kept.state);
  }

  close(error: RostrumError): void {
    for (const { reject } of this.waiting) reject(error);
    this.waiting.clear();
  }

  // ---- inside ----

  private async put(command: () => MemberCommand, share: boolean): Promise<SyncPoint> {
    const { offset } = await this.host.submit({ ...command(), ...this.host.under() } as MemberCommand);
    if (share && this.host.keepsState && this.host.sharing()) {
      this.toShare.add(offset);
      if (this.reachedEarly.has(offset)) this.reached(offset);
    }
    const point = this.host.state().sync.points.find((each) => each.offset === offset);
    if (point === undefined) throw unlisted(offset);
    return point;
  }

  /** What is refused is told by an event as well: that nobody awaits it must not end a process. */
  private does(command: () => MemberCommand): Promise<Stored> {
    const submit = async (): Promise<Stored> => this.host.submit(command());
    return awaited(submit());
  }

  private resynchronize(
    kind: "restart" | "abandon" | "set",
    serialOf: () => Serial | undefined,
    reason?: string,
  ): Promise<Stored> {
    return this.does(() => {
      const serial = serialOf();
      return {
        type: "resynchronize",
        kind,
        ...(serial === undefined ? {} : { serial }),
        ...(reason === undefined || reason === "" ? {} : { reason: reason.slice(0, 500) }),
        ...this.host.under(),
      };
    });
  }

  private described({ name, data }: PointOptions): { name?: string; data?: unknown } {
    return {
      ...(name === undefined ? {} : { name }),
      ...(data === undefined ? {} : { data: this.host.payload(data) }),
    };
  }

  /** The server knows its serials best; names are looked up here. */
  private serialOf(point: Serial | string): Serial {
    return typeof point === "number" ? point : this.find(point).serial;
  }

  private find(point: Serial | string): SyncPoint {
    const { sync } = this.host.state();
    const found = typeof point === "string" ? pointNamed(sync, point) : pointOf(sync, point);
    if (found !== undefined) return found;
    throw new RostrumError("SYNC_UNKNOWN", `There is no sync point ${JSON.stringify(point)} here; nothing was done.`, {
      point,
      next: sync.next,
    });
  }

  private async checkpointAt(point: SyncPoint): Promise<Checkpoint> {
    const kept = this.host.stateAt(point.offset);
    if (kept !== undefined) return kept;
    const shared = point.state === undefined ? undefined : await this.host.fetch(point);
    if (shared !== undefined)
      return { offset: point.offset, generation: this.host.state().sync.generation, state: shared.value };
    throw new RostrumError(
      "STATE_MISSING",
      `The app's state at sync point ${point.serial} is neither on this device nor shared; nothing was done. Set points with share: true to have it.`,
      { serial: point.serial },
    );
  }
}

const unlisted = (offset: Offset): RostrumError =>
  new RostrumError("OUTCOME_UNKNOWN", "The sync point was set, but is no longer listed.", { offset });
