/** A floor as an app uses it: asking, waiting, holding, and a chair's verbs. Decides nothing: the engine and the server do. */

import {
  type ChairCommand,
  type FloorChange,
  type Grant as HeldGrant,
  type MemberCommand,
  type MemberId,
  memberId,
  type Offset,
  type Priority,
  RostrumError,
  type SessionState,
  type Time,
} from "@rostrum/protocol";
import { awaited } from "./awaited.ts";
import type { HoldingNews } from "./engine/holdings.ts";
import type { Stored } from "./engine/outbox.ts";
import { type FloorView, viewOf } from "./floor-view.ts";
import { type Derived, derived, type Observable } from "./observable.ts";

/** The right to the floor, as long as `lost` has not fired. */
export interface Grant {
  readonly floor: string;
  /** The fencing number: a later grant always has a higher one. */
  readonly fence: Offset;
  /** When its hold limit ends it, milliseconds since 1970 by this device's clock. */
  readonly endsAt?: number;
  /**
   * Fires when the floor is gone: revoked, expired, or no longer to be trusted because the link has been down for so long
   * that the server may give the floor to somebody else. Stop then, whatever else you believe. The reason is a
   * `RostrumError` FLOOR_REVOKED, whose `details.reason` says why.
   */
  readonly lost: AbortSignal;
  /**
   * Fires before the floor is taken: `warning` milliseconds before its limit, or when somebody of a higher priority waits.
   * The reason is a `RostrumError` FLOOR_ENDING, whose `details` are `reason` and `endsAt` (the server's clock).
   */
  readonly ending: AbortSignal;
  /** Gives the floor back. Resolves when that is stored; a grant that is lost already is no error. */
  release(): Promise<void>;
  /**
   * Gives the floor to another member, who need not have asked (X.215: give token). `lost` fires here at once. If it is
   * refused, the floor is held again: `request` answers the grant anew.
   * @throws RostrumError FLOOR_NOT_HELD, FLOOR_ENDING, FLOOR_BUSY, RECIPIENT_UNKNOWN, FORBIDDEN
   */
  pass(member: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface AskOptions {
  /** RFC 8855's five levels, -2 to 2; 0 is normal. Above normal needs the permission `priority`. */
  readonly priority?: Priority;
  /** Told to the chair and to all who look at the queue; at most 500 characters. */
  readonly reason?: string;
  /** Milliseconds to wait at most, here and in the queue: FLOOR_TIMEOUT. */
  readonly timeout?: number;
}

export interface RequestOptions extends AskOptions {
  /** Takes the request back while it waits, and releases the floor if it was granted meanwhile. */
  readonly signal?: AbortSignal;
  /** Not to wait: `null` if the floor cannot be had at once. */
  readonly ifAvailable?: boolean;
}

/** What a floor needs of its session. */
export interface FloorHost {
  readonly state: () => SessionState;
  readonly self: () => MemberId | undefined;
  readonly submit: (command: MemberCommand) => Promise<Stored>;
  /** The grant that this member believes in. */
  readonly grantOn: (floor: string) => HeldGrant | undefined;
  /** The server's time by this device's clock. */
  readonly local: (at: Time) => number;
}

/** One asking on its way to the server, or known to it. What comes of another does not concern it. */
interface Asking {
  readonly kind: "request" | "if-available" | "take";
  /** The request's id, once the server has said it. */
  request: Offset | undefined;
}

interface Waiting {
  readonly asking: Asking;
  readonly resolve: (grant: Grant | null) => void;
  readonly reject: (error: unknown) => void;
}

interface Holding {
  readonly grant: Grant;
  readonly lost: AbortController;
  readonly ending: AbortController;
}

/** The longest that a timer and a server wait; longer is for ever. */
const longest = 86_400_000;

/** @throws RostrumError USAGE */
const checked = ({ reason, timeout }: AskOptions): { within?: number; reason?: string } => {
  if (reason !== undefined && reason.length > 500) {
    throw new RostrumError(
      "USAGE",
      `A reason has at most 500 characters; this has ${reason.length}. Nothing was asked.`,
    );
  }
  if (timeout !== undefined && !(timeout > 0))
    throw new RostrumError("USAGE", `timeout is ${timeout}; milliseconds above 0 are due. Nothing was asked.`);
  const limited = timeout !== undefined && timeout <= longest;
  return { ...(limited ? { within: Math.ceil(timeout) } : {}), ...(reason === undefined ? {} : { reason }) };
};

const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof RostrumError && codes.includes(error.code);

/** Resolves when the command is stored, or was refused because what it was to end is over already. */
const done = (submitted: Promise<Stored>, over?: string): Promise<void> =>
  awaited(
    submitted.then(
      () => {},
      (error: unknown) => {
        if (over === undefined || !hasCode(error, over)) throw error;
      },
    ),
  );

export class Floor implements Observable<FloorView> {
  readonly get: () => FloorView;
  readonly subscribe: (listener: (value: FloorView) => void) => () => void;
  private readonly view: Derived<FloorView>;
  private waiting: Waiting[] = [];
  /** The plain request that others may join. */
  private asking: Asking | undefined;
  /** Requests of which it is known that nothing will come, and why: word of it may be here before our own echo. */
  private readonly over = new Map<Offset, RostrumError>();
  private holding: Holding | undefined;

  constructor(
    readonly name: string,
    private readonly host: FloorHost,
  ) {
    this.view = derived(() =>
      viewOf(host.state(), name, host.self(), host.grantOn(name)?.fence, (at) => host.local(at)),
    );
    this.get = this.view.get;
    this.subscribe = this.view.subscribe;
    // A grant may have outlived the page that asked for it.
    const held = host.grantOn(name);
    if (held !== undefined) this.hold(held);
  }

  /**
   * Asks for the floor. Resolves when it is granted; a second call while the first waits is the same request, and one
   * while the floor is held resolves at once.
   * @throws RostrumError FLOOR_DENIED (`details.reason`), FLOOR_BUSY (policy first-come), FLOOR_QUEUE_FULL, FLOOR_TIMEOUT,
   * FLOOR_CANCELLED, FLOOR_UNKNOWN, FORBIDDEN
   * @throws the signal's reason
   * @example
   * const grant = await session.floor("mic").request({ signal, timeout: 30_000 })
   * grant.lost.addEventListener("abort", () => mute())
   */
  request(options: RequestOptions & { readonly ifAvailable: true }): Promise<Grant | null>;
  request(options?: RequestOptions): Promise<Grant>;
  request(options: RequestOptions = {}): Promise<Grant | null> {
    const { priority, ifAvailable = false } = options;
    // Somebody here waits for it already: it is not to be had at once.
    if (ifAvailable && this.asking !== undefined && this.holding === undefined) return Promise.resolve(null);
    return this.ask(ifAvailable ? "if-available" : "request", options, () => ({
      type: "floor-request",
      floor: this.name,
      ...(priority === undefined ? {} : { priority }),
      ...checked(options),
      ...(ifAvailable ? { ifAvailable } : {}),
    }));
  }

  /** Asks for somebody else (RFC 8855: beneficiary). Resolves when the request is stored, not when it is granted. */
  requestFor(member: string, options: AskOptions = {}): Promise<Stored> {
    const { priority } = options;
    try {
      return this.host.submit({
        type: "floor-request",
        floor: this.name,
        for: memberId(member),
        ...(priority === undefined ? {} : { priority }),
        ...checked(options),
      });
    } catch (error) {
      return awaited(Promise.reject(error as Error));
    }
  }

  /** Takes the request back, own or made for somebody. What waits for it here is rejected with FLOOR_CANCELLED. */
  cancel(member?: string): Promise<void> {
    if (member === undefined) this.failAll(this.takenBack("cancelled"));
    const command: MemberCommand = {
      type: "floor-cancel",
      floor: this.name,
      ...(member === undefined ? {} : { for: memberId(member) }),
    };
    // Nothing to take back: what was wanted is so.
    return done(this.host.submit(command), "FLOOR_NOT_REQUESTED");
  }

  // ---- the chair's verbs; FORBIDDEN for others ----

  /** Puts a pending request into the queue. */
  accept(member: string): Promise<Stored> {
    return this.chair({ type: "floor-accept", member: memberId(member) });
  }

  /** Grants a request now. @throws RostrumError FLOOR_BUSY, FLOOR_NOT_REQUESTED */
  grant(member: string): Promise<Stored> {
    return this.chair({ type: "floor-grant", member: memberId(member) });
  }

  /** Gives the floor to somebody who need not have asked. @throws RostrumError FLOOR_BUSY, RECIPIENT_UNKNOWN */
  give(member: string): Promise<Stored> {
    return this.chair({ type: "floor-give", member: memberId(member) });
  }

  /** Denies a request. The reason is in the log: all members can read it. */
  deny(member: string, reason?: string): Promise<Stored> {
    return this.chair({ type: "floor-deny", member: memberId(member), ...(reason === undefined ? {} : { reason }) });
  }

  /** Takes the floor from a holder. The reason is in the log: all members can read it. Its place is free when the holder has stopped, or its lease is over. */
  revoke(member: string, reason?: string): Promise<Stored> {
    return this.chair({ type: "floor-revoke", member: memberId(member), ...(reason === undefined ? {} : { reason }) });
  }

  /** Puts a waiting request at a place in the queue, from 1. The places before it keep their order from then on. */
  reorder(member: string, position: number): Promise<Stored> {
    return this.chair({ type: "floor-reorder", member: memberId(member), position });
  }

  /** Changes how the floor works, for the rest of the session. @throws RostrumError FLOOR_CONFIG_INVALID */
  configure(change: FloorChange): Promise<Stored> {
    return this.chair({ type: "floor-configure", change });
  }

  /** Takes the floor for oneself, before all who wait; if none is free, from the one who got it last. */
  take(options: Pick<RequestOptions, "signal"> = {}): Promise<Grant> {
    return this.ask("take", options, () => ({ type: "floor-take", floor: this.name })) as Promise<Grant>;
  }

  // ---- for the session ----

  /** @internal */
  news(news: HoldingNews): void {
    if (news.kind === "held") this.hold(news.grant);
    else if (this.holding?.grant.fence === news.grant.fence) {
      const { lost, ending } = this.holding;
      if (news.kind === "ending") ending.abort(news.error);
      else {
        this.holding = undefined;
        lost.abort(news.error);
      }
    }
    this.view.changed();
  }

  /** @internal The state has changed. */
  update(): void {
    this.view.changed();
    if (this.waiting.length === 0) return;
    const self = this.host.self();
    const { holders = [], queue = [] } = this.host.state().floors.get(this.name) ?? {};
    if ([...holders, ...queue].some(({ member }) => member === self)) return;
    // The answer may lie in a gap of the log; what is not there any more cannot be granted.
    for (const asking of new Set(this.waiting.map((each) => each.asking)))
      if (asking.request !== undefined) this.fail(asking, this.takenBack("it is no longer there"));
  }

  /** @internal The member's request was denied or taken off the queue. */
  refused(request: Offset, error: RostrumError): void {
    this.over.set(request, error);
    // Few can be on their way at once.
    for (const [old] of [...this.over].slice(0, -16)) this.over.delete(old);
    for (const { asking } of this.waiting) if (asking.request === request) return this.fail(asking, error);
  }

  /** @internal */
  close(error: RostrumError): void {
    this.failAll(error);
  }

  // ---- inside ----

  private chair(command: Unnamed<ChairCommand>): Promise<Stored> {
    return this.host.submit({ ...command, floor: this.name } as ChairCommand);
  }

  private ask(
    kind: Asking["kind"],
    { signal, timeout }: RequestOptions,
    command: () => MemberCommand,
  ): Promise<Grant | null> {
    if (signal?.aborted === true) return awaited(Promise.reject(signal.reason as Error));
    if (this.holding !== undefined) return Promise.resolve(this.holding.grant);
    return awaited(
      new Promise((resolve, reject) => {
        const joined = kind === "request" ? this.asking : undefined;
        const asking: Asking = joined ?? { kind, request: undefined };
        let timer: ReturnType<typeof setTimeout> | undefined;
        const settle =
          <T>(how: (value: T) => void) =>
          (value: T): void => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", aborted);
            how(value);
          };
        const waiting: Waiting = { asking, resolve: settle(resolve), reject: settle(reject) };
        const withdraw = (error: unknown): void => {
          this.waiting = this.waiting.filter((each) => each !== waiting);
          waiting.reject(error);
          if (this.waiting.length > 0) return;
          this.asking = undefined;
          this.host.submit({ type: "floor-cancel", floor: this.name }).catch(() => {});
        };
        const aborted = (): void => withdraw(signal?.reason);
        const asked = joined === undefined ? command() : undefined;
        this.waiting.push(waiting);
        signal?.addEventListener("abort", aborted, { once: true });
        if (timeout !== undefined && timeout <= longest) {
          timer = setTimeout(() => withdraw(this.timedOut(timeout)), timeout);
          (timer as { unref?: () => void }).unref?.();
        }
        if (asked === undefined) return;
        if (kind === "request") this.asking = asking;
        this.host.submit(asked).then(
          ({ offset }) => this.stored(asking, offset),
          (error: unknown) => this.fail(asking, error),
        );
      }),
    );
  }

  /** The server knows of the asking: under which number, and perhaps already what came of it. */
  private stored(asking: Asking, offset: Offset): void {
    const self = this.host.self();
    const { holders = [], queue = [] } = this.host.state().floors.get(this.name) ?? {};
    // One that was there before is named by its own number.
    const known =
      queue.find(({ member }) => member === self)?.id ??
      holders.find(({ member }) => member === self)?.request ??
      offset;
    asking.request = known;
    const over = this.over.get(known);
    if (over !== undefined) this.fail(asking, over);
    else this.update();
  }

  private timedOut(timeout: number): RostrumError {
    return new RostrumError(
      "FLOOR_TIMEOUT",
      `The floor "${this.name}" was not granted within ${timeout} ms; the request was taken back.`,
      { floor: this.name, timeout },
    );
  }

  private takenBack(reason: string): RostrumError {
    return new RostrumError("FLOOR_CANCELLED", `The request for the floor "${this.name}" was taken back: ${reason}.`, {
      floor: this.name,
      reason,
    });
  }

  private fail(asking: Asking, error: unknown): void {
    if (this.asking === asking) this.asking = undefined;
    const concerned = this.waiting.filter((each) => each.asking === asking);
    this.waiting = this.waiting.filter((each) => each.asking !== asking);
    const taken = asking.kind === "if-available" && hasCode(error, "FLOOR_BUSY", "FLOOR_QUEUE_FULL");
    for (const { reject, resolve } of concerned) {
      if (taken) resolve(null);
      else reject(error);
    }
  }

  private failAll(error: unknown): void {
    for (const asking of new Set(this.waiting.map((each) => each.asking))) this.fail(asking, error);
    this.asking = undefined;
  }

  private hold({ fence, expiresAt }: HeldGrant): void {
    const [lost, ending] = [new AbortController(), new AbortController()];
    const floor = this.name;
    // If somebody else ended the grant first, what was wanted is so.
    const release = (): Promise<void> =>
      lost.signal.aborted
        ? Promise.resolve()
        : done(this.host.submit({ type: "floor-release", floor, fence }), "FLOOR_NOT_HELD");
    const grant: Grant = {
      floor,
      fence,
      ...(expiresAt === undefined ? {} : { endsAt: this.host.local(expiresAt) }),
      lost: lost.signal,
      ending: ending.signal,
      release,
      pass: (member) => done(this.host.submit({ type: "floor-pass", floor, fence, member: memberId(member) })),
      [Symbol.asyncDispose]: release,
    };
    this.holding = { grant, lost, ending };
    this.asking = undefined;
    // Nobody here may be waiting any more, or it was given unasked: the app finds it by asking, or by `mine`.
    for (const { resolve } of this.waiting.splice(0)) resolve(grant);
  }
}

type Unnamed<C> = C extends ChairCommand ? Omit<C, "floor"> : never;
