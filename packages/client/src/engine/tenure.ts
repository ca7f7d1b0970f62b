/**
 * What this member holds, and what makes it believable: the moments of which it is known that the server's log had gone
 * no further than what is folded here, the questions by which such a moment is got, and the commands that end a grant as
 * soon as they are on their way. Pure: the engine feeds it and carries out what it answers.
 */

import {
  type Entry,
  type Grant,
  grantOf,
  guardOf,
  type MemberCommand,
  type MemberId,
  type Offset,
  RostrumError,
  type SessionState,
} from "@rostrum/protocol";
import { type HoldingNews, Holdings } from "./holdings.ts";

/** How long a question may go unanswered before the connection is doubted. Milliseconds. */
const answerWithin = 1_500;
/** Questions that may be under way; a slow link may answer several late. */
const mostQuestions = 8;

/** How things stand for the member. */
export interface Standing {
  readonly state: SessionState;
  readonly self: MemberId | undefined;
  /** Told by the server up to here. */
  readonly received: Offset;
  readonly now: number;
  /** Whether questions can be asked. */
  readonly live: boolean;
  /** Commands that are not decided. */
  readonly open: () => readonly MemberCommand[];
}

export interface Review {
  readonly news: readonly HoldingNews[];
  /** Grants that are over here: the server is to be told. */
  readonly over: readonly { readonly floor: string; readonly fence: Offset }[];
  /** A question to ask now. */
  readonly ask: number | undefined;
  /** The last one was not answered in time. */
  readonly doubt: boolean;
}

const nothing: Review = { news: [], over: [], ask: undefined, doubt: false };

type Ending = Extract<MemberCommand, { type: "floor-release" | "floor-pass" }>;

const isEnding = (command: MemberCommand): command is Ending =>
  command.type === "floor-release" || command.type === "floor-pass";

const willEnd = (command: MemberCommand, floor: string, fence: Offset): boolean =>
  isEnding(command)
    ? command.fence === fence
    : command.type === "release" || (command.type === "floor-cancel" && command.floor === floor);

export class Tenure {
  private readonly holdings = new Holdings();
  /** Moments, and where the log then ended at most. They count when we have been told up to there. */
  private evidence: { readonly at: number; readonly head: Offset }[] = [];
  /** At this moment, at least, the log went no further than what is folded here. */
  private witnessed = -Infinity;
  /** Questions under way, by number: when each was sent. */
  private readonly questions = new Map<number, number>();
  private numbers = 0;
  private asked = -Infinity;
  /** The server's clock is ahead of ours by at most this much. */
  private ahead: number | undefined;
  private reviewed: Offset = -1;
  /** A release is on its way: nothing is held any more. */
  private leaving = false;

  // ---- what proves that we are not outdated ----

  /** Taken up: the log ended at `head` after the opening had been sent. `at` is the server's clock. */
  opened(sentAt: number, head: Offset, at: number): void {
    this.bound(sentAt, at);
    this.evidence = [{ at: sentAt, head }];
  }

  /** A command of ours came back as an entry, up to which we are told: when it was sent the log had not gone further. */
  echoed(sentAt: number | undefined, at: number): void {
    if (sentAt === undefined || sentAt === -Infinity) return;
    this.bound(sentAt, at);
    this.witnessed = Math.max(this.witnessed, sentAt);
  }

  /** What was sent at `sentAt` was answered when the server's clock showed `at`. The closest such pair tells the most. */
  private bound(sentAt: number, at: number): void {
    this.ahead = Math.min(this.ahead ?? Infinity, at - sentAt);
  }

  /** A question was answered. Answers whether it was one of ours. */
  answered(n: number, head: Offset, at: number): boolean {
    const sentAt = this.questions.get(n);
    if (sentAt === undefined) return false;
    this.questions.delete(n);
    this.bound(sentAt, at);
    this.evidence.push({ at: sentAt, head });
    return true;
  }

  /** What was under way on the connection gets no answer any more. */
  disconnected(): void {
    this.questions.clear();
  }

  /** The latest that the server's clock can show; `undefined` before it was heard of. */
  serverTime(now: number): number | undefined {
    return this.ahead === undefined ? undefined : now + this.ahead;
  }

  // ---- what is held ----

  /** The grant under which the member may act on the floor, if it may. */
  on(floor: string): Grant | undefined {
    return this.holdings.of(floor);
  }

