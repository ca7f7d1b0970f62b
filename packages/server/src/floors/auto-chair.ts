/**
 * A function in the chair: the escape hatch where a policy is not data. It is asked when requests wait for a decision, and
 * what it answers becomes a chair's commands, checked like anybody's. It may be slow, fail or hang: the floor goes on as
 * it is, and who waited is told so.
 */

import {
  type Entry,
  type FloorConfig,
  type FloorRequest,
  floorConfigIn,
  floorOf,
  type Grant,
  type Member,
  type MemberCommand,
  type MemberId,
  memberId,
  RostrumError,
  ranked,
  type SessionId,
  type SessionState,
} from "@rostrum/protocol";
import createDebug from "debug";
import type { Host } from "../host.ts";
import type { Seat } from "../seat.ts";

const debug: createDebug.Debugger = createDebug("rostrum:floor");

/** A floor as a function in its chair sees it. */
export interface FloorSight {
  readonly session: SessionId;
  readonly floor: string;
  readonly config: FloorConfig;
  readonly holders: readonly Grant[];
  /** Accepted requests, in the order in which they will be granted. */
  readonly queue: readonly FloorRequest[];
  /** What is to be decided, in the order of asking. */
  readonly pending: readonly FloorRequest[];
  readonly members: ReadonlyMap<MemberId, Member>;
  /** Milliseconds that each user has held the floor. */
  readonly talk: ReadonlyMap<string, number>;
}

/** What the chair says of one member. `grant` on a floor that is full puts the request into the queue. */
export type Ruling =
  | { readonly grant: string }
  | { readonly accept: string }
  | { readonly deny: string; readonly reason?: string }
  | { readonly revoke: string; readonly reason?: string };

/**
 * Decides the requests of a floor. Called whenever some are pending and the floor has changed; what it says nothing of
 * stays pending. If it throws or does not answer in time, what was pending is denied. May run on several nodes at once.
 */
export type FloorChair = (
  floor: FloorSight,
  context: { readonly signal: AbortSignal },
) => readonly Ruling[] | Promise<readonly Ruling[]>;

export interface AutoChairOptions {
  /** Absent: there are no functions at all. */
  readonly chairOf: ((floor: string) => FloorChair | undefined) | undefined;
  /** Milliseconds that a function may take. */
  readonly within: number;
}

interface Run {
  /** A host that failed meanwhile decides nothing any more. */
  readonly host: Host<Seat>;
  again: boolean;
}

export class AutoChair {
  private readonly running = new Map<string, Run>();

  constructor(private readonly options: AutoChairOptions) {}

  /** These entries are stored; none: the session was just loaded. */
  consider(session: SessionId, host: Host<Seat>, entries: readonly Entry[], state: SessionState): void {
    if (this.options.chairOf === undefined) return;
    const touched =
      entries.length === 0
        ? [...state.floors.keys()]
        : new Set(entries.flatMap((entry) => ("floor" in entry ? [entry.floor] : [])));
    for (const floor of touched) {
      const chair = this.options.chairOf(floor);
      if (chair === undefined || !hasPending(state, floor)) continue;
      const key = `${session}\u0000${floor}`;
      const run = this.running.get(key);
      if (run?.host === host) {
        run.again = true;
        continue;
      }
      const fresh: Run = { host, again: false };
      this.running.set(key, fresh);
      void this.preside(host, session, floor, chair, fresh).finally(() => {
        if (this.running.get(key) === fresh) this.running.delete(key);
      });
    }
  }

  private async preside(
    host: Host<Seat>,
    session: SessionId,
    floor: string,
    chair: FloorChair,
    run: Run,
  ): Promise<void> {
    do {
      run.again = false;
      const sight = sightOf(host.current, session, floor);
      if (sight === undefined || sight.pending.length === 0) return;
      for (const ruling of await this.rule(chair, sight)) await carryOut(host, floor, ruling);
    } while (run.again);
  }

  /** What the function says; if it fails, a denial for each who waits. */
  private async rule(chair: FloorChair, sight: FloorSight): Promise<readonly Ruling[]> {
    const signal = AbortSignal.timeout(this.options.within);
    try {
      const rulings = await new Promise<readonly Ruling[]>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error(`no answer within ${this.options.within} ms`)));
        Promise.resolve(chair(sight, { signal })).then(resolve, reject);
      });
      for (const ruling of rulings) commandsOf(sight.floor, ruling);
      return rulings;
    } catch (cause) {
      debug("%s: the policy of floor %s failed: %o", sight.session, sight.floor, cause);
      const reason = signal.aborted ? "the floor's policy did not answer" : "the floor's policy failed";
      return sight.pending.map(({ member }) => ({ deny: member, reason }));
    }
  }
}

const hasPending = (state: SessionState, floor: string): boolean =>
  floorOf(state, floor).queue.some(({ status }) => status === "pending");

const sightOf = (state: SessionState, session: SessionId, floor: string): FloorSight | undefined => {
  const config = floorConfigIn(state, floor);
  if (config === undefined) return undefined;
  const present = floorOf(state, floor);
  return {
    session,
    floor,
    config,
    holders: present.holders.filter(({ revoked }) => revoked === undefined),
    queue: ranked(config, present, state.members),
    pending: present.queue.filter(({ status }) => status === "pending"),
    members: state.members,
    talk: new Map(present.talk),
  };
};

/** The command, and what to try if the floor is full. @throws Error for what is no ruling. */
const commandsOf = (floor: string, ruling: Ruling): readonly MemberCommand[] => {
  const id = (member: unknown): MemberId => {
    if (typeof member !== "string") throw new Error(`no ruling: ${JSON.stringify(ruling)}`);
    return memberId(member);
  };
  const reason =
    "reason" in ruling && ruling.reason !== undefined ? { reason: String(ruling.reason).slice(0, 500) } : {};
  if ("grant" in ruling) {
    const member = id(ruling.grant);
    return [
      { type: "floor-grant", floor, member },
      { type: "floor-accept", floor, member },
    ];
  }
  if ("accept" in ruling) return [{ type: "floor-accept", floor, member: id(ruling.accept) }];
  if ("deny" in ruling) return [{ type: "floor-deny", floor, member: id(ruling.deny), ...reason }];
  return [{ type: "floor-revoke", floor, member: id(ruling.revoke), ...reason }];
};

/** A ruling that came too late (the request was taken back meanwhile) is refused by the rules, and that is all. */
const carryOut = async (host: Host<Seat>, floor: string, ruling: Ruling): Promise<void> => {
  for (const command of commandsOf(floor, ruling)) {
    const refused = await new Promise<RostrumError | undefined>((resolve) =>
      host.submit({ from: null, command }, (result) =>
        resolve(result instanceof RostrumError ? result : result.refusals[0]?.error),
      ),
    );
    // It is full, or its member is away: then it waits in the queue.
    if (refused?.code !== "FLOOR_BUSY" && refused?.code !== "RECIPIENT_UNKNOWN") return;
  }
};
