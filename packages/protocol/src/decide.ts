/**
 * `decide`: state, command and time in, entries or a typed refusal out. The only place where a rule is applied. Pure:
 * the host calls it, appends what it returns, and folds what was stored.
 */

import * as activities from "./activities/rules.ts";
import { firstExpiry } from "./activities/sight.ts";
import type { Envelope, FromMember, MemberCommand, ServerCommand } from "./command.ts";
import { seqSpan } from "./command.ts";
import {
  beginDeciding,
  type Deciding,
  decided,
  type Inspect,
  type Refusal,
  record,
  refuse,
  requireRecipients,
} from "./deciding.ts";
import { answer, conformDialog, expireProposal, guardOf, leaveDialog, propose, withdraw } from "./dialog/rules.ts";
import { documentOf, isUpdate } from "./documents/document.ts";
import { restoreDocument, thinDocuments, updateFault } from "./documents/rules.ts";
import type { Entry, Item, LeftHow } from "./entry.ts";
import { RostrumError } from "./errors.ts";
import { conformAll, isChairCommand, moderate } from "./floors/chair.ts";
import {
  advanceAll,
  expireFloors,
  freeFloors,
  lapse,
  type Origin,
  passFloor,
  releaseFloor,
  seeToAllUnchaired,
} from "./floors/grants.ts";
import { cancelRequest, requestFloor } from "./floors/requests.ts";
import { floorTimes, grantOf, type Lease } from "./floors/sight.ts";
import type { MemberId, Time } from "./ids.ts";
import { may, type Verb } from "./permission.ts";
import type { Member, SessionState } from "./state.ts";
import {
  confirm,
  expireSync,
  leaveSync,
  reportException,
  requireGeneration,
  resynchronize,
  setMajor,
  setMinor,
} from "./sync/rules.ts";

export interface Decision {
  readonly entries: readonly Entry[];
  readonly refusals: readonly Refusal[];
  readonly state: SessionState;
}

/** Pure: what the command comes to in this state at this time. */
export const decide = (state: SessionState, envelope: Envelope, now: Time, inspect?: Inspect): Decision => {
  const to = beginDeciding(state, now, inspect);
  const refusals = decideInto(to, envelope);
  return { ...decided(to), refusals };
};

/** Decides one more command into a batch that will be appended as a whole. */
export const decideInto = (to: Deciding, { from, command }: Envelope): readonly Refusal[] => {
  const before = to.entries.length;
  try {
    if (from === null) return byServer(to, command);
    return byMember(to, from, command);
  } catch (error) {
    // A rule refuses before it records; anything else is a fault of ours that must not leave half a decision behind.
    if (!(error instanceof RostrumError) || to.entries.length !== before) throw error;
    const count = isMemberCommand(command) ? seqSpan(command) : 1;
    if (from === null) return [{ seq: 0, count, error }];
    // Sent again after a part of it was stored: that part is not refused.
    const known = Math.max(0, (to.state.seqs.get(from.member) ?? 0) - from.seq + 1);
    return known < count ? [{ seq: from.seq + known, count: count - known, error }] : [{ seq: from.seq, count, error }];
  }
};

const isMemberCommand = (command: MemberCommand | ServerCommand): command is MemberCommand =>
  !serverTypes.has(command.type);

const serverTypes: ReadonlySet<string> = new Set<ServerCommand["type"]>([
  "open",
  "configure",
  "join",
  "resume",
  "drop",
  "remove",
  "tick",
  "lapse",
  "begin-epoch",
  "activity-fail",
  "document-saved",
  "documents-thin",
]);

const requireOpen = (state: SessionState): void => {
  if (state.ended !== null) {
    refuse("SESSION_ENDED", `The session ended at ${new Date(state.ended.at).toISOString()}; nothing was stored.`, {
      at: state.ended.at,
      reason: state.ended.reason ?? null,
    });
  }
};

const requireMember = (state: SessionState, id: MemberId): Member =>
  state.members.get(id) ??
  refuse("MEMBER_UNKNOWN", `The session has no member ${id}: it left, or was away for too long. Join anew.`, {
    member: id,
  });

