/** What changed about who holds which floor, for the app on this server and for its media. */

import {
  type EndReason,
  type Entry,
  floorOf,
  type Grant,
  type MemberId,
  type Offset,
  type SessionId,
  type SessionState,
  type Time,
  type UserId,
} from "@rostrum/protocol";

export interface Holder {
  readonly member: MemberId;
  readonly user: UserId;
  readonly fence: Offset;
  readonly expiresAt?: Time;
}

/** A floor has other holders than before, or its session was just loaded (then nothing is `granted` or `lost`). */
export interface FloorMove {
  readonly session: SessionId;
  readonly floor: string;
  /** Who holds it now: the whole truth, whatever was missed before. */
  readonly holders: readonly Holder[];
  readonly granted: readonly Holder[];
  readonly lost: readonly (Pick<Holder, "member" | "fence"> & { readonly reason: EndReason })[];
}

const holderOf = ({ member, user, fence, expiresAt }: Grant): Holder => ({
  member,
  user,
  fence,
  ...(expiresAt === undefined ? {} : { expiresAt }),
});

const holdersOf = (state: SessionState, floor: string): readonly Holder[] =>
  floorOf(state, floor).holders.flatMap((grant) => (grant.revoked === undefined ? [holderOf(grant)] : []));

/** No entries: the session was just loaded. */
export const movesIn = (session: SessionId, entries: readonly Entry[], state: SessionState): readonly FloorMove[] => {
  if (entries.length === 0) {
    return [...state.floors.keys()].map((floor) => ({
      session,
      floor,
      holders: holdersOf(state, floor),
      granted: [],
      lost: [],
    }));
  }
  const moves = new Map<string, { granted: Holder[]; lost: FloorMove["lost"][number][] }>();
  const moveOf = (floor: string): { granted: Holder[]; lost: FloorMove["lost"][number][] } => {
    const known = moves.get(floor) ?? { granted: [], lost: [] };
    moves.set(floor, known);
    return known;
  };
  for (const entry of entries) {
    if (entry.type === "floor-granted") {
      const { floor, member, offset: fence, expiresAt } = entry;
      const user = state.members.get(member)?.user ?? ("" as UserId);
      moveOf(floor).granted.push({ member, user, fence, ...(expiresAt === undefined ? {} : { expiresAt }) });
    } else if (entry.type === "floor-revoked" || entry.type === "floor-released") {
      const { floor, member, fence } = entry;
      moveOf(floor).lost.push({ member, fence, reason: entry.type === "floor-revoked" ? entry.reason : entry.how });
    }
  }
  return [...moves].map(([floor, { granted, lost }]) => ({
    session,
    floor,
    holders: holdersOf(state, floor),
    granted,
    lost,
  }));
};
