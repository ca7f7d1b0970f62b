/** Random histories of activities, many commands to a batch: nothing fails, and each member's replica shows what a view would. */

import { expect, it } from "vitest";
import type { Envelope, MemberCommand } from "../command.ts";
import { defaultActivities, defaultConfig, defaultSync } from "../config.ts";
import { deadlines, decideInto } from "../decide.ts";
import { beginDeciding, decided } from "../deciding.ts";
import { type Entry, isVisible } from "../entry.ts";
import { fold, foldAll } from "../fold.ts";
import { memberId, sessionId, userId } from "../ids.ts";
import { chanceOf } from "../play.fixture.ts";
import { emptyState, fromRecord, type SessionState, toRecord, toView } from "../state.ts";
import { concerns } from "./sight.ts";

const names = ["a", "a.2", "b", "b.2", "c", "d"] as const;
const text = (state: SessionState): string => JSON.stringify(toRecord(state));

class History {
  state = emptyState(sessionId("s"));
  readonly replicas = new Map<string, SessionState>();
  readonly said = new Set<string>();
  private now = 1_000;
  private seq = 0;
  private readonly chance: () => number;

  constructor(seed: number) {
    this.chance = chanceOf(seed);
    const activities = {
      ...defaultActivities,
      most: 12,
      resumeWithin: 300,
      fetchWithin: 400,
      bytes: 50,
      bytesInAll: 120,
    };
    const config = {
      ...defaultConfig,
      sync: { ...defaultSync, points: 4, exception: "restart" as const },
      activities,
      memberGrace: 150,
      forgetAfter: 150,
    };
    this.take([{ from: null, command: { type: "open", session: sessionId("s"), birth: "b", config } }]);
  }

  private below(limit: number): number {
    return Math.floor(this.chance() * limit);
  }

  private pick<T>(from: readonly [T, ...T[]]): T {
    return from[this.below(from.length)] ?? from[0];
  }

  private some(): string {
    return this.pick(names);
  }

  private command(): MemberCommand {
    const found = [...this.state.activities.values()];
    const one = found[this.below(found.length)];
    const activity = one?.id ?? 1;
    const run = this.chance() < 0.9 ? (one?.run ?? 1) : activity;
    const { generation, points } = this.state.sync;
    switch (this.below(14)) {
      case 0:
      case 1: {
        const kind = this.pick(["app", "transfer", "state"] as const);
        const point = points[this.below(points.length)]?.offset;
        const to = this.chance() < 0.6 ? { to: [memberId(this.some()), memberId(this.some())] } : {};
        const data = kind === "app" ? {} : { data: { size: this.below(60) } };
        return { type: "activity-start", kind, name: "n", ...to, ...data, ...(point === undefined ? {} : { point }) };
      }
      case 2:
      case 3:
        return { type: "activity-point", activity, run, confirm: this.chance() < 0.5 };
      case 4:
      case 5:
        return { type: "activity-confirm", activity, serial: Math.max(0, (one?.next ?? 1) - this.below(3)) };
      case 6:
        return {
          type: "activity-interrupt",
          activity,
          run,
          ...(this.chance() < 0.5 ? { for: memberId(this.some()) } : {}),
        };
      case 7:
      case 8:
        return { type: "activity-resume", activity };
      case 9:
        return { type: "activity-decline", activity };
      case 10:
        return this.chance() < 0.3 ? { type: "activity-discard", activity } : { type: "activity-end", activity, run };
      case 11:
        return { type: "sync-minor", generation };
      case 12:
        return this.chance() < 0.5
          ? { type: "sync-major", rule: "server", generation }
          : {
              type: "resynchronize",
              kind: this.pick(["abandon", "restart"] as const),
              serial: this.state.sync.base.serial,
              generation,
            };
      default:
        return { type: this.pick(["release", "abort"] as const) };
    }
  }

  private envelope(): Envelope {
    const name = this.some();
    const member = memberId(name);
    const known = this.state.members.get(member);
    const odds = this.chance();
    const joining = { member, user: userId(name.split(".")[0] ?? name), roles: ["member"], node: "n" };
    if (known === undefined) return { from: null, command: { type: "join", ...joining } };
    const { incarnation } = known;
    if (known.presence !== "connected" && odds < 0.2) {
      return { from: null, command: { type: "resume", ...joining, incarnation, confirmed: 0 } };
    }
    if (odds < 0.06) return { from: null, command: { type: "drop", member, incarnation, since: this.now } };
    if (odds < 0.14) return { from: null, command: { type: "tick" } };
    if (odds < 0.2)
      return { from: null, command: { type: "activity-fail", activity: this.below(this.state.head), reason: "?" } };
    const command = this.command();
    // The server says how far bytes are, and ends transfers.
    if (odds < 0.5 && command.type.startsWith("activity-")) return { from: null, command };
    this.seq += 1;
    return { from: { member, incarnation, seq: this.seq }, command };
  }

