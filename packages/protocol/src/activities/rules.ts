/** The rules of activities (X.215 5.11): who may begin, interrupt, take up, give up and end one, and what is left of it. */

import type { ActivityCommand } from "../command.ts";
import { tokens } from "../config.ts";
import { type Deciding, record, refuse, requireRecipients } from "../deciding.ts";
import { requireTokenIfHeld } from "../dialog/rules.ts";
import type { ActivityInterrupted, Draft } from "../entry.ts";
import type { Origin } from "../floors/grants.ts";
import type { MemberId, Offset, Time } from "../ids.ts";
import { may } from "../permission.ts";
import type { Member, SessionState } from "../state.ts";
import { pointAt } from "../sync/sync.ts";
import { type Activity, storedBytes, type TransferInfo } from "./activity.ts";
import { audienceIn, concerns } from "./sight.ts";

type Of<T extends ActivityCommand["type"]> = Extract<ActivityCommand, { type: T }>;

const byServer: Origin = { by: null };

/** Most points of an activity that may wait for confirmation. */
const maxOpenPoints = 16;

const privacy = (state: SessionState, activity: Activity): { readonly to?: readonly MemberId[] } => {
  const to = audienceIn(state, activity);
  return to === undefined ? {} : { to };
};

const unknown = (id: Offset): never =>
  refuse("ACTIVITY_UNKNOWN", `There is no activity ${id}: it has ended, was given up, or does not concern you.`, {
    activity: id,
  });

const activityOf = (state: SessionState, id: Offset, self: Member | undefined): Activity => {
  const activity = state.activities.get(id);
  return activity !== undefined && (self === undefined || concerns(state, activity, self.id)) ? activity : unknown(id);
};

/** The activity, if it runs and this is who runs it. What was sent under an older run comes too late. */
const held = (state: SessionState, id: Offset, run: Offset, self: Member | undefined): Activity => {
  const activity = activityOf(state, id, self);
  if (activity.status === "ended") unknown(id);
  if (activity.status !== "running") {
    refuse("ACTIVITY_INTERRUPTED", `The activity "${activity.name}" is ${activity.status}; nothing was done.`, {
      activity: id,
      status: activity.status,
    });
  }
  // The server acts for whoever runs it, but stores the bytes of one run at a time.
  const foreign = self === undefined ? activity.kind !== "app" && activity.run !== run : activity.holder !== self.id;
  if (foreign || (self !== undefined && activity.run !== run)) {
    refuse(
      "ACTIVITY_NOT_HELD",
      `The activity "${activity.name}" is run by somebody else, or was taken up anew since; nothing was done.`,
      { activity: id, run: activity.run },
    );
  }
  return activity;
};

/** The server stores the bytes, so it alone says how far they are. */
const requireApp = (activity: Activity, self: Member | undefined): void => {
  if (self === undefined || activity.kind === "app") return;
  refuse("FORBIDDEN", `The server sets the points of a ${activity.kind} and ends it; nothing was done.`, {
    permission: "activity",
  });
};

/** Who takes one up has to be permitted what who began it was: a hand-over permits nothing. */
const requireMayRun = ({ config }: SessionState, self: Member, { kind, name }: Activity): void => {
  if (kind === "state") return;
  const verb = kind === "transfer" ? "transfer" : "activity";
  if (may(config, self.roles, verb, name)) return;
  refuse(
    "FORBIDDEN",
    `The roles ${self.roles.join(", ") || "(none)"} do not permit ${verb}:${name}; it was not taken up.`,
    { permission: `${verb}:${name}` },
  );
};

const kept = ({ activities }: SessionState): number => {
  let bytes = 0;
  for (const activity of activities.values()) {
    if (activity.kind === "app") continue;
    const { size } = (activity.data ?? {}) as TransferInfo;
    bytes += activity.status === "ended" ? storedBytes(activity) : Math.max(size ?? 0, storedBytes(activity));
  }
  return bytes;
};

const requireSpace = (state: SessionState, { size }: TransferInfo): void => {
  const { bytes, bytesInAll } = state.config.activities;
  if (size !== undefined && size > bytes) {
    refuse("TRANSFER_TOO_LARGE", `The transfer has ${size} bytes, the limit is ${bytes}; it was not begun.`, {
      size,
      limit: bytes,
    });
  }
  const present = kept(state);
  if (present + (size ?? 0) > bytesInAll) {
    refuse(
      "TRANSFER_QUOTA",
      `The session keeps ${present} bytes of transfers, and ${size ?? "unknown"} more would exceed ${bytesInAll}; the transfer was not begun. Try again when others have been fetched.`,
      { bytes: present, size: size ?? null, limit: bytesInAll },
    );
  }
};

