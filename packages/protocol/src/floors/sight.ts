/** What can be asked of a state about its floors. */

import { floorConfigOf } from "../config.ts";
import type { MemberId, Offset, Time } from "../ids.ts";
import { may, type Verb } from "../permission.ts";
import type { Member, SessionState } from "../state.ts";
import type { FloorConfig } from "./config.ts";
import { emptyFloor, type Floor, type Grant } from "./floor.ts";

export const floorOf = (state: SessionState, name: string): Floor => state.floors.get(name) ?? emptyFloor;

/** How the floor works now; `undefined`: the session has no such floor. */
export const floorConfigIn = (state: SessionState, name: string): FloorConfig | undefined => {
  const base = floorConfigOf(state.config, name);
  return base === undefined ? undefined : (state.floors.get(name)?.config ?? base);
};

/** The grant under which the member may speak, if it has one. */
export const grantOf = (state: SessionState, name: string, member: MemberId): Grant | undefined =>
  state.floors.get(name)?.holders.find((grant) => grant.member === member && grant.revoked === undefined);

export const isHere = (state: SessionState, id: MemberId): boolean => state.members.get(id)?.presence === "connected";

/** Whether the member may do this to the floor: by its role, or as a holder of the floor that chairs it. */
export const mayModerate = (state: SessionState, name: string, member: Member, verb: Verb = "moderate"): boolean => {
  if (may(state.config, member.roles, verb, name)) return true;
  // Who chairs stands in the session's own config; in mid-session it is not changed.
  const chair = floorConfigOf(state.config, name)?.chair;
  return chair !== undefined && grantOf(state, chair, member.id) !== undefined;
};

/** The members who may moderate the floor and are here. */
export const chairsOf = (state: SessionState, name: string): readonly Member[] =>
  [...state.members.values()].filter((member) => member.presence === "connected" && mayModerate(state, name, member));

/** Whether somebody is here who may decide requests. */
export const isChaired = (state: SessionState, name: string): boolean => {
  for (const member of state.members.values()) {
    if (member.presence !== "connected") continue;
    if (mayModerate(state, name, member, "grant") || mayModerate(state, name, member, "accept")) return true;
  }
  return false;
};

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

export const leaseOf = (
  state: SessionState,
  floor: string,
  { fence, lease, member, revoked }: Grant,
): Lease | undefined => {
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
