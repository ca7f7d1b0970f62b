/** What the rules of floors refuse, and how they say so. */

import { isToken } from "../config.ts";
import { refuse } from "../deciding.ts";
import type { MemberId, Offset } from "../ids.ts";
import type { Verb } from "../permission.ts";
import type { Member, SessionState } from "../state.ts";
import type { FloorConfig } from "./config.ts";
import type { Floor } from "./floor.ts";
import { floorConfigIn, floorOf, mayModerate } from "./sight.ts";

export const floorConfig = (state: SessionState, floor: string): FloorConfig =>
  floorConfigIn(state, floor) ??
  refuse(
    "FLOOR_UNKNOWN",
    `The session has no floor "${floor}"; nothing was done. Add it to the server's floors option.`,
    { floor },
  );

export const requireFloorVerb = (state: SessionState, member: Member, verb: Verb, floor: string): void => {
  if (mayModerate(state, floor, member, verb)) return;
  refuse(
    "FORBIDDEN",
    `The roles ${member.roles.join(", ") || "(none)"} do not permit ${verb}:${floor}, and ${member.id} does not chair the floor; nothing was done.`,
    { permission: `${verb}:${floor}`, floor },
  );
};

export const notRequested = (floor: string, member: MemberId): never =>
  refuse("FLOOR_NOT_REQUESTED", `Member ${member} has no request for the floor "${floor}"; nothing was done.`, {
    floor,
    member,
  });

export const busy = (floor: string, { holders }: Floor, { capacity }: FloorConfig): never =>
  refuse(
    "FLOOR_BUSY",
    `The floor "${floor}" has ${holders.length} of ${capacity} holders; nothing was done. Ask again when it is free, or wait in its queue.`,
    { floor, holders: holders.length, capacity },
  );

export const notHeld = (floor: string, fence: Offset): never =>
  refuse("FLOOR_NOT_HELD", `You do not hold the floor "${floor}" under fence ${fence}; nothing was done.`, {
    floor,
    fence,
  });

export const requirePresent = (state: SessionState, member: MemberId): Member => {
  const found = state.members.get(member);
  return found === undefined || found.presence === "gone"
    ? refuse("RECIPIENT_UNKNOWN", `The session has no member ${member}; nothing was done.`, { member })
    : found;
};

export const requireReceiver = (state: SessionState, floor: string, member: MemberId): void => {
  if (requirePresent(state, member).presence !== "connected") {
    refuse("RECIPIENT_UNKNOWN", `Member ${member} is away and cannot be given the floor "${floor}".`, {
      floor,
      member,
    });
  }
  if (floorOf(state, floor).holders.some((held) => held.member === member)) {
    refuse("FLOOR_BUSY", `Member ${member} has the floor "${floor}" already; nothing was done.`, { floor, member });
  }
};

export const requirePlace = (state: SessionState, floor: string): void => {
  // Floors with a name of their own are as many as the options have.
  if (state.floors.has(floor) || Object.hasOwn(state.config.floors, floor) || isToken(floor)) return;
  if (state.floors.size < state.config.maxFloors) return;
  refuse(
    "FLOOR_LIMIT",
    `${state.floors.size} floors are in use, the limit is ${state.config.maxFloors}; "${floor}" was not added. Raise limits.floors, or release some.`,
    { floors: state.floors.size, limit: state.config.maxFloors },
  );
};
