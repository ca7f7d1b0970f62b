import { describe, expect, it } from "vitest";
import { type Awareness, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import { writeAwareness } from "./awareness-wire.ts";
import { Hall } from "./hall.fixture.ts";
import { Page, typeInto } from "./world.fixture.ts";

const at = (hall: Hall, name: string): Page => {
  const page = new Page(hall, name);
  page.bind();
  return page.connect().wait(100);
};

const names = ({ awareness }: { awareness: Awareness }): readonly unknown[] =>
  [...awareness.getStates().values()].map((state) => state["name"]).sort();

const everybody = (hall: Hall, names: readonly string[]): readonly Page[] => {
  const pages = names.map((name) => at(hall, name));
  for (const page of pages) page.bind().awareness.setLocalStateField("name", page.name);
  for (const page of pages) page.settle().wait(100);
  return pages;
};

describe("awareness", () => {
  it("shows all to all, newcomers included", () => {
    const hall = new Hall();
    const [ada, bob] = everybody(hall, ["ada", "bob"]) as [Page, Page];
    expect([names(ada.bind()), names(bob.bind())]).toEqual([
      ["ada", "bob"],
      ["ada", "bob"],
    ]);
    const eve = at(hall, "eve");
    eve.bind().awareness.setLocalStateField("name", "eve");
    for (const page of [eve, ada, bob, eve]) page.settle().wait(100);
    for (const page of [ada, bob, eve]) expect(names(page.bind())).toEqual(["ada", "bob", "eve"]);
    expect(ada.bind().memberOf(eve.bind().awareness.clientID)).toBe(eve.engine.member);
    expect(ada.bind().memberOf(ada.bind().awareness.clientID)).toBe(ada.engine.member);
  });

  it("is gathered", () => {
    const hall = new Hall();
    const [ada] = everybody(hall, ["ada", "bob"]) as [Page, Page];
    const volatile = (): number => ada.sent.filter(({ type }) => type === "volatile").length;
    const before = volatile();
    for (let x = 0; x < 100; x += 1) {
      ada.bind().awareness.setLocalStateField("cursor", x);
      ada.settle();
    }
    ada.wait(200);
    expect(volatile() - before).toBeLessThanOrEqual(3);
  });

  it("goes with the page, and comes back with it", () => {
    const hall = new Hall();
    const [ada, bob] = everybody(hall, ["ada", "bob"]) as [Page, Page];
    bob.leave();
    ada.settle();
    expect(names(ada.bind())).toEqual(["ada"]);
    bob.comeBack().wait(100);
    ada.settle();
    expect(names(ada.bind())).toEqual(["ada", "bob"]);
  });

  it("does not flicker on a short drop, and comes back after a long one (awareness replay)", () => {
    const hall = new Hall();
    const [ada, bob] = everybody(hall, ["ada", "bob"]) as [Page, Page];
    const changes: unknown[] = [];
    ada.bind().awareness.on("change", (change: unknown) => void changes.push(change));
    bob.drop();
    expect(names(ada.bind())).toEqual(["ada", "bob"]);
    bob.connect().wait(100);
    ada.settle();
    expect(changes).toEqual([]);
    // Long enough for y-protocols to give it up here, and it says the same thing again.
    const { clientID } = bob.bind().awareness;
    const same = encodeAwarenessUpdate(bob.bind().awareness, [clientID]);
    removeAwarenessStates(ada.bind().awareness, [clientID], "timeout");
    expect(names(ada.bind())).toEqual(["ada"]);
    bob.engine.sendVolatile("@aware/notes", [same, false], undefined);
    ada.settle();
    expect(names(ada.bind())).toEqual(["ada", "bob"]);
  });

  it("is gone with its member at once, and leaves no ghost of a reloaded page", () => {
    const hall = new Hall();
    const [ada, bob] = everybody(hall, ["ada", "bob"]) as [Page, Page];
    const drive = bob.die();
    const again = new Page(hall, "bob", drive);
    again.bind().awareness.setLocalStateField("name", "bob again");
    again.connect().wait(100);
    ada.settle();
    expect(names(ada.bind())).toEqual(["ada", "bob again"]);
    const { member } = again.engine;
    if (member !== undefined) hall.server({ type: "remove", member, how: "removed" });
    ada.settle();
    expect(names(ada.bind())).toEqual(["ada"]);
  });

  it("of one member cannot be said by another", () => {
    const hall = new Hall();
    const [ada, bob, eve] = everybody(hall, ["ada", "bob", "eve"]) as [Page, Page, Page];
    const bobs = bob.bind().awareness;
    const forged = (state: unknown): Uint8Array => writeAwareness([{ client: bobs.clientID, clock: 99, state }]);
    eve.engine.sendVolatile("@aware/notes", [forged({ name: "not bob" }), false], undefined);
    eve.engine.sendVolatile("@aware/notes", [forged(null), false], undefined);
    eve.engine.sendVolatile("@aware/notes", [new Uint8Array([250, 250]), false], undefined);
    ada.settle();
    expect(names(ada.bind())).toEqual(["ada", "bob", "eve"]);
  });

  it("of somebody who floods it costs the others next to nothing", () => {
    const hall = new Hall();
    const [ada, , eve] = everybody(hall, ["ada", "bob", "eve"]) as [Page, Page, Page];
    const { awareness } = ada.bind();
    let changes = 0;
    awareness.on("change", () => (changes += 1));
    const say = (entries: Parameters<typeof writeAwareness>[0]): void =>
      void eve.engine.sendVolatile("@aware/notes", [writeAwareness(entries), false], undefined);
    const many = (from: number, state: unknown): Parameters<typeof writeAwareness>[0] =>
      Array.from({ length: 3_000 }, (_, index) => ({ client: from + index, clock: 1, state }));
    for (let round = 1; round <= 3; round += 1) {
      say(many(round * 10_000, { name: "eve" }));
      say(many(round * 10_000 + 5_000, null));
    }
    for (let client = 100_000; client < 103_000; client += 1) say([{ client, clock: 1, state: { name: "eve" } }]);
    const depth = 20_000;
    say([{ client: 7, clock: 1, state: "deep" }]);
    const deep = new TextEncoder().encode("[".repeat(depth) + "]".repeat(depth));
    const length = [128 | (deep.length & 127), 128 | ((deep.length >> 7) & 127), deep.length >> 14];
    eve.engine.sendVolatile("@aware/notes", [Uint8Array.from([1, 8, 1, ...length, ...deep]), false], undefined);
    ada.settle();
    expect(awareness.getStates().size).toBe(3);
    expect(awareness.meta.size).toBeLessThan(1_100);
    expect(changes).toBeLessThan(6_100);
    expect(ada.warnings).toEqual([]);
  });

  it("goes over to the next document", () => {
    const hall = new Hall();
    hall.limits = { ...hall.limits, updateBytes: 100 };
    const [ada, bob] = everybody(hall, ["ada", "bob"]) as [Page, Page];
    const before = ada.bind().awareness;
    typeInto(ada.bind(), "too large".repeat(50));
    ada.settle().wait(100);
    const { awareness, doc } = ada.bind();
    expect(awareness).not.toBe(before);
    expect(awareness.clientID).toBe(doc.clientID);
    expect([names(ada.bind()), names(bob.bind())]).toEqual([
      ["ada", "bob"],
      ["ada", "bob"],
    ]);
    expect(bob.bind().awareness.getStates().has(before.clientID)).toBe(false);
    ada.bind().awareness.setLocalStateField("name", "ada two");
    ada.settle().wait(100);
    expect(names(bob.bind())).toEqual(["ada two", "bob"]);
  });
});
