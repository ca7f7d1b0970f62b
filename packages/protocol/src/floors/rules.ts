/** The rules of floors: RFC 8855 with leases and fences. One mechanism for all that at most so many may hold at once. */

import type { ChairCommand, MemberCommand } from "../command.ts";
import { floorConfigOf, type SessionConfig } from "../config.ts";
import { type Deciding, record, refuse } from "../deciding.ts";
import type { FloorCancelled } from "../entry.ts";
import type { MemberId, Offset, Seq, Time } from "../ids.ts";
import { may, type Verb } from "../permission.ts";
import type { Member, SessionState } from "../state.ts";
import { changed, configFault, contradiction, type FloorConfig, type Priority } from "./config.ts";
import { emptyFloor, type Floor, type FloorRequest, type Grant, type RevokeReason } from "./floor.ts";
import { firstOf, ranked } from "./order.ts";

/** Who asked, as it goes into the entry. */
export interface Origin {
  readonly by: MemberId | null;
  readonly seq?: Seq;
}

const byServer: Origin = { by: null };

// ---- what can be asked of a state ----

export const floorOf = (state: SessionState, name: string): Floor => state.floors.get(name) ?? emptyFloor;

/** How the floor works now; `undefined`: the session has no such floor. */
export const floorConfigIn = (state: SessionState, name: string): FloorConfig | undefined => {
  const base = floorConfigOf(state.config, name);
  return base === undefined ? undefined : (state.floors.get(name)?.config ?? base);
};

/** The grant under which the member may speak, if it has one. */
export const grantOf = (state: SessionState, name: string, member: MemberId): Grant | undefined =>
  state.floors.get(name)?.holders.find((grant) => grant.member === member && grant.revoked === undefined);

const isHere = (state: SessionState, id: MemberId): boolean => state.members.get(id)?.presence === "connected";

/** Whether the member may do this to the floor: by its role, or as a holder of the floor that chairs it. */
const mayModerate = (state: SessionState, name: string, member: Member, verb: Verb = "moderate"): boolean => {
  if (may(state.config, member.roles, verb, name)) return true;
  const chair = floorConfigIn(state, name)?.chair;
  return chair !== undefined && grantOf(state, chair, member.id) !== undefined;
};

/** The members who may moderate the floor and are here. */
export const chairsOf = (state: SessionState, name: string): readonly Member[] =>
  [...state.members.values()].filter((member) => member.presence === "connected" && mayModerate(state, name, member));

/** A lease that a host has to watch by its own clock: nobody else gets the place before it is over. */
export interface Lease {
  readonly floor: string;
  readonly fence: Offset;
  /** Offset of the entry from which it runs: the drop of the holder, or the revoke. */
  readonly from: Offset;
  /** Milliseconds. */
  readonly for: number;
  readonly member: MemberId;
}

const leaseOf = (state: SessionState, floor: string, { fence, lease, member, revoked }: Grant): Lease | undefined => {
  if (revoked !== undefined) return { floor, fence, member, from: revoked, for: lease };
  const holder = state.members.get(member);
  return holder?.presence === "dropped" ? { floor, fence, member, from: holder.changed, for: lease } : undefined;
};

/** What is to happen to floors by time: by the log's time, and by a host's own clock. */
export const floorTimes = (state: SessionState): { readonly next: Time; readonly leases: readonly Lease[] } => {
  let next = Infinity;
  const leases: Lease[] = [];
  for (const [name, { holders, queue }] of state.floors) {
    for (const grant of holders) {
      const lease = leaseOf(state, name, grant);
      if (lease !== undefined) leases.push(lease);
      if (grant.revoked === undefined) next = Math.min(next, grant.expiresAt ?? Infinity, grant.ending?.at ?? Infinity);
    }
    for (const { expiresAt } of queue) if (expiresAt !== undefined && expiresAt < next) next = expiresAt;
  }
  return { next, leases };
};

// ---- refusals ----

const floorConfig = (state: SessionState, floor: string): FloorConfig =>
  floorConfigIn(state, floor) ??
  refuse(
    "FLOOR_UNKNOWN",
    `The session has no floor "${floor}"; nothing was done. Add it to the server's floors option.`,
    { floor },
  );

