/** How a floor is asked for (RFC 8855: floor request), and how that is taken back. */

import type { MemberCommand } from "../command.ts";
import { type Deciding, record, refuse } from "../deciding.ts";
import type { MemberId } from "../ids.ts";
import type { Member, SessionState } from "../state.ts";
import type { FloorConfig } from "./config.ts";
import { advance, byServer, cancel, grant, type Origin, preempt, releaseFloor, transience } from "./grants.ts";
import { busy, floorConfig, notRequested, requireFloorVerb, requirePlace, requirePresent } from "./refusals.ts";
import { floorOf, grantOf, isChaired, isHere, mayModerate } from "./sight.ts";

export const requestFloor = (
  to: Deciding,
  command: Extract<MemberCommand, { type: "floor-request" }>,
  self: Member,
  origin: Origin,
): void => {
  const { floor, priority = 0, reason, within, ifAvailable = false } = command;
  const config = floorConfig(to.state, floor);
  const member = command.for ?? self.id;
  requireFloorVerb(to.state, self, member === self.id ? "request" : "beneficiary", floor);
  if (member !== self.id) requirePresent(to.state, member);
  if (priority > 0) requireFloorVerb(to.state, self, "priority", floor);
  const before = floorOf(to.state, floor);
  const known =
    grantOf(to.state, floor, member)?.request ?? before.queue.find((request) => request.member === member)?.id;
  if (known !== undefined) {
    record(to, { type: "floor-requested", floor, member, request: known, ...origin });
    return;
  }
  requirePlace(to.state, floor);
  const decided = isDecided(to.state, floor, config, self);
  if (decided === "denied") {
    refuse("FLOOR_DENIED", `No chair of the floor "${floor}" is here; the request was denied.`, {
      floor,
      reason: "no chair is here",
    });
  }
  const free = before.holders.length < config.capacity;
  const waits = before.queue.some((request) => request.status === "accepted" && isHere(to.state, request.member));
  const atOnce = decided === "accepted" && free && !waits && isHere(to.state, member);
  const takesPlace = config.preempt && before.holders.some((held) => held.priority < priority);
  if (ifAvailable && decided === "pending") {
    refuse(
      "FLOOR_BUSY",
      `A chair decides who gets the floor "${floor}"; it is not to be had at once. Nothing was done.`,
      {
        floor,
        holders: before.holders.length,
        capacity: config.capacity,
      },
    );
  }
  if (!atOnce && (ifAvailable || (config.policy === "first-come" && !takesPlace))) busy(floor, before, config);
  if (!atOnce && before.queue.length >= config.maxQueue) {
    refuse(
      "FLOOR_QUEUE_FULL",
      `${before.queue.length} requests wait for the floor "${floor}", the limit is ${config.maxQueue}; yours was not added.`,
      { floor, waiting: before.queue.length, limit: config.maxQueue },
    );
  }
  const entry = record(to, {
    type: "floor-requested",
    floor,
    member,
    ...origin,
    ...(decided === "pending" ? { status: "pending" as const } : {}),
    ...(priority === 0 ? {} : { priority }),
    ...(reason === undefined ? {} : { reason }),
    ...(within === undefined ? {} : { expiresAt: to.now + within }),
    ...transience(to.state, floor),
  });
  if (atOnce) return grant(to, floor, member, { id: entry.offset, priority }, byServer);
  advance(to, floor);
  if (decided === "accepted" && grantOf(to.state, floor, member) === undefined) preempt(to, floor, priority);
};

/** What becomes of a new request: whether it is for a chair to decide. A chair's own asking is its decision. */
const isDecided = (
  state: SessionState,
  floor: string,
  { policy, unchaired }: FloorConfig,
  self: Member,
): "accepted" | "pending" | "denied" => {
  if (policy !== "chair" || mayModerate(state, floor, self, "grant")) return "accepted";
  if (unchaired === "wait" || isChaired(state, floor)) return "pending";
  return unchaired === "queue" ? "accepted" : "denied";
};

/** Takes a waiting request back. A request that was granted meanwhile is released: to cancel means "I don't want it". */
export const cancelRequest = (
  to: Deciding,
  { floor, for: beneficiary }: Extract<MemberCommand, { type: "floor-cancel" }>,
  self: MemberId,
  origin: Origin,
): void => {
  floorConfig(to.state, floor);
  const member = beneficiary ?? self;
  const request = floorOf(to.state, floor).queue.find((waiting) => waiting.member === member);
  if (request !== undefined) {
    if (member !== self && request.by !== self) notRequested(floor, member);
    return cancel(to, floor, request, "cancelled", origin);
  }
  const held = member === self ? grantOf(to.state, floor, member) : undefined;
  if (held === undefined) return notRequested(floor, member);
  releaseFloor(to, floor, member, held.fence, origin);
};