/** The sync point whose state is to be shared. */
const requirePoint = (state: SessionState, offset: Offset | undefined, self: Member | undefined): Offset => {
  const point = pointAt(state.sync, offset);
  if (point !== undefined && point.state === undefined && (self === undefined || point.by === self.id)) {
    for (const { id, kind, point: of, status, holder } of state.activities.values()) {
      if (kind !== "state" || of !== offset) continue;
      refuse("ACTIVITY_RUNNING", `The state of this sync point is being sent already (${status}); nothing was begun.`, {
        activity: id,
        status,
        holder,
      });
    }
    return point.offset;
  }
  return refuse(
    "SYNC_UNKNOWN",
    `There is no sync point of yours at ${offset ?? 0} that has no state yet; nothing was begun.`,
    {
      offset: offset ?? 0,
    },
  );
};

export const start = (to: Deciding, command: Of<"activity-start">, self: Member | undefined, origin: Origin): void => {
  const { kind, name, data } = command;
  const { most } = to.state.config.activities;
  if (self !== undefined && kind !== "state")
    requireTokenIfHeld(to.state, self, tokens.majorActivity, "begins activities while somebody holds it");
  if (to.state.activities.size >= most) {
    refuse(
      "ACTIVITY_LIMIT",
      `The session has ${to.state.activities.size} activities, the limit is ${most}; yours was not begun.`,
      {
        activities: to.state.activities.size,
        limit: most,
      },
    );
  }
  if (kind !== "app") requireSpace(to.state, (data ?? {}) as TransferInfo);
  const point = kind === "state" ? requirePoint(to.state, command.point, self) : undefined;
  const addressed = kind === "state" ? undefined : command.to;
  const others = addressed && [...new Set(addressed)].filter((id) => id !== self?.id);
  if (others?.length === 0) {
    refuse("RECIPIENT_UNKNOWN", "The activity is addressed to nobody but yourself; it was not begun.", {
      member: self?.id ?? null,
    });
  }
  requireRecipients(to.state, others);
  const own =
    others === undefined
      ? []
      : [...to.state.members.values()].filter(({ id, user }) => id !== self?.id && user === self?.user);
  record(to, {
    type: "activity-started",
    name,
    kind,
    ...(others === undefined ? {} : { to: others, also: own.map(({ id }) => id) }),
    ...(data === undefined ? {} : { data }),
    ...(point === undefined ? {} : { point }),
    ...origin,
  });
};

export const setPoint = (
  to: Deciding,
  command: Of<"activity-point">,
  self: Member | undefined,
  origin: Origin,
): void => {
  const activity = held(to.state, command.activity, command.run, self);
  requireApp(activity, self);
  const { data, confirm = false } = command;
  if ((confirm || activity.points.length > 0) && activity.points.length >= maxOpenPoints) {
    refuse("SYNC_LIMIT", `${activity.points.length} points of the activity are not confirmed yet; yours was not set.`, {
      open: activity.points.length,
      limit: maxOpenPoints,
    });
  }
  record(to, {
    type: "activity-point",
    activity: activity.id,
    serial: activity.next,
    ...(data === undefined ? {} : { data }),
    // A point that nobody has to confirm cannot stand behind one that somebody has to.
    ...(confirm || activity.points.length > 0 ? {} : { confirmed: true }),
    ...privacy(to.state, activity),
    ...origin,
  });
};

export const confirmPoint = (
  to: Deciding,
  { activity: id, serial }: Of<"activity-confirm">,
  self: Member | undefined,
  origin: Origin,
): void => {
  const activity = activityOf(to.state, id, self);
  const { status, waiting, points, next } = activity;
  if (serial >= next) {
    refuse("SYNC_UNKNOWN", `The activity has no point ${serial} yet: the next one gets ${next}. Nothing was done.`, {
      serial,
      next,
    });
  }
  const receipt =
    status === "ended" && serial === next - 1 && self !== undefined && waiting?.includes(self.id) === true;
  const asked =
    status === "running" && points[0] !== undefined && points[0].serial <= serial && self?.id !== activity.holder;
  if (!receipt && !asked) {
    refuse(
      "SYNC_NOT_ASKED",
      `No point of the activity up to ${serial} waits for your confirmation; nothing was done.`,
      {
        serial,
      },
    );
  }
  record(to, {
    type: "activity-confirmed",
    activity: id,
    serial,
    member: self?.id ?? null,
    ...privacy(to.state, activity),
    ...origin,
  });
  forgetFetched(to, id);
};

