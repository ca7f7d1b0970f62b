/** Work of which only the newest counts. */

import { expect, it } from "vitest";
import { Latest } from "./latest.ts";

it("one that hangs keeps no more than the newest of those behind it, which comes after it", async () => {
  const latest = new Latest();
  const done: string[] = [];
  let go = (): void => {};
  const slow = latest.run("a", async () => {
    await new Promise<void>((resolve) => (go = resolve));
    done.push("slow");
  });
  const skipped = latest.run("a", async () => void done.push("skipped"));
  const newest = latest.run("a", async () => void done.push("newest"));
  await skipped;
  await latest.run("b", async () => void done.push("another"));
  go();
  await Promise.all([slow, newest]);
  expect(done).toEqual(["another", "slow", "newest"]);
});

it("one that fails says so, and the next is done all the same", async () => {
  const latest = new Latest();
  const failed = latest.run("a", () => Promise.reject(new Error("no")));
  const next = latest.run("a", async () => {});
  await expect(failed).rejects.toThrow("no");
  await next;
  await expect(latest.run("a", () => Promise.reject(new Error("again")))).rejects.toThrow("again");
});
