/** What members do with floors in the simulated world, and what must then be true of the log: an oracle of its own. */

import {
  type Entry,
  type FloorOrder,
  type FloorRequest,
  floorConfigIn,
  type MemberCommand,
  type MemberId,
  matching,
  type Priority,
  type SessionConfig,
  type SessionState,
} from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import type { Page } from "./device.ts";

const any = ["mic", "mic", "mic", "desk", "desk", "chair", "stage", "stage", "cell:1", "@data"] as const;
/** Where everybody wants the same. */
const narrow = ["mic", "mic", "mic", "desk"] as const;

export class FloorPlay {
  /** The most places that each floor ever had. */
  private readonly most = new Map<string, number>();

  constructor(
    private readonly scheduler: Scheduler,
    private readonly contended: boolean,
    private readonly note: (text: string) => void,
    private readonly newId: () => string,
  ) {}

  mostOf(name: string, config: SessionConfig): number {
    return Math.max(this.most.get(name) ?? 0, matching(config.floors, name)?.capacity ?? 1);
  }

  /** One page does something with some floor. */
  act(page: Page): void {
    const { scheduler } = this;
    const name = scheduler.pick<string>(this.contended ? narrow : any) ?? "mic";
    const { state, member } = page.engine;
    const held = state.floors.get(name)?.holders.find((grant) => grant.member === member);
    const dice = scheduler.random();
    if (dice < (this.contended ? 0.06 : 0.12)) return this.moderate(page, name);
    if (dice < (this.contended ? 0.08 : 0.2)) return this.negotiate(page);
    if (held !== undefined && dice < 0.65) {
      // Sometimes twice, the second time late: it must not free what comes after.
      const other = scheduler.pick(this.others(page));
      if (other !== undefined && scheduler.chance(0.2))
        return this.say(page, { type: "floor-pass", floor: name, fence: held.fence, member: other });
      for (let count = scheduler.between(1, 2); count > 0; count -= 1) this.release(page, name, held.fence);
      if (scheduler.chance(0.5)) this.say(page, { type: "floor-request", floor: name });
      if (scheduler.chance(0.5)) this.release(page, name, held.fence);
      return;
    }
    if (scheduler.chance(0.15)) return this.say(page, { type: "floor-cancel", floor: name });
    const other = scheduler.chance(0.1) ? scheduler.pick(this.others(page)) : undefined;
    this.say(page, {
      type: "floor-request",
      floor: name,
      ...(other === undefined ? {} : { for: other }),
      ...(scheduler.chance(0.4) ? { priority: scheduler.between(-2, 2) as Priority } : {}),
      ...(scheduler.chance(0.2) ? { within: scheduler.between(100, 5_000) } : {}),
      ...(scheduler.chance(0.1) ? { ifAvailable: true } : {}),
    });
  }

  request(page: Page, floor: string): void {
    this.say(page, { type: "floor-request", floor });
  }

  cancel(page: Page, floor: string): void {
    if (page.alive) this.say(page, { type: "floor-cancel", floor });
  }

  revoke(page: Page, floor: string, member: MemberId): void {
    if (page.alive) this.say(page, { type: "floor-revoke", floor, member });
  }

  private release(page: Page, floor: string, fence: number): void {
    this.say(page, { type: "floor-release", floor, fence });
  }

  private moderate(page: Page, floor: string): void {
    const { scheduler } = this;
    const present = page.engine.state.floors.get(floor);
    const asking = (present?.queue ?? []).map((request) => request.member);
    const member = scheduler.pick([...asking, ...this.others(page)]);
    if (member === undefined) return;
    const holder = scheduler.pick((present?.holders ?? []).map((grant) => grant.member)) ?? member;
    const capacity = scheduler.between(1, 3);
    const command = scheduler.pick<MemberCommand>([
      { type: "floor-accept", floor, member },
      { type: "floor-grant", floor, member },
      { type: "floor-give", floor, member },
      { type: "floor-deny", floor, member, reason: "not now" },
      { type: "floor-revoke", floor, member: holder },
      { type: "floor-revoke", floor, member: holder, reason: "enough" },
      { type: "floor-take", floor },
      { type: "floor-reorder", floor, member, position: scheduler.between(1, 3) },
      floor === "desk"
        ? { type: "floor-configure", floor, change: { capacity } }
        : { type: "floor-configure", floor, change: { maxQueue: scheduler.between(0, 5), advance: true } },
      floor === "stage"
        ? { type: "floor-configure", floor, change: { policy: scheduler.chance(0.5) ? "queue" : "chair" } }
        : { type: "floor-take", floor },
    ]);
    if (command === undefined) return;
    if (command.type === "floor-configure" && floor === "desk")
      this.most.set(floor, Math.max(this.most.get(floor) ?? 0, capacity));
    this.say(page, command);
  }

  private negotiate(page: Page): void {
    const { scheduler } = this;
    const { proposal, mode } = page.engine.state.dialog;
    if (proposal === null) {
      const other = mode === "full-duplex" ? "half-duplex" : "full-duplex";
      return this.say(page, {
        type: "propose",
        subject: scheduler.chance(0.9) ? { kind: "dialog", mode: other } : { kind: "release" },
      });
    }
    if (proposal.by === page.member && scheduler.chance(0.5))
      return this.say(page, { type: "withdraw", proposal: proposal.id });
    this.say(page, { type: "answer", proposal: proposal.id, accept: scheduler.chance(0.8) });
  }

