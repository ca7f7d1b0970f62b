/**
 * What this member believes it holds. Pure: fed with the folded state and with what proves that it is not outdated.
 *
 * A grant is believed for its lease, counted from the latest moment of which it is known that the server's log stood no
 * further than what is folded here: the sending of a question that was answered, never the arrival of an answer. The
 * server gives the place to nobody else before the same lease is over, counted from later. So whichever direction of the
 * link is dead, and whatever the clocks show, this side stops first (TS 24.380; the rule of leases).
 */

import {
  floorConfigIn,
  type Grant,
  type MemberId,
  type Offset,
  RostrumError,
  type SessionState,
  type Time,
} from "@rostrum/protocol";

/** What a holder is told of its grant, once each. */
export type HoldingNews =
  | { readonly kind: "held"; readonly floor: string; readonly grant: Grant }
  /** Its end is announced, or near: it may go on until `at` by the server's clock. */
  | { readonly kind: "ending"; readonly floor: string; readonly grant: Grant; readonly error: RostrumError }
  | { readonly kind: "lost"; readonly floor: string; readonly grant: Grant; readonly error: RostrumError };

/** What time has to do with it. All in milliseconds; `now` and `witnessed` by this device's monotonic clock. */
export interface Times {
  readonly now: number;
  /** At that moment, at least, the log went no further than what is folded here; `-Infinity`: of no moment is it known. */
  readonly witnessed: number;
  /** The latest that the server's clock can show now. */
  readonly serverTime: Time;
}

/** In a longer queue a grant has to be asked about when it comes: one round trip more, and much less talk before. */
const fewWaiting = 8;

/** Milliseconds after which the server is told again that a grant is over here, if it still counts it. */
const confirmAgain = 2_000;

interface Holding {
  readonly floor: string;
  grant: Grant;
  warned: boolean;
}

/** The client stops this much before the server may reassign: clocks do not run at quite the same rate. */
const margin = (lease: number): number => Math.min(250, lease / 4);

const ended = (floor: string, { fence }: Grant, reason: string, words: string, note?: string): RostrumError =>
  new RostrumError("FLOOR_REVOKED", `The floor "${floor}" is no longer held under fence ${fence}: ${words}.`, {
    floor,
    fence,
    reason,
    ...(note === undefined ? {} : { note }),
  });

const endingSoon = (floor: string, { fence, expiresAt = 0, ending }: Grant): RostrumError => {
  const { reason, at } = ending ?? { reason: "hold-limit", at: expiresAt };
  return new RostrumError(
    "FLOOR_ENDING",
    `The floor "${floor}" will be taken away soon: ${reason}. Finish what you say.`,
    {
      floor,
      fence,
      reason,
      endsAt: at,
    },
  );
};

export class Holdings {
  private readonly believed = new Map<Offset, Holding>();
  /** Fences that are over for us, whatever the state says; kept as long as it says it. */
  private readonly over = new Set<Offset>();
  /** When `update` has something to do without any news. */
  next: number = Infinity;
  /** Until when something has to prove that we still hold what we hold; `Infinity`: nothing is held. */
  stale: number = Infinity;

  /** The grant under which the member may act on the floor, if it may. */
  of(floor: string): Grant | undefined {
    for (const holding of this.believed.values()) if (holding.floor === floor) return holding.grant;
    return undefined;
  }

  /** Whether the grant is over here, by our own doing or because it could no longer be trusted. */
  isOver(floor: string, fence: Offset): boolean {
    return this.over.has(fence) || this.refrained.has(floor);
  }

  /** The holder gives it up: it is not believed again. */
  giveUp(fence: Offset): readonly HoldingNews[] {
    const holding = this.believed.get(fence);
    this.over.add(fence);
    if (holding === undefined) return [];
    return [this.lose(holding, ended(holding.floor, holding.grant, "released", "it was released"))];
  }

  /** The giving up came to nothing. */
  takeBack(fence: Offset): void {
    this.over.delete(fence);
  }

  /** Whatever comes of the request for this floor is not wanted, until `unrefrain`. */
  refrain(floor: string): readonly HoldingNews[] {
    this.refrained.set(floor, (this.refrained.get(floor) ?? 0) + 1);
    return [...this.believed.values()]
      .filter((holding) => holding.floor === floor)
      .map((holding) => this.lose(holding, ended(floor, holding.grant, "released", "it was given up")));
  }

  unrefrain(floor: string): void {
    const left = (this.refrained.get(floor) ?? 0) - 1;
    if (left > 0) this.refrained.set(floor, left);
    else this.refrained.delete(floor);
  }

  private readonly refrained = new Map<string, number>();

  /** Gives everything up, for instance because the session is over here. */
  giveUpAll(error: RostrumError): readonly HoldingNews[] {
    for (const fence of this.believed.keys()) this.over.add(fence);
    this.next = this.stale = Infinity;
    return [...this.believed.values()].map((holding) => this.lose(holding, error));
  }