/** All who were to get it have it, or want it no more. */
const forgetFetched = (to: Deciding, id: Offset): void => {
  const activity = to.state.activities.get(id);
  if (activity?.status === "ended" && activity.waiting?.length === 0)
    record(to, { type: "activity-forgotten", activity: id, ...byServer, ...privacy(to.state, activity) });
};

/** Who is gone may come back, but nobody waits for it. */
const isThere = ({ members }: SessionState, member: MemberId): boolean =>
  (members.get(member)?.presence ?? "gone") !== "gone";

const interruptAs = (
  to: Deciding,
  activity: Activity,
  reason: ActivityInterrupted["reason"],
  more: Partial<Pick<ActivityInterrupted, "for" | "data">>,
  origin: Origin,
): void => {
  record(to, {
    type: "activity-interrupted",
    activity: activity.id,
    reason,
    expiresAt: to.now + to.state.config.activities.resumeWithin,
    ...more,
    ...privacy(to.state, activity),
    ...origin,
  });
};

export const interrupt = (
  to: Deciding,
  command: Of<"activity-interrupt">,
  self: Member | undefined,
  origin: Origin,
): void => {
  const activity = held(to.state, command.activity, command.run, self);
  const { for: heir, data } = command;
  if (heir !== undefined) {
    requireRecipients(to.state, [heir]);
    if (!isThere(to.state, heir) || !concerns(to.state, activity, heir)) {
      refuse(
        "RECIPIENT_UNKNOWN",
        `The member ${heir} has left, or the activity does not concern it; it was not handed over.`,
        {
          member: heir,
        },
      );
    }
  }
  const more = { ...(heir === undefined ? {} : { for: heir }), ...(data === undefined ? {} : { data }) };
  interruptAs(to, activity, heir === undefined ? "asked" : "handed", more, origin);
};

/** It goes on from its last confirmed point. One that runs is not taken from who runs it. */
export const resume = (
  to: Deciding,
  { activity: id }: Of<"activity-resume">,
  self: Member | undefined,
  origin: Origin,
): void => {
  const activity = activityOf(to.state, id, self);
  const { status, name, heir, user, holder, confirmed } = activity;
  if (status === "ended") unknown(id);
  if (status !== "interrupted") {
    refuse(
      "ACTIVITY_RUNNING",
      `The activity "${name}" is run by ${holder ?? "the server"}; it was not taken up again.`,
      {
        activity: id,
        status,
        holder,
      },
    );
  }
  const handed = heir !== undefined && isThere(to.state, heir);
  const mine = self === undefined || (handed ? heir === self.id : user === self.user || heir === self.id);
  if (!mine) {
    refuse(
      "FORBIDDEN",
      `The activity "${name}" is another user's, or was handed to somebody else; it was not taken up.`,
      {
        permission: "activity",
      },
    );
  }
  if (self !== undefined) requireMayRun(to.state, self, activity);
  record(to, {
    type: "activity-resumed",
    activity: id,
    member: self?.id ?? null,
    serial: confirmed?.serial ?? 0,
    ...privacy(to.state, activity),
    ...origin,
  });
};

const discardAs = (
  to: Deciding,
  activity: Activity,
  why: "asked" | "declined" | "expired" | "failed",
  reason: string | undefined,
  origin: Origin,
): void => {
  record(to, {
    type: "activity-discarded",
    activity: activity.id,
    why,
    ...(reason === undefined ? {} : { reason }),
    ...privacy(to.state, activity),
    ...origin,
  });
};

const isAddressed = ({ to, declined }: Activity, member: MemberId): boolean =>
  to?.includes(member) === true && declined?.includes(member) !== true;

export const decline = (to: Deciding, command: Of<"activity-decline">, self: Member, origin: Origin): void => {
  const activity = activityOf(to.state, command.activity, self);
  if (!isAddressed(activity, self.id)) {
    refuse("FORBIDDEN", `The activity "${activity.name}" is not, or no longer, addressed to you; nothing was done.`, {
      permission: "activity",
    });
  }
  declineAs(to, activity, self.id, command.reason, origin);
};