const requireMay = (state: SessionState, member: Member, verb: Verb, name?: string): void => {
  if (!may(state.config, member.roles, verb, name)) {
    const permission = name === undefined ? verb : `${verb}:${name}`;
    refuse(
      "FORBIDDEN",
      `The roles ${member.roles.join(", ") || "(none)"} do not permit ${permission}; nothing was stored.`,
      {
        permission,
      },
    );
  }
};

const byMember = (to: Deciding, from: FromMember, command: MemberCommand): readonly Refusal[] => {
  const member = requireMember(to.state, from.member);
  if (member.incarnation !== from.incarnation || member.presence === "gone") {
    refuse(
      "REPLACED",
      `This connection was incarnation ${from.incarnation} of the member; it is now ${member.incarnation}.`,
      {
        incarnation: member.incarnation,
      },
    );
  }
  requireOpen(to.state);
  const last = to.state.seqs.get(member.id) ?? 0;
  // What is not above the last seq was decided before: the answer was lost, not the command.
  if (from.seq + seqSpan(command) - 1 <= last) return [];
  if (command.type === "messages") {
    const known = Math.max(0, last - from.seq + 1);
    const items = known === 0 ? command.items : command.items.slice(known);
    return decideMessages(to, member, from.seq + known, { ...command, items });
  }
  const origin: Origin = { by: member.id, seq: from.seq };
  switch (command.type) {
    case "propose":
    case "answer":
      requireMay(to.state, member, "dialog");
      break;
    case "sync-minor":
      requireMay(to.state, member, "minor");
      break;
    case "sync-major":
      requireMay(to.state, member, "major");
      break;
    case "sync-confirm":
    case "exception":
      requireMay(to.state, member, "confirm");
      break;
    case "resynchronize":
      requireMay(to.state, member, "resynchronize");
      break;
    case "activity-start":
      if (command.kind === "transfer") requireMay(to.state, member, "transfer", command.name);
      if (command.kind === "app") requireMay(to.state, member, "activity", command.name);
      break;
    case "document-restore":
      requireMay(to.state, member, "restore", command.document);
      if (command.from !== undefined) requireMay(to.state, member, "read", command.from);
      break;
    case "end":
      requireMay(to.state, member, "end");
      break;
    default:
  }
  decideCommon(to, command, origin, member);
  return [];
};

const byServer = (to: Deciding, command: MemberCommand | ServerCommand): readonly Refusal[] => {
  switch (command.type) {
    case "messages":
      requireOpen(to.state);
      requireRecipients(to.state, command.to);
      requireSound(to, command.items);
      record(to, { type: "messages", by: null, items: command.items, ...(command.to ? { to: command.to } : {}) });
      return [];
    case "open":
      if (to.state.head === 0) record(to, command.type === "open" ? { ...command, type: "opened" } : command);
      return [];
    case "configure":
      record(to, { type: "configured", config: command.config });
      conformAll(to);
      conformDialog(to);
      return [];
    case "join":
      decideJoin(to, command);
      return [];
    case "resume":
      decideResume(to, command);
      return [];
    case "drop": {
      const member = to.state.members.get(command.member);
      if (member?.presence === "connected" && member.incarnation === command.incarnation) {
        // A connection lost at t may have sent until t; the log may already stand later.
        record(to, { type: "dropped", member: member.id, since: Math.min(command.since, to.now) });
        activities.interruptAll(to, member.id, "dropped");
        seeToAllUnchaired(to);
        decideTick(to);
      }
      return [];
    }
    case "remove":
      requireMember(to.state, command.member);
      decideLeave(to, command.member, command.how, command.reason, { by: null });
      return [];
    case "tick":
      decideTick(to);
      return [];
    case "begin-epoch":
      if (to.state.head > 0) record(to, { type: "epoch-begun", epoch: command.epoch });
      return [];
    case "activity-fail":
      if (to.state.ended === null) activities.fail(to, command.activity, command.reason);
      return [];
    case "document-saved":
      if (to.state.documents.has(command.document)) record(to, command);
      return [];
    case "documents-thin":
      thinDocuments(to, command.upTo);
      return [];
    case "lapse":
      if (to.state.ended === null) lapse(to, command.floor, command.fence, command.from);
      return [];
    default:
      requireOpen(to.state);
      decideCommon(to, command, { by: null }, undefined);
      return [];
  }
};

