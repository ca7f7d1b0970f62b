/** Pages of a log that was thinned: what may be missing in them, and what may not. */

import {
  type ClosedFrame,
  defaultConfig,
  defaultLimits,
  type Entry,
  emptyState,
  features,
  foldAll,
  lastOffset,
  memberId,
  type Offset,
  type ServerFrame,
  type SessionState,
  sessionId,
  userId,
} from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import { Audience } from "./audience.ts";

const session = sessionId("s");
const ada = memberId("ada");
const beginning: readonly Entry[] = [
  { type: "opened", offset: 1, at: 0, session, birth: "b", config: defaultConfig },
  { type: "joined", offset: 2, at: 0, member: ada, user: userId("u"), roles: ["member"], node: "n" },
];
const said = (offset: Offset, count = 1): Entry => ({
  type: "messages",
  offset,
  at: 0,
  by: null,
  items: Array.from({ length: count }, (_, n) => ["note", n] as const),
});
const update = (offset: Offset, by: typeof ada | null = null): Entry => ({
  type: "messages",
  offset,
  at: 0,
  by,
  ...(by === null ? {} : { seq: 1 }),
  items: [["@doc/notes", 7, 0, 0, new Uint8Array(1)]],
});
const thinnedAt = (offset: Offset, upTo: Offset): Entry => ({ type: "documents-thinned", offset, at: 0, upTo });

/** An audience over a log of which it has nothing at hand. */
class Room {
  state: SessionState;
  readonly frames: ServerFrame[] = [];
  readonly audience: Audience<string>;
  /** What it asks of the store, in order. */
  readonly reads: ((page: readonly Entry[]) => void)[] = [];
  readonly loads: ((first: Offset) => void)[] = [];

  constructor(log: readonly Entry[], first: Offset = 1) {
    this.state = foldAll(emptyState(session), [...beginning, ...log]);
    this.audience = new Audience(session, {
      now: () => 0,
      load: (done) => void this.loads.push((begins) => done({ first: begins })),
      read: (_, __, done) => void this.reads.push(done),
      send: (_, frame) => void this.frames.push(frame),
      broadcast: (frame) => void this.frames.push(frame),
      live: () => {},
      closed: (_, frame) => void this.frames.push(frame),
      flushIn: () => {},
      token: () => "t",
      terms: () => ({ version: 1, features, limits: defaultLimits }),
    });
    this.audience.begin(first, this.state);
  }

  comes(offset: Offset, documents: readonly string[] = ["notes"]): this {
    const arrival = {
      connection: "a",
      join: { type: "join", member: ada, user: userId("u"), roles: ["member"], node: "n" } as const,
      resume: { member: ada, incarnation: 1 },
      cursor: { birth: "b", offset },
      history: undefined,
      documents,
      accepted: () => true,
      refused: () => {},
    };
    this.audience.admit(arrival, ada, 1, this.state);
    this.audience.flush(this.state);
    return this;
  }

  happens(...entries: readonly Entry[]): this {
    this.state = foldAll(this.state, entries);
    this.audience.extend(entries, this.state);
    return this;
  }

  gives(...page: readonly Entry[]): this {
    this.reads.shift()?.(page);
    return this;
  }

  begins(first: Offset): this {
    this.loads.shift()?.(first);
    return this;
  }

  get opened(): Extract<ServerFrame, { type: "opened" }> | undefined {
    return this.frames.find((frame) => frame.type === "opened");
  }

  get closed(): ClosedFrame | undefined {
    return this.frames.find((frame) => frame.type === "closed");
  }

  get told(): readonly Offset[] {
    return this.frames.flatMap((frame) => (frame.type === "entries" ? frame.entries.map(lastOffset) : []));
  }
}

