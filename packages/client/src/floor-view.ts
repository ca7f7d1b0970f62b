/** What there is to see of a floor: who holds it, who waits, my own place, what has been. Times by this device's clock. */

import {
  chairsOf,
  type EndReason,
  type FloorConfig,
  type FloorCounts,
  type FloorRequest,
  floorConfigIn,
  floorOf,
  type MemberId,
  type Offset,
  type Priority,
  ranked,
  type SessionState,
  type Time,
  type UserId,
} from "@rostrum/protocol";

export interface FloorHolder {
  readonly member: MemberId;
  readonly user: UserId;
  readonly fence: Offset;
  readonly since: number;
  /** When its time is over; what is left is `endsAt - Date.now()`. */
  readonly endsAt?: number;
  /** Its end is announced, by something else than the hold limit. */
  readonly ending?: EndReason;
}

export interface FloorWaiting {
  /** Who will hold it. */
  readonly member: MemberId;
  /** Who asked, if it was somebody else. */
  readonly by?: MemberId;
  readonly request: Offset;
  /** `pending`: a chair has not decided yet. */
  readonly status: "pending" | "accepted";
  /** Place in the queue, from 1; 0 while pending. */
  readonly position: number;
  readonly priority: Priority;
  readonly reason?: string;
  readonly since: number;
}

export interface FloorTurn {
  readonly member: MemberId;
  readonly user: UserId;
  readonly from: number;
  readonly to: number;
  readonly ended: EndReason;
}

export interface FloorView {
  /** Who holds it; not those whose grant was revoked and whose place is not free yet. */
  readonly holders: readonly FloorHolder[];
  /** In the order in which they will be granted. */
  readonly queue: readonly FloorWaiting[];
  /** What waits for a chair's decision. */
  readonly pending: readonly FloorWaiting[];
  /** `held`: this member may act on it now. */
  readonly mine: "none" | "pending" | "waiting" | "held";
  /** My place in the queue, from 1; 0 if I do not stand in it. */
  readonly position: number;
  /** Members who may moderate the floor and are here. */
  readonly chairs: readonly MemberId[];
  /** The last turns that are over, newest last. */
  readonly turns: readonly FloorTurn[];
  /** Milliseconds that each user has held it, turns that are over only; most first. */
  readonly talk: readonly { readonly user: UserId; readonly ms: number }[];
  readonly counts: FloorCounts;
  /** How the floor works; absent before the session is known, or if there is no such floor. */
  readonly policy?: FloorConfig;
}

/** `local` turns the server's time into this device's; `held` is the fence that this member believes in. */
export const viewOf = (
  state: SessionState,
  name: string,
  self: MemberId | undefined,
  held: Offset | undefined,
  local: (at: Time) => number,
): FloorView => {
  const floor = floorOf(state, name);
  const policy = floorConfigIn(state, name);
  const waiting = ({ id, member, by, status, priority, reason, at }: FloorRequest, position: number): FloorWaiting => ({
    member,
    request: id,
    status,
    position,
    priority,
    since: local(at),
    ...(by === undefined ? {} : { by }),
    ...(reason === undefined ? {} : { reason }),
  });
  const queue =
    policy === undefined ? [] : ranked(policy, floor, state.members).map((each, at) => waiting(each, at + 1));
  const pending = floor.queue.filter(({ status }) => status === "pending").map((each) => waiting(each, 0));
  const position = queue.find(({ member }) => member === self)?.position ?? 0;
  const isPending = pending.some(({ member }) => member === self);
  return {
    holders: floor.holders.flatMap(({ member, user, fence, at, expiresAt, ending, revoked }): FloorHolder[] => {
      if (revoked !== undefined) return [];
      const end = Math.min(expiresAt ?? Infinity, ending?.at ?? Infinity);
      return [
        {
          member,
          user,
          fence,
          since: local(at),
          ...(end === Infinity ? {} : { endsAt: local(end) }),
          ...(ending === undefined ? {} : { ending: ending.reason }),
        },
      ];
    }),
    queue,
    pending,
    mine: held !== undefined ? "held" : position > 0 ? "waiting" : isPending ? "pending" : "none",
    position,
    chairs: chairsOf(state, name).map(({ id }) => id),
    turns: floor.turns.map(({ from, to, ...turn }) => ({ ...turn, from: local(from), to: local(to) })),
    talk: floor.talk.map(([user, ms]) => ({ user, ms })).sort((a, b) => b.ms - a.ms),
    counts: floor.counts,
    ...(policy === undefined ? {} : { policy }),
  };
};
