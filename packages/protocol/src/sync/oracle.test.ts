/** Random histories, each step held against a model that was written from the standard. */

import { describe, expect, it } from "vitest";
import type { MemberCommand, SyncCommand } from "../command.ts";
import { defaultSync, type SyncConfig } from "../config.ts";
import type { Entry } from "../entry.ts";
import { memberId } from "../ids.ts";
import { chanceOf, Play } from "../play.fixture.ts";
import { checkSerials, SerialOracle } from "./oracle.fixture.ts";
import { isVoid, type ResyncKind } from "./sync.ts";

/** `expect` for what is asked some hundred thousand times. */
const same = (found: unknown, due: unknown): void => {
  if (JSON.stringify(found) !== JSON.stringify(due)) expect(found).toEqual(due);
};

const names = ["a", "b", "c", "d", "e"] as const;

class History {
  readonly play: Play;
  readonly oracle = new SerialOracle();
  /** How often each answer was given, so that the test can tell that it tests something. */
  readonly answers: Map<string, number>;
  private taken = 0;
  private readonly chance: () => number;
  private readonly exact: boolean;

  constructor(seed: number, sync: Partial<SyncConfig>, answers: Map<string, number>) {
    this.chance = chanceOf(seed);
    this.answers = answers;
    this.play = new Play(
      {},
      { sync: { ...defaultSync, ...sync, confirmWithin: 100 }, memberGrace: 300, forgetAfter: 500 },
    );
    this.play.join(...names.slice(0, 2 + this.below(4)));
    // A short list forgets points that the model knows.
    this.exact = (sync.points ?? defaultSync.points) > 500;
    this.compare();
  }

  private below(limit: number): number {
    return Math.floor(this.chance() * limit);
  }

  private pick<T>(from: readonly [T, ...T[]]): T {
    return from[this.below(from.length)] ?? from[0];
  }

  /** Mostly the present one; sometimes what somebody knew a while ago, or nobody yet. */
  private generation(): number {
    const { generation } = this.play.state.sync;
    const odds = this.chance();
    if (odds < 0.75) return generation;
    return odds < 0.98 ? Math.max(0, generation - 1 - this.below(3)) : generation + 1;
  }

  private serial(): number {
    const { next } = this.play.state.sync;
    return Math.max(0, next + 1 - this.below(6));
  }

  private command(): SyncCommand {
    const generation = this.generation();
    switch (this.below(10)) {
      case 0:
      case 1:
        return { type: "sync-minor", generation };
      case 2:
      case 3:
        return { type: "sync-minor", confirm: true, generation };
      case 4:
        return {
          type: "sync-major",
          rule: this.pick(["all", "quorum", "server"]),
          generation,
          within: this.below(150),
        };
      case 5:
      case 6:
      case 7:
        return { type: "sync-confirm", serial: this.serial(), generation };
      case 8: {
        const kind = this.pick<ResyncKind>(["restart", "restart", "restart", "abandon", "set"]);
        return { type: "resynchronize", kind, ...(kind === "abandon" ? {} : { serial: this.serial() }), generation };
      }
      default:
        return { type: "exception", reason: "so it is", generation };
    }
  }

  step(): void {
    const name = this.pick(names);
    const member = this.play.state.members.get(memberId(name));
    const odds = this.chance();
    if (odds < 0.05) {
      if (member === undefined) this.play.join(name);
      else if (member.presence === "connected") this.play.drops(name);
      else this.play.resumes(name);
    } else if (odds < 0.07) {
      if (member !== undefined) this.play.says(name, { type: this.pick(["release", "abort"]) });
    } else if (odds < 0.13) this.play.waits(this.below(200));
    else if (odds < 0.17) {
      this.play.server(
        this.pick<MemberCommand>([
          { type: "sync-minor", confirm: true },
          { type: "sync-major", rule: "quorum" },
          { type: "resynchronize", kind: "restart", serial: this.play.state.sync.base.serial },
        ]),
      );
    } else if (member?.presence === "connected") {
      if (odds < 0.3) this.play.emits(name, "x");
      else this.commanded(name);
    }
    this.compare();
  }

