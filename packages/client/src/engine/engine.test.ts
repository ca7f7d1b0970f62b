/** The engine by hand: cases that the simulated world once found, each told by itself. */

import type { Entry, MemberCommand, RostrumError, ServerFrame } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import { beginning, lease, me, other, Page, session } from "./page.fixture.ts";

const requested: Entry = { type: "floor-requested", floor: "mic", member: me, by: me, seq: 1, offset: 4, at: 0 };
const granted: Entry = {
  type: "floor-granted",
  floor: "mic",
  member: me,
  by: null,
  request: 4,
  lease,
  offset: 5,
  at: 0,
};
const holding = (page = new Page()): Page => {
  page.load().open(beginning, 0);
  page.submit({ type: "floor-request", floor: "mic" });
  page.tell([requested, granted]);
  return page;
};

describe("a belief", () => {
  it("begins with the echo of the request, and ends a margin before the lease, counted from the sending", () => {
    const page = new Page().load().open(beginning, 0);
    page.submit({ type: "floor-request", floor: "mic" });
    page.now = 300;
    page.tell([requested, granted]);
    expect(page.holds).toBe(true);
    page.wait(lease - 300 - 251);
    expect(page.holds).toBe(true);
    page.wait(1);
    expect(page.holds).toBe(false);
    expect(page.told).toContain("lost mic untrusted");
    // The server is told, so that it need not wait for the lease.
    page.turn();
    expect(page.sentOf("commands").at(-1)).toMatchObject({ commands: [{ type: "floor-release", fence: 5 }] });
  });

  it("goes on with an answered question, from the sending of it, and only when one has been told up to its head", () => {
    const page = holding();
    page.wait(400);
    const [question] = page.sentOf("renew");
    expect(question).toMatchObject({ n: 1 });
    page.now += 200;
    page.take({ type: "renewed", session, n: 1, head: 6, at: 0 });
    page.wait(150);
    // Offset 6 might be our revoke.
    expect(page.holds).toBe(false);

    const told = holding();
    told.wait(400);
    told.now += 200;
    told.take({ type: "renewed", session, n: 1, head: 5, at: 0 });
    told.wait(400);
    expect(told.holds).toBe(true);
    told.wait(149);
    expect(told.holds).toBe(true);
    told.wait(1);
    expect(told.holds).toBe(false);
  });

  it("does not begin with a grant that comes late, before something proves that it is not outdated", () => {
    const page = new Page().load().open(beginning, 0);
    page.now = 5_000;
    page.tell([{ type: "floor-granted", floor: "mic", member: me, by: other, request: 0, lease, offset: 4, at: 0 }]);
    expect(page.holds).toBe(false);
    expect(page.sentOf("renew")).toHaveLength(1);
    page.now += 50;
    page.take({ type: "renewed", session, n: 1, head: 4, at: 0 });
    expect(page.holds).toBe(true);
  });

  it("doubts the connection when a question is not answered, and asks again", () => {
    const page = holding(new Page());
    page.wait(400);
    page.wait(1_500);
    expect(page.told).not.toContain("doubt");
    const long = new Page().load().open(beginning, 0);
    long.submit({ type: "floor-request", floor: "mic" });
    long.tell([requested, { ...granted, lease: 10_000 } as Entry]);
    long.wait(3_400);
    long.wait(1_500);
    expect(long.told).toContain("doubt");
    expect(long.sentOf("renew")).toHaveLength(2);
  });

  it("ends with a revoke, which is confirmed once", () => {
    const page = holding();
    page.tell([
      {
        type: "floor-revoked",
        floor: "mic",
        member: me,
        by: other,
        fence: 5,
        reason: "revoked",
        lingers: true,
        offset: 6,
        at: 0,
      },
    ]);
    expect(page.told).toContain("lost mic revoked");
    page.turn();
    page.wait(1);
    page.turn();
    const releases = page
      .sentOf("commands")
      .filter(({ commands }) => JSON.stringify(commands).includes("floor-release"));
    expect(releases).toHaveLength(1);
  });

  it("ends at once with what will end the grant: a release, a pass, a cancel, the session's release", () => {
    const commands: MemberCommand[] = [
      { type: "floor-release", floor: "mic", fence: 5 },
      { type: "floor-pass", floor: "mic", fence: 5, member: other },
      { type: "floor-cancel", floor: "mic" },
    ];
    for (const command of commands) {
      const page = holding();
      page.engine.disconnect();
      page.submit(command);
      expect(page.holds).toBe(false);
      // Also in a later life of the page, which finds the command on the disk and the grant in the state.
      const later = new Page(page.disk).load().open([...beginning, requested, granted], 1);
      later.wait(1);
      expect(later.holds).toBe(false);
    }
    const page = holding();
    page.engine.disconnect();
    page.engine.release({ queued: () => {}, stored: () => {}, refused: () => {} });
    page.turn();
    expect(page.holds).toBe(false);
    const later = new Page(page.disk).load().open([...beginning, requested, granted], 1);
    expect(later.holds).toBe(false);
  });

  it("comes back when a pass is refused, unless something else ends it", () => {
    const pass: MemberCommand = { type: "floor-pass", floor: "mic", fence: 5, member: other };
    const refused = (seq: number): ServerFrame => ({
      type: "refused",
      session,
      seq,
      count: 1,
      error: { code: "RECIPIENT_UNKNOWN", message: "" },
    });
    const page = holding();
    page.submit(pass);
    page.take(refused(2));
    expect(page.holds).toBe(true);
    const ending = holding();
    ending.submit(pass);
    ending.submit({ type: "floor-release", floor: "mic", fence: 5 });
    ending.take(refused(2));
    expect(ending.holds).toBe(false);
  });

  it("of a page that was closed is over, and the grant is there for the next", () => {
    const page = holding();
    page.engine.close({ code: "CLOSED", details: {} } as RostrumError);
    expect(page.holds).toBe(false);
    const later = new Page(page.disk).load();
    expect(later.holds).toBe(false);
    later.open([...beginning, requested, granted], 1);
    expect(later.holds).toBe(true);
  });
});

