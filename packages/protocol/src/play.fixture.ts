/** A session's log, played command by command by members with names, for the tests of its rules. */

import type { MemberCommand, ServerCommand, SyncCommand } from "./command.ts";
import { defaultConfig, type SessionConfig } from "./config.ts";
import { deadlines, decide } from "./decide.ts";
import type { Entry } from "./entry.ts";
import type { FloorConfig } from "./floors/config.ts";
import { defaultFloor } from "./floors/config.ts";
import { ranked } from "./floors/order.ts";
import { floorConfigIn, floorOf, grantOf } from "./floors/sight.ts";
import { foldAll } from "./fold.ts";
import { memberId, sessionId, userId } from "./ids.ts";
import { emptyState, fromRecord, type SessionState, type StateRecord, toRecord, toView } from "./state.ts";

/** Numbers in [0, 1) from a seed (mulberry32). */
export const chanceOf = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

export class Play {
  state: SessionState = emptyState(sessionId("s"));
  readonly log: Entry[] = [];
  now = 1_000;
  private readonly seqs = new Map<string, number>();

  constructor(floors: Readonly<Record<string, Partial<FloorConfig>>>, config: Partial<SessionConfig> = {}) {
    const whole: SessionConfig = {
      ...defaultConfig,
      roles: { member: ["emit", "floor", "sync", "dialog", "activity", "transfer"], chair: ["*"] },
      ...config,
      floors: Object.fromEntries(Object.entries(floors).map(([name, each]) => [name, { ...defaultFloor, ...each }])),
    };
    this.server({ type: "open", session: sessionId("s"), birth: "b", config: whole });
  }

  /** Members whose names begin with "chair" may moderate. A name up to a dot is the user. */
  join(...names: readonly string[]): void {
    for (const name of names) {
      this.server({
        type: "join",
        member: memberId(name),
        user: userId(name.split(".")[0] ?? name),
        roles: [name.startsWith("chair") ? "chair" : "member"],
        node: "n",
      });
    }
  }

  /** What came of it: the types of the entries, or the code of the refusal. */
  says(name: string, command: MemberCommand, later = 1): string {
    this.now += later;
    const seq = (this.seqs.get(name) ?? 0) + 1;
    this.seqs.set(name, seq);
    const member = memberId(name);
    const incarnation = this.state.members.get(member)?.incarnation ?? 1;
    return this.take(decide(this.state, { from: { member, incarnation, seq }, command }, this.now));
  }

  server(command: MemberCommand | ServerCommand, later = 1): string {
    this.now += later;
    return this.take(decide(this.state, { from: null, command }, this.now));
  }

  private take({ entries, refusals, state }: ReturnType<typeof decide>): string {
    const [refusal] = refusals;
    this.log.push(...entries);
    this.state = state;
    if (refusal !== undefined) {
      if (entries.some(({ type }) => type !== "messages")) throw new Error("a refusal recorded something");
      return refusal.error.code;
    }
    return entries.map(({ type }) => type).join(" ");
  }

  asks(name: string, floor: string, more: Partial<Extract<MemberCommand, { type: "floor-request" }>> = {}): string {
    return this.says(name, { type: "floor-request", floor, ...more });
  }

  releases(name: string, floor: string): string {
    const fence = floorOf(this.state, floor).holders.find(({ member }) => member === name)?.fence ?? 0;
    return this.says(name, { type: "floor-release", floor, fence });
  }

  emits(name: string, event: string, fence?: number): string {
    const { generation } = this.state.sync;
    return this.says(name, {
      type: "messages",
      items: [[event, 1]],
      ...(fence === undefined ? {} : { fence }),
      ...(generation === 0 ? {} : { generation }),
    });
  }

  /** The same command as a member says it in the present generation. */
  syncs(name: string, command: SyncCommand): string {
    return this.says(name, { generation: this.state.sync.generation, ...command });
  }

  /** The session's sync points that are listed, as `serial status`. */
  points(): readonly string[] {
    return this.state.sync.points.map(({ serial, status }) => `${serial} ${status}`);
  }

  /** What a member sees of the activities, by its view: their names. */
  activitiesOf(name: string): readonly string[] {
    return toView(this.state, memberId(name)).activities.map((activity) => activity.name);
  }

  drops(name: string): string {
    const member = memberId(name);
    const incarnation = this.state.members.get(member)?.incarnation ?? 0;
    return this.server({ type: "drop", member, incarnation, since: this.now });
  }

  resumes(name: string): string {
    const member = memberId(name);
    const known = this.state.members.get(member);
    return this.server({
      type: "resume",
      member,
      user: known?.user ?? userId(""),
      roles: known?.roles ?? [],
      incarnation: known?.incarnation ?? 0,
      confirmed: 0,
      node: "n",
    });
  }

  /** Time goes by in the log; leases are not watched by it. */
  waits(milliseconds: number): string {
    return this.server({ type: "tick" }, milliseconds);
  }

  /** The host has watched every lease that runs for its length. */
  lapses(): string {
    return deadlines(this.state)
      .leases.map(({ floor, fence, from }) => this.server({ type: "lapse", floor, fence, from }))
      .join(" ");
  }

  /** Who may act on the floor, by name. */
  holders(floor: string): readonly string[] {
    return floorOf(this.state, floor).holders.flatMap(({ member, revoked }) => (revoked === undefined ? [member] : []));
  }

  fence(name: string, floor: string): number {
    return grantOf(this.state, floor, memberId(name))?.fence ?? 0;
  }

  queue(floor: string): readonly string[] {
    const config = floorConfigIn(this.state, floor);
    return config === undefined
      ? []
      : ranked(config, floorOf(this.state, floor), this.state.members).map(({ member }) => member);
  }

  pending(floor: string): readonly string[] {
    return floorOf(this.state, floor).queue.flatMap(({ member, status }) => (status === "pending" ? [member] : []));
  }

  last<T extends Entry["type"]>(type: T): Extract<Entry, { type: T }> | undefined {
    return this.log.findLast((entry): entry is Extract<Entry, { type: T }> => entry.type === type);
  }

  /** Whether a replica that reads the log, or starts in the middle from a snapshot, comes to the same state. */
  isReproducible(): boolean {
    const whole = foldAll(emptyState(sessionId("s")), this.log);
    const half = this.log.slice(0, this.log.length >> 1);
    const snapshot = fromRecord(
      JSON.parse(JSON.stringify(toRecord(foldAll(emptyState(sessionId("s")), half)))) as StateRecord,
    );
    const tail = foldAll(snapshot, this.log.slice(this.log.length >> 1));
    const text = (state: SessionState): string => JSON.stringify(toRecord(state));
    return text(whole) === text(this.state) && text(tail) === text(this.state);
  }
}
