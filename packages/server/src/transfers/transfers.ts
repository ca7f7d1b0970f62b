/** All bytes that run over a server's lanes, and what they share: memory, turns, a blob store. */

import { type Entry, type LaneFrame, type Limits, RostrumError, type SessionId } from "@rostrum/protocol";
import type { BlobStore } from "../blobs.ts";
import type { Host } from "../host.ts";
import type { Seat } from "../seat.ts";
import { readToken } from "../token.ts";
import { Credit } from "./credit.ts";
import { Depot, type TransferListener } from "./depot.ts";
import type { Lane } from "./lane.ts";
import type { Outlet } from "./outlet.ts";
import { type Room, Traffic } from "./traffic.ts";
import { Turns } from "./turns.ts";

/** Milliseconds for which an upload may keep others waiting without sending what it was asked for. */
const patience = 30_000;

export interface TransfersOptions {
  readonly blobs: BlobStore;
  readonly limits: Limits;
  /** What transfers may have while people use the sessions. */
  readonly beside: Room;
  /** Bytes of uploads in memory, over all sessions. */
  readonly bytes: number;
  readonly secret: Uint8Array;
  readonly listeners: ReadonlySet<TransferListener>;
}

export interface TransferCounts {
  readonly lanes: number;
  readonly uploads: number;
  readonly fetches: number;
  /** Bytes of uploads in memory. */
  readonly bytes: number;
}

export class Transfers {
  private readonly depots = new Map<SessionId, Depot>();
  private readonly stopping = new Set<Depot>();
  private readonly credit: Credit;
  private readonly turns = new Turns();
  private readonly files = { open: 0 };
  readonly traffic: Traffic;
  private readonly watch: NodeJS.Timeout;

  constructor(private readonly options: TransfersOptions) {
    this.traffic = new Traffic(options.limits, options.beside, () => performance.now());
    this.credit = new Credit(options.bytes, () => performance.now());
    this.watch = setInterval(() => this.credit.reclaim(patience), patience / 3).unref();
  }

  get counts(): TransferCounts {
    const sum = { lanes: 0, uploads: 0, fetches: 0, bytes: 0 };
    for (const { counts } of this.depots.values()) {
      sum.lanes += counts.lanes;
      sum.uploads += counts.uploads;
      sum.fetches += counts.fetches;
      sum.bytes += counts.bytes;
    }
    return sum;
  }

  depot(session: SessionId): Depot | undefined {
    return this.depots.get(session);
  }

  /** What was stored, or, without entries, what was loaded. */
  consider(session: SessionId, host: Host<Seat>, entries: readonly Entry[]): void {
    if (entries.length > 0) return this.depots.get(session)?.consider(entries);
    const { blobs, limits, listeners } = this.options;
    const { credit, turns, traffic, files } = this;
    const depot = new Depot(session, host, { blobs, limits, credit, turns, traffic, files }, listeners);
    this.depots.set(session, depot);
    depot.begin();
  }

  /** The session's host stops. */
  stop(session: SessionId, error: RostrumError): void {
    const depot = this.depots.get(session);
    if (depot === undefined) return;
    this.depots.delete(session);
    depot.stop(error);
    this.stopping.add(depot);
    void depot.settled().then(() => this.stopping.delete(depot));
  }

  /** Resolves when what was stopped has let go of its files. */
  async settled(): Promise<void> {
    await Promise.all([...this.stopping].map((depot) => depot.settled()));
  }

  async close(error: RostrumError): Promise<void> {
    clearInterval(this.watch);
    for (const session of [...this.depots.keys()]) this.stop(session, error);
    await this.settled();
  }

  /**
   * Opens a lane for the member that the token names. Its session is at work here, as the member is connected.
   * @throws RostrumError SERVER_BUSY, SESSION_ENDED, MEMBER_UNKNOWN, TOKEN_REUSED
   */
  open({ session, birth, member: id, token }: LaneFrame, outlet: Outlet, closed: () => void): Lane {
    const depot = this.depots.get(session);
    if (depot === undefined) {
      throw new RostrumError("SERVER_BUSY", "The session is not at work on this server; open it, and then its lane.");
    }
    const { state } = depot;
    if (state.ended !== null) throw new RostrumError("SESSION_ENDED", "The session has ended; no lane was opened.");
    const member = state.members.get(id);
    if (birth !== state.birth || member?.presence !== "connected") {
      throw new RostrumError(
        "MEMBER_UNKNOWN",
        `The member ${id} is not connected to the session; open the session, and then its lane.`,
        { member: id },
      );
    }
    const incarnation = readToken(this.options.secret, { session, birth, member: id, user: member.user }, token);
    if (incarnation !== member.incarnation) {
      throw new RostrumError(
        "TOKEN_REUSED",
        `The token is not the member's present one (incarnation ${incarnation ?? "none"}, it is at ${member.incarnation}); no lane was opened.`,
        { presented: incarnation ?? null, current: member.incarnation },
      );
    }
    return depot.lane(id, incarnation, outlet, closed);
  }
}