  /**
   * What has changed. `confirm` is called for each grant that is over here while the server counts it as ours: until it
   * knows, its place is nobody's. `isEnding` answers whether a command that will tell it is under way.
   */
  update(
    state: SessionState,
    self: MemberId | undefined,
    times: Times,
    isEnding: (floor: string, fence: Offset) => boolean,
    confirm: (floor: string, fence: Offset) => void,
  ): readonly HoldingNews[] {
    const news: HoldingNews[] = [];
    const present = new Set<Offset>();
    this.next = this.stale = Infinity;
    if (self !== undefined) {
      for (const [floor, { holders, queue }] of state.floors) {
        // Who is about to be granted is ready to believe it at once.
        if (queue.length <= fewWaiting && queue.some(({ member }) => member === self)) {
          this.stale = Math.min(this.stale, times.witnessed + (floorConfigIn(state, floor)?.grace ?? Infinity) / 3);
        }
        for (const grant of holders) {
          if (grant.member !== self) continue;
          const { fence } = grant;
          present.add(fence);
          if (grant.revoked === undefined) {
            const { warning = 0 } = floorConfigIn(state, floor) ?? {};
            this.judge(floor, grant, warning, times, news);
          } else this.over.add(fence);
          if (!this.over.has(fence) || isEnding(floor, fence)) continue;
          const due = this.retries.get(fence) ?? times.now;
          if (due <= times.now) {
            // Should it be refused, or find no room, it is tried again.
            this.retries.set(fence, times.now + confirmAgain);
            confirm(floor, fence);
          }
          this.next = Math.min(this.next, this.retries.get(fence) ?? Infinity);
        }
      }
    }
    for (const holding of this.believed.values()) {
      const { fence } = holding.grant;
      if (present.has(fence) && !this.over.has(fence)) continue;
      this.over.add(fence);
      news.push(this.lose(holding, this.revocation(state, holding, self)));
    }
    this.words.clear();
    // What is not told of yet may still come; what was told of and is gone will not come again.
    for (const known of [this.over, this.retries, this.seen]) {
      for (const fence of known.keys()) if (fence <= state.head && !present.has(fence)) known.delete(fence);
    }
    return news;
  }

  /** Another log: its fences are others. */
  clear(error: RostrumError): readonly HoldingNews[] {
    const news = this.giveUpAll(error);
    for (const known of [this.over, this.retries, this.seen, this.refrained, this.words]) known.clear();
    return news;
  }

  /** A grant was revoked, by an entry that is about to be folded in or just was: `note` are the chair's words. */
  revoked(fence: Offset, reason: string, note: string | undefined): void {
    this.words.set(fence, { reason, note });
  }

  private readonly words = new Map<Offset, { readonly reason: string; readonly note: string | undefined }>();

  private revocation(state: SessionState, { floor, grant }: Holding, self: MemberId | undefined): RostrumError {
    // If the entry itself was not among what we were told, the last turns still tell how ours ended.
    const turn = state.floors.get(floor)?.turns.findLast(({ member }) => member === self);
    const { reason, note } = this.words.get(grant.fence) ?? { reason: turn?.ended ?? "revoked", note: undefined };
    return ended(floor, grant, reason, `it was taken (${reason})`, note);
  }

  /** When the server is to be told again of a grant that is over here. */
  private readonly retries = new Map<Offset, number>();
  /** When a grant was first looked at. */
  private readonly seen = new Map<Offset, number>();

  private judge(
    floor: string,
    grant: Grant,
    warning: number,
    { now, witnessed, serverTime }: Times,
    news: HoldingNews[],
  ): void {
    const { fence, lease, expiresAt = Infinity, ending } = grant;
    if (this.over.has(fence) || this.refrained.has(floor)) return;
    const trusted = witnessed + lease - margin(lease) - now;
    const limit = Math.min(expiresAt, ending?.at ?? Infinity) - serverTime;
    const left = Math.min(trusted, limit);
    const known = this.believed.get(fence);
    const seen = this.seen.get(fence) ?? now;
    this.seen.set(fence, seen);
    // Not believed yet, and not proven: that comes with the answer to the next question. If even an answer to a question
    // that was asked since proves nothing, the way there and back is too long for this lease.
    if (known === undefined && trusted <= 0 && limit > 0 && witnessed < seen) {
      this.stale = Math.min(this.stale, now);
      return;
    }
    const holding = known ?? { floor, grant, warned: false };
    holding.grant = grant;
    if (known === undefined && left > 0) {
      this.believed.set(fence, holding);
      news.push({ kind: "held", floor, grant });
    }
    const due = ending !== undefined ? 0 : expiresAt - warning - serverTime;
    if (this.believed.has(fence) && !holding.warned && due <= 0) {
      holding.warned = true;
      news.push({ kind: "ending", floor, grant, error: endingSoon(floor, grant) });
    }
    if (left > 0) {
      this.next = Math.min(this.next, now + left, holding.warned ? Infinity : now + due);
      // Asked for early enough that one question may get lost.
      this.stale = Math.min(this.stale, witnessed + lease / 3);
      return;
    }
    this.over.add(fence);
    if (known !== undefined) {
      const error =
        trusted <= limit
          ? ended(floor, grant, "untrusted", "the link has been down for so long that it can no longer be trusted")
          : ended(floor, grant, ending?.reason ?? "hold-limit", "its time was over");
      news.push(this.lose(known, error));
    }
  }

  private lose(holding: Holding, error: RostrumError): HoldingNews {
    const { floor, grant } = holding;
    this.believed.delete(grant.fence);
    return { kind: "lost", floor, grant, error };
  }
}
