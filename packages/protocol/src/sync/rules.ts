/**
 * The rules of sync points and of resynchronization (X.215 5.8, 5.10; X.225 5.4.2). V(M), V(A) and V(R) are `next`, `open` and
 * `lowest`; who is asked to confirm is fixed when a point is set.
 */

import type { SyncCommand } from "../command.ts";
import { tokens } from "../config.ts";
import { type Deciding, record, refuse } from "../deciding.ts";
import { requireDataToken, requireTokenIfHeld } from "../dialog/rules.ts";
import type { Origin } from "../floors/grants.ts";
import type { MemberId, Offset, Serial } from "../ids.ts";
import { may } from "../permission.ts";
import type { Member, SessionState } from "../state.ts";
import { pointOf, type Resync, type ResyncKind, type SyncPoint } from "./sync.ts";

type Of<T extends SyncCommand["type"]> = Extract<SyncCommand, { type: T }>;

const byServer: Origin = { by: null };

/** What was made before a resynchronization concerns a state that is void. */
export const requireGeneration = ({ sync }: SessionState, generation = 0): void => {
  if (generation === sync.generation) return;
  refuse(
    "RESYNCHRONIZED",
    `This was made in generation ${generation}; the session was resynchronized since and is in ${sync.generation}. It was not stored. Look at the state as it is now, and send it again if it still holds.`,
    { generation, current: sync.generation },
  );
};

/** Those who are here and may confirm, but for the setter. */
const askedBy = ({ members, config }: SessionState, self: Member | undefined): readonly MemberId[] => {
  const asked: MemberId[] = [];
  for (const { id, presence, roles } of members.values()) {
    if (id !== self?.id && presence === "connected" && may(config, roles, "confirm")) asked.push(id);
  }
  return asked;
};

const isOpen = ({ status }: SyncPoint): boolean => status === "open";

const requireRoom = ({ sync, config }: SessionState): void => {
  const limit = Math.max(1, config.sync.points - 1);
  const open = sync.points.filter(isOpen).length;
  if (open < limit) return;
  refuse("SYNC_LIMIT", `${open} sync points are not confirmed yet, which is the limit; yours was not set.`, {
    open,
    limit,
  });
};

const described = ({ name, data }: Of<"sync-minor" | "sync-major">): { name?: string; data?: unknown } => ({
  ...(name === undefined ? {} : { name }),
  ...(data === undefined ? {} : { data }),
});

/** S-SYNC-MINOR. `self` is absent if the server sets it. */
export const setMinor = (to: Deciding, command: Of<"sync-minor">, self: Member | undefined, origin: Origin): void => {
  if (self !== undefined) {
    requireGeneration(to.state, command.generation);
    requireTokenIfHeld(to.state, self, tokens.syncMinor, "sets minor sync points while somebody holds it");
    requireDataToken(to.state, self, "sets sync points in half-duplex");
  }
  requireRoom(to.state);
  const asked = command.confirm === true ? askedBy(to.state, self) : undefined;
  record(to, {
    type: "sync-point",
    serial: to.state.sync.next,
    kind: "minor",
    ...described(command),
    ...(asked === undefined ? {} : { asked, need: asked.length }),
    ...origin,
  });
  settleConfirmed(to);
};

/** S-SYNC-MAJOR. One at a time: each is confirmed, or its time is over, before the next is set. */
export const setMajor = (to: Deciding, command: Of<"sync-major">, self: Member | undefined, origin: Origin): void => {
  const { config, sync } = to.state;
  if (self !== undefined) {
    requireGeneration(to.state, command.generation);
    const what = "sets major sync points while somebody holds it";
    requireTokenIfHeld(to.state, self, tokens.majorActivity, what);
    requireTokenIfHeld(to.state, self, tokens.syncMinor, what);
    requireDataToken(to.state, self, "sets sync points in half-duplex");
  }
  const pending = sync.points.find((point) => point.kind === "major" && isOpen(point));
  if (pending !== undefined) {
    refuse("SYNC_PENDING", `Major sync point ${pending.serial} is not confirmed yet; yours was not set.`, {
      serial: pending.serial,
      need: pending.need ?? 0,
    });
  }
  requireRoom(to.state);
  const rule = command.rule ?? config.sync.major;
  const asked = rule === "server" ? [] : askedBy(to.state, self);
  // A quorum is more than half of all, who sets it included.
  const all = asked.length + (self === undefined ? 0 : 1);
  const quorum = Math.floor(all / 2) + (self === undefined ? 1 : 0);
  record(to, {
    type: "sync-point",
    serial: sync.next,
    kind: "major",
    ...described(command),
    asked,
    need: rule === "quorum" ? Math.min(quorum, asked.length) : asked.length,
    until: to.now + Math.min(command.within ?? config.sync.confirmWithin, config.sync.confirmWithin),
    ...origin,
  });
  settleConfirmed(to);
};

const unknownPoint = ({ sync }: SessionState, serial: Serial): never =>
  refuse(
    "SYNC_UNKNOWN",
    serial >= sync.next
      ? `There is no sync point ${serial} yet: the next one gets ${sync.next}. Nothing was done.`
      : `Sync point ${serial} is void or no longer listed; nothing was done.`,
    { serial, next: sync.next },
  );

