/** A floor as one member sees it: holders, queue, my own place, and a grant that knows when it can no longer be trusted. */

import {
  floorOf,
  type MemberCommand,
  type MemberId,
  type Offset,
  RostrumError,
  type SessionState,
  type Time,
} from "@rostrum/protocol";
import { type Observable, observable, type Source } from "./observable.ts";

export interface FloorHolder {
  readonly member: MemberId;
  readonly fence: Offset;
  /** When the hold limit ends it, by the server's clock. */
  readonly expiresAt?: Time;
}

export interface FloorView {
  readonly holders: readonly FloorHolder[];
  readonly queue: readonly { readonly member: MemberId }[];
  readonly mine: "none" | "waiting" | "held";
  /** My place in the queue, from 1; 0 if I do not wait. */
  readonly position: number;
}

/** The right to the floor, as long as `lost` has not fired. */
export interface Grant {
  readonly floor: string;
  /** The fencing number: a later grant always has a higher one. */
  readonly fence: Offset;
  readonly expiresAt?: Time;
  /**
   * Fires when the floor is gone: revoked, expired, or no longer to be trusted because the link has been down for so long
   * that the server may give the floor to somebody else. Stop then, whatever else you believe.
   */
  readonly lost: AbortSignal;
  /** Gives the floor back. Resolves when that is stored; a grant that is lost already is no error. */
  release(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RequestOptions {
  /** Takes the request back while it waits, and releases the floor if it was granted meanwhile. */
  readonly signal?: AbortSignal;
}

/** What a floor needs of its session. */
export interface FloorHost {
  readonly state: () => SessionState;
  readonly self: () => MemberId | undefined;
  readonly submit: (command: MemberCommand) => Promise<unknown>;
  /** Until when the server cannot have given up on us, in milliseconds of our clock, if a drop has this grace. */
  readonly trustedUntil: (grace: number) => number;
  /** The latest that the server's clock can show now. */
  readonly serverTimeAtMost: () => Time;
  readonly now: () => number;
  /** Asks the server for a sign of life. */
  readonly ask: () => void;
}

interface Waiting {
  readonly resolve: (grant: Grant) => void;
  readonly reject: (error: unknown) => void;
}

/** The client stops this much before the server may reassign. Milliseconds. */
const margin = 250;

export class Floor implements Observable<FloorView> {
  private readonly view: Source<FloorView> = observable<FloorView>({
    holders: [],
    queue: [],
    mine: "none",
    position: 0,
  });
  private waiting: Waiting[] = [];
  private asked = false;
  private held: { readonly grant: Grant; readonly lose: (reason: RostrumError) => void } | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  readonly get: () => FloorView = this.view.get;
  readonly subscribe: (listener: (value: FloorView) => void) => () => void = this.view.subscribe;

  constructor(
    readonly name: string,
    private readonly host: FloorHost,
  ) {}

  /**
   * Asks for the floor. Resolves when it is granted; a second call while the first waits is the same request, and one
   * while the floor is held resolves at once.
   * @throws RostrumError FLOOR_UNKNOWN, FLOOR_QUEUE_FULL, FLOOR_CANCELLED (denied, or the member left), FORBIDDEN
   * @throws the signal's reason
   * @example
   * const grant = await session.floor("mic").request({ signal })
   * grant.lost.addEventListener("abort", () => mute())
   */
  request({ signal }: RequestOptions = {}): Promise<Grant> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.held !== undefined) return Promise.resolve(this.held.grant);
    return new Promise((resolve, reject) => {
      const withdraw = (): void => {
        this.waiting = this.waiting.filter((each) => each !== waiting);
        reject(signal?.reason as Error);
        if (this.waiting.length > 0 || !this.asked) return;
        this.asked = false;
        this.host.submit({ type: "floor-cancel", floor: this.name }).catch(() => {});
      };
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T): void => {
          signal?.removeEventListener("abort", withdraw);
          how(value);
        };
      const waiting: Waiting = { resolve: settle(resolve), reject: settle(reject) };
      this.waiting.push(waiting);
      signal?.addEventListener("abort", withdraw, { once: true });
      if (this.asked) return;
      this.asked = true;
      this.guard();
      this.host.submit({ type: "floor-request", floor: this.name }).then(
        () => this.update(),
        (error: unknown) => this.fail(error),
      );
    });
  }

  private fail(error: unknown): void {
    this.asked = false;
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }

  /** The request was taken off the queue by somebody. */
  cancelled(reason: string): void {
    this.fail(
      new RostrumError("FLOOR_CANCELLED", `The request for the floor "${this.name}" was taken back: ${reason}.`, {
        floor: this.name,
        reason,
      }),
    );
  }

  /** The state has changed. */
  update(): void {
    const self = this.host.self();
    const { holders, queue } = floorOf(this.host.state(), this.name);
    const mine = holders.find(({ member }) => member === self);
    const place = queue.findIndex(({ member }) => member === self);
    if (this.held !== undefined && mine?.fence !== this.held.grant.fence) {
      this.lose(
        new RostrumError(
          "FLOOR_REVOKED",
          `The floor "${this.name}" is no longer held under fence ${this.held.grant.fence}.`,
          { floor: this.name, fence: this.held.grant.fence },
        ),
      );
    }
    if (mine !== undefined && this.held === undefined && !this.distrusted.has(mine.fence))
      this.hold(mine.fence, mine.expiresAt);
    this.view.set({
      holders: holders.map(({ member, fence, expiresAt }) => ({
        member,
        fence,
        ...(expiresAt === undefined ? {} : { expiresAt }),
      })),
      queue: queue.map(({ member }) => ({ member })),
      mine: this.held !== undefined ? "held" : place >= 0 ? "waiting" : "none",
      position: place + 1,
    });
  }

  /** Grants that we gave up for lack of trust: they are released, and not believed again. */
  private readonly distrusted = new Set<Offset>();

  private hold(fence: Offset, expiresAt: Time | undefined): void {
    const controller = new AbortController();
    const release = async (): Promise<void> => {
      if (controller.signal.aborted) return;
      this.distrusted.add(fence);
      this.lose(
        new RostrumError("FLOOR_REVOKED", `The floor "${this.name}" was released.`, { floor: this.name, fence }),
      );
      this.update();
      await this.host.submit({ type: "floor-release", floor: this.name, fence }).catch((error: unknown) => {
        // Somebody else ended the grant first: what was wanted is so.
        if (!(error instanceof RostrumError && error.code === "FLOOR_NOT_HELD")) throw error;
      });
    };
    const grant: Grant = {
      floor: this.name,
      fence,
      ...(expiresAt === undefined ? {} : { expiresAt }),
      lost: controller.signal,
      release,
      [Symbol.asyncDispose]: release,
    };
    this.held = { grant, lose: (reason) => controller.abort(reason) };
    this.asked = false;
    this.guard();
    for (const { resolve } of this.waiting.splice(0)) resolve(grant);
    // Held, but nobody here asked for it any more, or not in this life of the page: the app finds it by asking again.
  }

  private lose(reason: RostrumError): void {
    const { held } = this;
    this.held = undefined;
    clearTimeout(this.timer);
    held?.lose(reason);
  }

  /**
   * Looks whether the lease still holds, and asks for signs of life more often than the grace is long: from the sending of
   * the last one that was answered, the lease is reckoned. Called at each heartbeat too, which moves the end on.
   */
  guard(): void {
    clearTimeout(this.timer);
    if (this.held === undefined && !this.asked) return;
    const grace = this.host.state().config.floors[this.name]?.grace ?? 0;
    const trusted = this.host.trustedUntil(grace) - this.host.now();
    const limit = (this.held?.grant.expiresAt ?? Infinity) - this.host.serverTimeAtMost();
    const room = Math.min(margin, grace / 4);
    const left = Math.min(trusted, limit) - room;
    if (this.held !== undefined && left <= 0) return this.distrust(this.held.grant.fence);
    if (trusted < grace * (3 / 4)) this.host.ask();
    const wait = Math.min(Math.max(left, 1), Math.max(grace / 4, 50));
    this.timer = setTimeout(() => this.guard(), Math.ceil(wait) + 1);
    (this.timer as { unref?: () => void }).unref?.();
  }

  private distrust(fence: Offset): void {
    this.distrusted.add(fence);
    this.lose(
      new RostrumError(
        "FLOOR_REVOKED",
        `The floor "${this.name}" can no longer be trusted: its lease ran out, or the link has been down for too long.`,
        { floor: this.name, fence },
      ),
    );
    this.update();
    this.host.submit({ type: "floor-release", floor: this.name, fence }).catch(() => {});
  }

  close(error: RostrumError): void {
    this.lose(error);
    this.fail(error);
  }
}
