/** A floor as it stands: who holds it, who waits, and what has been (RFC 8855 with leases). */

import type { MemberId, Offset, Time, UserId } from "../ids.ts";
import type { FloorConfig, Priority } from "./config.ts";

/** `pending`: a chair has not decided. `accepted`: it stands in the queue (RFC 8855 4.1). */
export interface FloorRequest {
  /** Offset of the asking. */
  readonly id: Offset;
  /** Whose the floor will be: the beneficiary. */
  readonly member: MemberId;
  /** Who asked, if it was not the beneficiary. */
  readonly by?: MemberId;
  readonly at: Time;
  readonly status: "pending" | "accepted";
  readonly priority: Priority;
  readonly reason?: string;
  /** When the request is taken back by itself. */
  readonly expiresAt?: Time;
  /** A chair gave it its place: those go first, in the order of the list. */
  readonly arranged: boolean;
  /** A chair takes the floor: it is granted whether or not others are granted by themselves. */
  readonly taken?: boolean;
}

export type RevokeReason =
  | "hold-limit"
  | "preempted"
  | "revoked"
  | "taken-over"
  | "grace"
  | "left"
  | "removed"
  | "configured"
  | "dialog";

/** How a turn ended. */
export type EndReason = RevokeReason | "released" | "passed";

export interface Grant {
  /** Offset of the grant: the fencing number. */
  readonly fence: Offset;
  readonly member: MemberId;
  readonly user: UserId;
  /** Offset of the request; 0 if it was given without one. */
  readonly request: Offset;
  readonly at: Time;
  readonly priority: Priority;
  /** Milliseconds that the holder may believe in the grant without hearing of it: the grace at the time of granting. */
  readonly lease: number;
  readonly expiresAt?: Time;
  /** Its end was announced: the holder may finish until then. */
  readonly ending?: { readonly reason: RevokeReason; readonly at: Time };
  /**
   * Revoked, but its holder may not know yet: nothing more is accepted from it, and nobody else gets its place, until it
   * has confirmed or its lease is over. The offset is that of the revoke.
   */
  readonly revoked?: Offset;
}

/** One turn that is over. */
export interface Turn {
  readonly member: MemberId;
  readonly user: UserId;
  readonly from: Time;
  readonly to: Time;
  readonly ended: EndReason;
}

export interface FloorCounts {
  readonly requests: number;
  readonly granted: number;
  readonly denied: number;
  readonly cancelled: number;
  /** Turns that are over, by how they ended. */
  readonly ended: Readonly<Partial<Record<EndReason, number>>>;
  /** Milliseconds between asking and being granted, all together. */
  readonly waitedMs: number;
  /** Milliseconds held, all together. */
  readonly heldMs: number;
}

export interface Floor {
  readonly holders: readonly Grant[];
  /** In the order of asking; see `ranked` for the order of granting. */
  readonly queue: readonly FloorRequest[];
  /** Set in mid-session; goes before the session's own config. */
  readonly config?: FloorConfig;
  /** Named by a pattern only: forgotten when nobody holds it or waits for it. */
  readonly transient?: boolean;
  /** The last turns, newest last. */
  readonly turns: readonly Turn[];
  /** Milliseconds each user has held it, those of the last `maxTalkers` who did. */
  readonly talk: readonly (readonly [UserId, number])[];
  readonly counts: FloorCounts;
}

export const maxTurns = 32;
export const maxTalkers = 1_000;

const noCounts: FloorCounts = {
  requests: 0,
  granted: 0,
  denied: 0,
  cancelled: 0,
  ended: {},
  waitedMs: 0,
  heldMs: 0,
};

export const emptyFloor: Floor = { holders: [], queue: [], turns: [], talk: [], counts: noCounts };

/** Nobody holds it, nobody waits: what is left is history. */
export const isIdle = ({ holders, queue }: Floor): boolean => holders.length === 0 && queue.length === 0;

export const spokenBy = (floor: Floor, user: UserId): number => floor.talk.find(([id]) => id === user)?.[1] ?? 0;
