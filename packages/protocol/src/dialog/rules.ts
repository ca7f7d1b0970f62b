/** The rules of negotiation (X.215: negotiated release, duplex and half-duplex): one proposal at a time, each asked once. */

import type { MemberCommand } from "../command.ts";
import { matching, tokens } from "../config.ts";
import { type Deciding, record, refuse } from "../deciding.ts";
import type { Settled } from "../entry.ts";
import { clearFloor, giveFloor, type Origin } from "../floors/grants.ts";
import { grantOf } from "../floors/sight.ts";
import type { MemberId } from "../ids.ts";
import { may } from "../permission.ts";
import type { Member, SessionState } from "../state.ts";
import type { Proposal, Subject } from "./dialog.ts";

/** The floor that an event needs: its own guard, or in half-duplex the data token, but for typed data. */
export const guardOf = ({ config, dialog }: SessionState, event: string): string | undefined => {
  const guard = matching(config.guards, event);
  if (guard !== undefined || dialog.mode === "full-duplex" || config.dialog === undefined) return guard;
  const { typed } = config.dialog;
  const free = typed.some((name) => name === event || (name.endsWith("*") && event.startsWith(name.slice(0, -1))));
  return free ? undefined : tokens.data;
};

const requireToken = (state: SessionState, self: Member, token: string, what: string): void => {
  if (state.config.dialog === undefined || grantOf(state, token, self.id) !== undefined) return;
  refuse("FLOOR_NOT_HELD", `Only the holder of the floor "${token}" ${what}; nothing was done. Ask for it first.`, {
    floor: token,
  });
};

/** A token of sync points or activities reserves them for its holder, while somebody holds it. */
export const requireTokenIfHeld = (state: SessionState, self: Member, token: string, what: string): void => {
  if ((state.floors.get(token)?.holders.length ?? 0) > 0) requireToken(state, self, token, what);
};

/** X.215: in half-duplex, what belongs to the data needs the data token too. */
export const requireDataToken = (state: SessionState, self: Member, what: string): void => {
  if (state.dialog.mode === "half-duplex") requireToken(state, self, tokens.data, what);
};

const proposalOf = (state: SessionState, id: number): Proposal => {
  const { proposal } = state.dialog;
  return proposal?.id === id
    ? proposal
    : refuse("PROPOSAL_UNKNOWN", `There is no proposal ${id} that waits for an answer; it may be settled already.`, {
        proposal: id,
      });
};

/** `self` is absent if the server proposes. */
export const propose = (
  to: Deciding,
  { subject, within }: Extract<MemberCommand, { type: "propose" }>,
  self: Member | undefined,
  origin: Origin,
): void => {
  const { dialog: config } = to.state.config;
  if (config === undefined) {
    return refuse(
      "FEATURE_MISSING",
      "The session does not negotiate; nothing was proposed. Set the server's dialog option.",
      {
        feature: "dialog",
      },
    );
  }
  const { proposal, mode } = to.state.dialog;
  if (proposal !== null) {
    refuse(
      "PROPOSAL_PENDING",
      `Proposal ${proposal.id} (${proposal.subject.kind}) is not settled; yours was not made.`,
      {
        proposal: proposal.id,
      },
    );
  }
  if (subject.kind === "dialog" && subject.mode === mode) {
    refuse("PROPOSAL_IDLE", `The session is in ${mode} already; nothing was proposed.`, { mode });
  }
  if (self !== undefined && subject.kind === "release") {
    requireToken(to.state, self, tokens.release, "may propose a release");
  }
  const asked = [...to.state.members.values()].filter(
    ({ id, presence, roles }) => id !== self?.id && presence !== "gone" && may(to.state.config, roles, "dialog"),
  );
  record(to, {
    type: "proposed",
    subject,
    until: to.now + Math.min(within ?? config.answerWithin, config.answerWithin),
    asked: asked.map(({ id }) => id),
    ...origin,
  });
  settleIfAnswered(to);
};

export const answer = (
  to: Deciding,
  command: Extract<MemberCommand, { type: "answer" }>,
  member: MemberId,
  origin: Origin,
): void => {
  const { id: proposal, waiting } = proposalOf(to.state, command.proposal);
  if (!waiting.includes(member)) {
    refuse("PROPOSAL_UNKNOWN", `Proposal ${proposal} does not wait for your answer.`, { proposal });
  }
  const { accept } = command;
  const reason = command.reason === undefined ? {} : { reason: command.reason };
  record(to, { type: "answered", proposal, member, accept, ...origin, ...reason });
  if (accept) settleIfAnswered(to);
  else settle(to, "refused", { refusedBy: member, ...reason });
};

export const withdraw = (
  to: Deciding,
  command: Extract<MemberCommand, { type: "withdraw" }>,
  self: MemberId | null,
  origin: Origin,
): void => {
  const { by, id } = proposalOf(to.state, command.proposal);
  if (self !== null && by !== self)
    refuse("PROPOSAL_UNKNOWN", `Proposal ${id} is not yours to withdraw.`, { proposal: id });
  settle(to, "withdrawn", {}, origin);
};

const settle = (
  to: Deciding,
  outcome: Settled["outcome"],
  more: Partial<Pick<Settled, "refusedBy" | "reason" | "missing">> = {},
  origin: Origin = { by: null },
): void => {
  const { proposal } = to.state.dialog;
  if (proposal === null) return;
  record(to, { type: "settled", proposal: proposal.id, outcome, ...more, ...origin });
  if (outcome === "accepted") apply(to, proposal.subject, proposal.by);
};

const settleIfAnswered = (to: Deciding): void => {
  if (to.state.dialog.proposal?.waiting.length === 0) settle(to, "accepted");
};

const apply = (to: Deciding, subject: Subject, by: MemberId | null): void => {
  if (subject.kind === "release") {
    record(to, { type: "ended", by, ...(subject.reason === undefined ? {} : { reason: subject.reason }) });
    return;
  }
  record(to, { type: "dialog-switched", mode: subject.mode });
  if (subject.mode === "full-duplex") clearFloor(to, tokens.data, "dialog");
  // Who asked for taking turns has the first one.
  else if (by !== null) giveFloor(to, tokens.data, by);
};

/** Somebody has left: it has no say any more, and what it proposed is withdrawn. */
export const leaveDialog = (to: Deciding, member: MemberId): void => {
  if (to.state.dialog.proposal?.by === member) settle(to, "withdrawn");
  else settleIfAnswered(to);
};

/** The time for answers may be over. */
export const expireProposal = (to: Deciding): void => {
  const { proposal } = to.state.dialog;
  if (proposal !== null && proposal.until <= to.now) settle(to, "expired", { missing: proposal.waiting });
};

/** The server's options no longer provide for a dialog, or do so for the first time. */
export const conformDialog = (to: Deciding): void => {
  const { dialog: config } = to.state.config;
  if (config !== undefined) return;
  settle(to, "withdrawn");
  if (to.state.dialog.mode === "half-duplex") record(to, { type: "dialog-switched", mode: "full-duplex" });
};
