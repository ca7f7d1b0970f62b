/** What follows from activities as they stand. */

import type { MemberId, Offset, Time, UserId } from "../ids.ts";
import type { Activity } from "./activity.ts";

type Members = ReadonlyMap<MemberId, { readonly user: UserId }>;

/**
 * Whom an activity concerns: `undefined` for everybody; else whom it is addressed to, and all members of the user who started
 * it, on whatever device. That is the same from its start to its end, whoever takes it up or declines it: who was told of its
 * beginning is told of its end, and nobody is told of its end only.
 */
export const audienceIn = (
  { members }: { readonly members: Members },
  { to, starter }: Activity,
): readonly MemberId[] | undefined => {
  if (to === undefined) return undefined;
  const concerned = new Set(to);
  if (starter !== null) for (const [id, member] of members) if (member.user === starter) concerned.add(id);
  return [...concerned];
};

/** Whether an activity concerns a member: `audienceIn` without making the list. */
export const concerns = (
  { members }: { readonly members: Members },
  { to, starter }: Activity,
  member: MemberId,
): boolean => to === undefined || (starter !== null && members.get(member)?.user === starter) || to.includes(member);

/** When the first activity runs out. */
export const firstExpiry = (activities: ReadonlyMap<Offset, Activity>): Time => {
  let next = Infinity;
  for (const { expiresAt } of activities.values()) if (expiresAt !== undefined && expiresAt < next) next = expiresAt;
  return next;
};