const requireFloorVerb = (state: SessionState, member: Member, verb: Verb, floor: string): void => {
  if (mayModerate(state, floor, member, verb)) return;
  refuse(
    "FORBIDDEN",
    `The roles ${member.roles.join(", ") || "(none)"} do not permit ${verb}:${floor}, and ${member.id} does not chair the floor; nothing was done.`,
    { permission: `${verb}:${floor}`, floor },
  );
};

const notRequested = (floor: string, member: MemberId): never =>
  refuse("FLOOR_NOT_REQUESTED", `Member ${member} has no request for the floor "${floor}"; nothing was done.`, {
    floor,
    member,
  });

const busy = (floor: string, { holders }: Floor, { capacity }: FloorConfig): never =>
  refuse(
    "FLOOR_BUSY",
    `The floor "${floor}" has ${holders.length} of ${capacity} holders; nothing was done. Ask again when it is free, or wait in its queue.`,
    { floor, holders: holders.length, capacity },
  );

const notHeld = (floor: string, fence: Offset): never =>
  refuse("FLOOR_NOT_HELD", `You do not hold the floor "${floor}" under fence ${fence}; nothing was done.`, {
    floor,
    fence,
  });

const requirePresent = (state: SessionState, member: MemberId): Member => {
  const found = state.members.get(member);
  return found === undefined || found.presence === "gone"
    ? refuse("RECIPIENT_UNKNOWN", `The session has no member ${member}; nothing was done.`, { member })
    : found;
};

// ---- granting ----

const grant = (
  to: Deciding,
  floor: string,
  member: MemberId,
  request: Pick<FloorRequest, "id" | "priority"> | undefined,
  origin: Origin,
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
    ...(maxHold === undefined ? {} : { expiresAt: to.now + maxHold }),
    ...transience(to.state, floor),
  });
};

/** A floor that only a pattern names is not remembered when it is idle. There may be only so many at once. */
const transience = (state: SessionState, floor: string): { readonly transient?: true } =>
  state.floors.has(floor) || Object.hasOwn(state.config.floors, floor) ? {} : { transient: true };

const requirePlace = (state: SessionState, floor: string): void => {
  if (state.floors.size < state.config.maxFloors || state.floors.has(floor)) return;
  refuse(
    "FLOOR_LIMIT",
    `${state.floors.size} floors are in use, the limit is ${state.config.maxFloors}; "${floor}" was not added. Raise limits.floors, or release some.`,
    { floors: state.floors.size, limit: state.config.maxFloors },
  );
};

/** Grants what is free to those who wait, in order. Somebody who is away keeps the place in the queue. */
const advance = (to: Deciding, floor: string): void => {
  const config = floorConfigIn(to.state, floor);
  if (config?.advance !== true) return;
  for (;;) {
    const present = floorOf(to.state, floor);
    if (present.holders.length >= config.capacity || present.queue.length === 0) return;
    const next = firstOf(config, present, to.state.members, ({ member }) => isHere(to.state, member));
    if (next === undefined) return;
    grant(to, floor, next.member, next, byServer);
  }
};

/** A member came back: a floor that stayed free while only absent members waited may be its own now. */
export const advanceAll = (to: Deciding): void => {
  for (const [name, { queue }] of to.state.floors) if (queue.length > 0) advance(to, name);
};

/** Ends the weakest grant for a request of a higher priority: with a warning, if the floor gives one. */
const preempt = (to: Deciding, floor: string, priority: Priority): void => {
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
  if (unchaired === "wait" || chairsOf(state, floor).length > 0) return "pending";
  return unchaired === "queue" ? "accepted" : "denied";
};

// ---- ending ----

