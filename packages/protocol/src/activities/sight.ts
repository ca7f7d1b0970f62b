/** What follows from activities as they stand. */

import type { MemberId, Offset, Time, UserId } from "../ids.ts";
import type { Activity } from "./activity.ts";

/**
 * Whom an activity concerns: `undefined` for everybody; else whom it is addressed to, who is at it, and the other members of
 * its user, who may take it up.
 */
export const audienceIn = (
  { members }: { readonly members: ReadonlyMap<MemberId, { readonly user: UserId }> },
  { to, by, holder, heir, user }: Activity,
): readonly MemberId[] | undefined => {
  if (to === undefined) return undefined;
  const concerned = new Set(to);
  for (const id of [by, holder, heir]) if (id !== null && id !== undefined) concerned.add(id);
  if (user !== null) for (const [id, member] of members) if (member.user === user) concerned.add(id);
  return [...concerned];
};

/** When the first activity runs out. */
export const firstExpiry = (activities: ReadonlyMap<Offset, Activity>): Time => {
  let next = Infinity;
  for (const { expiresAt } of activities.values()) if (expiresAt !== undefined && expiresAt < next) next = expiresAt;
  return next;
};
