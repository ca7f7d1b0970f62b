/** What the server takes of updates, and what not: findings about Yjs under authority, each pinned down. */

import { type Item, type Offset, RostrumError } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { Disk, Server } from "./host.fixture.ts";
import { Replica } from "./replica.fixture.ts";

const floor = {
  capacity: 1,
  policy: "queue",
  order: "fifo",
  grace: 0,
  lease: 10_000,
  preempt: false,
  maxQueue: 10,
  warning: 0,
} as never;

const started = (...names: readonly string[]): Server => {
  const server = new Server();
  for (const name of names) server.joins(name);
  return server;
};

describe("an update is taken", () => {
  it("from its user, in order, and stands in the document", () => {
    const server = started("ada", "bob");
    const [a, b] = [new Replica("notes"), new Replica("notes")];
    expect(server.says("ada", a.type("hello"), a.type(" world"))).toEqual([expect.any(Number), expect.any(Number)]);
    b.take(server.opens("bob", "notes").parts);
    expect(server.says("bob", b.erase(0, 6))).toEqual([expect.any(Number)]);
    expect(server.text("notes")).toBe("world");
  });

  it("from another member of the same user: it has what a closed tab had left to send", () => {
    const server = started("ada.phone", "ada.desk");
    const a = new Replica("notes");
    server.says("ada.phone", a.type("one"));
    expect(server.says("ada.desk", a.type("two"))).toEqual([expect.any(Number)]);
    expect(server.text("notes")).toBe("onetwo");
  });

  it("after those before it in the same batch", () => {
    const server = started("ada");
    const a = new Replica("notes");
    server.says("ada", ...Array.from({ length: 20 }, (_, n) => a.type(String(n % 10))));
    expect(server.text("notes")).toBe("01234567890123456789");
  });
});

