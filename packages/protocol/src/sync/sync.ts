/**
 * Sync points of the session (X.215): numbered places in the log to which it can be taken back. The log orders everything, so
 * both sides set points in one numbering and nobody has to stop sending while one is confirmed.
 */

import type { MemberId, Offset, Serial, Time } from "../ids.ts";

/**
 * `set`: asks for no confirmation of its own. `open`: some have still to confirm it. `unconfirmed`: a major point whose time
 * ran out. `void`: taken back by a resynchronization.
 */
export type PointStatus = "set" | "open" | "confirmed" | "unconfirmed" | "void";

export interface SyncPoint {
  readonly serial: Serial;
  readonly kind: "minor" | "major";
  readonly status: PointStatus;
  readonly offset: Offset;
  readonly at: Time;
  /** `null`: the server. */
  readonly by: MemberId | null;
  readonly name?: string;
  readonly data?: unknown;
  /** While it is open: whose confirmation is due. Exact for who set it; others hear only when it is settled. */
  readonly waiting?: readonly MemberId[];
  /** While it is open: how many of those still have to confirm. */
  readonly need?: number;
  /** Major, open: when it counts as unconfirmed. */
  readonly until?: Time;
  /** Unconfirmed: who had not confirmed in time. */
  readonly missing?: readonly MemberId[];
  /** The activity whose bytes are the app's state at this point. */
  readonly state?: Offset;
}

/** Where a restart may go at the earliest: the last confirmed major point, a `set`, or the beginning (serial and offset 0). */
export interface Base {
  readonly serial: Serial;
  readonly offset: Offset;
}

/** Messages between these offsets (both excluded) are void. */
export interface VoidRange {
  readonly after: Offset;
  readonly before: Offset;
}

export type ResyncKind = "restart" | "abandon" | "set";

/** A resynchronization that others may collide with. */
export interface Resync {
  /** The generation that it began. */
  readonly generation: number;
  readonly kind: ResyncKind;
  /** The serial that the next point got. */
  readonly serial: Serial;
  /** Where it stands in the log, and where it went back to. */
  readonly offset: Offset;
  readonly to: Offset;
}

export interface Sync {
  /** How often the session was resynchronized. What was sent under an older generation is refused. */
  readonly generation: number;
  /** V(M) of X.225: the serial that the next point gets. */
  readonly next: Serial;
  /** V(A): the lowest serial that may still be confirmed; a major point below it may wait on. */
  readonly open: Serial;
  /** V(R): the lowest serial to which `next` may be taken back. */
  readonly lowest: Serial;
  /** The highest serial ever given; `abandon` goes on above it. */
  readonly highest: Serial;
  readonly base: Base;
  /** The listed points, oldest first. */
  readonly points: readonly SyncPoint[];
  /** Oldest first, apart from one another. */
  readonly voids: readonly VoidRange[];
  readonly resyncs: readonly Resync[];
}

export const noSync: Sync = {
  generation: 0,
  next: 1,
  open: 1,
  lowest: 1,
  highest: 0,
  base: { serial: 0, offset: 0 },
  points: [],
  voids: [],
  resyncs: [],
};

/** Most void ranges and resynchronizations that are remembered. */
export const maxVoids = 1_000;
export const maxResyncs = 32;

/** The valid point of a serial. */
export const pointOf = ({ points }: Sync, serial: Serial): SyncPoint | undefined =>
  points.findLast((point) => point.serial === serial && point.status !== "void");

/** The valid point at an offset. */
export const pointAt = ({ points }: Sync, offset: Offset | undefined): SyncPoint | undefined =>
  points.find((point) => point.offset === offset && point.status !== "void");

/** The newest valid point whose state is there to be taken up. */
export const lastShared = ({ points }: Sync): SyncPoint | undefined =>
  points.findLast(({ state, status }) => state !== undefined && status !== "void");

/** The valid point that is named so; the last one, if several are. */
export const pointNamed = ({ points }: Sync, name: string): SyncPoint | undefined =>
  points.findLast((point) => point.name === name && point.status !== "void");

/** Whether a resynchronization has taken back what lies at the offset. Only messages are void; who came and went did. */
export const isVoid = ({ voids }: Sync, offset: Offset): boolean => {
  for (let index = voids.length - 1; index >= 0; index -= 1) {
    const range = voids[index];
    if (range === undefined || offset >= range.before) return false;
    if (offset > range.after) return true;
  }
  return false;
};
