/** In which order a floor's requests are granted. */

import type { MemberId, UserId } from "../ids.ts";
import type { FloorConfig } from "./config.ts";
import type { Floor, FloorRequest } from "./floor.ts";

/**
 * A request's rank, lower first: the time of its arrival, brought forward by its priority or put back by what its user has
 * spoken. As waiting weighs the same for all, ranks do not change while time goes by, and whoever asks later than a
 * rank's own time goes behind it: so nobody starves, but where `ageing` is absent and higher levels keep coming.
 */
const rankOf = (
  { order, ageing }: FloorConfig,
  request: FloorRequest,
  spoken: (member: MemberId) => number,
): readonly [level: number, at: number] => {
  switch (order) {
    case "fifo":
      return [0, request.at];
    case "priority":
      return ageing === undefined ? [-request.priority, request.at] : [0, request.at - request.priority * ageing];
    case "least-spoken":
      return [0, request.at + spoken(request.member)];
    default:
      return order satisfies never;
  }
};

/** What each member's user has spoken on the floor, in milliseconds. */
const spokenOn = (floor: Floor, userOf: (member: MemberId) => UserId | undefined): ((member: MemberId) => number) => {
  const talk = new Map(floor.talk);
  return (member) => {
    const user = userOf(member);
    return user === undefined ? 0 : (talk.get(user) ?? 0);
  };
};

type Compare = (a: FloorRequest, b: FloorRequest) => number;

const comparing = (config: FloorConfig, spoken: (member: MemberId) => number): Compare => {
  const ranks = new Map<FloorRequest, readonly [number, number]>();
  const rank = (request: FloorRequest): readonly [number, number] => {
    const known = ranks.get(request) ?? rankOf(config, request, spoken);
    ranks.set(request, known);
    return known;
  };
  return (a, b) => {
    // A chair's word goes before the policy.
    if (a.arranged !== b.arranged) return a.arranged ? -1 : 1;
    if (a.arranged) return 0;
    const [levelA, atA] = rank(a);
    const [levelB, atB] = rank(b);
    return levelA - levelB || atA - atB || a.id - b.id;
  };
};

const userIn =
  (members: ReadonlyMap<MemberId, { readonly user: UserId }>) =>
  (member: MemberId): UserId | undefined =>
    members.get(member)?.user;

/** The accepted requests in the order in which they will be granted. Arranged ones keep the order of the list. */
export const ranked = (
  config: FloorConfig,
  floor: Floor,
  members: ReadonlyMap<MemberId, { readonly user: UserId }>,
): readonly FloorRequest[] =>
  floor.queue.filter(({ status }) => status === "accepted").sort(comparing(config, spokenOn(floor, userIn(members))));

/** The first of them for which `fits` holds. */
export const firstOf = (
  config: FloorConfig,
  floor: Floor,
  members: ReadonlyMap<MemberId, { readonly user: UserId }>,
  fits: (request: FloorRequest) => boolean,
): FloorRequest | undefined => {
  const compare = comparing(config, spokenOn(floor, userIn(members)));
  let best: FloorRequest | undefined;
  for (const request of floor.queue) {
    if (request.status !== "accepted" || !fits(request)) continue;
    if (best === undefined || compare(request, best) < 0) best = request;
  }
  return best;
};