/** Commands that members and the server may both give. */
const decideCommon = (
  to: Deciding,
  command: Exclude<MemberCommand, { type: "messages" }>,
  origin: Origin,
  self: Member | undefined,
): void => {
  const asMember = (): Member => self ?? refuse("USAGE", `Only a member can ${command.type}.`);
  if (isChairCommand(command)) return moderate(to, command, self, origin);
  switch (command.type) {
    case "floor-request":
      return requestFloor(to, command, asMember(), origin);
    case "floor-cancel":
      return cancelRequest(to, command, asMember().id, origin);
    case "floor-release":
      return releaseFloor(to, command.floor, asMember().id, command.fence, origin);
    case "floor-pass":
      return passFloor(to, command, asMember(), origin);
    case "propose":
      return propose(to, command, self, origin);
    case "answer":
      return answer(to, command, asMember().id, origin);
    case "withdraw":
      return withdraw(to, command, self?.id ?? null, origin);
    case "sync-minor":
      setMinor(to, command, self, origin);
      return activities.forgetStates(to);
    case "sync-major":
      setMajor(to, command, self, origin);
      return activities.forgetStates(to);
    case "sync-confirm":
      return confirm(to, command, asMember(), origin);
    case "resynchronize":
      resynchronize(to, command, self, origin);
      return activities.forgetStates(to);
    case "exception": {
      const further = reportException(to, command, asMember(), origin);
      if (further === "remove") return decideLeave(to, asMember().id, "removed", command.reason, { by: null });
      if (further === "end") record(to, { type: "ended", by: null, reason: command.reason });
      return activities.forgetStates(to);
    }
    case "activity-start":
      return activities.start(to, command, self, origin);
    case "activity-point":
      return activities.setPoint(to, command, self, origin);
    case "activity-confirm":
      return activities.confirmPoint(to, command, self, origin);
    case "activity-interrupt":
      return activities.interrupt(to, command, self, origin);
    case "activity-resume":
      return activities.resume(to, command, self, origin);
    case "activity-decline":
      return activities.decline(to, command, asMember(), origin);
    case "activity-discard":
      return activities.discard(to, command, self, origin);
    case "activity-end":
      return activities.end(to, command, self, origin);
    case "document-restore":
      return restoreDocument(to, command, self, origin);
    case "release":
      return decideLeave(to, asMember().id, "released", undefined, origin);
    case "abort":
      return decideLeave(to, asMember().id, "aborted", command.reason, origin);
    case "end":
      record(to, { type: "ended", ...origin, ...(command.reason === undefined ? {} : { reason: command.reason }) });
      return;
    default:
      command satisfies never;
  }
};

/** What the server itself says of a document it says alone. */
const requireSound = (to: Deciding, items: readonly Item[]): void => {
  const [first] = items;
  if (first === undefined || items.every(([event]) => documentOf(event) === undefined)) return;
  if (items.length > 1) refuse("USAGE", "A document's update is stored alone; send it in a call of its own.");
  const fault = updateFault(to, documentOf(first[0]) ?? "", first, null);
  if (fault !== undefined) throw fault;
};

/** Items as they may stand in one entry: those of one document, or of none. */
const runsOf = (items: readonly Item[]): readonly (readonly Item[])[] => {
  const of = (item: Item | undefined): string | undefined => documentOf(item?.[0] ?? "");
  const runs: (readonly Item[])[] = [];
  let start = 0;
  for (let end = 1; end <= items.length; end += 1) {
    if (end < items.length && of(items[end]) === of(items[start])) continue;
    runs.push(start === 0 && end === items.length ? items : items.slice(start, end));
    start = end;
  }
  return runs;
};

