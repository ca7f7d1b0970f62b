import { expect, it } from "vitest";
import { sleeplessClock } from "./clock.ts";

it("goes on while the machine sleeps, and never back", () => {
  let [monotonic, wall] = [100, 1_000_000];
  const clock = sleeplessClock(
    () => monotonic,
    () => wall,
  );
  const pass = (ms: number, asleep = 0): number => {
    monotonic += ms;
    wall += ms + asleep;
    return clock();
  };
  expect(pass(50)).toBe(150);
  expect(pass(10, 3_600_000)).toBe(160 + 3_600_000);
  expect(pass(10)).toBe(170 + 3_600_000);
  // The wall's clock is set back: nothing has gone by but what has.
  expect(pass(10, -7_200_000)).toBe(180 + 3_600_000);
  expect(pass(10, 5_000)).toBe(190 + 3_605_000);
});