const cancel = (
  to: Deciding,
  floor: string,
  { member, id: request }: FloorRequest,
  reason: FloorCancelled["reason"],
  origin: Origin = byServer,
): void => {
  record(to, { type: "floor-cancelled", floor, member, request, reason, ...origin });
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

/** Compares the fence, so that a late release never frees a later grant. After a revoke it confirms that one has stopped. */
export const releaseFloor = (to: Deciding, floor: string, member: MemberId, fence: Offset, origin: Origin): void => {
  const held = floorOf(to.state, floor).holders.find((each) => each.member === member && each.fence === fence);
  if (held === undefined) return notHeld(floor, fence);
  record(to, { type: "floor-released", floor, member, fence, how: "released", ...origin });
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
  grant(to, floor, member, request, { by: self.id });
  chairMoved(to, floor);
};

const requireReceiver = (state: SessionState, floor: string, member: MemberId): void => {
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

/** Takes a grant away. Its place is free only when its holder knows, unless it knows already. */
const end = (
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
  for (const [name, { queue, holders }] of to.state.floors) {
    const request = queue.find((waiting) => waiting.member === member);
    if (request !== undefined) cancel(to, name, request, how);
    for (const held of holders) {
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
  for (const [name, { holders, queue }] of to.state.floors) {
    for (const request of queue) {
      if (request.expiresAt !== undefined && request.expiresAt <= to.now) cancel(to, name, request, "timeout");
    }
    for (const held of holders) {
      if (held.revoked !== undefined) continue;
      if ((held.expiresAt ?? Infinity) <= to.now) end(to, name, held, "hold-limit");
      else if (held.ending !== undefined && held.ending.at <= to.now) end(to, name, held, held.ending.reason);
    }
  }
};

// ---- chairs ----

/** The verb that a chair's command needs. */
const verbs: Readonly<Record<ChairCommand["type"], Verb>> = {
  "floor-accept": "accept",
  "floor-grant": "grant",
  "floor-deny": "deny",
  "floor-revoke": "revoke",
  "floor-give": "give",
  "floor-take": "take",
  "floor-reorder": "reorder",
  "floor-configure": "configure",
};

export const isChairCommand = (command: { readonly type: string }): command is ChairCommand =>
  Object.hasOwn(verbs, command.type);

/** `self` is absent if the server is the chair. */
export const moderate = (to: Deciding, command: ChairCommand, self: Member | undefined, origin: Origin): void => {
  const { floor } = command;
  const config = floorConfig(to.state, floor);
  if (self !== undefined) requireFloorVerb(to.state, self, verbs[command.type], floor);
  const present = floorOf(to.state, floor);
  const requestOf = (member: MemberId): FloorRequest =>
    present.queue.find((waiting) => waiting.member === member) ?? notRequested(floor, member);
  const requireRoom = (): void => {
    if (present.holders.length >= config.capacity) busy(floor, present, config);
  };
  switch (command.type) {
    case "floor-accept": {
      const { id: request, member, status } = requestOf(command.member);
      if (status === "accepted") return notRequested(floor, member);
      record(to, { type: "floor-accepted", floor, member, request, ...origin });
      return advance(to, floor);
    }
    case "floor-grant": {
      const request = requestOf(command.member);
      requireReceiver(to.state, floor, command.member);
      requireRoom();
      return grant(to, floor, command.member, request, origin);
    }
    case "floor-give": {
      requireReceiver(to.state, floor, command.member);
      requireRoom();
      requirePlace(to.state, floor);
      const request = present.queue.find((waiting) => waiting.member === command.member);
      return grant(to, floor, command.member, request, origin);
    }
    case "floor-deny": {
      const { id: request, member } = requestOf(command.member);
      const reason = command.reason === undefined ? {} : { reason: command.reason };
      record(to, { type: "floor-denied", floor, member, request, ...origin, ...reason });
      return;
    }
    case "floor-revoke": {
      const held = grantOf(to.state, floor, command.member);
      if (held === undefined) {
        return refuse(
          "FLOOR_NOT_HELD",
          `Member ${command.member} does not hold the floor "${floor}"; nothing was revoked.`,
          { floor, member: command.member },
        );
      }
      return end(to, floor, held, "revoked", { origin, note: command.reason });
    }
    case "floor-take":
      return take(to, floor, config, self ?? refuse("USAGE", "Only a member can take a floor."), origin);
    case "floor-reorder":
      return reorder(to, floor, config, requestOf(command.member), command.position, origin);
    case "floor-configure": {
      const next = changed(config, command.change);
      const fault = configFault(command.change) ?? contradiction(next);
      if (fault !== undefined) {
        refuse("FLOOR_CONFIG_INVALID", `The floor "${floor}" was not changed: ${fault}.`, { floor, fault });
      }
      requirePlace(to.state, floor);
      record(to, { type: "floor-configured", floor, config: next, ...origin });
      return conform(to, floor);
    }
    default:
      command satisfies never;
  }
};

/** The chair's own turn, now: the newest holder has to go, and nobody comes before the chair. */
const take = (to: Deciding, floor: string, { capacity }: FloorConfig, self: Member, origin: Origin): void => {
  const { holders, queue } = floorOf(to.state, floor);
  const held = grantOf(to.state, floor, self.id);
  if (held !== undefined) {
    record(to, { type: "floor-requested", floor, member: self.id, request: held.request, ...origin });
    return;
  }
  requirePlace(to.state, floor);
  const waiting = queue.find(({ member }) => member === self.id);
  if (waiting !== undefined) cancel(to, floor, waiting, "cancelled");
  const { offset: id } = record(to, {
    type: "floor-requested",
    floor,
    member: self.id,
    first: true,
    ...origin,
    ...transience(to.state, floor),
  });
  if (holders.length < capacity) return grant(to, floor, self.id, { id, priority: 0 }, byServer);
  const last = holders.filter(({ revoked }) => revoked === undefined).at(-1);
  // Where a place is coming free already, it is the chair's.
  if (last !== undefined && holders.every(({ revoked }) => revoked === undefined)) {
    end(to, floor, last, "taken-over", { origin: { by: self.id } });
  }
};

const reorder = (
  to: Deciding,
  floor: string,
  config: FloorConfig,
  request: FloorRequest,
  position: number,
  origin: Origin,
): void => {
  const order = ranked(config, floorOf(to.state, floor), to.state.members).map(({ id }) => id);
  const from = order.indexOf(request.id);
  if (from < 0 || position < 1 || position > order.length) {
    refuse(
      "FLOOR_NOT_REQUESTED",
      from < 0
        ? `The request of ${request.member} waits for a decision and has no place in the queue of "${floor}" yet.`
        : `Position ${position} is not in the queue of "${floor}", which has ${order.length}.`,
      { floor, member: request.member, position, waiting: order.length },
    );
  }
  order.splice(position - 1, 0, ...order.splice(from, 1));
  // What lies behind both places goes on by the policy.
  record(to, { type: "floor-reordered", floor, order: order.slice(0, Math.max(from + 1, position)), ...origin });
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

const seeToUnchaired = (to: Deciding, floor: string): void => {
  const config = floorConfigIn(to.state, floor);
  if (config === undefined || config.policy !== "chair" || config.unchaired === "wait") return;
  if (chairsOf(to.state, floor).length > 0) return;
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

/**
 * Makes a floor agree with a changed config. Holders beyond the capacity lose it, the newest first; what waits for a
 * chair that is no longer asked is accepted; what waits where nobody waits any more is taken back. Limits of time and
 * of the queue hold for what comes after.
 */
const conform = (to: Deciding, floor: string): void => {
  const config = floorConfigIn(to.state, floor);
  const { holders, queue } = floorOf(to.state, floor);
  const capacity = config?.capacity ?? 0;
  const active = holders.filter(({ revoked }) => revoked === undefined);
  for (const held of active.slice(capacity).reverse()) end(to, floor, held, "configured");
  for (const request of queue) {
    if (config === undefined || config.policy === "first-come") cancel(to, floor, request, "configured");
    else if (config.policy === "queue" && request.status === "pending") {
      const { member, id } = request;
      record(to, { type: "floor-accepted", floor, member, request: id, ...byServer });
    }
  }
  seeToUnchaired(to, floor);
  advance(to, floor);
};

/** The session's config has changed: every floor in use has to agree with it. */
export const conformAll = (to: Deciding): void => {
  for (const name of to.state.floors.keys()) conform(to, name);
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
  const { holders } = floorOf(to.state, floor);
  if (config === undefined || holders.length >= config.capacity || !isHere(to.state, member)) return;
  grant(to, floor, member, undefined, byServer);
};
