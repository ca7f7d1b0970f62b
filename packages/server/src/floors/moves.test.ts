import {
  decide,
  defaultConfig,
  defaultFloor,
  type Entry,
  type Envelope,
  emptyState,
  type MemberCommand,
  type MemberId,
  memberId,
  type Offset,
  type ServerCommand,
  type SessionState,
  sessionId,
  type UserId,
} from "@rostrum/protocol";
import { expect, it } from "vitest";
import { type FloorMove, movesIn } from "./moves.ts";

const id = sessionId("s");
const [ann, bob] = [memberId("ann"), memberId("bob")];

/** A session as the rules make it: the entries each command led to, and the moves told of them. */
const session = () => {
  let state: SessionState = emptyState(id);
  let seq = 0;
  const run = (envelope: Envelope): readonly Entry[] => {
    const decision = decide(state, envelope, state.at + 1);
    for (const { error } of decision.refusals) throw error;
    state = decision.state;
    return decision.entries;
  };
  const by = (member: MemberId, command: MemberCommand): readonly FloorMove[] => {
    seq += 1;
    return movesIn(id, run({ from: { member, incarnation: 1, seq: seq as never }, command }), state);
  };
  const server = (command: MemberCommand | ServerCommand): readonly FloorMove[] =>
    movesIn(id, run({ from: null, command }), state);
  const floors = { mic: defaultFloor, screen: defaultFloor, "stage:*": defaultFloor };
  const opened = server({ type: "open", session: id, birth: "b", config: { ...defaultConfig, floors } });
  for (const member of [ann, bob])
    server({ type: "join", member, user: `${member}'s user` as UserId, roles: ["member"], node: "n" });
  return { opened, by, server, loaded: () => movesIn(id, [], state) };
};

const brief = (moves: readonly FloorMove[]): unknown[] =>
  moves.map(({ floor, holders, granted, lost }) => ({
    floor,
    holders: holders.map(({ member }) => member),
    ...(granted.length === 0 ? {} : { granted: granted.map(({ member, user }) => `${member} of ${user}`) }),
    ...(lost.length === 0 ? {} : { lost: lost.map(({ member, reason }) => `${member} ${reason}`) }),
  }));

const fenceOf = (moves: readonly FloorMove[]): Offset => {
  const [grant] = moves.flatMap(({ granted }) => granted);
  if (grant === undefined) throw new Error("Nothing was granted.");
  return grant.fence;
};

it("tells who got and who lost a floor, and who holds it now", () => {
  const { by } = session();
  const granted = by(ann, { type: "floor-request", floor: "mic" });
  expect(brief(granted)).toEqual([{ floor: "mic", holders: ["ann"], granted: ["ann of ann's user"] }]);
  expect(by(bob, { type: "floor-request", floor: "mic" })).toEqual([]);
  expect(brief(by(ann, { type: "floor-release", floor: "mic", fence: fenceOf(granted) }))).toEqual([
    { floor: "mic", holders: ["bob"], granted: ["bob of bob's user"], lost: ["ann released"] },
  ]);
});

it("tells a revoke once, at once, though the place is free only when the holder has confirmed", () => {
  const { by, server } = session();
  const fence = fenceOf(by(ann, { type: "floor-request", floor: "mic" }));
  by(bob, { type: "floor-request", floor: "mic" });
  expect(brief(server({ type: "floor-revoke", floor: "mic", member: ann }))).toEqual([
    { floor: "mic", holders: [], lost: ["ann revoked"] },
  ]);
  expect(brief(by(ann, { type: "floor-release", floor: "mic", fence }))).toEqual([
    { floor: "mic", holders: ["bob"], granted: ["bob of bob's user"] },
  ]);
});

it("tells of each floor that the options name or that was used when a session begins and when it is loaded", () => {
  const { opened, by, loaded } = session();
  expect(brief(opened)).toEqual([
    { floor: "mic", holders: [] },
    { floor: "screen", holders: [] },
  ]);
  by(ann, { type: "floor-request", floor: "mic" });
  by(bob, { type: "floor-request", floor: "stage:left" });
  expect(brief(loaded())).toEqual([
    { floor: "mic", holders: ["ann"] },
    { floor: "screen", holders: [] },
    { floor: "stage:left", holders: ["bob"] },
  ]);
});

it("takes every floor from everybody when the session ends, and stays with that when it is loaded", () => {
  const { by, server, loaded } = session();
  by(ann, { type: "floor-request", floor: "mic" });
  expect(brief(server({ type: "end" }))).toEqual([
    { floor: "mic", holders: [], lost: ["ann left"] },
    { floor: "screen", holders: [] },
  ]);
  expect(brief(loaded())).toEqual([
    { floor: "mic", holders: [] },
    { floor: "screen", holders: [] },
  ]);
});
