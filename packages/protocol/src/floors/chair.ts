/** What a chair does with a floor (RFC 8855: chair action), and how a floor is made to agree with a changed policy. */

import type { ChairCommand } from "../command.ts";
import { type Deciding, record, refuse } from "../deciding.ts";
import type { MemberId } from "../ids.ts";
import type { Verb } from "../permission.ts";
import type { Member } from "../state.ts";
import { changed, configFault, contradiction, type FloorConfig, fitting } from "./config.ts";
import type { FloorRequest } from "./floor.ts";
import { advance, byServer, cancel, end, grant, type Origin, seeToUnchaired, transience } from "./grants.ts";
import { ranked } from "./order.ts";
import { busy, floorConfig, notRequested, requireFloorVerb, requirePlace, requireReceiver } from "./refusals.ts";
import { floorConfigIn, floorOf, grantOf } from "./sight.ts";

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
      // Who chairs it stays in the session's own config.
      const { chair: _, ...own } = changed(config, command.change);
      const next: FloorConfig = { ...own, warning: fitting(command.change, config.warning) };
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