describe("an update is refused", () => {
  it("if one before it was refused (E1): it would wait for ever for what is not there", () => {
    const server = started("ada", "bob");
    const a = new Replica("notes");
    server.says("ada", a.type("kept "));
    a.type("never arrived ");
    expect(server.says("ada", a.type("behind"))).toEqual(["DOCUMENT_GAP"]);
    expect(server.details("ada")).toMatchObject({ expected: 1, n: 2, known: false });
    expect(server.says("ada", a.type("and this"))).toEqual(["DOCUMENT_GAP"]);
    expect(server.text("notes")).toBe("kept ");
  });

  it("if it gives another number to what lacks one before it: its clock tells", () => {
    const server = started("ada");
    const a = new Replica("notes");
    server.says("ada", a.type("kept "));
    a.type("never arrived ");
    a.n = 1;
    expect(server.says("ada", a.type("behind"))).toEqual(["DOCUMENT_GAP"]);
    expect(server.text("notes")).toBe("kept ");
  });

  it("with all that is behind it, so that nothing leaks (E2)", () => {
    const server = new Server(new Disk(), { config: { floors: { pen: floor }, guards: { "@doc/notes": "pen" } } });
    server.joins("ada");
    server.joins("bob");
    const a = new Replica("notes");
    expect(server.says("ada", a.type("not permitted"))).toEqual(["FLOOR_NOT_HELD"]);
    server.command("ada", { type: "floor-request", floor: "pen" });
    // Now it may, and what it sends would bring the refused along.
    expect(server.says("ada", a.type(" now permitted"))).toEqual(["DOCUMENT_GAP"]);
    expect(server.says("ada", a.item(Y.encodeStateAsUpdate(a.doc)))).toEqual(["DOCUMENT_GAP"]);
    const anew = new Replica("notes");
    expect(server.says("ada", anew.type("permitted"))).toEqual([expect.any(Number)]);
    expect(server.text("notes")).toBe("permitted");
  });

  it("with deletions behind it: they would not show in a state vector (E2b)", () => {
    const server = new Server(new Disk(), { config: { floors: { pen: floor }, guards: { "@doc/notes": "pen" } } });
    server.joins("ada");
    server.joins("bob");
    server.command("bob", { type: "floor-request", floor: "pen" });
    const b = new Replica("notes");
    server.says("bob", b.type("precious"));
    const a = new Replica("notes").take(server.opens("ada", "notes").parts);
    const before = Y.encodeStateVector(a.doc);
    expect(server.says("ada", a.erase(0, 8))).toEqual(["FLOOR_NOT_HELD"]);
    expect(Y.encodeStateVector(a.doc)).toEqual(before);
    server.command("bob", {
      type: "floor-release",
      floor: "pen",
      fence: server.host.current.floors.get("pen")?.holders[0]?.fence ?? 0,
    });
    server.command("ada", { type: "floor-request", floor: "pen" });
    expect(server.says("ada", a.type("mine"))).toEqual(["DOCUMENT_GAP"]);
    expect(server.text("notes")).toBe("precious");
  });

  it("if it adds to another client than its own (forged)", () => {
    const server = started("ada", "eve");
    const a = new Replica("notes");
    server.says("ada", a.type("hello"));
    const forged = new Y.Doc();
    forged.clientID = a.doc.clientID;
    Y.applyUpdate(forged, Y.encodeStateAsUpdate(a.doc));
    const vector = Y.encodeStateVector(forged);
    forged.getText("t").insert(0, "not by ada: ");
    const eve = new Replica("notes");
    const item = eve.item(Y.encodeStateAsUpdate(forged, vector));
    expect(server.says("eve", item)).toEqual(["DOCUMENT_INVALID"]);
    // Nor under ada's own number.
    expect(server.says("eve", [item[0], a.doc.clientID, 1, 0, item[4]])).toEqual(["DOCUMENT_INVALID"]);
    expect(server.says("ada", a.type("!"))).toEqual([expect.any(Number)]);
    expect(server.text("notes")).toBe("hello!");
  });

  it("if it builds on what the document does not hold (F4: another tab's, unsent)", () => {
    const server = started("ada", "bob");
    const [a, b] = [new Replica("notes"), new Replica("notes")];
    const unsent = a.type("unsent");
    b.take([{ format: 1, bytes: unsent[4] as Uint8Array }]);
    const behind = b.type(" and on it");
    expect(server.says("bob", behind)).toEqual(["DOCUMENT_GAP"]);
    expect(server.details("bob")).toMatchObject({ client: a.doc.clientID, held: 0 });
    b.n = 0;
    server.says("ada", unsent);
    expect(server.says("bob", [behind[0], behind[1], 0, 0, behind[4]])).toEqual([expect.any(Number)]);
    expect(server.text("notes")).toBe("unsent and on it");
  });

  it("if it deletes what the document does not hold", () => {
    const server = started("ada", "bob");
    const [a, b] = [new Replica("notes"), new Replica("notes")];
    b.take([{ format: 1, bytes: a.type("unsent")[4] as Uint8Array }]);
    expect(server.says("bob", b.erase(0, 3))).toEqual(["DOCUMENT_GAP"]);
  });

  it("if it was stored before", () => {
    const server = started("ada");
    const a = new Replica("notes");
    const item = a.type("once");
    server.says("ada", item);
    expect(server.says("ada", item)).toEqual(["DOCUMENT_GAP"]);
    expect(server.details("ada")).toMatchObject({ expected: 1, n: 0, known: true });
    expect(server.text("notes")).toBe("once");
  });

  it.each([
    ["nothing", new Uint8Array()],
    ["no update", new Uint8Array([1, 2, 3, 4, 5, 255, 255, 255, 255])],
    ["text", new TextEncoder().encode("hello there, this is text")],
    ["what promises more than there is", new Uint8Array([255, 255, 255, 255, 127, 1, 1])],
  ])("if it is %s", (_, bytes) => {
    const server = started("ada");
    const a = new Replica("notes");
    expect(server.says("ada", a.item(bytes))).toEqual(["DOCUMENT_INVALID"]);
    a.n = 0;
    expect(server.says("ada", a.type("goes on"))).toEqual([expect.any(Number)]);
  });

  it("if it is cut off anywhere: never is half of it taken", () => {
    const server = started("ada");
    const a = new Replica("notes");
    const whole = a.type("a text of some length, so that there is much to cut")[4] as Uint8Array;
    for (let length = 0; length < whole.length; length += 1) {
      const [outcome] = server.says("ada", ["@doc/notes", a.doc.clientID, 0, 0, whole.slice(0, length)]);
      expect(["DOCUMENT_INVALID", "DOCUMENT_GAP"]).toContain(outcome);
    }
    expect(server.says("ada", ["@doc/notes", a.doc.clientID, 0, 0, whole])).toEqual([expect.any(Number)]);
  });

  it("if it has a hole", () => {
    const server = started("ada");
    const a = new Replica("notes");
    const [first, , third] = [a.type("a"), a.type("b"), a.type("c")] as [Item, Item, Item];
    a.n = 0;
    const holed = a.item(Y.mergeUpdates([first[4] as Uint8Array, third[4] as Uint8Array]));
    expect(server.says("ada", holed)).toEqual(["DOCUMENT_INVALID"]);
  });

  it("if the document would be too large, but for what only deletes", () => {
    const server = new Server(new Disk(), { config: { documents: { most: 2, bytes: 2_000 } } });
    server.joins("ada");
    const a = new Replica("notes");
    expect(server.says("ada", a.type("x".repeat(1_500)))).toEqual([expect.any(Number)]);
    expect(server.says("ada", a.type("y".repeat(1_500)))).toEqual(["DOCUMENT_FULL"]);
    expect(server.details("ada")).toMatchObject({ limit: 2_000 });
    const b = new Replica("notes").take(server.opens("ada", "notes").parts);
    expect(server.says("ada", b.erase(0, 1_500))).toEqual([expect.any(Number)]);
    // What was deleted makes room when a record is made.
    server.waits(100_000);
    expect(server.says("ada", b.type("z".repeat(1_500)))).toEqual([expect.any(Number)]);
  });

  it("if the session has as many documents as it may", () => {
    const server = new Server(new Disk(), { config: { documents: { most: 2, bytes: 1e6 } } });
    server.joins("ada");
    const outcomes = ["one", "two", "three"].map((name) => server.says("ada", new Replica(name).type("x"))[0]);
    expect(outcomes).toEqual([expect.any(Number), expect.any(Number), "DOCUMENT_LIMIT"]);
    expect(server.says("ada", new Replica("one").type("x"))).toEqual([expect.any(Number)]);
  });

  it("if it was made on a content that is no more", () => {
    const server = started("ada");
    const a = new Replica("notes");
    server.says("ada", a.type("draft"));
    const point = server.point();
    server.says("ada", a.type(" and more"));
    const restored = server.command("ada", { type: "document-restore", document: "notes", point })[0] as Offset;
    expect(server.says("ada", a.type(" late"))).toEqual(["DOCUMENT_RESTORED"]);
    const anew = new Replica("notes", restored).take(server.opens("ada", "notes").parts);
    expect(anew.text).toBe("draft");
    expect(server.says("ada", anew.type("!"))).toEqual([expect.any(Number)]);
    // Under its old number nobody goes on.
    a.lineage = restored;
    a.n = 1;
    expect(server.says("ada", a.type("?"))).toEqual(["DOCUMENT_INVALID"]);
    expect(server.text("notes")).toBe("draft!");
  });

  it("and nothing that was decided with it is true if the append fails", () => {
    const server = started("ada");
    const a = new Replica("notes");
    server.says("ada", a.type("one"));
    // Somebody else's entry lies in between: the batch is decided again, and not on top of itself.
    const { disk } = server;
    disk.log.push({ type: "sync-point", kind: "minor", serial: 1, by: null, offset: disk.head + 1, at: 1_000 });
    expect(server.says("ada", a.type("two"))).toEqual([expect.any(Number)]);
    expect(server.says("ada", a.type("three"))).toEqual([expect.any(Number)]);
    expect(server.text("notes")).toBe("onetwothree");
  });
});