  private commanded(name: string): void {
    const command = this.command();
    const expected = this.oracle.expects(command, memberId(name));
    const answer = this.play.says(name, command);
    this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1);
    if (this.exact) same([command, /^[A-Z_]+$/.test(answer) ? answer : undefined], [command, expected]);
  }

  private compare(): void {
    const { log, state } = this.play;
    const fresh = log.slice(this.taken);
    this.taken = log.length;
    const { oracle } = this;
    same(
      fresh.flatMap((entry) => oracle.take(entry)),
      [],
    );
    same(oracle.due(), []);
    const { next, open, lowest, highest, generation, base, points } = state.sync;
    same(
      [next, open, lowest, highest, generation, base],
      [oracle.vm, oracle.va, oracle.vr, oracle.highest, oracle.generation, oracle.floor],
    );
    const known = new Map(oracle.points.map((point) => [point.offset, point]));
    for (const { offset, status, waiting = [] } of points) {
      const point = known.get(offset);
      same([status, waiting], [point?.status, point?.status === "open" ? oracle.waiting(point) : []]);
    }
    const open_ = oracle.points.filter(({ status }) => status === "open");
    same(points.filter(({ status }) => status === "open").length, open_.length);
    if (this.exact) same(points.length, oracle.points.length);
  }

  end(): void {
    const { state, log } = this.play;
    for (let offset = 0; offset <= state.head; offset += 1) {
      same([offset, isVoid(state.sync, offset)], [offset, this.oracle.isVoid(offset)]);
    }
    expect(this.play.isReproducible()).toBe(true);
    expect(checkSerials(log)).toEqual([]);
  }
}

describe("serials in random histories", () => {
  const answers = new Map<string, number>();
  const histories = (from: number, count: number, sync: Partial<SyncConfig>): void => {
    for (let seed = from; seed < from + count; seed += 1) {
      const history = new History(seed, sync, answers);
      try {
        for (let step = 0; step < 50; step += 1) history.step();
        history.end();
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  };

  it("are what the standard says, and commands are refused as it says", () => {
    histories(0, 2_000, { points: 1_000 });
    histories(10_000, 500, { points: 1_000, exception: "restart" });
    for (const each of [
      "SYNC_COLLISION",
      "SYNC_NOT_ASKED",
      "SYNC_PENDING",
      "SYNC_SECURED",
      "SYNC_UNKNOWN",
      "RESYNCHRONIZED",
    ])
      expect([each, (answers.get(each) ?? 0) > 50]).toEqual([each, true]);
    expect(answers.get("sync-confirmed sync-settled") ?? 0).toBeGreaterThan(100);
  });

  it("are so where few points are listed", () => {
    for (const points of [1, 2, 3, 5]) histories(20_000 + points * 1_000, 100, { points, exception: "remove" });
  });
});

describe("the model", () => {
  const stamp = { at: 1, by: null } as const;
  const faulty = (...entries: readonly Entry[]): number => checkSerials(entries).length;

  it("sees what contradicts the standard", () => {
    const a = memberId("a");
    const joined = {
      ...stamp,
      type: "joined",
      offset: 1,
      member: a,
      user: "a",
      roles: [],
      node: "",
    } as unknown as Entry;
    const point = { ...stamp, type: "sync-point", offset: 2, serial: 1, kind: "minor" } as const;
    const asked = { ...point, asked: [a], need: 1 } as const;
    const major = { ...asked, kind: "major", until: 9 } as const;
    const settled = { type: "sync-settled", at: 1, offset: 3, serial: 1, outcome: "confirmed" } as const;
    const back = {
      ...stamp,
      type: "resynchronized",
      offset: 3,
      kind: "restart",
      generation: 1,
      serial: 2,
      to: 2,
    } as const;
    expect(faulty(joined, point, back)).toBe(0);
    expect(faulty(joined, { ...point, serial: 2 })).toBe(1);
    expect(faulty(asked)).toBe(1);
    expect(faulty(joined, point, settled)).toBe(1);
    expect(faulty(joined, asked, settled)).toBe(1);
    expect(faulty(joined, { ...asked, need: 0 })).toBe(1);
    expect(faulty(joined, major, { ...major, offset: 3, serial: 2 })).toBe(1);
    expect(faulty(joined, major, { ...settled, outcome: "unconfirmed", missing: [a] })).toBe(1);
    expect(faulty(joined, point, { ...back, generation: 2 })).toBe(1);
    expect(faulty(joined, point, { ...back, serial: 3 })).toBe(2);
    expect(faulty(joined, point, { ...back, to: 1 })).toBe(1);
    expect(faulty(joined, point, { ...back, kind: "abandon", serial: 1, to: 0 })).toBe(1);
    expect(faulty(joined, point, { ...back, kind: "set" })).toBe(1);
    expect(faulty(joined, { ...settled, type: "sync-shared", point: 2, activity: 1 })).toBe(1);
  });
});