describe("a grant that is over here and not on the server", () => {
  const releases = (page: Page): number =>
    page.sentOf("commands").filter(({ commands }) => JSON.stringify(commands).includes("floor-release")).length;

  it("is given back after the session had stopped and goes on", () => {
    const page = holding();
    page.take({ type: "closed", session, error: { code: "AUTH_EXPIRED", message: "" } });
    expect(page.holds).toBe(false);
    page.engine.retry();
    page.open([...beginning, requested, granted], 1);
    page.turn();
    expect(releases(page)).toBe(1);
  });

  it("is given back again when the release is refused or finds no room", () => {
    const page = holding();
    page.submit({ type: "floor-release", floor: "mic", fence: 5 });
    page.take({ type: "refused", session, seq: 2, count: 1, error: { code: "FORBIDDEN", message: "" } });
    page.turn();
    expect(releases(page)).toBe(2);
    page.take({ type: "refused", session, seq: 3, count: 1, error: { code: "FORBIDDEN", message: "" } });
    page.turn();
    expect(releases(page)).toBe(2);
    page.wait(2_000);
    page.turn();
    expect(releases(page)).toBe(3);
  });

  it("is given back if even an answered question cannot prove it in time", () => {
    const page = new Page().load().open(beginning, 0);
    page.now = 5_000;
    page.tell([{ type: "floor-granted", floor: "mic", member: me, by: other, request: 0, lease, offset: 4, at: 0 }]);
    page.now += 900;
    page.take({ type: "renewed", session, n: 1, head: 4, at: 0 });
    page.turn();
    expect(page.holds).toBe(false);
    expect(releases(page)).toBe(1);
  });

  it("is another in another log, whatever its number", () => {
    const page = holding();
    page.engine.disconnect();
    page.open([{ ...(beginning[0] as Entry), birth: "c" } as Entry, ...beginning.slice(1)], 0, true);
    page.submit({ type: "floor-request", floor: "mic" });
    page.tell([{ ...requested, seq: 2 } as Entry, granted]);
    expect(page.holds).toBe(true);
  });

  it("does not end the member when its release of the session is refused", () => {
    const page = holding();
    page.engine.release({ queued: () => {}, stored: () => {}, refused: () => {} });
    page.turn();
    page.take({ type: "refused", session, seq: 2, count: 1, error: { code: "FORBIDDEN", message: "" } });
    page.submit({ type: "messages", items: [["note", 1]] });
    expect(page.sentOf("commands").at(-1)).toMatchObject({ commands: [{ type: "messages" }] });
  });
});

