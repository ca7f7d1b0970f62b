import { beforeEach, describe, expect, it } from "vitest";
import { type Claim, Credit } from "./credit.ts";

describe("memory for bytes under way", () => {
  let now = 0;
  let told: string[] = [];
  const claim = (name: string): Claim => ({ held: 0, touched: 0, stalled: () => void told.push(`${name} stalled`) });
  const ask = (credit: Credit, of: Claim, name: string, wanted: number, least = 10): void =>
    credit.ask(of, wanted, least, (bytes) => void told.push(`${name} ${bytes}`));
  beforeEach(() => {
    now = 0;
    told = [];
  });

  it("goes to who asks, never more than there is, and to who waits in its order", () => {
    const credit = new Credit(100, () => now);
    const [a, b, c] = [claim("a"), claim("b"), claim("c")];
    ask(credit, a, "a", 70);
    ask(credit, b, "b", 70);
    ask(credit, c, "c", 70);
    expect(told).toEqual(["a 70", "b 30"]);
    expect(credit.out).toBe(100);
    ask(credit, a, "a", 50);
    credit.giveBack(a, 9);
    expect(told).toHaveLength(2);
    credit.giveBack(a, 1);
    // Who has waited longer comes first, though the other has given it back.
    expect(told.slice(2)).toEqual(["c 10"]);
    credit.giveBack(a, 60);
    expect(told.slice(3)).toEqual(["a 50"]);
    // What is left is given out in whole chunks.
    ask(credit, b, "b", 70, 4);
    expect(told.slice(4)).toEqual(["b 8"]);
    expect(a.held + b.held + c.held).toBe(credit.out);
  });

  it("is not kept for who wants it no more", () => {
    const credit = new Credit(100, () => now);
    const [a, b, c] = [claim("a"), claim("b"), claim("c")];
    ask(credit, a, "a", 95);
    ask(credit, b, "b", 20);
    ask(credit, c, "c", 5);
    credit.cancel(b);
    expect(told).toEqual(["a 95", "c 5"]);
    expect(credit.awaited).toBe(false);
  });

  it("gives something even if all of it is less than a chunk", () => {
    ask(new Credit(4, () => now), claim("a"), "a", 100);
    expect(told).toEqual(["a 4"]);
  });

  it("is taken back from who sits on it while others wait, and only then", () => {
    const credit = new Credit(100, () => now);
    const [a, b, c] = [claim("a"), claim("b"), claim("c")];
    ask(credit, a, "a", 50);
    ask(credit, b, "b", 50);
    now = 1_000;
    credit.reclaim(500);
    ask(credit, c, "c", 50);
    credit.use(b);
    now = 1_400;
    credit.reclaim(500);
    expect(told).toEqual(["a 50", "b 50", "a stalled"]);
  });
});
