/** The end of the log, at hand. */

import { type Entry, memberId } from "@rostrum/protocol";
import { expect, it } from "vitest";
import { Recent } from "./recent.ts";

const large = new Uint8Array(500_000);
const update = (offset: number): Entry => ({
  type: "messages",
  by: memberId("m"),
  seq: offset,
  offset,
  at: 1,
  items: [["@doc/notes", 1, offset, 0, large]],
});

it("holds few of what is large, and all that nobody was told yet", () => {
  const recent = new Recent();
  for (let offset = 1; offset <= 1_000; offset += 1) recent.extend([update(offset)], offset, offset - 1);
  expect(recent.since(990)).toHaveLength(10);
  expect(recent.since(900)).toBeUndefined();
  for (let offset = 1_001; offset <= 1_100; offset += 1) recent.extend([update(offset)], offset, 1_000);
  expect(recent.since(1_000)).toHaveLength(100);
  expect(recent.isHeavy).toBe(true);
  recent.extend([update(1_101)], 1_101, 1_100);
  expect(recent.isHeavy).toBe(false);
  expect(recent.since(1_100)).toHaveLength(1);
  expect(recent.since(1_000)).toBeUndefined();
});
