/**
 * How floors are granted and how grants end: RFC 8855 with leases and fences. One mechanism for all that at most so many may
 * hold at once.
 */

import type { MemberCommand } from "../command.ts";
import type { SessionConfig } from "../config.ts";
import { type Deciding, record, refuse } from "../deciding.ts";
import type { FloorCancelled } from "../entry.ts";
import type { MemberId, Offset, Seq, Time } from "../ids.ts";
import type { Member, SessionState } from "../state.ts";
import type { Priority } from "./config.ts";
import type { FloorRequest, Grant, RevokeReason } from "./floor.ts";
import { firstOf } from "./order.ts";
import { floorConfig, notHeld, requireFloorVerb, requireReceiver } from "./refusals.ts";
import { floorConfigIn, floorOf, grantOf, isChaired, isHere, leaseOf } from "./sight.ts";

/** Who asked, as it goes into the entry. */
export interface Origin {
  readonly by: MemberId | null;
  readonly seq?: Seq;
}

export const byServer: Origin = { by: null };

export const grant = (
  to: Deciding,
  floor: string,
  member: MemberId,
  request: Pick<FloorRequest, "id" | "priority"> | undefined,
  origin: Origin,
  expiresAt?: Time,
): void => {
  const { maxHold, grace } = floorConfig(to.state, floor);
  record(to, {
    type: "floor-granted",
    floor,
    member,
    request: request?.id ?? 0,
    lease: grace,
    ...origin,
    ...(request === undefined || request.priority === 0 ? {} : { priority: request.priority }),
    ...(maxHold === undefined ? {} : { expiresAt: expiresAt ?? to.now + maxHold }),
    ...transience(to.state, floor),
  });
};

/** A floor that only a pattern names is not remembered when it is idle. There may be only so many at once. */
export const transience = (state: SessionState, floor: string): { readonly transient?: true } =>
  state.floors.has(floor) || Object.hasOwn(state.config.floors, floor) ? {} : { transient: true };

/** Grants what is free to those who wait, in order. Somebody who is away keeps the place in the queue. */
export const advance = (to: Deciding, floor: string): void => {
  const config = floorConfigIn(to.state, floor);
  if (config === undefined) return;
  for (;;) {
    const present = floorOf(to.state, floor);
    if (present.holders.length >= config.capacity || present.queue.length === 0) return;
    const next = firstOf(config, present, to.state.members, ({ member }) => isHere(to.state, member));
    if (next === undefined || (!config.advance && next.taken !== true)) return;
    grant(to, floor, next.member, next, byServer);
  }
};

/** A member came back: a floor that stayed free while only absent members waited may be its own now. */
export const advanceAll = (to: Deciding): void => {
  for (const [name, { queue }] of to.state.floors) if (queue.length > 0) advance(to, name);
};

/** Ends the weakest grant for a request of a higher priority: with a warning, if the floor gives one. */
export const preempt = (to: Deciding, floor: string, priority: Priority): void => {
  const { preempt: allowed, warning, capacity } = floorConfig(to.state, floor);
  const { holders } = floorOf(to.state, floor);
  if (!allowed || holders.length < capacity) return;
  if (holders.some(({ revoked, ending }) => revoked !== undefined || ending !== undefined)) return;
  const weakest = holders.reduce((a, b) =>
    b.priority < a.priority || (b.priority === a.priority && b.at > a.at) ? b : a,
  );
  if (weakest.priority >= priority) return;
  if (warning === 0) return end(to, floor, weakest, "preempted");
  const { member, fence } = weakest;
  record(to, {
    type: "floor-ending",
    floor,
    member,
    fence,
    reason: "preempted",
    endsAt: to.now + warning,
    ...byServer,
  });
};

export const cancel = (
  to: Deciding,
  floor: string,
  { member, id: request }: FloorRequest,
  reason: FloorCancelled["reason"],
  origin: Origin = byServer,
): void => {
  record(to, { type: "floor-cancelled", floor, member, request, reason, ...origin });
};

/** Takes a grant away. Its place is free only when its holder knows, unless it knows already. */
export const end = (
  to: Deciding,
  floor: string,
  { member, fence }: Grant,
  reason: RevokeReason,
  { origin = byServer, note, knows = false }: { origin?: Origin; note?: string | undefined; knows?: boolean } = {},
): void => {
  record(to, {
    type: "floor-revoked",
    floor,
    member,
    fence,
    reason,
    lingers: !knows,
    ...origin,
    ...(note === undefined ? {} : { note }),
  });
  after(to, floor);
};

/** A place may have come free, and with it perhaps the chair of other floors. */
const after = (to: Deciding, floor: string): void => {
  advance(to, floor);
  chairMoved(to, floor);
};

/** Compares the fence, so that a late release never frees a later grant. After a revoke it confirms that one has stopped. */
export const releaseFloor = (to: Deciding, floor: string, member: MemberId, fence: Offset, origin: Origin): void => {
  const held = floorOf(to.state, floor).holders.find((each) => each.member === member && each.fence === fence);
  if (held === undefined) return notHeld(floor, fence);
  const how = held.revoked === undefined ? "released" : "confirmed";
  record(to, { type: "floor-released", floor, member, fence, how, ...origin });
  after(to, floor);
};