describe("a server without the document's head", () => {
  it("holds back who edits it, and nobody else, and in their order", () => {
    const disk = new Disk();
    const first = new Server(disk);
    first.joins("ada");
    const a = new Replica("notes");
    first.says("ada", a.type("one"));
    first.host.save();
    const server = new Server(disk);
    server.joins("bob");
    server.joins("eve");
    const b = new Replica("notes");
    const edit = server.send("bob", { type: "messages", items: [b.type("two")] });
    const said = server.send("bob", { type: "messages", items: [["note", "behind"]] });
    const other = server.send("eve", { type: "messages", items: [["note", "free"]] });
    server.run();
    const [edited, behind, free] = [
      server.outcomes("bob", edit)[0],
      server.outcomes("bob", said)[0],
      server.outcomes("eve", other)[0],
    ] as [number, number, number];
    expect(free).toBeLessThan(edited);
    expect(edited).toBeLessThan(behind);
    expect(server.text("notes")).toMatch(/^(onetwo|twoone)$/);
  });

  it("knows who wrote what from the record and the log behind it", () => {
    const disk = new Disk();
    const a = new Replica("notes");
    const first = new Server(disk);
    first.joins("ada");
    first.says("ada", a.type("one"));
    first.waits(100_000);
    expect(disk.records.get("notes")?.record.writers).toMatchObject([{ user: "ada", clock: 3, n: 1 }]);
    first.says("ada", a.type("two"));
    const server = new Server(disk);
    server.joins("ada.desk");
    server.joins("eve");
    const forged = a.type("three");
    expect(server.says("eve", forged)).toEqual(["DOCUMENT_INVALID"]);
    expect(server.says("ada.desk", forged)).toEqual([expect.any(Number)]);
    expect(server.text("notes")).toBe("onetwothree");
  });

  it("fails as at any failure of the store, and nothing is refused for good", () => {
    const disk = new Disk();
    const first = new Server(disk);
    first.joins("ada");
    first.says("ada", new Replica("notes").type("one"));
    const server = new Server(disk);
    server.joins("bob");
    disk.broken = true;
    server.send("bob", { type: "messages", items: [new Replica("notes").type("two")] });
    server.run();
    expect(server.failed).toBeInstanceOf(RostrumError);
    expect(server.told("bob", "refused")).toEqual([]);
    expect(server.told("bob", "closed")).toMatchObject([{ error: { code: "STORE_FAILED" } }]);
  });

  it("keeps nothing in memory of a document that nobody edits", () => {
    const server = started("ada");
    for (let n = 0; n < 50; n += 1) server.says("ada", new Replica(`d${n}`).type("x"));
    expect(server.host.resting).toBe(false);
    server.waits(100_000);
    expect(server.disk.records.size).toBe(50);
    expect([...server.host.current.documents.values()].every(({ since }) => since === 0)).toBe(true);
    expect(server.host.documents?.resting).toBe(true);
  });
});