/** Confirms this point and all before it: one lost confirmation holds up nothing. */
export const confirm = (
  to: Deciding,
  { serial, data, generation }: Of<"sync-confirm">,
  self: Member,
  origin: Origin,
): void => {
  const { sync } = to.state;
  // A restart gives the same serial again, to another point.
  requireGeneration(to.state, generation);
  if (serial >= sync.next || pointOf(sync, serial) === undefined) unknownPoint(to.state, serial);
  const asking = sync.points.filter((point) => point.serial <= serial && point.waiting?.includes(self.id) === true);
  if (asking.length === 0) {
    refuse("SYNC_NOT_ASKED", `No sync point up to ${serial} waits for your confirmation; nothing was done.`, {
      serial,
    });
  }
  const setters = new Set(asking.flatMap(({ by }) => (by === null ? [] : [by])));
  record(to, {
    type: "sync-confirmed",
    serial,
    member: self.id,
    to: [...setters],
    ...(data === undefined ? {} : { data }),
    ...origin,
  });
  settleConfirmed(to);
};

/** Settles what all have confirmed who had to. The highest first: it settles those before it. */
const settleConfirmed = (to: Deciding): void => {
  for (;;) {
    const done = to.state.sync.points.findLast((point) => isOpen(point) && (point.need ?? 0) <= 0);
    if (done === undefined) return;
    record(to, { type: "sync-settled", serial: done.serial, outcome: "confirmed" });
  }
};

/** Somebody has left, and has nothing to confirm any more. */
export const leaveSync: (to: Deciding) => void = settleConfirmed;

/** Major points whose time is over. */
export const expireSync = (to: Deciding): void => {
  for (const { serial, status, until, waiting } of to.state.sync.points) {
    if (status !== "open" || until === undefined || until > to.now) continue;
    record(to, { type: "sync-settled", serial, outcome: "unconfirmed", missing: waiting ?? [] });
  }
};

const rank: Readonly<Record<ResyncKind, number>> = { abandon: 2, set: 1, restart: 0 };

/** X.225's rule of collision: abandon over set over restart, then the lower serial, then what the log had first. */
const outranks = (kind: ResyncKind, serial: Serial, rival: Resync): boolean =>
  rank[kind] === rank[rival.kind] ? kind !== "abandon" && serial < rival.serial : rank[kind] > rank[rival.kind];

/** The serial that the next point gets. X.225's restart names that one; ours names the point to return to. */
const serialOf = ({ sync }: SessionState, { kind, serial = 0 }: Of<"resynchronize">): Serial => {
  switch (kind) {
    case "abandon":
      return sync.highest + 1;
    case "set":
      return Math.max(1, serial);
    case "restart":
      return serial === sync.base.serial ? sync.lowest : serial + 1;
    default:
      return kind satisfies never;
  }
};

/** Where to. */
const targetOf = (state: SessionState, { kind, serial = 0 }: Of<"resynchronize">): Offset => {
  const { base, next } = state.sync;
  if (kind === "abandon") return base.offset;
  if (kind === "set") return state.head + 1;
  if (serial === base.serial) return base.offset;
  if (serial < base.serial) {
    refuse(
      "SYNC_SECURED",
      `Sync point ${serial} lies before the confirmed major point ${base.serial}, behind which nothing goes back. Nothing was done.`,
      { serial, base: base.serial },
    );
  }
  const point = serial < next ? pointOf(state.sync, serial) : undefined;
  if (point === undefined || point.offset < base.offset) return unknownPoint(state, serial);
  return point.offset;
};

/** S-RESYNCHRONIZE. Two that were asked for at once meet in the log: the rule of collision says which of them stands. */
export const resynchronize = (
  to: Deciding,
  command: Of<"resynchronize">,
  self: Member | undefined,
  origin: Origin,
): void => {
  const { sync } = to.state;
  const { kind, reason } = command;
  const made = self === undefined ? sync.generation : (command.generation ?? 0);
  if (made > sync.generation) requireGeneration(to.state, made);
  const rivals = sync.resyncs.filter(({ generation }) => generation > made);
  const serial = serialOf(to.state, command);
  // Before anything else: the point to return to may be void just because the other goes before.
  const winner = rivals.find((rival) => !outranks(kind, serial, rival));
  if (rivals.length < sync.generation - made || winner !== undefined) {
    refuse(
      "SYNC_COLLISION",
      `The session was resynchronized since (${winner?.kind ?? "many times"}), which goes before your ${kind}. Nothing was done.`,
      { winner: winner?.kind ?? null, serial: winner?.serial ?? sync.next, generation: sync.generation },
    );
  }
  record(to, {
    type: "resynchronized",
    kind,
    generation: sync.generation + 1,
    serial,
    to: targetOf(to.state, command),
    ...(reason === undefined ? {} : { reason }),
    ...origin,
  });
};

/** S-U-EXCEPTION-REPORT. Answers what else the policy asks for. */
export const reportException = (
  to: Deciding,
  { reason, generation }: Of<"exception">,
  self: Member,
  origin: Origin,
): "remove" | "end" | undefined => {
  requireGeneration(to.state, generation);
  const { exception } = to.state.config.sync;
  record(to, { type: "exception", member: self.id, reason, ...origin });
  if (exception === "remove" || exception === "end") return exception;
  if (exception === "restart") {
    const { sync } = to.state;
    const last = sync.points.findLast(({ status, offset }) => status === "confirmed" && offset > sync.base.offset);
    const serial = last?.serial ?? sync.base.serial;
    resynchronize(to, { type: "resynchronize", kind: "restart", serial, reason }, undefined, byServer);
  }
  return undefined;
};