  private others(page: Page): readonly MemberId[] {
    return [...page.engine.state.members.keys()].filter((id) => id !== page.member);
  }

  private say(page: Page, command: MemberCommand): void {
    this.note(`${page.scope}: ${JSON.stringify(command)}`);
    page.submit(command, this.newId());
  }
}

/** The floor that an event needs, told from the log alone. */
export const guardIn = (state: SessionState, event: string): string | undefined => {
  if (event === "speak") return "mic";
  if (event.startsWith("stage:")) return "stage";
  return state.dialog.mode === "half-duplex" && event === "word" ? "@data" : undefined;
};

/** What each floor's policy says, whatever the config in the log does. */
const orders: Readonly<Record<string, FloorOrder>> = { desk: "priority", stage: "least-spoken" };

/** Whether `a` must be granted before `b`, by the words of the policy. Chairs' arrangements are judged elsewhere. */
const before = (state: SessionState, name: string, a: FloorRequest, b: FloorRequest): boolean => {
  const order = orders[name] ?? "fifo";
  if (order === "priority" && a.priority !== b.priority) return a.priority > b.priority;
  if (order === "least-spoken") {
    const talk = state.floors.get(name)?.talk ?? [];
    const spoken = ({ member }: FloorRequest): number =>
      talk.find(([user]) => user === state.members.get(member)?.user)?.[1] ?? 0;
    const [x, y] = [a.at + spoken(a), b.at + spoken(b)];
    if (x !== y) return x < y;
  } else if (a.at !== b.at) return a.at < b.at;
  return a.id < b.id;
};

/** What is wrong about an entry, given the state before it. */
export const floorFaults = (state: SessionState, entry: Entry): readonly string[] => {
  switch (entry.type) {
    case "floor-granted": {
      const { holders = [], queue = [] } = state.floors.get(entry.floor) ?? {};
      const capacity = floorConfigIn(state, entry.floor)?.capacity ?? 0;
      const faults =
        holders.length >= capacity
          ? [`one speaker: #${entry.offset} grants ${entry.floor}, which has ${holders.length} of ${capacity} holders`]
          : [];
      const request = queue.find(({ id }) => id === entry.request);
      // A chair may grant whom it likes, and what it arranged goes first.
      if (request === undefined || request.arranged || entry.by !== null) return faults;
      const overtaken = queue.find(
        (other) =>
          other.status === "accepted" &&
          other.id !== request.id &&
          state.members.get(other.member)?.presence === "connected" &&
          (other.arranged || before(state, entry.floor, other, request)),
      );
      return overtaken === undefined
        ? faults
        : [...faults, `fair: #${entry.offset} grants ${entry.floor} to request ${request.id} before ${overtaken.id}`];
    }
    case "floor-revoked":
    case "floor-freed": {
      const held = state.floors.get(entry.floor)?.holders.find(({ fence }) => fence === entry.fence);
      const right = entry.type === "floor-revoked" ? held?.revoked === undefined : held?.revoked !== undefined;
      return held !== undefined && right ? [] : [`one speaker: ${entry.fence} was ${entry.type}, wrongly`];
    }
    case "settled": {
      const { proposal } = state.dialog;
      if (proposal?.id !== entry.proposal) return [`dialog: ${entry.proposal} was settled, which was not open`];
      return entry.outcome === "accepted" && proposal.waiting.length > 0
        ? [`dialog: ${entry.proposal} was accepted while ${proposal.waiting.join()} had not answered`]
        : [];
    }
    case "dialog-switched":
      return state.dialog.proposal === null ? [] : ["dialog: switched while a proposal was open"];
    default:
      return [];
  }
};

/** What should have come right by itself long ago. `now`: the latest clock of any node. */
export const stuckFloors = (state: SessionState, now: number): readonly string[] => {
  const faults: string[] = [];
  for (const [name, { holders, queue }] of state.floors) {
    const config = floorConfigIn(state, name);
    const active = holders.filter(({ revoked }) => revoked === undefined);
    if (active.length > (config?.capacity ?? 0)) faults.push(`one speaker: ${active.length} hold ${name} at the end`);
    if (active.length < holders.length) faults.push(`release: a place of ${name} is not free long after a revoke`);
    for (const { expiresAt = Infinity, ending } of active) {
      if (Math.min(expiresAt, ending?.at ?? Infinity) + 10_000 < now)
        faults.push(`release: ${name} is held beyond its limit`);
    }
    const waits = queue.filter(
      ({ member, status }) => status === "accepted" && state.members.get(member)?.presence === "connected",
    );
    if (waits.length > 0 && holders.length < (config?.capacity ?? 0))
      faults.push(`release: ${name} is free and ${waits.length} wait`);
    for (const { expiresAt = Infinity } of queue)
      if (expiresAt + 10_000 < now) faults.push(`release: a request for ${name} waits beyond its time`);
  }
  const { proposal } = state.dialog;
  if (proposal !== null && proposal.until + 10_000 < now) faults.push("dialog: a proposal is open beyond its time");
  return faults;
};
