import { defaultConfig, defaultFloor, memberId, type SessionConfig } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { Hall } from "./hall.fixture.ts";
import { Page, textOf, typeInto, updatesSent } from "./world.fixture.ts";

const pen: Partial<SessionConfig> = {
  floors: { pen: { ...defaultFloor, grace: 60_000 } },
  guards: { "@doc/notes": "pen" },
};
const readers: SessionConfig = { ...defaultConfig, roles: { member: ["read", "volatile"] } };

/** Two pages at a document, both live. */
const two = (hall: Hall): { ada: Page; bob: Page } => {
  const [ada, bob] = [new Page(hall, "ada"), new Page(hall, "bob")];
  ada.user = "ada";
  bob.user = "bob";
  ada.bind();
  bob.bind();
  ada.connect();
  bob.connect();
  return { ada, bob };
};

const texts = (hall: Hall, ...pages: readonly Page[]): readonly string[] => [
  hall.textOf(),
  ...pages.map((page) => textOf(page.bind())),
];

describe("an edit", () => {
  it("comes to the others, and back to nobody twice", () => {
    const hall = new Hall();
    const { ada, bob } = two(hall);
    const [mine, theirs] = [ada.bind(), bob.bind()];
    let events = 0;
    mine.doc.on("update", () => void (events += 1));
    typeInto(mine, "hello");
    ada.settle();
    expect([textOf(mine), textOf(theirs), hall.textOf()]).toEqual(["hello", "hello", "hello"]);
    expect(events).toBe(1);
    expect(mine.status.get()).toEqual({ loaded: "server", synced: true, pending: 0, saved: true });
  });

  it("goes out at once when it is quiet, and gathered when it is not", () => {
    const hall = new Hall();
    const { ada } = two(hall);
    const mine = ada.bind();
    typeInto(mine, "a");
    ada.settle();
    expect(updatesSent(ada).length).toBe(1);
    for (const letter of "bcdefg") {
      typeInto(mine, letter);
      ada.settle();
    }
    expect(updatesSent(ada).length).toBe(1);
    expect(mine.status.get()).toMatchObject({ saved: false, pending: 1 });
    ada.wait(55);
    expect(updatesSent(ada).length).toBe(2);
    expect(hall.textOf()).toBe("abcdefg");
    // Hidden, nothing is put off.
    typeInto(mine, "h");
    ada.hide();
    expect(hall.textOf()).toBe("abcdefgh");
  });

  it("is made of no more than 200 pieces", () => {
    const hall = new Hall();
    const { ada } = two(hall);
    const mine = ada.bind();
    for (let n = 0; n < 500; n += 1) typeInto(mine, "x");
    ada.settle().wait(100);
    expect(hall.textOf()).toBe("x".repeat(500));
    expect(updatesSent(ada).length).toBe(3);
  });

  it("is no more than a message carries: what is larger is taken back", () => {
    const hall = new Hall();
    hall.limits = { ...hall.limits, updateBytes: 1_000 };
    const { ada, bob } = two(hall);
    const mine = ada.bind();
    for (let n = 0; n < 20; n += 1) typeInto(mine, "x".repeat(100));
    ada.settle().wait(100);
    expect(updatesSent(ada).every(([, , , , bytes]) => bytes.byteLength <= 1_000)).toBe(true);
    typeInto(mine, "y".repeat(2_000));
    ada.settle().wait(100);
    expect(ada.replaced.map(({ draft }) => draft?.code)).toEqual(["MESSAGE_TOO_LARGE"]);
    expect(texts(hall, ada, bob)).toEqual(Array(3).fill("x".repeat(2_000)));
    typeInto(mine, "z");
    ada.settle().wait(100);
    expect(hall.textOf()).toBe(`${"x".repeat(2_000)}z`);
  });

  it("that brings what others made elsewhere is taken back (mixed transactions)", () => {
    const hall = new Hall();
    const { ada, bob } = two(hall);
    const other = new Y.Doc();
    other.getText("t").insert(0, "imported");
    const foreign = Y.encodeStateAsUpdate(other);
    const mine = ada.bind();
    mine.doc.transact(() => {
      Y.applyUpdate(mine.doc, foreign);
      typeInto(mine, "!");
    });
    ada.settle().wait(100);
    expect(texts(hall, ada, bob)).toEqual(["", "", ""]);
    Y.applyUpdate(mine.doc, foreign);
    ada.settle().wait(100);
    expect(texts(hall, ada, bob)).toEqual(["", "", ""]);
    expect(mine.drafts.get().map(({ code }) => code)).toEqual(["DOCUMENT_INVALID", "DOCUMENT_INVALID"]);
    expect(mine.drafts.get()[1]?.view().getText("t").toString()).toBe("imported");
    expect(updatesSent(ada)).toEqual([]);
  });
});

