import { expect, it } from "vitest";
import { Turns } from "./turns.ts";

it("lets each have one step after the other, one in each round of the loop", async () => {
  const rounds: (() => void)[] = [];
  const turns = new Turns((then) => void rounds.push(then));
  const steps: string[] = [];
  const work = (name: string, left: number): void =>
    turns.take(() => {
      steps.push(name);
      if (left > 1) work(name, left - 1);
    });
  work("a", 3);
  work("b", 2);
  work("c", 1);
  let count = 0;
  for (let round = rounds.shift(); round !== undefined; round = rounds.shift()) {
    round();
    count += 1;
    expect(steps).toHaveLength(count);
  }
  expect(steps).toEqual(["a", "b", "c", "a", "b", "a"]);
});

it("leaves room for everything else between two steps", async () => {
  const turns = new Turns();
  let steps = 0;
  let between = 0;
  const other = (): void => {
    between += 1;
    if (steps < 20) setImmediate(other);
  };
  setImmediate(other);
  for (let n = 0; n < 20; n += 1) void turns.next().then(() => (steps += 1));
  await turns.next();
  expect(between).toBeGreaterThanOrEqual(20);
});

it("goes past what is no longer wanted, however much that is", () => {
  const rounds: (() => void)[] = [];
  const turns = new Turns((then) => void rounds.push(then));
  const steps: string[] = [];
  for (let n = 0; n < 100_000; n += 1)
    turns.take(
      () => void steps.push("unwanted"),
      () => false,
    );
  for (const name of ["a", "b"]) turns.take(() => void steps.push(name));
  let count = 0;
  for (let round = rounds.shift(); round !== undefined; round = rounds.shift(), count += 1) round();
  expect([steps, count]).toEqual([["a", "b"], 2]);
});
