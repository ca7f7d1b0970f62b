/** Fairness over long histories by chance: nobody starves, under any order, while its priority allows. */

import { describe, expect, it } from "vitest";
import { Play } from "../play.fixture.ts";
import type { FloorConfig, Priority } from "./config.ts";

/** Numbers that look like chance, the same ones each time (mulberry32). */
const chanceFrom = (seed: number): (() => number) => {
  let at = seed;
  return () => {
    at = (at + 0x6d2b79f5) | 0;
    let mixed = Math.imul(at ^ (at >>> 15), 1 | at);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

interface Asked {
  readonly who: string;
  readonly at: number;
  readonly priority: Priority;
  /** What its user had spoken when it asked. */
  readonly spoken: number;
  granted: number | undefined;
}

const members = Array.from({ length: 24 }, (_, index) => `chair${index}`);

/** Everybody wants the floor most of the time, for random whiles, under load that never lets the queue run empty. */
const history = (seed: number, options: Partial<FloorConfig>, steps: number): readonly Asked[] => {
  const chance = chanceFrom(seed);
  const play = new Play({ mic: { maxQueue: 1_000, ...options } });
  play.join(...members);
  const asked: Asked[] = [];
  const waiting = new Map<string, Asked>();
  let seen = 0;
  const look = (): void => {
    for (; seen < play.log.length; seen += 1) {
      const entry = play.log[seen];
      if (entry?.type !== "floor-granted") continue;
      const request = waiting.get(entry.member);
      if (request !== undefined) request.granted = entry.at;
      waiting.delete(entry.member);
    }
  };
  const ask = (who: string): void => {
    // Some are loud: they always ask with the highest priority. That must not shut the others out.
    const priority = (who.endsWith("1") ? 2 : Math.floor(chance() * 5) - 2) as Priority;
    const spoken = new Map<string, number>(play.state.floors.get("mic")?.talk).get(who) ?? 0;
    const request: Asked = { who, at: play.now + 1, priority, spoken, granted: undefined };
    waiting.set(who, request);
    asked.push(request);
    play.asks(who, "mic", { priority });
    look();
  };
  for (let step = 0; step < steps; step += 1) {
    for (const who of members) if (!waiting.has(who) && !play.holders("mic").includes(who) && chance() < 0.5) ask(who);
    play.waits(1 + Math.floor(chance() * 400));
    const [holder] = play.holders("mic");
    if (holder !== undefined && chance() < 0.7) play.releases(holder, "mic");
    look();
  }
  // Everybody stops asking; who waits has to get its turn.
  for (let left = waiting.size + 1; left > 0; left -= 1) {
    const [holder] = play.holders("mic");
    if (holder !== undefined) play.releases(holder, "mic");
    look();
  }
  expect(waiting.size).toBe(0);
  return asked;
};

/** Pairs where the later one was granted first. */
const overtakings = (asked: readonly Asked[]): readonly (readonly [Asked, Asked])[] =>
  asked.flatMap((first, index) =>
    asked
      .slice(index + 1)
      .filter((second) => (second.granted ?? Infinity) < (first.granted ?? Infinity))
      .map((second) => [first, second] as const),
  );

const seeds = [1, 2, 3, 4, 5];

describe("no request starves", () => {
  it("by arrival: nobody is overtaken at all", () => {
    for (const seed of seeds) expect(overtakings(history(seed, { order: "fifo" }, 400))).toEqual([]);
  });

  it("by priority: only by a higher one", () => {
    for (const seed of seeds) {
      for (const [first, second] of overtakings(history(seed, { order: "priority" }, 400)))
        expect(second.priority).toBeGreaterThan(first.priority);
    }
  });

  it("by priority with ageing: only by who asked within the time that the levels between them weigh", () => {
    const ageing = 2_000;
    for (const seed of seeds) {
      const pairs = overtakings(history(seed, { order: "priority", ageing }, 400));
      expect(pairs.length).toBeGreaterThan(100);
      for (const [first, second] of pairs)
        expect(second.at - first.at).toBeLessThanOrEqual((second.priority - first.priority) * ageing);
    }
  });

  it("by least-spoken: only by who asked within the time that oneself had spoken", () => {
    for (const seed of seeds) {
      const pairs = overtakings(history(seed, { order: "least-spoken" }, 400));
      expect(pairs.length).toBeGreaterThan(100);
      for (const [first, second] of pairs)
        expect(second.at - first.at).toBeLessThanOrEqual(first.spoken - second.spoken);
    }
  });

  it("by least-spoken: talk time evens out, whoever asks how often", () => {
    const held = (options: Partial<FloorConfig>): number[] => {
      const asked = history(7, options, 2_000);
      const turns = new Map<string, number>();
      for (const { who, granted } of asked) if (granted !== undefined) turns.set(who, (turns.get(who) ?? 0) + 1);
      return [...turns.values()];
    };
    const spread = (turns: readonly number[]): number => Math.max(...turns) / Math.min(...turns);
    expect(spread(held({ order: "least-spoken" }))).toBeLessThan(3);
    expect(spread(held({ order: "priority" }))).toBeGreaterThan(3);
  });
});