describe("a refused edit", () => {
  it("poisons nothing and leaks nowhere: the document is replaced (E1, E2, E2b)", () => {
    const hall = new Hall();
    const { ada, bob } = two(hall);
    typeInto(ada.bind(), "kept");
    ada.settle();
    // The server refuses what is under way, and permits again what comes after it.
    hall.server({ type: "configure", config: readers });
    typeInto(ada.bind(), " refused");
    ada.bind().doc.getText("t").delete(0, 4);
    ada.bind().gathered();
    for (let n = 0; n < 3; n += 1) ada.step();
    hall.server({ type: "configure", config: defaultConfig });
    ada.settle().wait(30);
    expect(ada.replaced.map(({ reason, draft }) => [reason, draft?.code])).toEqual([["refused", "FORBIDDEN"]]);
    expect(texts(hall, ada, bob)).toEqual(["kept", "kept", "kept"]);
    expect(ada.replaced[0]?.previous.isDestroyed).toBe(true);
    typeInto(ada.bind(), " and on");
    ada.settle();
    ada.drop().connect();
    expect(texts(hall, ada, bob)).toEqual(Array(3).fill("kept and on"));
    const [draft] = ada.bind().drafts.get();
    expect(draft?.view().getText("t").toString()).toContain("refused");
    draft?.discard();
    expect(ada.bind().drafts.get()).toEqual([]);
    ada.wait(200);
    expect(ada.drive.scope("doc/notes").size).toBeGreaterThan(0);
    expect([...ada.drive.scope("doc/notes").keys()].filter((key) => key.startsWith("d/"))).toEqual([]);
  });

  it("takes all behind it along into one draft, and nothing before it", () => {
    const hall = new Hall(pen);
    const { ada, bob } = two(hall);
    const self = ada.engine.member ?? memberId("");
    hall.server({ type: "floor-give", floor: "pen", member: self } as never);
    ada.settle();
    expect(ada.bind().writable.get()).toEqual({ can: true });
    typeInto(ada.bind(), "stored");
    ada.settle();
    // The floor goes, and the page has not heard of it.
    hall.server({ type: "floor-revoke", floor: "pen", member: self, reason: "x" } as never);
    for (const word of [" one", " two", " three"]) {
      typeInto(ada.bind(), word);
      ada.bind().gathered();
    }
    ada.settle().wait(100);
    expect(texts(hall, ada, bob)).toEqual(["stored", "stored", "stored"]);
    expect(ada.replaced.length).toBe(1);
    expect(ada.bind().drafts.get().length).toBe(1);
    expect(ada.replaced[0]?.draft?.view().getText("t").toString()).toBe("stored one two three");
    expect(ada.bind().writable.get()).toEqual({ can: false, why: "floor", floor: "pen" });
    expect(ada.bind().status.get()).toMatchObject({ pending: 0, saved: true, synced: true });
  });

  it("rejects who waits for it to be durable, and nobody else", async () => {
    const hall = new Hall();
    const { ada } = two(hall);
    typeInto(ada.bind(), "a");
    const good = ada.bind().flush();
    ada.settle();
    await good;
    hall.server({ type: "configure", config: readers });
    typeInto(ada.bind(), "b");
    const bad = ada.bind().flush();
    ada.settle().wait(50);
    await expect(bad).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  it("is not sent again by a state vector, whatever comes (a clientID is never used again: f)", () => {
    const hall = new Hall();
    const { ada } = two(hall);
    typeInto(ada.bind(), "one");
    ada.settle();
    const { clientID } = ada.bind().doc;
    ada.deafen();
    typeInto(ada.bind(), " two");
    ada.settle();
    hall.server({ type: "configure", config: readers });
    ada.drop();
    // It is refused now: while it was away, the right went.
    ada.connect();
    expect(ada.replaced.length).toBeLessThanOrEqual(1);
    hall.server({ type: "configure", config: defaultConfig });
    ada.settle();
    if (ada.replaced.length > 0) expect(ada.bind().doc.clientID).not.toBe(clientID);
    typeInto(ada.bind(), " three");
    ada.settle().wait(50);
    const used = new Map<number, number>();
    for (const [, replica, n] of updatesSent(ada)) used.set(replica, Math.max(n, used.get(replica) ?? 0));
    expect(texts(hall, ada)[0]).toBe(textOf(ada.bind()));
  });
});

describe("an edit without the right to it", () => {
  it("never leaves the page, and is undone there", () => {
    const hall = new Hall(readers);
    const { ada, bob } = two(hall);
    const mine = ada.bind();
    expect(mine.writable.get()).toEqual({ can: false, why: "role" });
    const { doc } = mine;
    typeInto(mine, "no");
    expect(mine.status.get()).toMatchObject({ saved: false });
    ada.settle().wait(100);
    expect(updatesSent(ada)).toEqual([]);
    expect(mine.doc).not.toBe(doc);
    expect(mine.doc.guid).toBe(doc.guid);
    expect(texts(hall, ada, bob)).toEqual(["", "", ""]);
    expect(mine.drafts.get().map(({ reason, code }) => [reason, code])).toEqual([["refused", "FORBIDDEN"]]);
    expect(mine.status.get()).toMatchObject({ saved: true, synced: true });
  });

  it("that an editor makes in each new document does not take all there is of the machine", () => {
    const hall = new Hall(readers);
    const { ada } = two(hall);
    const mine = ada.bind();
    mine.on("replaced", () => typeInto(mine, "again"));
    typeInto(mine, "no");
    ada.settle();
    expect(ada.replaced.length).toBeLessThan(10);
    ada.wait(5_000);
    expect(ada.replaced.length).toBeLessThan(20);
  });

  it("becomes possible with the floor, and what was typed is stored before it is released", () => {
    const hall = new Hall(pen);
    const { ada } = two(hall);
    const mine = ada.bind();
    expect(mine.writable.get()).toMatchObject({ can: false, why: "floor" });
    ada.engine.submit({ type: "floor-request", floor: "pen" } as never, 10, {
      queued: () => {},
      stored: () => {},
      refused: () => {},
    });
    ada.settle();
    expect(mine.writable.get()).toEqual({ can: true });
    for (const letter of "abc") {
      typeInto(mine, letter);
      ada.settle();
    }
    const fence = hall.state.floors.get("pen")?.holders[0]?.fence ?? 0;
    ada.engine.submit({ type: "floor-release", floor: "pen", fence }, 10, {
      queued: () => {},
      stored: () => {},
      refused: () => {},
    });
    ada.settle().wait(100);
    expect(hall.textOf()).toBe("abc");
    expect(ada.replaced).toEqual([]);
    expect(mine.writable.get()).toMatchObject({ can: false, why: "floor" });
  });
});

describe("what an app must not do", () => {
  it("throwing where Yjs calls stops nothing", () => {
    const hall = new Hall();
    const { ada, bob } = two(hall);
    ada
      .bind()
      .doc.getText("t")
      .observe(() => {
        throw new Error("the app's");
      });
    typeInto(bob.bind(), "x");
    bob.settle();
    typeInto(bob.bind(), "y");
    bob.settle().wait(50);
    expect(texts(hall, ada, bob)).toEqual(["xy", "xy", "xy"]);
    expect(ada.warnings.map(({ code }) => code)).toContain("USAGE");
    // A listener that throws keeps none from the others.
    ada.bind().on("replaced", () => {
      throw new Error("the app's");
    });
    hall.server({ type: "configure", config: readers });
    ada.settle();
    expect(() => typeInto(ada.bind(), "no")).toThrow("the app's");
    ada.settle();
    expect(texts(hall, ada)).toEqual(["xy", "xy"]);
  });

  it("begins with content, or with a document of another Yjs", () => {
    const page = new Page(new Hall(), "ada");
    const full = (): Y.Doc => {
      const doc = new Y.Doc();
      doc.getText("t").insert(0, "seed");
      return doc;
    };
    expect(() => page.documents.bind("a", { create: full })).toThrow(expect.objectContaining({ code: "USAGE" }));
    const foreign = { clientID: 1, store: {}, on: () => {} } as unknown as Y.Doc;
    expect(() => page.documents.bind("a", { create: () => foreign })).toThrow(
      expect.objectContaining({ code: "YJS_TWICE" }),
    );
    expect(() => page.documents.bind("a", { create: () => null as unknown as Y.Doc })).toThrow(
      expect.objectContaining({ code: "USAGE" }),
    );
    expect(page.documents.bind("a", {}).doc).toBeInstanceOf(Y.Doc);
  });
});