describe("a guarded message", () => {
  it("goes under the grant that is held, also from a page that has just been reloaded, and not without one", () => {
    const page = holding();
    page.engine.message(["speak", 1], undefined, 10, { queued: () => {}, stored: () => {}, refused: () => {} });
    page.turn();
    expect(page.sentOf("commands").at(-1)).toMatchObject({ commands: [{ type: "messages", fence: 5 }] });
    const later = new Page(page.disk).load();
    later.engine.message(["speak", 2], undefined, 10, { queued: () => {}, stored: () => {}, refused: () => {} });
    const idle = new Page().load().open(beginning, 0);
    const speak = (): unknown =>
      idle.engine.message(["speak", 1], undefined, 10, { queued: () => {}, stored: () => {}, refused: () => {} });
    expect(speak).toThrow(/FLOOR_NOT_HELD|only accepted from a holder/);
    expect(idle.engine.outbox.size).toBe(0);
  });
});

describe("a refusal", () => {
  const refused: ServerFrame = {
    type: "refused",
    session,
    seq: 1,
    count: 1,
    error: { code: "FORBIDDEN", message: "no" },
  };

  it("is told when it is on the disk, so that no later life of the page sends the command after all", () => {
    const page = new Page().load().open(beginning, 0);
    page.submit({ type: "messages", items: [["note", 1]] });
    page.submit({ type: "messages", items: [["note", 2]] });
    page.slow = true;
    page.take(refused);
    expect(page.told).toEqual([]);
    // It dies here: nobody has been told, so sending it again is right.
    const disk = structuredClone(page.disk);
    expect(new Page(disk).load().engine.outbox.size).toBe(2);
    page.settle();
    expect(page.told).toEqual(["refused FORBIDDEN messages"]);
    expect(new Page(structuredClone(page.disk)).load().engine.outbox.size).toBe(1);
  });

  it("of what an earlier life of the page had sent is told to this one", () => {
    const page = new Page().load().open(beginning, 0);
    page.submit({ type: "messages", items: [["note", 1]] });
    const later = new Page(page.disk).load().open(beginning, 0);
    later.take(refused);
    expect(later.told).toEqual(["refused FORBIDDEN messages"]);
  });
});

it("writes the view when somebody's standing has changed, and not with each message", () => {
  const page = new Page().load().open(beginning, 0);
  const before = page.disk.get("view");
  expect(before).toMatchObject({ birth: "b" });
  const message: Entry = { type: "messages", by: other, offset: 4, at: 0, items: [["note", 1]] };
  page.tell([message]);
  expect(page.disk.get("meta")).toMatchObject({ received: 4 });
  expect(page.disk.get("view")).toBe(before);
  page.tell([{ type: "dropped", member: other, since: 0, offset: 5, at: 0 }]);
  expect(page.disk.get("view")).not.toBe(before);
  const later = new Page(page.disk).load();
  expect(later.engine.state.members.get(other)?.presence).toBe("dropped");
});