describe("who comes back to a log that was thinned", () => {
  const log = [said(3), update(4), update(5), said(6), update(7), said(8), thinnedAt(9, 7), update(10), said(11)];
  const left = [said(8), thinnedAt(9, 7), update(10), said(11)];

  it("gets all messages, and is told up to where updates are missing", () => {
    const room = new Room(log).comes(2).gives(said(3), said(6), ...left);
    expect(room.opened).toMatchObject({ outcome: { kind: "resumed", from: 2 }, thinned: 7 });
    expect(room.told).toEqual([3, 6, 8, 10, 11]);
    expect(room.closed).toBeUndefined();
  });

  it("gets them though the page begins with what is missing, if nobody has cut the log there", () => {
    const room = new Room(log).comes(3).gives(said(6), ...left);
    expect(room.told).toEqual([]);
    room.begins(1);
    expect(room.told).toEqual([6, 8, 10, 11]);
  });

  it("is let go if somebody has: it comes back to a gap, not to nothing", () => {
    const room = new Room(log)
      .comes(3)
      .gives(said(6), ...left)
      .begins(6);
    expect(room.told).toEqual([]);
    expect(room.closed).toMatchObject({ error: { code: "SERVER_BUSY" }, retryAfter: 0 });
    expect(room.comes(3).frames.findLast((frame) => frame.type === "opened")).toMatchObject({
      outcome: { kind: "snapshot", gap: { from: 4, to: 5 } },
    });
  });

  it("is told of nothing that is missing if it has come that far", () => {
    const room = new Room(log).comes(7).gives(...left);
    expect(room.opened).not.toHaveProperty("thinned");
    expect(room.told).toEqual([8, 10, 11]);
  });

  it("is told nothing of it if all is at hand, and gets that", () => {
    const room = new Room([]).happens(...log);
    room.comes(2);
    expect(room.opened).not.toHaveProperty("thinned");
    expect(room.reads).toEqual([]);
    expect(room.told).toEqual([3, 4, 5, 6, 7, 8, 10, 11]);
  });

  it("is told of it as a snapshot is, by asking for documents anyhow", () => {
    const room = new Room(log, 6).comes(2);
    expect(room.opened).toMatchObject({ outcome: { kind: "snapshot" }, start: 5 });
    expect(room.opened).not.toHaveProperty("thinned");
    room.gives(said(6), ...left);
    expect(room.told).toEqual([6, 8, 10, 11]);
  });
});

describe("who is read for while the log is thinned", () => {
  const log = [said(3, 600), said(603, 600), update(1203), said(1204), update(1205), said(1206)];
  const first = [said(3, 600), said(603, 600)];
  const rest = [said(1204), said(1206), thinnedAt(1207, 1205)];

  it("is let go if it follows a document, and comes back at once", () => {
    const room = new Room(log).comes(2);
    expect(room.opened).not.toHaveProperty("thinned");
    room.gives(...first).happens(thinnedAt(1207, 1205));
    room.gives(...rest).begins(1);
    expect(room.told).toEqual([602, 1202]);
    expect(room.closed).toMatchObject({ error: { code: "SERVER_BUSY" }, retryAfter: 0 });
    expect(room.comes(1202).frames.findLast((frame) => frame.type === "opened")).toMatchObject({ thinned: 1205 });
  });

  it("goes on if it follows none", () => {
    const room = new Room(log)
      .comes(2, [])
      .gives(...first)
      .happens(thinnedAt(1207, 1205));
    room.gives(...rest).begins(1);
    expect(room.told).toEqual([602, 1202, 1204, 1206]);
    expect(room.closed).toBeUndefined();
  });

  it("is let go if it follows none and has written one: it would not learn that its updates are stored", () => {
    const room = new Room(log)
      .comes(2, [])
      .gives(...first)
      .happens(update(1207, ada), thinnedAt(1208, 1207));
    room.gives(said(1204), said(1206), thinnedAt(1208, 1207)).begins(1);
    expect(room.closed).toMatchObject({ error: { code: "SERVER_BUSY" } });
  });

  it("goes on behind the line in any case", () => {
    const room = new Room(log)
      .comes(2)
      .gives(...first)
      .happens(thinnedAt(1207, 1202));
    room.gives(update(1203), said(1204), update(1205), said(1206), thinnedAt(1207, 1202));
    expect(room.closed).toBeUndefined();
    expect(room.told).toEqual([602, 1202, 1203, 1204, 1205, 1206]);
  });

  it.each([
    ["", ["notes"]],
    [", though it follows nothing", []],
  ])("is let go if what is missing is not known to be an update%s", (_, documents) => {
    // Another node has thinned it, or the store has lost something.
    const room = new Room(log).comes(2, documents).gives(...first);
    room.gives(...rest).begins(1);
    expect(room.told).toEqual([602, 1202]);
    expect(room.closed).toMatchObject({ error: { code: "SERVER_BUSY" }, retryAfter: 200 });
    const between = new Room(log).comes(2, documents).gives(...first);
    between.gives(update(1203), said(1206));
    expect(between.closed).toMatchObject({ retryAfter: 200 });
  });
});
