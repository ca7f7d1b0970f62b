/** The log is thinned of updates: of those that records have, and of nothing else. */

import { documentIn, type Entry, memberId, type Offset, span, userId } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import { Disk, Server } from "./host.fixture.ts";
import { Replica } from "./replica.fixture.ts";

type Fixture = NonNullable<ConstructorParameters<typeof Server>[1]>;

const usual: Fixture = { retention: 100, snapshotEvery: 50, updates: 20 };
const started = (fixture: Fixture = usual, disk: Disk = new Disk()): Server => {
  const server = new Server(disk, fixture);
  server.joins("ada");
  return server;
};

const isUpdate = (entry: Entry): boolean => documentIn(entry) !== undefined;
const updatesIn = ({ log }: Disk): number => log.filter(isUpdate).reduce((sum, entry) => sum + span(entry), 0);
const notesIn = ({ log }: Disk): readonly unknown[] =>
  log.flatMap((entry) => (entry.type === "messages" && !isUpdate(entry) ? entry.items.map(([, n]) => n) : []));
const lineOf = (server: Server): Offset => server.host.current.thinned;

/** Where each is stored. */
const edits = (server: Server, replica: Replica, count: number, text = "x"): readonly (Offset | string)[] =>
  Array.from({ length: count }, () => server.says("ada", replica.type(text))[0] ?? "nothing");

/** Comes back as itself, with what it has been told. */
const resumes = (server: Server, offset: Offset, documents: readonly string[] = ["notes"]): string => {
  const connection = `again ${server.frames.length}`;
  server.host.attach({
    connection,
    join: { type: "join", member: memberId("ada"), user: userId("ada"), roles: ["member"], node: "n" },
    resume: {
      member: memberId("ada"),
      incarnation: server.host.current.members.get(memberId("ada"))?.incarnation ?? 1,
    },
    cursor: { birth: "b", offset },
    documents,
    history: undefined,
    accepted: () => true,
    refused: (error) => {
      throw error;
    },
  });
  server.run();
  return connection;
};

const putAway = (server: Server): void => {
  let done = false;
  server.host.putAway(() => {
    done = true;
  });
  server.run();
  expect(done).toBe(true);
};

describe("a log in which documents are edited", () => {
  it("keeps all messages, and of the updates what records lack and a few", () => {
    const server = started();
    const replica = new Replica("notes");
    for (let n = 0; n < 40; n += 1) {
      edits(server, replica, 75);
      server.says("ada", ["note", n]);
    }
    expect(notesIn(server.disk)).toEqual(Array.from({ length: 40 }, (_, n) => n));
    expect(server.disk.first).toBe(1);
    expect(updatesIn(server.disk)).toBeLessThan(1_300);
    expect(lineOf(server)).toBeGreaterThan(1_500);
    expect(server.text("notes")).toBe("x".repeat(3_000));
    server.waits(100_000);
    putAway(server);
    expect(updatesIn(server.disk)).toBeLessThanOrEqual(20);
    expect(server.warnings).toEqual([]);
    // And all of it is there for the next one.
    expect(started(usual, server.disk).text("notes")).toBe("x".repeat(3_000));
  });

  it("still lets go of messages by their own count", () => {
    const server = started();
    const replica = new Replica("notes");
    for (let n = 0; n < 300; n += 1) {
      edits(server, replica, 2);
      server.says("ada", ["note", n]);
    }
    const kept = notesIn(server.disk);
    expect(kept.at(-1)).toBe(299);
    expect(kept.length).toBeGreaterThanOrEqual(85);
    expect(kept.length).toBeLessThan(200);
  });

  it("counts updates as it ever did where the store cannot drop them", () => {
    const server = started({ retention: 100, snapshotEvery: 50 });
    const replica = new Replica("notes");
    server.says("ada", ["note", 1]);
    edits(server, replica, 1_200);
    expect(lineOf(server)).toBe(0);
    expect(server.disk.first).toBeGreaterThan(1);
    expect(notesIn(server.disk)).toEqual([]);
  });

  it("keeps what a record lacks, whatever else has one", () => {
    const server = started();
    const other = new Replica("other");
    server.says("ada", other.type("kept"));
    const since = server.host.current.documents.get("other")?.since ?? 0;
    // Its head is let go only after it is saved: until then it lacks a record.
    server.slow = [];
    const replica = new Replica("notes");
    edits(server, replica, 700);
    for (const go of server.slow.splice(0)) go();
    server.run();
    expect(server.host.current.documents.get("notes")?.since).toBeGreaterThan(since);
    expect(server.disk.log.some((entry) => entry.offset === since)).toBe(true);
    expect(lineOf(server)).toBeLessThan(since);
  });

  it("keeps no more bytes of updates than it may", () => {
    const server = started({ ...usual, updates: 1_000_000, updateBytes: 100_000 });
    const replica = new Replica("notes");
    edits(server, replica, 200, "0123456789".repeat(100));
    server.waits(100_000);
    putAway(server);
    const bytes = server.disk.log.filter(isUpdate).length * 1_000;
    expect(bytes).toBeLessThan(100_000);
    expect(bytes).toBeGreaterThan(30_000);
  });

  it("is saved for the updates' sake before it would be for their number", () => {
    const server = started({ ...usual, snapshotEvery: 1_000_000 });
    const replica = new Replica("notes");
    edits(server, replica, 300, "0123456789".repeat(300));
    expect(server.disk.snapshot?.state.head).toBeGreaterThan(100);
    expect(lineOf(server)).toBeGreaterThan(50);
  });
});