const declineAs = (
  to: Deciding,
  activity: Activity,
  member: MemberId,
  reason: string | undefined,
  origin: Origin,
): void => {
  record(to, {
    type: "activity-declined",
    activity: activity.id,
    member,
    ...(reason === undefined ? {} : { reason }),
    ...privacy(to.state, activity),
    ...origin,
  });
  const left = to.state.activities.get(activity.id);
  if (left === undefined) return;
  if (left.status !== "ended" && left.declined?.length === left.to?.length)
    discardAs(to, left, "declined", reason, byServer);
  else forgetFetched(to, activity.id);
};

/** By the user whose it is, by who may moderate, or by the server. */
export const discard = (
  to: Deciding,
  command: Of<"activity-discard">,
  self: Member | undefined,
  origin: Origin,
): void => {
  const activity = activityOf(to.state, command.activity, self);
  if (
    self !== undefined &&
    activity.user !== self.user &&
    activity.heir !== self.id &&
    !may(to.state.config, self.roles, "moderate", activity.name)
  ) {
    refuse("FORBIDDEN", `The activity "${activity.name}" is another user's; it was not given up.`, {
      permission: `moderate:${activity.name}`,
    });
  }
  discardAs(to, activity, "asked", command.reason, origin);
};

/** The bytes cannot be kept, or are not what they were said to be. */
export const fail = (to: Deciding, id: Offset, reason: string): void => {
  const activity = to.state.activities.get(id);
  if (activity !== undefined && activity.status !== "ended") discardAs(to, activity, "failed", reason, byServer);
};

export const end = (to: Deciding, command: Of<"activity-end">, self: Member | undefined, origin: Origin): void => {
  const activity = held(to.state, command.activity, command.run, self);
  requireApp(activity, self);
  const { id, kind } = activity;
  const { fetchWithin } = to.state.config.activities;
  const expiresAt: { readonly expiresAt?: Time | null } =
    kind === "app" ? {} : { expiresAt: kind === "state" ? null : to.now + fetchWithin };
  const { result } = command;
  const point = pointAt(to.state.sync, activity.point);
  if (kind === "state" && point === undefined)
    return discardAs(to, activity, "failed", "the sync point is void", byServer);
  record(to, {
    type: "activity-ended",
    activity: id,
    ...(result === undefined ? {} : { result }),
    ...expiresAt,
    ...privacy(to.state, activity),
    ...origin,
  });
  if (kind === "state" && point !== undefined) record(to, { type: "sync-shared", point: point.offset, activity: id });
};

/** Who ran it is gone or away: it waits to be taken up again. A state is asked for anew instead. */
export const interruptAll = (to: Deciding, member: MemberId, reason: "dropped" | "left"): void => {
  for (const activity of to.state.activities.values()) {
    if (activity.status !== "running" || activity.holder !== member) continue;
    if (activity.kind === "state") discardAs(to, activity, "failed", "its member went away", byServer);
    else interruptAs(to, activity, reason, {}, byServer);
  }
};

/** Somebody has left for good: what it was to get, it gets no more. */
export const leaveActivities = (to: Deciding, member: MemberId): void => {
  interruptAll(to, member, "left");
  for (const activity of to.state.activities.values()) {
    if (isAddressed(activity, member)) declineAs(to, activity, member, undefined, byServer);
  }
};

export const expireActivities = (to: Deciding): void => {
  for (const activity of to.state.activities.values()) {
    if (activity.expiresAt === undefined || activity.expiresAt > to.now) continue;
    if (activity.status === "interrupted") discardAs(to, activity, "expired", undefined, byServer);
    else record(to, { type: "activity-forgotten", activity: activity.id, ...byServer, ...privacy(to.state, activity) });
  }
};

/** States of points that are void or no longer listed are not asked for any more. */
export const forgetStates = (to: Deciding): void => {
  for (const activity of to.state.activities.values()) {
    if (activity.kind !== "state") continue;
    if (pointAt(to.state.sync, activity.point) !== undefined) continue;
    const draft: Draft = { type: "activity-forgotten", activity: activity.id, ...byServer };
    if (activity.status === "ended") record(to, draft);
    else discardAs(to, activity, "failed", "the sync point is void", byServer);
  }
};