/** Each item stands for itself: what is permitted is stored in runs, what is not is refused item by item. */
const decideMessages = (
  to: Deciding,
  member: Member,
  seq: number,
  { items, to: recipients, fence, generation }: Extract<MemberCommand, { type: "messages" }>,
): readonly Refusal[] => {
  requireGeneration(to.state, generation);
  requireRecipients(to.state, recipients);
  const { guards, roles } = to.state.config;
  const unrestricted = member.roles.some((role) => Object.hasOwn(roles, role) && roles[role]?.includes("*"));
  const check = (item: Item): RostrumError | undefined => {
    const document = documentOf(item[0]);
    const refusal = refusalOf(item, document);
    if (refusal === undefined || document === undefined || !isUpdate(item)) return refusal;
    // Whoever lost sight of it has to hear that it is stored, even if it may store no more.
    return to.inspect?.known?.(document, item, member.id, to.state) ?? refusal;
  };
  const refusalOf = (item: Item, document: string | undefined): RostrumError | undefined => {
    const [event] = item;
    const [verb, name] = document === undefined ? (["emit", event] as const) : (["edit", document] as const);
    if (!unrestricted && !may(to.state.config, member.roles, verb, name)) {
      return new RostrumError(
        "FORBIDDEN",
        `The roles ${member.roles.join(", ") || "(none)"} do not permit ${verb}:${name}; it was not stored.`,
        { permission: `${verb}:${name}` },
      );
    }
    const guard = guardOf(to.state, event);
    if (guard !== undefined) {
      const held = grantOf(to.state, guard, member.id);
      if (held === undefined || (fence !== undefined && held.fence !== fence)) {
        return new RostrumError(
          "FLOOR_NOT_HELD",
          held === undefined
            ? `"${event}" is only accepted from a holder of the floor "${guard}"; it was not stored.`
            : `"${event}" was sent under fence ${fence ?? 0} of the floor "${guard}", which is now held under ${held.fence}; it was not stored.`,
          { floor: guard, event, fence: fence ?? null },
        );
      }
    }
    if (document === undefined) return undefined;
    if (recipients !== undefined) {
      return new RostrumError("DOCUMENT_INVALID", `An update of "${document}" cannot be private; it was not stored.`, {
        document,
        what: "recipients",
      });
    }
    return updateFault(to, document, item, member.id);
  };
  const refusals: Refusal[] = [];
  const store = (start: number, end: number): void => {
    if (end === start) return;
    let next = seq + start;
    for (const run of runsOf(start === 0 && end === items.length ? items : items.slice(start, end))) {
      record(to, {
        type: "messages",
        by: member.id,
        seq: next,
        items: run,
        ...(recipients ? { to: recipients } : {}),
      });
      next += run.length;
    }
  };
  const looksAtEach =
    !unrestricted ||
    Object.keys(guards).length > 0 ||
    to.state.dialog.mode === "half-duplex" ||
    items.some(([event]) => documentOf(event) !== undefined);
  let start = 0;
  if (looksAtEach) {
    items.forEach((item, index) => {
      const error = check(item);
      if (error === undefined) return;
      store(start, index);
      start = index + 1;
      refusals.push({ seq: seq + index, count: 1, error });
    });
  }
  store(start, items.length);
  return refusals;
};

const decideJoin = (to: Deciding, { type: _, ...joining }: Extract<ServerCommand, { type: "join" }>): void => {
  requireOpen(to.state);
  const { maxMembers } = to.state.config;
  let present = 0;
  for (const member of to.state.members.values()) {
    if (member.presence !== "gone") present += 1;
    if (joining.instance === undefined || member.instance !== joining.instance || member.user !== joining.user)
      continue;
    // The answer to an earlier join was lost: the same instance is the same member, until its first token has arrived.
    if (member.confirmed === 0) return takeUp(to, member, joining);
  }
  if (present >= maxMembers) {
    refuse("SESSION_FULL", `The session has ${present} members, the limit is ${maxMembers}; you were not let in.`, {
      members: present,
      limit: maxMembers,
    });
  }
  record(to, { type: "joined", ...joining });
};