/** X.215: give tokens. Whoever holds the floor gives it to another member, who need not have asked. */
export const passFloor = (
  to: Deciding,
  { floor, fence, member }: Extract<MemberCommand, { type: "floor-pass" }>,
  self: Member,
  origin: Origin,
): void => {
  requireFloorVerb(to.state, self, "pass", floor);
  const held = grantOf(to.state, floor, self.id);
  if (held?.fence !== fence) return notHeld(floor, fence);
  if (held.ending !== undefined) {
    refuse(
      "FLOOR_ENDING",
      `Your turn on the floor "${floor}" is ending (${held.ending.reason}); it cannot be passed on.`,
      {
        floor,
        reason: held.ending.reason,
      },
    );
  }
  requireReceiver(to.state, floor, member);
  const request = floorOf(to.state, floor).queue.find((waiting) => waiting.member === member);
  record(to, { type: "floor-released", floor, member: self.id, fence, how: "passed", ...origin });
  // The hold limit is of the turn, in whose hands ever: passing on must not keep it from those who wait.
  grant(to, floor, member, request, { by: self.id }, held.expiresAt);
  chairMoved(to, floor);
};

/** A host has seen a lease run out. If it is still the same lease, its grant is over. */
export const lapse = (to: Deciding, floor: string, fence: Offset, from: Offset): void => {
  const held = floorOf(to.state, floor).holders.find((each) => each.fence === fence);
  const lease = held === undefined ? undefined : leaseOf(to.state, floor, held);
  if (held === undefined || lease?.from !== from) return;
  if (held.revoked === undefined) return end(to, floor, held, "grace", { knows: true });
  record(to, { type: "floor-freed", floor, member: held.member, fence });
  after(to, floor);
};

/** Frees everything a member holds or waits for: it has left. By itself it knows; put out or expired it may not. */
export const freeFloors = (to: Deciding, member: MemberId, how: "left" | "removed", knows: boolean): void => {
  for (const name of to.state.floors.keys()) {
    const request = floorOf(to.state, name).queue.find((waiting) => waiting.member === member);
    if (request !== undefined) cancel(to, name, request, how);
    for (const held of floorOf(to.state, name).holders) {
      if (held.member !== member) continue;
      if (held.revoked === undefined) end(to, name, held, how, { knows });
      else if (knows) {
        record(to, { type: "floor-freed", floor: name, member, fence: held.fence });
        after(to, name);
      }
    }
  }
};

/** What has become due by the log's time. */
export const expireFloors = (to: Deciding): void => {
  for (const name of to.state.floors.keys()) {
    for (const { id } of floorOf(to.state, name).queue) {
      // What was done for one may have changed the others.
      const request = floorOf(to.state, name).queue.find((each) => each.id === id);
      if (request?.expiresAt !== undefined && request.expiresAt <= to.now) cancel(to, name, request, "timeout");
    }
    for (const { fence } of floorOf(to.state, name).holders) {
      const held = floorOf(to.state, name).holders.find((each) => each.fence === fence);
      if (held === undefined || held.revoked !== undefined) continue;
      if ((held.expiresAt ?? Infinity) <= to.now) end(to, name, held, "hold-limit");
      else if (held.ending !== undefined && held.ending.at <= to.now) end(to, name, held, held.ending.reason);
    }
  }
};

/** Chairs may have come or gone with this floor: those who wait for a chair that is not there are seen to. */
const chairMoved = (to: Deciding, floor: string): void => {
  if (chairFloors(to.state.config).has(floor)) seeToAllUnchaired(to);
};

const chairFloorsBy = new WeakMap<SessionConfig, ReadonlySet<string>>();

/** The floors whose holders chair others. Found once for each config: releases are many. */
const chairFloors = (config: SessionConfig): ReadonlySet<string> => {
  const known =
    chairFloorsBy.get(config) ??
    new Set(Object.values(config.floors).flatMap(({ chair }) => (chair === undefined ? [] : [chair])));
  chairFloorsBy.set(config, known);
  return known;
};

export const seeToUnchaired = (to: Deciding, floor: string): void => {
  const config = floorConfigIn(to.state, floor);
  if (config === undefined || config.policy !== "chair" || config.unchaired === "wait") return;
  if (isChaired(to.state, floor)) return;
  for (const { id: request, member, status } of floorOf(to.state, floor).queue) {
    if (status !== "pending") continue;
    if (config.unchaired === "queue") record(to, { type: "floor-accepted", floor, member, request, ...byServer });
    else record(to, { type: "floor-denied", floor, member, request, reason: "no chair is here", ...byServer });
  }
  advance(to, floor);
};

/** A chair may have gone, and been the last one of some floors. */
export const seeToAllUnchaired = (to: Deciding): void => {
  for (const [name, { queue }] of to.state.floors) {
    if (queue.some(({ status }) => status === "pending")) seeToUnchaired(to, name);
  }
};

/** Takes a floor from everybody, because there is no longer any use for it. */
export const clearFloor = (to: Deciding, floor: string, reason: "dialog"): void => {
  const { holders, queue } = floorOf(to.state, floor);
  for (const request of queue) cancel(to, floor, request, reason);
  for (const held of holders) if (held.revoked === undefined) end(to, floor, held, reason);
};

/** Gives a free floor to a member who is here. */
export const giveFloor = (to: Deciding, floor: string, member: MemberId): void => {
  const config = floorConfigIn(to.state, floor);
  const { holders, queue } = floorOf(to.state, floor);
  const has = holders.some((held) => held.member === member);
  if (config === undefined || has || holders.length >= config.capacity || !isHere(to.state, member)) return;
  const request = queue.find((waiting) => waiting.member === member);
  grant(to, floor, member, request, byServer);
};
