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

/** A floor has other holders than before, or its session was just made or loaded (then nothing is `granted` or `lost`). */
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

const grantsOn = (state: SessionState, floor: string): readonly Grant[] =>
  floorOf(state, floor).holders.filter(({ revoked }) => revoked === undefined);

const holdersOf = (state: SessionState, floor: string): readonly Holder[] =>
  state.ended === null ? grantsOn(state, floor).map(holderOf) : [];

/**
 * Those that were used and those that the options name: of one that nobody has held here, somebody who follows may still
 * believe what was so in an earlier life of the session. What only a pattern names is not known before it is used.
 */
const floorsIn = ({ config, floors }: SessionState): ReadonlySet<string> =>
  new Set([...Object.keys(config.floors).filter((name) => !name.endsWith("*")), ...floors.keys()]);

/** The session is deleted: nobody holds anything in it any more. */
export const movesAtDeletion = (session: SessionId, state: SessionState): readonly FloorMove[] =>
  [...floorsIn(state)].map((floor) => ({
    session,
    floor,
    holders: [],
    granted: [],
    lost: grantsOn(state, floor).map(({ member, fence }) => ({ member, fence, reason: "removed" })),
  }));

/** No entries: the session was just loaded. */
export const movesIn = (session: SessionId, entries: readonly Entry[], state: SessionState): readonly FloorMove[] => {
  const moves = new Map<string, { granted: Holder[]; lost: FloorMove["lost"][number][] }>();
  const moveOf = (floor: string): { granted: Holder[]; lost: FloorMove["lost"][number][] } => {
    const known = moves.get(floor) ?? { granted: [], lost: [] };
    moves.set(floor, known);
    return known;
  };
  if (entries.length === 0) for (const floor of floorsIn(state)) moveOf(floor);
  for (const entry of entries) {
    if (entry.type === "opened") {
      for (const floor of floorsIn(state)) moveOf(floor);
    } else if (entry.type === "ended") {
      // Nothing is stored of its floors any more, and nobody is there to hold them.
      for (const floor of floorsIn(state)) {
        const { lost } = moveOf(floor);
        for (const { member, fence } of grantsOn(state, floor)) lost.push({ member, fence, reason: "left" });
      }
    } else if (entry.type === "floor-granted") {
      const { floor, member, offset: fence, expiresAt } = entry;
      const user = state.members.get(member)?.user ?? ("" as UserId);
      moveOf(floor).granted.push({ member, user, fence, ...(expiresAt === undefined ? {} : { expiresAt }) });
    } else if (entry.type === "floor-revoked") {
      const { floor, member, fence, reason } = entry;
      moveOf(floor).lost.push({ member, fence, reason });
    } else if (entry.type === "floor-released") {
      const { floor, member, fence, how } = entry;
      // The loss was told with the revoke.
      if (how !== "confirmed") moveOf(floor).lost.push({ member, fence, reason: how });
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
