/** How entries change one activity. */

import type { ActivityEntry } from "../entry.ts";
import type { MemberId, UserId } from "../ids.ts";
import type { Activity, ActivityPoint } from "./activity.ts";

const without = <K extends keyof Activity>(activity: Activity, ...keys: readonly K[]): Omit<Activity, K> => {
  const rest = { ...activity };
  for (const key of keys) delete (rest as { [P in K]?: unknown })[key];
  return rest;
};

/** Records and applies no rule. `undefined`: it is no longer there. */
export const foldActivity = (
  activity: Activity | undefined,
  entry: ActivityEntry,
  userOf: (member: MemberId) => UserId | undefined,
): Activity | undefined => {
  if (entry.type === "activity-started") {
    const { offset: id, name, kind, by, to, data, point, at: since } = entry;
    return {
      id,
      name,
      kind,
      status: "running",
      by,
      starter: by === null ? null : (userOf(by) ?? null),
      user: by === null ? null : (userOf(by) ?? null),
      holder: by,
      run: id,
      next: 1,
      open: 1,
      confirmed: null,
      points: [],
      since,
      ...(to === undefined ? {} : { to }),
      ...(data === undefined ? {} : { data }),
      ...(point === undefined ? {} : { point }),
      ...(to === undefined || kind !== "transfer" ? {} : { waiting: to }),
    };
  }
  if (activity === undefined) return undefined;
  switch (entry.type) {
    case "activity-point": {
      const { serial, at, data, confirmed } = entry;
      const point: ActivityPoint = { serial, at, ...(data === undefined ? {} : { data }) };
      return confirmed === true
        ? { ...activity, next: serial + 1, open: serial + 1, confirmed: point, points: [] }
        : { ...activity, next: serial + 1, points: [...activity.points, point] };
    }
    case "activity-confirmed": {
      const { serial, member } = entry;
      const waiting = activity.waiting?.filter((id) => id !== member);
      const reached = activity.points.findLast((point) => point.serial <= serial);
      return {
        ...activity,
        ...(activity.status === "ended" && waiting !== undefined ? { waiting } : {}),
        ...(serial < activity.open
          ? {}
          : {
              open: serial + 1,
              confirmed: reached ?? activity.confirmed,
              points: activity.points.filter((point) => point.serial > serial),
            }),
      };
    }
    case "activity-interrupted": {
      const { at: since, expiresAt } = entry;
      return {
        ...without(activity, "heir"),
        status: "interrupted",
        since,
        expiresAt,
        ...(entry.for === undefined ? {} : { heir: entry.for }),
      };
    }
    case "activity-resumed": {
      const { member, serial, offset: run, at: since } = entry;
      const user = member === null ? null : (userOf(member) ?? activity.user);
      // What was set and not confirmed has to be done again (X.225: restart).
      return {
        ...without(activity, "heir", "expiresAt"),
        status: "running",
        holder: member,
        user,
        run,
        since,
        next: serial + 1,
        open: Math.min(activity.open, serial + 1),
        points: [],
      };
    }
    case "activity-declined":
      return {
        ...activity,
        declined: [...(activity.declined ?? []), entry.member],
        ...(activity.waiting === undefined ? {} : { waiting: activity.waiting.filter((id) => id !== entry.member) }),
      };
    case "activity-ended": {
      const { at: since, expiresAt, result } = entry;
      if (expiresAt === undefined) return undefined;
      return {
        ...without(activity, "heir"),
        status: "ended",
        since,
        ...(expiresAt === null ? {} : { expiresAt }),
        ...(result === undefined ? {} : { result }),
        open: activity.next,
        points: [],
      };
    }
    case "activity-discarded":
    case "activity-forgotten":
      return undefined;
    default:
      return entry satisfies never;
  }
};
