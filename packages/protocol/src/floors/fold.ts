/** How entries change a floor. Records and applies no rule. */

import type { FloorEntry, FloorGranted, FloorRequested } from "../entry.ts";
import type { MemberId, Offset, Time, UserId } from "../ids.ts";
import {
  type EndReason,
  emptyFloor,
  type Floor,
  type FloorCounts,
  type FloorRequest,
  type Grant,
  isIdle,
  maxTalkers,
  maxTurns,
  spokenBy,
} from "./floor.ts";

const counted = (floor: Floor, add: Partial<FloorCounts>): FloorCounts => ({ ...floor.counts, ...add });

const withoutRequest = (floor: Floor, id: Offset): readonly FloorRequest[] =>
  floor.queue.filter((request) => request.id !== id);

const withoutGrant = (floor: Floor, fence: Offset): readonly Grant[] =>
  floor.holders.filter((grant) => grant.fence !== fence);

const changeGrant = (floor: Floor, fence: Offset, change: Partial<Grant>): readonly Grant[] =>
  floor.holders.map((grant) => (grant.fence === fence ? { ...grant, ...change } : grant));

const endTurn = (floor: Floor, { member, user, at }: Grant, to: Time, ended: EndReason): Floor => {
  const ms = Math.max(0, to - at);
  const others = floor.talk.filter(([id]) => id !== user);
  return {
    ...floor,
    turns: [...floor.turns, { member, user, from: at, to, ended }].slice(-maxTurns),
    talk: [...others, [user, spokenBy(floor, user) + ms] as const].slice(-maxTalkers),
    counts: counted(floor, {
      heldMs: floor.counts.heldMs + ms,
      ended: { ...floor.counts.ended, [ended]: (floor.counts.ended[ended] ?? 0) + 1 },
    }),
  };
};

const requested = (floor: Floor, entry: FloorRequested): Floor => {
  if (entry.request !== undefined) return floor;
  const { offset: id, member, by, at, status = "accepted", priority = 0, reason, expiresAt, first = false } = entry;
  const request: FloorRequest = {
    id,
    member,
    at,
    status,
    priority,
    arranged: first,
    ...(first ? { taken: true } : {}),
    ...(by === null || by === member ? {} : { by }),
    ...(reason === undefined ? {} : { reason }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  return {
    ...floor,
    queue: first ? [request, ...floor.queue] : [...floor.queue, request],
    counts: counted(floor, { requests: floor.counts.requests + 1 }),
  };
};

const granted = (floor: Floor, entry: FloorGranted, user: UserId): Floor => {
  const { offset: fence, member, request, at, priority = 0, lease, expiresAt } = entry;
  const asked = floor.queue.find(({ id }) => id === request)?.at ?? at;
  const grant: Grant = {
    fence,
    member,
    user,
    request,
    at,
    priority,
    lease,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  return {
    ...floor,
    holders: [...floor.holders, grant],
    queue: withoutRequest(floor, request),
    counts: counted(floor, {
      granted: floor.counts.granted + 1,
      waitedMs: floor.counts.waitedMs + Math.max(0, at - asked),
    }),
  };
};

const reordered = (floor: Floor, order: readonly Offset[]): Floor => {
  const placed = order.flatMap((id) => floor.queue.filter((request) => request.id === id));
  return {
    ...floor,
    queue: [
      ...placed.map((request) => ({ ...request, arranged: true })),
      ...floor.queue.filter(({ id }) => !order.includes(id)),
    ],
  };
};

const changed = (floor: Floor, entry: FloorEntry, userOf: (member: MemberId) => UserId | undefined): Floor => {
  switch (entry.type) {
    case "floor-requested":
      return requested(floor, entry);
    case "floor-accepted":
      return {
        ...floor,
        queue: floor.queue.map((request) =>
          request.id === entry.request ? { ...request, status: "accepted" as const } : request,
        ),
      };
    case "floor-granted":
      return granted(floor, entry, userOf(entry.member) ?? ("" as UserId));
    case "floor-denied":
      return {
        ...floor,
        queue: withoutRequest(floor, entry.request),
        counts: counted(floor, { denied: floor.counts.denied + 1 }),
      };
    case "floor-cancelled":
      return {
        ...floor,
        queue: withoutRequest(floor, entry.request),
        counts: counted(floor, { cancelled: floor.counts.cancelled + 1 }),
      };
    case "floor-reordered":
      return reordered(floor, entry.order);
    case "floor-ending":
      return {
        ...floor,
        holders: changeGrant(floor, entry.fence, { ending: { reason: entry.reason, at: entry.endsAt } }),
      };
    case "floor-released": {
      const grant = floor.holders.find(({ fence }) => fence === entry.fence);
      const over = grant === undefined || entry.how === "confirmed";
      return {
        ...(over ? floor : endTurn(floor, grant, entry.at, entry.how)),
        holders: withoutGrant(floor, entry.fence),
      };
    }
    case "floor-revoked": {
      const grant = floor.holders.find(({ fence }) => fence === entry.fence);
      return {
        ...(grant === undefined ? floor : endTurn(floor, grant, entry.at, entry.reason)),
        holders: entry.lingers
          ? changeGrant(floor, entry.fence, { revoked: entry.offset })
          : withoutGrant(floor, entry.fence),
      };
    }
    case "floor-freed":
      return { ...floor, holders: withoutGrant(floor, entry.fence) };
    case "floor-configured":
      return { ...floor, config: entry.config };
    default:
      return entry satisfies never;
  }
};

/** The floor after the entry; `undefined`: there is nothing to remember of it. */
export const foldFloor = (
  before: Floor | undefined,
  entry: FloorEntry,
  userOf: (member: MemberId) => UserId | undefined,
): Floor | undefined => {
  const transient = (entry.type === "floor-requested" || entry.type === "floor-granted") && entry.transient === true;
  const start = before ?? (transient ? { ...emptyFloor, transient } : emptyFloor);
  const after = changed(start, entry, userOf);
  return after.transient === true && after.config === undefined && isIdle(after) ? undefined : after;
};
