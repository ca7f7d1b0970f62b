/** What there is to see of an activity, as plain data. Times by this device's clock. */

import {
  type ActivityKind,
  type Activity as ActivityState,
  fromPayload,
  type MemberId,
  type Offset,
  type ActivityPoint as Point,
  type Serial,
  type SessionState,
  type Time,
  type UserId,
} from "@rostrum/protocol";

/** A sync point of an activity. */
export interface ActivityPoint {
  readonly serial: Serial;
  readonly at: number;
  readonly data?: unknown;
}

export interface ActivityView {
  readonly id: Offset;
  readonly name: string;
  readonly kind: ActivityKind;
  /** `ended` and `discarded`: over. `gone`: over, and how is not known here (what came of it lies in a gap), or forgotten. */
  readonly status: "running" | "interrupted" | "ended" | "discarded" | "gone";
  /** Who started it; `null`: the server. */
  readonly by: MemberId | null;
  readonly user: UserId | null;
  /** Who is at it, or was last. */
  readonly holder: MemberId | null;
  /** It belongs to this member's user: it may be taken up here. */
  readonly mine: boolean;
  /** It runs, and this member runs it. */
  readonly here: boolean;
  /** The member that it was handed to, who alone may resume it. */
  readonly heir?: MemberId;
  /** Whom it concerns; absent: everybody. */
  readonly to?: readonly MemberId[];
  /** Those of them who want no part in it, or have left. */
  readonly declined?: readonly MemberId[];
  /** From here it would go on if it were resumed. */
  readonly confirmed: ActivityPoint | null;
  /** Points that wait for confirmation, oldest first. */
  readonly points: readonly ActivityPoint[];
  readonly data?: unknown;
  readonly result?: unknown;
  /** Since when its status is what it is. */
  readonly since: number;
  /** When it is given up if nobody resumes it, or removed if nobody fetches it. */
  readonly expiresAt?: number;
}

export const pointSeen = ({ serial, at, data }: Point, local: (at: Time) => number): ActivityPoint => ({
  serial,
  at: local(at),
  ...(data === undefined ? {} : { data: fromPayload(data) }),
});

/** Who looks, and by which clock. */
export interface Sight {
  readonly state: () => Pick<SessionState, "members">;
  readonly self: () => MemberId | undefined;
  readonly local: (at: Time) => number;
}

export const isMine = ({ user }: ActivityState, { state, self }: Sight): boolean => {
  const me = self();
  return user !== null && me !== undefined && state().members.get(me)?.user === user;
};

export const isHere = ({ status, holder }: ActivityState, { self }: Sight): boolean =>
  status === "running" && holder !== null && holder === self();

export const activityView = (activity: ActivityState, sight: Sight): ActivityView => {
  const { id, name, kind, status, by, user, holder, heir, to, declined, confirmed, points, data, result } = activity;
  const { local } = sight;
  return {
    id,
    name,
    kind,
    status,
    by,
    user,
    holder,
    mine: isMine(activity, sight),
    here: isHere(activity, sight),
    confirmed: confirmed === null ? null : pointSeen(confirmed, local),
    points: points.map((point) => pointSeen(point, local)),
    since: local(activity.since),
    ...(heir === undefined ? {} : { heir }),
    ...(to === undefined ? {} : { to }),
    ...(declined === undefined ? {} : { declined }),
    ...(data === undefined ? {} : { data: fromPayload(data) }),
    ...(result === undefined ? {} : { result: fromPayload(result) }),
    ...(activity.expiresAt === undefined ? {} : { expiresAt: local(activity.expiresAt) }),
  };
};