  /**
   * The fence under which an event is to be sent; `undefined` if no floor guards it.
   * @throws RostrumError FLOOR_NOT_HELD
   */
  fenceFor(event: string, { state, self }: Pick<Standing, "state" | "self">): Offset | undefined {
    const floor = state.birth === "" ? undefined : guardOf(state, event);
    if (floor === undefined) return undefined;
    const held = self === undefined ? undefined : grantOf(state, floor, self);
    if (held === undefined || this.holdings.isOver(floor, held.fence)) {
      throw new RostrumError(
        "FLOOR_NOT_HELD",
        `"${event}" is only accepted from a holder of the floor "${floor}", and this member does not hold it; it was not sent.`,
        { floor, event, fence: null },
      );
    }
    return held.fence;
  }

  /** How things stand now: what is got and lost, and what has to be asked to go on believing it. */
  review(standing: Standing): Review {
    if (this.leaving) return nothing;
    const { state, self, received, now, live } = standing;
    this.reviewed = state.control;
    this.evidence = this.evidence.filter(({ at, head }) => {
      if (head > received) return true;
      this.witnessed = Math.max(this.witnessed, at);
      return false;
    });
    const times = { now, witnessed: this.witnessed, serverTime: this.serverTime(now) ?? state.at };
    const over: { readonly floor: string; readonly fence: Offset }[] = [];
    const news = this.holdings.update(
      state,
      self,
      times,
      (floor, fence) => standing.open().some((command) => willEnd(command, floor, fence)),
      (floor, fence) => over.push({ floor, fence }),
    );
    const late = this.questions.size > 0 && this.asked + answerWithin <= now;
    const ask =
      live && this.holdings.stale <= now && (this.questions.size === 0 || late) ? this.question(now) : undefined;
    return { news, over, ask, doubt: ask !== undefined && late };
  }

  private question(now: number): number {
    if (this.questions.size >= mostQuestions) this.questions.clear();
    this.numbers += 1;
    this.asked = now;
    this.questions.set(this.numbers, now);
    return this.numbers;
  }

  /** Whether there is something to review: who holds what may have changed, or more is known. */
  isDue({ control }: SessionState): boolean {
    return control !== this.reviewed || this.evidence.length > 0;
  }

  /** When a review is due without any news. */
  next(live: boolean): number {
    const { next, stale } = this.holdings;
    if (!live) return next;
    return Math.min(next, this.questions.size === 0 ? stale : Math.max(stale, this.asked + answerWithin));
  }

  /** An entry was folded in: a revoke tells why. */
  folded(entry: Entry, self: MemberId | undefined): void {
    if (entry.type === "floor-revoked" && entry.member === self)
      this.holdings.revoked(entry.fence, entry.reason, entry.note);
  }

  /** What a command will end is over here as soon as it is on its way. */
  foresee(command: MemberCommand): readonly HoldingNews[] {
    // Also if it was asked for in an earlier life of the page: what we are granted from here on is not for us.
    if (command.type === "release") this.leaving = true;
    if (isEnding(command)) return this.holdings.giveUp(command.fence);
    // To cancel a request that was granted meanwhile is to release it.
    if (command.type === "floor-cancel" && command.for === undefined) return this.holdings.refrain(command.floor);
    return [];
  }

  /** The command is decided, by an entry or an error: what was foreseen has come, or will not. `open` is what else is under way. */
  decided(command: MemberCommand, error: RostrumError | undefined, open: () => readonly MemberCommand[]): void {
    if (command.type === "release" && error !== undefined) this.leaving = false;
    if (command.type === "floor-cancel" && command.for === undefined) this.holdings.unrefrain(command.floor);
    if (command.type !== "floor-pass" || error === undefined || error.code === "FLOOR_NOT_HELD") return;
    // It could not be passed on, so it is ours as before, unless something else ends it.
    if (!open().some((other) => isEnding(other) && other.fence === command.fence))
      this.holdings.takeBack(command.fence);
  }

  /** Everything is over here. */
  letGo(error: RostrumError): readonly HoldingNews[] {
    return this.holdings.giveUpAll(error);
  }

  /** Another log: what was known of the old one means nothing. */
  begunAnew(): readonly HoldingNews[] {
    this.witnessed = -Infinity;
    this.ahead = undefined;
    this.evidence = [];
    return this.holdings.clear(
      new RostrumError("FLOOR_REVOKED", "The session's log began anew; what was held is no more.", {
        reason: "removed",
      }),
    );
  }
}