/**
 * A member is taken up if its token is at least as new as the last one that is known to have arrived. Any number of
 * answers may have been lost since, each with a newer token that nobody has.
 */
const decideResume = (to: Deciding, resume: Extract<ServerCommand, { type: "resume" }>): void => {
  requireOpen(to.state);
  const member = requireMember(to.state, resume.member);
  if (member.user !== resume.user) {
    refuse("FORBIDDEN", "The member belongs to another user; it was not taken up.", { permission: "resume" });
  }
  const oldest = Math.max(resume.confirmed, member.confirmed);
  // A genuine token that is newer than the log: the log was restored from an older copy. Its bearer goes on from there.
  if (resume.incarnation < oldest) {
    refuse(
      "TOKEN_REUSED",
      `The token is of incarnation ${resume.incarnation}, the member is at ${member.incarnation}: it was used before, here or by a copy.`,
      {
        presented: resume.incarnation,
        current: member.incarnation,
      },
    );
  }
  takeUp(to, member, resume);
};

const takeUp = (
  to: Deciding,
  member: Member,
  resume: {
    readonly node: string;
    readonly name?: string;
    readonly roles: readonly string[];
    readonly incarnation?: number;
  },
): void => {
  record(to, {
    type: "resumed",
    member: member.id,
    incarnation: Math.max(member.incarnation, resume.incarnation ?? 0) + 1,
    node: resume.node,
    roles: resume.roles,
    quiet:
      member.presence === "connected" &&
      member.name === resume.name &&
      member.roles.length === resume.roles.length &&
      member.roles.every((role, index) => role === resume.roles[index]),
    ...(resume.name === undefined ? {} : { name: resume.name }),
    ...(member.presence === "gone" ? { user: member.user } : {}),
  });
  if (member.presence !== "connected") advanceAll(to);
  // It may come back with other roles, and no longer be a chair.
  if (member.roles.length > 0) seeToAllUnchaired(to);
};

const decideLeave = (
  to: Deciding,
  member: MemberId,
  how: LeftHow,
  reason: string | undefined,
  origin: Origin,
): void => {
  record(to, { type: "left", member, how, ...origin, ...(reason === undefined ? {} : { reason }) });
  freeFloors(to, member, how === "removed" ? "removed" : "left", how === "released" || how === "aborted");
  seeToAllUnchaired(to);
  leaveDialog(to, member);
  leaveSync(to);
  activities.leaveActivities(to, member);
};

/** Everything that has become due by time. Leases, graces and limits stand in the state, so they survive a restart. */
const decideTick = (to: Deciding): void => {
  if (to.state.ended !== null) return;
  expireFloors(to);
  expireProposal(to);
  expireSync(to);
  activities.expireActivities(to);
  for (const member of to.state.members.values()) {
    if (member.presence === "dropped" && member.since + to.state.config.memberGrace <= to.now) {
      decideLeave(to, member.id, "expired", undefined, { by: null });
    } else if (member.presence === "gone" && member.since + to.state.config.forgetAfter <= to.now) {
      record(to, { type: "forgotten", member: member.id });
    }
  }
};

/** What has to happen by time: `tick` at `next` by the log's time, `lapse` when a host has watched a lease for its length. */
export const deadlines = (state: SessionState): { readonly next: Time; readonly leases: readonly Lease[] } => {
  if (state.ended !== null) return { next: Infinity, leases: [] };
  const floors = floorTimes(state);
  let next = Math.min(floors.next, state.dialog.proposal?.until ?? Infinity, firstExpiry(state.activities));
  for (const { until = Infinity } of state.sync.points) next = Math.min(next, until);
  for (const member of state.members.values()) {
    if (member.presence === "dropped") next = Math.min(next, member.since + state.config.memberGrace);
    if (member.presence === "gone") next = Math.min(next, member.since + state.config.forgetAfter);
  }
  return { next, leases: floors.leases };
};

/** When `tick` next has something to do; `Infinity` if never. Milliseconds by the log's time. */
export const nextDeadline = (state: SessionState): Time => deadlines(state).next;
