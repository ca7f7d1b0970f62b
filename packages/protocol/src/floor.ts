/** The rules of floors: RFC 8855 with leases. One mechanism for everything that at most so many may hold at once. */

import type { FloorConfig } from "./config.ts";
import { type Deciding, record, refuse } from "./deciding.ts";
import type { FloorCancelled, RevokeReason } from "./entry.ts";
import type { MemberId, Offset, Seq, Time } from "./ids.ts";
import { emptyFloor, type Floor, type Grant, type SessionState } from "./state.ts";

/** Who asked, as it goes into the entry. */
export interface Origin {
  readonly by: MemberId | null;
  readonly seq?: Seq;
}

const byServer: Origin = { by: null };

export const floorConfig = (state: SessionState, name: string): FloorConfig => {
  const config = Object.hasOwn(state.config.floors, name) ? state.config.floors[name] : undefined;
  return (
    config ??
    refuse(
      "FLOOR_UNKNOWN",
      `The session has no floor "${name}"; nothing was done. Add it to the server's floors option.`,
      {
        floor: name,
      },
    )
  );
};

export const floorOf = (state: SessionState, name: string): Floor => state.floors.get(name) ?? emptyFloor;

export const grantOf = (state: SessionState, name: string, member: MemberId): Grant | undefined =>
  state.floors.get(name)?.holders.find((grant) => grant.member === member);

const grant = (to: Deciding, floor: string, member: MemberId, request: Offset, origin: Origin): void => {
  const { maxHold } = floorConfig(to.state, floor);
  record(to, {
    type: "floor-granted",
    floor,
    member,
    request,
    ...origin,
    ...(maxHold === undefined ? {} : { expiresAt: to.now + maxHold }),
  });
};

/** Grants what is free to those who wait, in the order of their asking. Somebody who is away keeps the place. */
const advance = (to: Deciding, floor: string): void => {
  if (!Object.hasOwn(to.state.config.floors, floor)) return;
  const { capacity } = floorConfig(to.state, floor);
  for (;;) {
    const { holders, queue } = floorOf(to.state, floor);
    if (holders.length >= capacity) return;
    const next = queue.find((request) => to.state.members.get(request.member)?.presence === "connected");
    if (next === undefined) return;
    grant(to, floor, next.member, next.id, byServer);
  }
};

export const requestFloor = (to: Deciding, floor: string, member: MemberId, origin: Origin): void => {
  const { maxQueue } = floorConfig(to.state, floor);
  const { queue } = floorOf(to.state, floor);
  const known = grantOf(to.state, floor, member)?.request ?? queue.find((request) => request.member === member)?.id;
  if (known !== undefined) {
    record(to, { type: "floor-requested", floor, member, request: known, ...origin });
    return;
  }
  if (queue.length >= maxQueue) {
    refuse("FLOOR_QUEUE_FULL", `${queue.length} requests wait for the floor "${floor}", the limit is ${maxQueue}.`, {
      floor,
      waiting: queue.length,
      limit: maxQueue,
    });
  }
  record(to, { type: "floor-requested", floor, member, ...origin });
  advance(to, floor);
};

const cancel = (
  to: Deciding,
  floor: string,
  member: MemberId,
  request: Offset,
  reason: FloorCancelled["reason"],
  origin: Origin,
): void => {
  record(to, { type: "floor-cancelled", floor, member, request, reason, ...origin });
};

/** Takes a waiting request back. A request that was granted meanwhile is released: to cancel means "I don't want it". */
export const cancelRequest = (to: Deciding, floor: string, member: MemberId, origin: Origin): void => {
  floorConfig(to.state, floor);
  const request = floorOf(to.state, floor).queue.find((waiting) => waiting.member === member);
  if (request !== undefined) {
    cancel(to, floor, member, request.id, origin.by === member ? "cancelled" : "denied", origin);
    return;
  }
  const held = grantOf(to.state, floor, member);
  if (held === undefined || origin.by !== member) {
    refuse("FLOOR_NOT_HELD", `There is no request for the floor "${floor}" to take back.`, { floor });
    return;
  }
  releaseFloor(to, floor, member, held.fence, origin);
};