  step(): void {
    this.now += this.below(40);
    this.take(Array.from({ length: 1 + this.below(6) }, () => this.envelope()));
  }

  private take(envelopes: readonly Envelope[]): void {
    const before = this.state;
    const record = text(before);
    const deciding = beginDeciding(before, this.now);
    for (const envelope of envelopes) for (const { error } of decideInto(deciding, envelope)) this.said.add(error.code);
    const { entries, state } = decided(deciding);
    expect(text(before)).toBe(record);
    expect(text(foldAll(before, entries))).toBe(text(state));
    this.state = state;
    for (const entry of entries) this.tell(entry);
    this.compare();
  }

  private tell(entry: Entry): void {
    this.said.add(entry.type);
    for (const [name, replica] of this.replicas) {
      if (isVisible(entry, memberId(name))) this.replicas.set(name, fold(replica, entry));
    }
    if (entry.type === "left" || entry.type === "forgotten") this.replicas.delete(entry.member);
    // Members that come, or come back after having been given up, begin with a view; made when all is folded.
    if (entry.type === "joined") this.fresh.add(entry.member);
    if (entry.type === "resumed" && !this.replicas.has(entry.member)) this.fresh.add(entry.member);
    if (entry.type === "left") this.fresh.delete(entry.member);
  }

  private readonly fresh = new Set<string>();

  private compare(): void {
    const view = (name: string): SessionState =>
      fromRecord(JSON.parse(JSON.stringify(toView(this.state, memberId(name)))));
    for (const name of this.fresh) this.replicas.set(name, view(name));
    this.fresh.clear();
    const roster = ({ members }: SessionState): string =>
      [...members.values()]
        .flatMap(({ id, user, presence }) => (presence === "gone" ? [] : [`${id} ${user} ${presence}`]))
        .sort()
        .join();
    for (const [name, replica] of this.replicas) {
      expect([name, roster(replica)]).toEqual([name, roster(this.state)]);
      const shown = [...replica.activities.values()].filter((each) => concerns(replica, each, memberId(name)));
      expect([name, shown.length, replica.activities.size]).toEqual([name, shown.length, shown.length]);
      expect([name, JSON.stringify([...replica.activities])]).toEqual([
        name,
        JSON.stringify([...view(name).activities]),
      ]);
    }
    const { activities, sync, config } = this.state;
    expect(activities.size).toBeLessThanOrEqual(config.activities.most);
    for (const each of activities.values()) {
      expect(each.points.length).toBeLessThanOrEqual(16);
      expect(each.open).toBe(each.status === "ended" ? each.next : (each.confirmed?.serial ?? 0) + 1);
      expect(each.next).toBeGreaterThanOrEqual(each.open);
      if (each.kind === "state")
        expect(sync.points.some(({ offset, status }) => offset === each.point && status !== "void")).toBe(true);
      if (each.status === "running" && each.holder !== null) {
        expect(["connected", "dropped"]).toContain(this.state.members.get(each.holder)?.presence);
      }
    }
    for (const { state } of sync.points) if (state !== undefined) expect(activities.get(state)?.status).toBe("ended");
    this.expectTicked();
  }

  /** What is due is done by a tick, and then is not due any more. */
  private expectTicked(): void {
    const deciding = beginDeciding(this.state, this.now);
    decideInto(deciding, { from: null, command: { type: "tick" } });
    expect(deadlines(decided(deciding).state).next).toBeGreaterThan(this.now);
  }
}

it("members that were told from the start see what a newcomer would, in random histories", () => {
  const said = new Set<string>();
  for (let seed = 0; seed < 150; seed += 1) {
    const history = new History(seed);
    try {
      for (let step = 0; step < 60; step += 1) history.step();
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    for (const each of history.said) said.add(each);
  }
  for (const each of [
    ...["ACTIVITY_INTERRUPTED", "ACTIVITY_LIMIT", "ACTIVITY_NOT_HELD", "ACTIVITY_RUNNING", "ACTIVITY_UNKNOWN"],
    ...["FORBIDDEN", "RECIPIENT_UNKNOWN", "SYNC_NOT_ASKED", "SYNC_UNKNOWN", "TRANSFER_QUOTA", "TRANSFER_TOO_LARGE"],
    ...["activity-declined", "activity-discarded", "activity-ended", "activity-forgotten", "sync-shared", "forgotten"],
  ])
    expect(said).toContain(each);
});
