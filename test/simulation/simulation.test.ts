/** The promises of the design, over histories that are played from seeds: the same ones each time, and fresh ones. */

import { describe, expect, it } from "vitest";
import { type Sabotage, sabotages } from "./sabotage.ts";
import { play } from "./world.ts";

const hunt = (from: number, count: number, sabotage: Sabotage = "none"): string | undefined => {
  for (let seed = from; seed < from + count; seed += 1) {
    const [violation] = play(seed, sabotage).violations;
    if (violation !== undefined) return `seed ${seed}: ${violation}`;
  }
  return undefined;
};

describe("the simulated world", () => {
  it("keeps every promise in two thousand fixed histories", () => {
    expect(hunt(1, 2_000)).toBeUndefined();
  });

  it("keeps every promise in five hundred fresh histories", () => {
    // The seed is told by the failure, so that it can be played again.
    expect(hunt(1_000_000 + Math.floor(Math.random() * 1e9), 500)).toBeUndefined();
  });

  it("plays the same history from the same seed", () => {
    const [first, second] = [play(77, "none", true), play(77, "none", true)];
    expect(second.history).toEqual(first.history);
    expect(second.events).toBe(first.events);
  });

  it.each(Object.entries(sabotages))("notices when %s: %s", (name) => {
    expect(hunt(1, 1_500, name as Sabotage)).toBeDefined();
  });
});