it("reads a record of the format in which the head had the view", () => {
  const page = new Page().load().open(beginning, 0);
  const { format: _, ...meta } = page.disk.get("meta") as { format: number };
  const old = new Map<string, unknown>([["meta", { ...meta, format: 1, view: page.disk.get("view") }]]);
  const later = new Page(old).load();
  expect(later.engine.state.members.size).toBe(2);
  later.open(beginning, 0);
  expect(old.has("view")).toBe(true);
  expect(old.get("meta")).not.toHaveProperty("view");
});

it("leaves nothing behind when it is over before the disk was read", () => {
  const page = holding();
  page.engine.disconnect();
  page.submit({ type: "messages", items: [["note", 1]] });
  expect(page.disk.size).toBeGreaterThan(1);
  const later = new Page(page.disk);
  later.engine.abort("enough");
  later.load();
  expect(page.disk.size).toBe(0);
});

it("reads a record of the format that had the app's state in the head, and sends what waits in it", () => {
  // As version 2 wrote it: a view without activities, epochs and a place for sync; a state and struck seqs in the head.
  const view = {
    session,
    birth: "b",
    head: 3,
    control: 3,
    at: 0,
    config: {
      floors: {},
      guards: {},
      roles: { member: ["*"] },
      maxMembers: 10,
      maxSyncPoints: 64,
      history: { last: 1 },
    },
    members: [me, other].map((id) => ({ id, user: id, roles: ["member"], presence: "connected", since: 0, node: "" })),
    seqs: [],
    floors: [],
    dialog: { mode: "full-duplex", proposal: null },
    nextSerial: 2,
    points: [{ serial: 1, offset: 3, at: 0, by: me }],
    ended: null,
  };
  const note = (seq: number, text: string): object => ({ seq, command: { type: "messages", items: [["note", text]] } });
  const meta = {
    format: 2,
    instance: "i",
    member: me,
    token: "t",
    birth: "b",
    received: 3,
    processed: 3,
    checkpoint: { offset: 3, state: ["kept"] },
    gap: undefined,
    reserved: 10,
    struck: [2],
  };
  const disk = new Map<string, unknown>([
    ["meta", meta],
    ["view", view],
    ["out/0000000000000001", [note(1, "first"), note(2, "struck")]],
    ["out/0000000000000003", [note(3, "second")]],
  ]);
  const page = new Page(disk, { keepsState: true }).load();
  expect(page.restored).toEqual([["kept"]]);
  expect(page.engine.state.members.size).toBe(2);
  page.open(beginning, 0);
  page.turn();
  expect(page.sentOf("open").at(-1)).toMatchObject({
    resume: { member: me, token: "t" },
    cursor: { birth: "b", offset: 3 },
  });
  expect(page.sentOf("commands").map(({ seq, commands }) => [seq, commands])).toEqual([
    [1, [{ type: "messages", items: [["note", "first"]] }]],
    [3, [{ type: "messages", items: [["note", "second"]] }]],
  ]);
  expect(disk.get("meta")).toMatchObject({ format: 3, checkpoint: "state" });
  expect(disk.get("state")).toMatchObject({ offset: 3, generation: 0, state: ["kept"] });
  expect(new Page(disk, { keepsState: true }).load().restored).toEqual([["kept"]]);
  page.engine.abort("enough");
  expect([...disk.keys()]).toEqual([]);
});

it("tells what is lost with the log of an app that keeps none of its messages", () => {
  const page = new Page(new Map(), { secureMessages: 0 }).load().open(beginning, 0);
  page.submit({ type: "messages", items: [["note", 1]] });
  page.tell([{ type: "messages", by: me, seq: 1, offset: 4, at: 0, items: [["note", 1]] }]);
  page.engine.disconnect();
  const [first, ...rest] = beginning;
  page.open([{ ...first, birth: "another" } as Entry, ...rest], 0, true);
  expect(page.resumptions.at(-1)).toMatchObject({ outcome: "reset", reclaimed: 0, unsaved: { from: 1, to: 4 } });
});
