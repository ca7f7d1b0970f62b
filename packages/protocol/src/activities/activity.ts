/**
 * Activities (X.215): named pieces of work with sync points of their own, that can be interrupted and resumed, here, on
 * another device of the same user, or by whom they were handed to. A transfer is an activity whose bytes run beside the log.
 */

import type { MemberId, Offset, Serial, Time, UserId } from "../ids.ts";

/**
 * `app`: the app does the work. `transfer`: bytes for others; the server sets its points as it stores them. `state`: the
 * bytes of the app's state at a sync point.
 */
export type ActivityKind = "app" | "transfer" | "state";

export interface ActivityPoint {
  readonly serial: Serial;
  readonly at: Time;
  readonly data?: unknown;
}

/** Of a transfer's points, and of its end: so many bytes are stored, and this is their SHA-256 in hex. */
export interface TransferPoint {
  readonly bytes: number;
  readonly digest: string;
}

/** What a transfer says of itself at its start. */
export interface TransferInfo {
  /** Bytes in all, if that is known. */
  readonly size?: number;
  /** Media type. */
  readonly type?: string;
  /** What else the app wants to say. */
  readonly data?: unknown;
}

export interface Activity {
  /** Offset of the entry that started it. */
  readonly id: Offset;
  readonly name: string;
  readonly kind: ActivityKind;
  /** `ended`: done; a transfer's bytes are there until all have them or `expiresAt`. */
  readonly status: "running" | "interrupted" | "ended";
  /** Who started it. `null`: the server. */
  readonly by: MemberId | null;
  readonly starter: UserId | null;
  /** Whose it is now: who may take it up again from another device, or give it up. `null`: the server's. */
  readonly user: UserId | null;
  /** Who is at it now, or was last. */
  readonly holder: MemberId | null;
  /** Offset of the entry that started or resumed it last: what was sent under an older run is refused. */
  readonly run: Offset;
  /** Whom it was handed to: this member alone may resume it. */
  readonly heir?: MemberId;
  /** Whom it is addressed to; absent: everybody. Others do not know of it, but for its starter's other members. */
  readonly to?: readonly MemberId[];
  /** Those of them who want none of it, or have left. */
  readonly declined?: readonly MemberId[];
  /** V(M) and V(A) of its own points: the next serial, and the lowest that is not confirmed. */
  readonly next: Serial;
  readonly open: Serial;
  /** The last confirmed point, and those after it. */
  readonly confirmed: ActivityPoint | null;
  readonly points: readonly ActivityPoint[];
  readonly data?: unknown;
  /** Of `state`: the offset of the sync point. */
  readonly point?: Offset;
  /** Of a transfer to some members: who has not yet got all of it. */
  readonly waiting?: readonly MemberId[];
  /** What it ended with. */
  readonly result?: unknown;
  /** Since when the status is what it is. */
  readonly since: Time;
  /** When it is given up, if nobody resumes it or, ended, fetches it. */
  readonly expiresAt?: Time;
}

/** Bytes that a transfer has stored, by its points. */
export const storedBytes = ({ confirmed }: Activity): number =>
  (confirmed?.data as TransferPoint | undefined)?.bytes ?? 0;
