/** Updates that no editor makes: Yjs reads them, and would throw, hang or go astray over them wherever they are taken up. */

import { type Item, RostrumError } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { readFacts } from "../facts.ts";
import { bytes, info, joined } from "./forged.fixture.ts";
import { Server, session } from "./host.fixture.ts";
import { Replica } from "./replica.fixture.ts";

/** One client's structs from clock 0, and no deletions. */
const update = (client: number, structs: number, ...parts: readonly (number | string | Uint8Array)[]): Uint8Array =>
  bytes(1, structs, client, 0, ...parts, 0);

const [text, embed, format, any, subdocument] = [4, 5, 6, 8, 9];
const inRoot = [1, "t"] as const;
const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
/** Yjs' own form of a value: 117 is a list, 118 an object, 125 a whole number, 126 null. */
const nestedAny = (levels: number): readonly number[] => [
  ...Array.from({ length: levels }, () => [117, 1]).flat(),
  126,
];

const client = 5;

describe("an update is refused that Yjs reads and cannot take up", () => {
  it.each([
    ["a text beside itself", update(client, 1, info(text, "origin"), client, 3, "hello")],
    [
      "a text beside one that comes later",
      update(client, 2, info(text, "origin"), client, 7, "hello", text, ...inRoot, "there"),
    ],
    ["a text within itself", update(client, 1, text, 0, client, 0, "hello")],
    ["a deletion of nothing, of a client that is not there", bytes(0, 1, 9, 1, 0, 0)],
    ["a deletion of nothing, behind the last", bytes(1, 1, client, 0, text, ...inRoot, "x", 1, client, 1, 1, 0)],
    ["JSON that nests too deep to be written", update(client, 1, embed, ...inRoot, nested(20_000))],
    ["a format that nests too deep", update(client, 1, format, ...inRoot, "bold", nested(20_000))],
    [
      "a value that nests too deep",
      joined(bytes(1, 1, client, 0, any, ...inRoot, 1), Uint8Array.from(nestedAny(3_000)), bytes(0)),
    ],
    [
      "a sub-document whose guid is a number",
      update(client, 1, subdocument, ...inRoot, "guid", 118, 1, "guid", 125, 5),
    ],
    [
      "a sub-document whose filter is a number",
      update(client, 1, subdocument, ...inRoot, "guid", 118, 1, "gcFilter", 125, 5),
    ],
  ])("%s", (_, update) => {
    const server = new Server();
    server.joins("eve");
    server.joins("ada");
    expect(server.says("eve", ["@doc/notes", client, 0, 0, update] as Item)).toEqual(["DOCUMENT_INVALID"]);
    expect(server.says("ada", new Replica("notes").type("all is well"))).toEqual([expect.any(Number)]);
    server.waits(100_000);
    expect(server.disk.records.has("notes")).toBe(true);
    expect(server.text("notes")).toBe("all is well");
  });

  it("and what nests as apps do is none of these", () => {
    const server = new Server();
    server.joins("ada");
    const a = new Replica("notes");
    let value: unknown = "x";
    for (let level = 0; level < 100; level += 1) value = level % 2 === 0 ? [value] : { a: value };
    expect(
      server.says(
        "ada",
        a.edit((doc) => doc.getMap("m").set("deep", value)),
      ),
    ).toEqual([expect.any(Number)]);
    const subdoc = new Y.Doc({ meta: { title: "t" } });
    expect(
      server.says(
        "ada",
        a.edit((doc) => doc.getMap("m").set("sub", subdoc)),
      ),
    ).toEqual([expect.any(Number)]);
  });
});

describe("an update is looked into in a time that grows with its size alone", () => {
  it("however many clients there are in it", () => {
    // Each with one struct of length 1 that stands for something long deleted, in the order that Yjs has them.
    const of = (clients: number): Uint8Array =>
      joined(bytes(clients), ...Array.from({ length: clients }, (_, index) => bytes(1, index + 1, 0, 0, 1)), bytes(0));
    const [few, many] = [of(500), of(64_000)];
    const cost = (update: Uint8Array): number => {
      const from = performance.now();
      expect(readFacts(update).adds.length).toBeGreaterThan(0);
      return performance.now() - from;
    };
    cost(few);
    const single = Math.max(0.5, Math.min(cost(few), cost(few), cost(few)));
    // 128 times as many; looked up one by one it was many thousand times as long, seconds in which the server did nothing else.
    expect(cost(many) / single).toBeLessThan(1_000);
  });
});

describe("what is asked for and is not there", () => {
  const sizeOf = (server: Server, of: "heads" | "faults" | "absent"): number =>
    (server.host.documents as unknown as Record<typeof of, Map<string, unknown>>)[of].size;

  it("is not remembered without end, whether the app has nothing or fails", () => {
    for (const load of [undefined, () => new RostrumError("SERVER_BUSY", "The app fails.")]) {
      const server = new Server(undefined, load === undefined ? {} : { load });
      server.joins("eve");
      for (let n = 0; n < 3_000; n += 1) {
        server.host.openDocument("eve", { type: "document-open", session, document: `d${n}` });
        server.run();
        server.host.closeDocument("eve", `d${n}`);
      }
      expect(sizeOf(server, "heads") + sizeOf(server, "faults")).toBeLessThanOrEqual(1_000);
      server.waits(200_000);
      expect(sizeOf(server, "heads") + sizeOf(server, "faults") + sizeOf(server, "absent")).toBe(0);
      expect(server.says("eve", new Replica("d7").type("it begins"))).toEqual([
        load === undefined ? expect.any(Number) : "SERVER_BUSY",
      ]);
    }
  });

  it("is not followed by who may no longer read when the app has answered", () => {
    const server = new Server(undefined, { load: () => undefined, config: { roles: { member: ["*"] } } });
    server.joins("eve");
    server.joins("ada");
    const before = server.frames.length;
    server.host.openDocument("eve", { type: "document-open", session, document: "notes" });
    const config = { ...server.host.current.config, roles: { member: ["edit", "emit"] } };
    server.host.submit({ from: null, command: { type: "configure", config } });
    // The app's answer comes last.
    const { waiting } = server as unknown as { waiting: (() => void)[] };
    const answer = waiting.shift();
    server.run();
    answer?.();
    server.run();
    expect(server.answer("eve", "notes", before).code).toBe("FORBIDDEN");
    server.says("ada", new Replica("notes").type("secret"));
    expect(server.updates("eve", "notes")).toEqual([]);
  });
});

describe("a document that is restored again and again", () => {
  it("is made anew as often as somebody can ask for it, and no more", () => {
    const server = new Server();
    server.joins("ada");
    server.says("ada", new Replica("notes").type("one"));
    const point = server.point();
    server.waits(100_000);
    const { compactions } = server;
    const restore = { type: "document-restore", document: "notes", point } as const;
    server.slow = [];
    server.command("ada", restore);
    for (let n = 0; n < 200; n += 1) {
      const [lineage] = server.command("ada", restore);
      // In between it is edited, in vain.
      if (n % 50 === 0)
        server.send("ada", { type: "messages", items: [new Replica("notes", Number(lineage)).type("x")] });
    }
    for (let round = 0; round < 20; round += 1) {
      for (const go of server.slow.splice(0)) go();
      server.run();
    }
    server.slow = undefined;
    server.waits(100_000);
    expect(server.compactions - compactions).toBeLessThan(20);
    expect(server.text("notes")).toBe("one");
    expect(server.says("ada", new Replica("notes", server.opens("ada", "notes").lineage).type("two"))).toEqual([
      expect.any(Number),
    ]);
  });
});