describe("who comes back", () => {
  const edited = (): Server => {
    const server = started();
    const replica = new Replica("notes");
    for (let n = 0; n < 20; n += 1) {
      edits(server, replica, 75);
      server.says("ada", ["note", n]);
    }
    return server;
  };
  const notesTo = (server: Server, connection: string): readonly unknown[] =>
    server
      .told(connection, "entries")
      .flatMap(({ entries }) => entries)
      .flatMap((entry) => (entry.type === "messages" && !isUpdate(entry) ? entry.items.map(([, n]) => n) : []));

  it("after long gets every message, without a gap, and is told what it lacks of documents", () => {
    for (const disk of [edited().disk]) {
      // All is at hand here, and nothing in another process.
      const server = new Server(disk, usual);
      const back = resumes(server, 3);
      expect(server.told(back, "opened")).toMatchObject([{ outcome: { kind: "resumed" }, thinned: lineOf(server) }]);
      expect(notesTo(server, back)).toEqual(Array.from({ length: 20 }, (_, n) => n));
      const answer = server.opens(back, "notes", { lineage: 0, after: 3 });
      expect(answer.code).toBeUndefined();
      expect(answer.whole).toBe(true);
      expect(new Replica("notes").take(answer.parts).text).toBe("x".repeat(1_500));
    }
  });

  it("soon gets what it missed of documents with the rest", () => {
    const { disk } = edited();
    const server = new Server(disk, usual);
    const line = lineOf(server);
    const back = resumes(server, line);
    expect(server.told(back, "opened")[0]).not.toHaveProperty("thinned");
    expect(server.updates(back, "notes").length).toBe(updatesIn(disk));
    // And whoever opens it there is told the rest of it only.
    const answer = server.opens(back, "notes", { lineage: 0, after: line });
    expect([answer.whole, answer.code]).toEqual([false, undefined]);
  });
});

describe("a process that dies", () => {
  it("between what it says and what it does leaves that to the next one", () => {
    const disk = new Disk();
    disk.lazy = true;
    const server = started(usual, disk);
    const replica = new Replica("notes");
    edits(server, replica, 1_500);
    expect(lineOf(server)).toBeGreaterThan(500);
    expect(updatesIn(disk)).toBe(1_500);
    disk.lazy = false;
    const next = started(usual, disk);
    expect(next.text("notes")).toBe("x".repeat(1_500));
    putAway(next);
    expect(updatesIn(disk)).toBeLessThan(1_000);
    expect(next.text("notes")).toBe("x".repeat(1_500));
    expect(started(usual, disk).text("notes")).toBe("x".repeat(1_500));
  });
});

describe("another node", () => {
  it("that stands where the log was thinned begins anew from what was saved", () => {
    const disk = new Disk();
    const one = started(usual, disk);
    const two = new Server(disk, usual);
    const stood = two.host.current.head;
    const replica = new Replica("notes");
    edits(one, replica, 1_500);
    expect(lineOf(one)).toBeGreaterThan(stood);
    // It is told of the last entry alone, and reads on from where it stands.
    two.host.followed(disk.log.slice(-1));
    two.run();
    expect(two.failed?.code).toBe("SERVER_BUSY");
    expect(two.failed?.retryable).toBe(true);
    expect(two.host.current.head).toBe(stood);
    const three = new Server(disk, usual);
    expect(three.host.current.head).toBe(disk.head);
    expect(three.text("notes")).toBe("x".repeat(1_500));
  });

  it("answers nothing wrong while it does not know of it", () => {
    const disk = new Disk();
    const one = started(usual, disk);
    const replica = new Replica("notes");
    const stored = [...edits(one, replica, 100)];
    const two = new Server(disk, { ...usual, snapshotEvery: 1e6 });
    two.joins("bob");
    stored.push(...edits(one, replica, 1_500));
    // What it reads has holes that it cannot account for, or it has all: never a part of it.
    const answer = two.opens("bob", "notes", { lineage: 0, after: 5 });
    if (answer.code === undefined) {
      const { text } = new Replica("notes").take(answer.parts);
      expect(text).toBe("x".repeat(stored.filter((offset) => Number(offset) <= answer.upTo).length));
    } else expect(answer.code).toBe("SERVER_BUSY");
  });
});