/** Compares the fence, so that a late release never frees a later grant. */
export const releaseFloor = (to: Deciding, floor: string, member: MemberId, fence: Offset, origin: Origin): void => {
  floorConfig(to.state, floor);
  const held = grantOf(to.state, floor, member);
  if (held?.fence !== fence) {
    refuse("FLOOR_NOT_HELD", `You do not hold the floor "${floor}" under fence ${fence}; nothing was released.`, {
      floor,
      fence,
    });
  }
  record(to, { type: "floor-released", floor, member, fence, ...origin });
  advance(to, floor);
};

/** Moderation: grants to a waiting member at once, if there is room. */
export const grantFloor = (to: Deciding, floor: string, member: MemberId, origin: Origin): void => {
  const { capacity } = floorConfig(to.state, floor);
  const { holders, queue } = floorOf(to.state, floor);
  const request = queue.find((waiting) => waiting.member === member);
  if (request === undefined || holders.length >= capacity) {
    refuse(
      "FLOOR_NOT_HELD",
      request === undefined
        ? `Member ${member} has not asked for the floor "${floor}"; nothing was granted.`
        : `The floor "${floor}" has ${holders.length} of ${capacity} holders; revoke one first.`,
      { floor, holders: holders.length, capacity },
    );
    return;
  }
  grant(to, floor, member, request.id, origin);
};

export const revokeFloor = (
  to: Deciding,
  floor: string,
  member: MemberId,
  reason: RevokeReason,
  origin: Origin = byServer,
): void => {
  const held = grantOf(to.state, floor, member);
  if (held === undefined) {
    refuse("FLOOR_NOT_HELD", `Member ${member} does not hold the floor "${floor}"; nothing was revoked.`, { floor });
    return;
  }
  record(to, { type: "floor-revoked", floor, member, fence: held.fence, reason, ...origin });
  advance(to, floor);
};

/** Frees everything a member holds or waits for: it is leaving. */
export const freeFloors = (to: Deciding, member: MemberId, reason: "left" | "grace" | "removed"): void => {
  for (const [name, floor] of to.state.floors) {
    const request = floor.queue.find((waiting) => waiting.member === member);
    if (request !== undefined) cancel(to, name, member, request.id, reason === "grace" ? "left" : reason, byServer);
    if (grantOf(to.state, name, member) !== undefined) revokeFloor(to, name, member, reason);
  }
};

/** A member came back: a floor that stayed free while only absent members waited may be its own now. */
export const advanceAll = (to: Deciding): void => {
  for (const [name, { queue }] of to.state.floors) if (queue.length > 0) advance(to, name);
};

/** When a grant ends by time: at its hold limit, or when the grace of a holder that dropped is over. */
export const grantEnds = (
  state: SessionState,
  floor: string,
  held: Grant,
): { readonly at: Time; readonly reason: RevokeReason } | undefined => {
  const limit = held.expiresAt ?? Infinity;
  const holder = state.members.get(held.member);
  const grace = Object.hasOwn(state.config.floors, floor) ? (state.config.floors[floor]?.grace ?? 0) : 0;
  const graceEnds = holder?.presence === "connected" ? Infinity : (holder?.since ?? 0) + grace;
  const at = Math.min(limit, graceEnds);
  return at === Infinity ? undefined : { at, reason: at === limit ? "hold-limit" : "grace" };
};

/** Revokes what has run out. */
export const expireGrants = (to: Deciding): void => {
  for (const name of to.state.floors.keys()) {
    for (const held of floorOf(to.state, name).holders) {
      const end = grantEnds(to.state, name, held);
      if (end !== undefined && end.at <= to.now) revokeFloor(to, name, held.member, end.reason);
    }
  }
};
