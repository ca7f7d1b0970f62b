import { expect, test } from "vitest";
import { isPaid, tally, total } from "./ledger.ts";

test("what one life missed and another has is not lost, unless the state counts", () => {
  const receiver = { owed: [1, 2, 3, 4], lives: [[1, 2], [3]] };
  expect(tally(receiver, "delivered")).toEqual({ lost: 1, doubled: 0 });
  expect(tally(receiver, "in-state")).toEqual({ lost: 3, doubled: 0 });
});

test("a number is doubled for each time beyond the first within a life", () => {
  expect(tally({ owed: [1, 2], lives: [[1, 1, 1, 2]] }, "delivered")).toEqual({ lost: 0, doubled: 2 });
});

test("a page that rebuilds its state in a new life doubles nothing", () => {
  expect(
    tally(
      {
        owed: [1, 2],
        lives: [
          [1, 2],
          [1, 2],
        ],
      },
      "delivered",
    ),
  ).toEqual({ lost: 0, doubled: 0 });
});

test("a receiver is paid when everything owed was handled in some life", () => {
  expect(isPaid({ owed: [1, 2], lives: [[2], [1]] })).toBe(true);
  expect(isPaid({ owed: [1, 2], lives: [[2], []] })).toBe(false);
});

test("tallies add up", () => {
  expect(
    total([
      { lost: 1, doubled: 2 },
      { lost: 3, doubled: 0 },
    ]),
  ).toEqual({ lost: 4, doubled: 2 });
});
