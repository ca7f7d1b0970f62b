/** How members take turns in the session as a whole, and what they propose to one another (X.215). */

import {
  type DialogMode,
  type Entry,
  type MemberCommand,
  type MemberId,
  type Offset,
  type Proposal as ProposalState,
  RostrumError,
  type SessionState,
  type Subject,
} from "@rostrum/protocol";
import type { Stored } from "./engine/outbox.ts";
import { type Observable, observable } from "./observable.ts";

/** Something that is proposed and not settled. */
export interface Proposal {
  readonly id: Offset;
  /** `null`: the server. */
  readonly by: MemberId | null;
  readonly subject: Subject;
  /** When it fails if somebody has not answered; milliseconds since 1970 by this device's clock. */
  readonly until: number;
  /** Whose answer is still due. */
  readonly waiting: readonly MemberId[];
}

/** A proposal that this member is asked about. What it has emitted before it accepts is stored before. */
export interface AskedProposal extends Proposal {
  accept(): Promise<Stored>;
  refuse(reason?: string): Promise<Stored>;
}

export interface DialogView {
  readonly mode: DialogMode;
  readonly proposal: Proposal | null;
}

/** What came of a proposal. */
export type ProposalOutcome =
  | { readonly outcome: "accepted" }
  | { readonly outcome: "refused"; readonly by: MemberId; readonly reason?: string }
  /** Time ran out before these had answered. */
  | { readonly outcome: "expired"; readonly missing: readonly MemberId[] }
  | { readonly outcome: "withdrawn" };

export interface ProposeOptions {
  /** Milliseconds for the others to answer; at most what the server's `dialog.answerWithin` says. */
  readonly within?: number;
  /** Withdraws the proposal. */
  readonly signal?: AbortSignal;
}

interface DialogHost {
  readonly state: () => SessionState;
  readonly self: () => MemberId | undefined;
  readonly submit: (command: MemberCommand) => Promise<Stored>;
  readonly local: (at: number) => number;
  /** Tells the app that it is asked. */
  readonly ask: (proposal: AskedProposal) => void;
}

interface Mine {
  readonly resolve: (outcome: ProposalOutcome) => void;
  readonly reject: (error: unknown) => void;
}

type SettledEntry = Extract<Entry, { type: "settled" }>;

const outcomeOf = ({ outcome, refusedBy, reason, missing = [] }: SettledEntry): ProposalOutcome => {
  switch (outcome) {
    case "refused":
      return { outcome, by: refusedBy ?? ("" as MemberId), ...(reason === undefined ? {} : { reason }) };
    case "expired":
      return { outcome, missing };
    case "accepted":
    case "withdrawn":
      return { outcome };
    default:
      return outcome satisfies never;
  }
};

export class Dialog implements Observable<DialogView> {
  private readonly source = observable<DialogView>({ mode: "full-duplex", proposal: null });
  readonly get: () => DialogView = this.source.get;
  readonly subscribe: (listener: (value: DialogView) => void) => () => void = this.source.subscribe;
  private readonly mine = new Map<Offset, Mine>();
  private readonly settled = new Map<Offset, ProposalOutcome>();
  private shown: Offset = 0;

  constructor(private readonly host: DialogHost) {}

  /** See `Session.propose`. */
  async propose(subject: Subject, { within, signal }: ProposeOptions): Promise<ProposalOutcome> {
    signal?.throwIfAborted();
    const { offset: id } = await this.host.submit({
      type: "propose",
      subject,
      ...(within === undefined ? {} : { within }),
    });
    const known = this.settled.get(id);
    if (known !== undefined) return known;
    const withdraw = (): void => void this.host.submit({ type: "withdraw", proposal: id }).catch(() => {});
    if (signal?.aborted === true) withdraw();
    signal?.addEventListener("abort", withdraw, { once: true });
    try {
      return await new Promise<ProposalOutcome>((resolve, reject) => {
        this.mine.set(id, { resolve, reject });
        this.update();
      });
    } finally {
      signal?.removeEventListener("abort", withdraw);
    }
  }

  /** An entry was folded in. */
  happened(entry: SettledEntry): void {
    const outcome = outcomeOf(entry);
    // The answer may be here before the promise of the proposal is; few can be on their way at once.
    this.settled.set(entry.proposal, outcome);
    for (const [old] of [...this.settled].slice(0, -16)) this.settled.delete(old);
    this.mine.get(entry.proposal)?.resolve(outcome);
    this.mine.delete(entry.proposal);
  }

  /** The state has changed. */
  update(): void {
    const { mode, proposal } = this.host.state().dialog;
    this.source.set({ mode, proposal: proposal === null ? null : this.seen(proposal) });
    for (const [id, { reject }] of this.mine) {
      if (proposal?.id === id) continue;
      this.mine.delete(id);
      reject(
        new RostrumError("OUTCOME_UNKNOWN", `What came of proposal ${id} lies in a gap of the log.`, { proposal: id }),
      );
    }
    const self = this.host.self();
    if (proposal === null || proposal.id === this.shown || self === undefined || !proposal.waiting.includes(self))
      return;
    this.shown = proposal.id;
    const answer = (accept: boolean, reason?: string): Promise<Stored> =>
      this.host.submit({
        type: "answer",
        proposal: proposal.id,
        accept,
        ...(reason === undefined ? {} : { reason }),
      });
    this.host.ask({
      ...this.seen(proposal),
      accept: () => answer(true),
      refuse: (reason) => answer(false, reason),
    });
  }

  close(error: RostrumError): void {
    for (const { reject } of this.mine.values()) reject(error);
    this.mine.clear();
  }

  private seen({ id, by, subject, until, waiting }: ProposalState): Proposal {
    return { id, by, subject, until: this.host.local(until), waiting };
  }
}
