import { afterEach, describe, expect, it } from "vitest";
import type { SyncCommand } from "../command.ts";
import { defaultConfig, defaultDialog, defaultSync, type SyncConfig, tokens } from "../config.ts";
import { deadlines, decide } from "../decide.ts";
import { audienceOf } from "../entry.ts";
import { memberId } from "../ids.ts";
import { Play } from "../play.fixture.ts";
import { checkSerials } from "./oracle.fixture.ts";
import { isVoid, pointNamed, pointOf, type ResyncKind } from "./sync.ts";

let play: Play;
const begin = (names: readonly string[], sync: Partial<SyncConfig> = {}): void => {
  play = new Play({}, { dialog: { ...defaultDialog, answerWithin: 1_000 }, sync: { ...defaultSync, ...sync } });
  play.join(...names);
};
afterEach(() => {
  expect(play.isReproducible()).toBe(true);
  expect(checkSerials(play.log)).toEqual([]);
});

const minor = (name: string, more: Partial<Extract<SyncCommand, { type: "sync-minor" }>> = {}): string =>
  play.syncs(name, { type: "sync-minor", ...more });
const asking = (name: string): string => minor(name, { confirm: true });
const major = (name: string, more: Partial<Extract<SyncCommand, { type: "sync-major" }>> = {}): string =>
  play.syncs(name, { type: "sync-major", ...more });
const confirm = (name: string, serial: number, generation = play.state.sync.generation): string =>
  play.says(name, { type: "sync-confirm", serial, generation });
const resync = (name: string, kind: ResyncKind, serial = 0, generation = play.state.sync.generation): string =>
  play.says(name, { type: "resynchronize", kind, serial, generation });
/** V(M), V(A), V(R). */
const variables = (): readonly number[] => {
  const { next, open, lowest } = play.state.sync;
  return [next, open, lowest];
};
/** The details of the refusal, without leaving a trace. */
const details = (name: string, command: SyncCommand): Readonly<Record<string, unknown>> => {
  const from = { member: memberId(name), incarnation: 1, seq: 1_000 };
  return decide(play.state, { from, command }, play.now).refusals[0]?.error.details ?? {};
};

describe("a minor point", () => {
  it("is numbered in one order, whoever sets it: both sides in one numbering", () => {
    begin(["a", "b"]);
    expect(minor("a", { name: "intro", data: { slide: 1 } })).toBe("sync-point");
    expect(minor("b")).toBe("sync-point");
    expect(play.server({ type: "sync-minor", name: "by the server" })).toBe("sync-point");
    expect(play.points()).toEqual(["1 set", "2 set", "3 set"]);
    expect(play.state.sync.points.map(({ by }) => by)).toEqual(["a", "b", null]);
    expect(variables()).toEqual([4, 1, 1]);
    expect(pointNamed(play.state.sync, "intro")).toMatchObject({ serial: 1, data: { slide: 1 } });
    expect(pointNamed(play.state.sync, "outro")).toBeUndefined();
    expect(pointOf(play.state.sync, 4)).toBeUndefined();
  });

  it("may ask all others who are here to confirm, and is confirmed when all have", () => {
    begin(["a", "b", "c", "d"]);
    play.drops("d");
    expect(asking("a")).toBe("sync-point");
    expect(play.last("sync-point")).toMatchObject({ asked: ["b", "c"], need: 2 });
    expect(confirm("b", 1)).toBe("sync-confirmed");
    expect(play.points()).toEqual(["1 open"]);
    expect(confirm("c", 1)).toBe("sync-confirmed sync-settled");
    expect(play.points()).toEqual(["1 confirmed"]);
    expect(variables()).toEqual([2, 2, 1]);
    expect(pointOf(play.state.sync, 1)).toEqual({
      serial: 1,
      kind: "minor",
      offset: 7,
      at: 1_007,
      by: "a",
      status: "confirmed",
    });
  });

  it("that asks is confirmed at once where there is nobody to ask", () => {
    begin(["a"]);
    expect(asking("a")).toBe("sync-point sync-settled");
    expect(play.points()).toEqual(["1 confirmed"]);
  });

  it("confirmed confirms all before it: lost confirmations hold up nothing", () => {
    begin(["a", "b", "c"]);
    asking("a");
    minor("a");
    asking("b");
    asking("a");
    expect(confirm("b", 1)).toBe("sync-confirmed");
    // c's first confirmations were lost; its last says all of it, and b's likewise.
    expect(confirm("c", 4)).toBe("sync-confirmed sync-settled");
    expect(play.points()).toEqual(["1 confirmed", "2 set", "3 open", "4 open"]);
    expect(confirm("b", 4)).toBe("sync-confirmed sync-settled");
    expect(play.points().every((each) => each.endsWith("confirmed"))).toBe(true);
    expect(variables()).toEqual([5, 5, 1]);
  });

  it("is confirmed out of turn by who was asked only, and once", () => {
    begin(["a", "b", "c"]);
    minor("a");
    expect(confirm("b", 1)).toBe("SYNC_NOT_ASKED");
    asking("a");
    play.join("d");
    expect(confirm("a", 2)).toBe("SYNC_NOT_ASKED");
    expect(confirm("d", 2)).toBe("SYNC_NOT_ASKED");
    expect(confirm("b", 2)).toBe("sync-confirmed");
    expect(confirm("b", 2)).toBe("SYNC_NOT_ASKED");
    expect(confirm("b", 3)).toBe("SYNC_UNKNOWN");
    expect(confirm("b", 0)).toBe("SYNC_UNKNOWN");
    expect(details("b", { type: "sync-confirm", serial: 3 })).toEqual({ serial: 3, next: 3 });
  });

  it("tells of a single confirmation only who set the points, and of the outcome all", () => {
    begin(["a", "b", "c", "d"]);
    asking("a");
    asking("b");
    play.server({ type: "sync-minor", confirm: true });
    confirm("c", 3);
    expect(play.last("sync-confirmed")).toMatchObject({ member: "c", serial: 3, to: ["a", "b"] });
    const [entry] = play.log.slice(-1);
    expect(entry && audienceOf(entry)).toEqual(["a", "b", "c"]);
    confirm("d", 3);
    confirm("a", 3);
    confirm("b", 3);
    const settled = play.last("sync-settled");
    expect(settled && audienceOf(settled)).toBe("all");
  });

  it("waits for who dropped, until it is here again or has left", () => {
    begin(["a", "b", "c"]);
    asking("a");
    play.drops("b");
    expect(confirm("c", 1)).toBe("sync-confirmed");
    play.resumes("b");
    expect(confirm("b", 1)).toBe("sync-confirmed sync-settled");
    asking("a");
    confirm("c", 2);
    play.drops("b");
    expect(play.waits(defaultConfig.memberGrace)).toBe("left sync-settled");
    expect(play.points()).toEqual(["1 confirmed", "2 confirmed"]);
    // Taken up again after all, it has nothing to confirm any more.
    play.resumes("b");
    expect(confirm("b", 2)).toBe("SYNC_NOT_ASKED");
  });

  it("stays when who set it has left", () => {
    begin(["a", "b", "c"]);
    asking("a");
    play.says("a", { type: "release" });
    confirm("b", 1);
    expect(play.says("c", { type: "abort" })).toBe("left sync-settled");
  });

  it("does not ask who may not confirm, and is not set by who may not set one", () => {
    play = new Play({}, { roles: { member: ["emit", "minor"], chair: ["*"] } });
    play.join("a", "b", "chair");
    expect(major("a")).toBe("FORBIDDEN");
    expect(confirm("a", 1)).toBe("FORBIDDEN");
    expect(resync("a", "abandon")).toBe("FORBIDDEN");
    asking("a");
    expect(play.last("sync-point")).toMatchObject({ asked: ["chair"] });
    play = new Play({}, { roles: { member: ["emit"], chair: ["*"] } });
    play.join("a");
    expect(minor("a")).toBe("FORBIDDEN");
  });

  it("is refused when as many as are listed wait for confirmation", () => {
    begin(["a", "b"], { points: 4 });
    for (let n = 0; n < 3; n += 1) expect(asking("a")).toBe("sync-point");
    expect(asking("a")).toBe("SYNC_LIMIT");
    expect(minor("b")).toBe("SYNC_LIMIT");
    expect(major("b")).toBe("SYNC_LIMIT");
    expect(details("a", { type: "sync-minor" })).toEqual({ open: 3, limit: 3 });
    confirm("b", 3);
    expect(minor("b")).toBe("sync-point");
  });

  it("is set one after the other even where a single one is listed", () => {
    begin(["a", "b"], { points: 1 });
    for (let n = 1; n <= 3; n += 1) {
      expect(minor("a")).toBe("sync-point");
      expect(play.points()).toEqual([`${n} set`]);
    }
    expect(asking("a")).toBe("sync-point");
    expect(asking("a")).toBe("SYNC_LIMIT");
    expect(confirm("b", 4)).toBe("sync-confirmed sync-settled");
    expect(major("a", { rule: "server" })).toBe("sync-point sync-settled");
    expect(minor("a")).toBe("sync-point");
    expect(minor("a")).toBe("sync-point");
    expect(play.state.sync.points.length).toBe(2);
  });
});

describe("the list of points", () => {
  it("drops what is void first, then what is oldest, never the last major point nor what is open", () => {
    begin(["a", "b"], { points: 4 });
    minor("a");
    major("a", { rule: "server" });
    minor("a");
    minor("a");
    resync("a", "restart", 3);
    expect(play.points()).toEqual(["1 confirmed", "2 confirmed", "3 set", "4 void"]);
    asking("a");
    expect(play.points()).toEqual(["1 confirmed", "2 confirmed", "3 set", "4 open"]);
    minor("a");
    minor("a");
    expect(play.points()).toEqual(["2 confirmed", "4 open", "5 set", "6 set"]);
    minor("a");
    expect(play.points()).toEqual(["2 confirmed", "4 open", "6 set", "7 set"]);
    // What is no longer listed is not to be gone back to.
    expect(resync("a", "restart", 5)).toBe("SYNC_UNKNOWN");
    expect(resync("a", "restart", 2)).toBe("resynchronized");
  });

  it("shrinks with the options, but for what is open", () => {
    begin(["a", "b"], { points: 8 });
    for (let n = 0; n < 4; n += 1) minor("a");
    for (let n = 0; n < 4; n += 1) asking("a");
    play.server({ type: "configure", config: { ...play.state.config, sync: { ...defaultSync, points: 2 } } });
    expect(minor("a")).toBe("SYNC_LIMIT");
    expect(confirm("b", 7)).toBe("sync-confirmed sync-settled");
    expect(minor("a")).toBe("SYNC_LIMIT");
    confirm("b", 8);
    expect(minor("a")).toBe("sync-point");
    expect(play.points()).toEqual(["8 confirmed", "9 set"]);
  });
});

describe("a major point", () => {
  it("is confirmed when all who are here have, and nothing goes back behind it", () => {
    begin(["a", "b", "c"]);
    minor("a");
    expect(major("a", { name: "unit", data: 1 })).toBe("sync-point");
    expect(confirm("b", 2)).toBe("sync-confirmed");
    expect(confirm("c", 2)).toBe("sync-confirmed sync-settled");
    expect(play.points()).toEqual(["1 confirmed", "2 confirmed"]);
    expect(variables()).toEqual([3, 3, 3]);
    expect(play.state.sync.base).toEqual({ serial: 2, offset: play.last("sync-point")?.offset });
    expect(resync("a", "restart", 1)).toBe("SYNC_SECURED");
    expect(details("a", { type: "resynchronize", kind: "restart", serial: 1 })).toEqual({ serial: 1, base: 2 });
    expect(resync("a", "restart", 2)).toBe("resynchronized");
    expect(play.state.sync.next).toBe(3);
  });

  it("is set one at a time; minor points go on, and do not confirm it", () => {
    begin(["a", "b", "c"]);
    major("a");
    expect(major("b")).toBe("SYNC_PENDING");
    expect(details("b", { type: "sync-major" })).toEqual({ serial: 1, need: 2 });
    asking("b");
    play.says("a", { type: "sync-confirm", serial: 2 });
    expect(confirm("c", 2)).toBe("sync-confirmed sync-settled");
    expect(play.points()).toEqual(["1 open", "2 confirmed"]);
    expect(confirm("b", 1)).toBe("sync-confirmed sync-settled");
    expect(variables()).toEqual([3, 3, 2]);
    expect(major("b")).toBe("sync-point");
  });

  it("of a quorum needs more than half of all, who sets it included", () => {
    for (const [others, need] of [
      [0, 0],
      [1, 1],
      [2, 1],
      [3, 2],
      [4, 2],
    ] as const) {
      begin(["a", ...["b", "c", "d", "e"].slice(0, others)], { major: "quorum" });
      major("a");
      expect(play.last("sync-point")?.need).toBe(need);
      begin(["b", "c", "d", "e"].slice(0, others), { major: "quorum" });
      play.server({ type: "sync-major" });
      expect(play.last("sync-point")?.need).toBe(others === 0 ? 0 : (others >> 1) + 1);
    }
    begin(["a", "b", "c", "d", "e"]);
    major("a", { rule: "quorum" });
    play.says("e", { type: "release" });
    expect(confirm("d", 1)).toBe("sync-confirmed");
    expect(confirm("b", 1)).toBe("sync-confirmed sync-settled");
    // The last one's comes when there is nothing more to confirm.
    expect(confirm("c", 1)).toBe("SYNC_NOT_ASKED");
  });

  it("of a quorum is confirmed when too few are left to ask", () => {
    begin(["a", "b", "c", "d", "e"]);
    major("a", { rule: "quorum" });
    for (const name of ["b", "c", "d"]) expect(play.says(name, { type: "release" })).toBe("left");
    expect(play.says("e", { type: "release" })).toBe("left sync-settled");
  });

  it("by the server alone is confirmed as it is stored", () => {
    begin(["a", "b"]);
    expect(major("a", { rule: "server" })).toBe("sync-point sync-settled");
    expect(play.server({ type: "sync-major", rule: "server" })).toBe("sync-point sync-settled");
    begin(["a", "b"], { major: "server" });
    expect(major("a")).toBe("sync-point sync-settled");
  });

  it("whose time is over is unconfirmed, and says who is missing", () => {
    begin(["a", "b", "c", "d"], { confirmWithin: 1_000 });
    minor("a");
    major("a", { within: 5_000 });
    expect(deadlines(play.state).next).toBe(play.now + 1_000);
    confirm("b", 2);
    play.drops("c");
    expect(play.waits(2_000)).toBe("sync-settled");
    expect(play.last("sync-settled")).toMatchObject({ outcome: "unconfirmed", missing: ["c", "d"] });
    expect(pointOf(play.state.sync, 2)).toMatchObject({ status: "unconfirmed", missing: ["c", "d"] });
    expect(variables()).toEqual([3, 1, 1]);
    expect(confirm("d", 2)).toBe("SYNC_NOT_ASKED");
    expect(deadlines(play.state).next).toBe(
      (play.state.members.get(memberId("c"))?.since ?? 0) + defaultConfig.memberGrace,
    );
    // A shorter time may be asked for, and the next is set.
    expect(major("a", { within: 10 })).toBe("sync-point");
    expect(play.waits(10)).toBe("sync-settled");
    // Another one that is confirmed secures what lies before it, and lets those stand as they are.
    expect(major("a", { rule: "server" })).toBe("sync-point sync-settled");
    expect(play.points()).toEqual(["1 confirmed", "2 unconfirmed", "3 unconfirmed", "4 confirmed"]);
  });
});

describe("the tokens", () => {
  const hold = (name: string, token: string): string => play.asks(name, token);

  it("@sync-minor and @major-activity reserve points for who holds them", () => {
    begin(["a", "b"]);
    hold("a", tokens.syncMinor);
    expect(minor("b")).toBe("FLOOR_NOT_HELD");
    expect(major("b", { rule: "server" })).toBe("FLOOR_NOT_HELD");
    expect(minor("a")).toBe("sync-point");
    hold("b", tokens.majorActivity);
    expect(major("b", { rule: "server" })).toBe("FLOOR_NOT_HELD");
    expect(major("a", { rule: "server" })).toBe("FLOOR_NOT_HELD");
    play.releases("a", tokens.syncMinor);
    expect(major("b", { rule: "server" })).toBe("sync-point sync-settled");
    expect(minor("a")).toBe("sync-point");
    // The server needs none, and everybody may go back and confirm.
    expect(play.server({ type: "sync-major", rule: "server" })).toBe("sync-point sync-settled");
    expect(resync("a", "abandon")).toBe("resynchronized");
  });

  it("@data is needed in half-duplex", () => {
    begin(["a", "b"]);
    play.says("a", { type: "propose", subject: { kind: "dialog", mode: "half-duplex" } });
    play.says("b", { type: "answer", proposal: play.state.dialog.proposal?.id ?? 0, accept: true });
    expect(minor("b")).toBe("FLOOR_NOT_HELD");
    expect(major("b")).toBe("FLOOR_NOT_HELD");
    expect(asking("a")).toBe("sync-point");
    expect(confirm("b", 1)).toBe("sync-confirmed sync-settled");
  });
});

describe("a restart", () => {
  it("goes back to a point: what came after is void, what is sent under the old generation refused", () => {
    begin(["a", "b"]);
    play.emits("a", "one");
    minor("a");
    play.emits("a", "two");
    minor("b");
    expect(resync("b", "restart", 1)).toBe("resynchronized");
    expect(play.last("resynchronized")).toMatchObject({ generation: 1, serial: 2, to: 5 });
    expect(play.points()).toEqual(["1 set", "2 void"]);
    expect([4, 5, 6, 7, 8].map((offset) => isVoid(play.state.sync, offset))).toEqual([false, false, true, true, false]);
    expect(variables()).toEqual([2, 1, 1]);
    expect(play.says("a", { type: "messages", items: [["late", 1]] })).toBe("RESYNCHRONIZED");
    expect(play.says("a", { type: "sync-minor" })).toBe("RESYNCHRONIZED");
    expect(play.says("a", { type: "sync-major" })).toBe("RESYNCHRONIZED");
    expect(play.says("a", { type: "exception", reason: "?" })).toBe("RESYNCHRONIZED");
    expect(play.says("a", { type: "messages", items: [["from the future", 1]], generation: 2 })).toBe("RESYNCHRONIZED");
    expect(play.emits("a", "three")).toBe("messages");
    expect(minor("a")).toBe("sync-point");
    expect(play.points()).toEqual(["1 set", "2 void", "2 set"]);
    expect(pointOf(play.state.sync, 2)?.offset).toBe(play.last("sync-point")?.offset);
  });

  it("goes to any listed point since the last major one, to that one, or to the beginning", () => {
    begin(["a", "b"]);
    minor("a");
    asking("a");
    expect(resync("a", "restart", 2)).toBe("resynchronized");
    expect(variables()).toEqual([3, 1, 1]);
    expect(play.points()).toEqual(["1 set", "2 open"]);
    expect(resync("a", "restart", 0)).toBe("resynchronized");
    expect(play.points()).toEqual(["1 void", "2 void"]);
    expect(variables()).toEqual([1, 1, 1]);
    expect(resync("a", "restart", 1)).toBe("SYNC_UNKNOWN");
    expect(resync("a", "restart", 7)).toBe("SYNC_UNKNOWN");
    expect(details("a", { type: "resynchronize", kind: "restart", serial: 7, generation: 2 })).toEqual({
      serial: 7,
      next: 1,
    });
  });

  it("voids a pending major point behind it, and leaves one before it", () => {
    begin(["a", "b"]);
    major("a");
    minor("a");
    resync("b", "restart", 2);
    expect(play.points()).toEqual(["1 open", "2 set"]);
    resync("b", "restart", 0);
    expect(play.points()).toEqual(["1 void", "2 void"]);
    expect(deadlines(play.state).next).toBe(Infinity);
    expect(major("a")).toBe("sync-point");
    expect(confirm("b", 1)).toBe("sync-confirmed sync-settled");
  });

  it("does not let a confirmation of a void point count for the one that got its serial", () => {
    begin(["a", "b"]);
    minor("a");
    asking("a");
    resync("a", "restart", 1);
    asking("a");
    expect(confirm("b", 2, 0)).toBe("RESYNCHRONIZED");
    expect(play.points()).toEqual(["1 set", "2 void", "2 open"]);
    expect(confirm("b", 2)).toBe("sync-confirmed sync-settled");
  });

  it("takes V(A) back with it, as the standard's state has it", () => {
    begin(["a", "b"]);
    for (let n = 0; n < 3; n += 1) asking("a");
    confirm("b", 3);
    expect(variables()).toEqual([4, 4, 1]);
    resync("a", "restart", 1);
    expect(variables()).toEqual([2, 2, 1]);
  });

  it("refuses a late run of messages as a whole, and of one sent again only what was not stored", () => {
    begin(["a"]);
    const from = { member: memberId("a"), incarnation: 1 };
    const command = {
      type: "messages",
      items: [
        ["x", 1],
        ["y", 2],
        ["z", 3],
      ],
    } as const;
    play.server({ type: "resynchronize", kind: "abandon" });
    const late = decide(play.state, { from: { ...from, seq: 7 }, command }, play.now);
    expect(late.refusals).toMatchObject([{ seq: 7, count: 3, error: { code: "RESYNCHRONIZED" } }]);
    expect(late.refusals[0]?.error.details).toEqual({ generation: 0, current: 1 });
    play.emits("a", "first");
    const again = decide(play.state, { from: { ...from, seq: 1 }, command }, play.now);
    expect(again.refusals).toMatchObject([{ seq: 2, count: 2, error: { code: "RESYNCHRONIZED" } }]);
    expect(again.entries).toEqual([]);
  });
});

describe("an abandon", () => {
  it("goes back to the last confirmed major point, and on with a serial never used", () => {
    begin(["a", "b"]);
    minor("a");
    major("a", { rule: "server" });
    play.emits("a", "x");
    minor("a");
    minor("a");
    resync("a", "restart", 3);
    expect(resync("b", "abandon")).toBe("resynchronized");
    expect(play.last("resynchronized")).toMatchObject({ kind: "abandon", serial: 5, to: 5 });
    expect(play.points()).toEqual(["1 confirmed", "2 confirmed", "3 void", "4 void"]);
    expect(variables()).toEqual([5, 5, 5]);
    minor("a");
    expect(resync("a", "restart", 3)).toBe("SYNC_UNKNOWN");
    // V(R): a restart to the major point goes on above all that was given before.
    expect(resync("a", "restart", 2)).toBe("resynchronized");
    expect(variables()).toEqual([5, 5, 5]);
  });
});

describe("a set", () => {
  it("chooses the serial and takes nothing back; nothing goes back behind it", () => {
    begin(["a", "b"]);
    play.emits("a", "x");
    minor("a");
    asking("a");
    expect(resync("a", "set", 100)).toBe("resynchronized");
    const { offset } = play.last("resynchronized") ?? { offset: 0 };
    expect(play.last("resynchronized")).toMatchObject({ serial: 100, to: offset });
    expect(isVoid(play.state.sync, 3)).toBe(false);
    expect(play.points()).toEqual(["1 set", "2 unconfirmed"]);
    expect(variables()).toEqual([100, 100, 100]);
    expect(minor("b")).toBe("sync-point");
    expect(resync("a", "restart", 1)).toBe("SYNC_SECURED");
    expect(resync("a", "restart", 99)).toBe("resynchronized");
    expect(play.last("resynchronized")).toMatchObject({ to: offset, serial: 100 });
  });

  it("to a lower serial gives serials again, which name the newer points", () => {
    begin(["a", "b"]);
    for (let n = 0; n < 3; n += 1) minor("a");
    resync("a", "set", 0);
    expect(variables()).toEqual([1, 1, 1]);
    asking("a");
    expect(play.points()).toEqual(["1 set", "2 set", "3 set", "1 open"]);
    expect(resync("a", "restart", 2)).toBe("SYNC_UNKNOWN");
    expect(confirm("b", 1)).toBe("sync-confirmed sync-settled");
    expect(play.points()).toEqual(["1 set", "2 set", "3 set", "1 confirmed"]);
    minor("a");
    // An old point of that serial lies behind the set.
    expect(resync("a", "restart", 3)).toBe("SYNC_UNKNOWN");
    expect(resync("a", "abandon")).toBe("resynchronized");
    expect(play.state.sync.next).toBe(4);
  });
});

describe("two resynchronizations at once", () => {
  const kinds = ["abandon", "set", "restart"] as const;
  // The order of the collision, by X.225: what stands when the second comes and both were asked for in the same generation.
  const wins = (kind: ResyncKind, serial: number, over: ResyncKind, rival: number): boolean => {
    const order = kinds.indexOf(kind) - kinds.indexOf(over);
    return order < 0 || (order === 0 && kind !== "abandon" && serial < rival);
  };

  for (const first of kinds) {
    for (const second of kinds) {
      for (const [mine, theirs] of [
        [1, 2],
        [2, 2],
        [2, 1],
      ] as const) {
        it(`${first} ${mine}, then ${second} ${theirs}`, () => {
          begin(["a", "b"]);
          for (let n = 0; n < 3; n += 1) {
            minor("a");
            play.emits("a", "x");
          }
          expect(resync("a", first, mine, 0)).toBe("resynchronized");
          const expected = wins(second, theirs, first, mine) ? "resynchronized" : "SYNC_COLLISION";
          expect(resync("b", second, theirs, 0)).toBe(expected);
          expect(play.state.sync.generation).toBe(expected === "resynchronized" ? 2 : 1);
          // Who has seen it may resynchronize again.
          expect(resync("b", "abandon")).toBe("resynchronized");
        });
      }
    }
  }

  it("says which goes before", () => {
    begin(["a", "b"]);
    for (let n = 0; n < 4; n += 1) minor("a");
    resync("a", "restart", 1);
    // Its point is void now: but that is so because it lost.
    const lost = { type: "resynchronize", kind: "restart", serial: 3, generation: 0 } as const;
    expect(play.says("b", lost)).toBe("SYNC_COLLISION");
    expect(details("b", lost)).toEqual({ winner: "restart", serial: 2, generation: 1 });
  });

  it("a third has to go before both", () => {
    begin(["a", "b", "c"]);
    for (let n = 0; n < 4; n += 1) minor("a");
    resync("a", "restart", 3, 0);
    resync("b", "restart", 2, 0);
    expect(resync("c", "restart", 2, 0)).toBe("SYNC_COLLISION");
    expect(resync("c", "restart", 1, 1)).toBe("resynchronized");
    expect(resync("a", "set", 9, 0)).toBe("resynchronized");
    expect(resync("b", "abandon", 0, 2)).toBe("resynchronized");
    expect(resync("c", "set", 1, 3)).toBe("SYNC_COLLISION");
  });

  it("is refused when it is older than what is remembered, or from another log", () => {
    begin(["a", "b"]);
    for (let n = 0; n < 40; n += 1) play.server({ type: "resynchronize", kind: "set", serial: 1 });
    expect(play.state.sync.resyncs.length).toBe(32);
    expect(resync("a", "abandon", 0, 7)).toBe("SYNC_COLLISION");
    expect(details("a", { type: "resynchronize", kind: "abandon", generation: 7 })).toMatchObject({ winner: null });
    expect(resync("a", "abandon", 0, 8)).toBe("resynchronized");
    expect(resync("a", "abandon", 0, 99)).toBe("RESYNCHRONIZED");
  });
});

describe("void ranges", () => {
  const voids = (): readonly (readonly [number, number])[] =>
    play.state.sync.voids.map(({ after, before }) => [after, before]);

  it("swallow those within them, and stand apart", () => {
    begin(["a"]);
    minor("a"); // 3
    play.emits("a", "x");
    minor("a"); // 5
    play.emits("a", "x");
    resync("a", "restart", 2); // 7
    expect(voids()).toEqual([[5, 7]]);
    play.emits("a", "x"); // 8
    resync("a", "restart", 2); // 9: the same point again
    expect(voids()).toEqual([[5, 9]]);
    minor("a"); // 10
    play.emits("a", "x"); // 11
    resync("a", "restart", 3); // 12
    expect(voids()).toEqual([
      [5, 9],
      [10, 12],
    ]);
    resync("a", "restart", 1); // 13
    expect(voids()).toEqual([[3, 13]]);
    const valid = Array.from({ length: 14 }, (_, n) => n).filter((offset) => !isVoid(play.state.sync, offset));
    expect(valid).toEqual([0, 1, 2, 3, 13]);
  });

  it("are remembered in a limited number", () => {
    begin(["a"]);
    for (let n = 1; n <= 1_005; n += 1) {
      play.server({ type: "sync-minor" });
      play.server({ type: "resynchronize", kind: "restart", serial: play.state.sync.next - 1 });
    }
    expect(play.state.sync.voids.length).toBe(1_000);
  });
});

describe("an exception", () => {
  const except = (name: string): string => play.syncs(name, { type: "exception", reason: "my disk is full" });

  it("is told to the others", () => {
    begin(["a", "b"]);
    expect(except("a")).toBe("exception");
    expect(play.last("exception")).toMatchObject({ member: "a", reason: "my disk is full" });
  });

  it("takes the session back to the last confirmed point, where the policy says so", () => {
    begin(["a", "b"], { exception: "restart" });
    expect(except("a")).toBe("exception resynchronized");
    expect(play.last("resynchronized")).toMatchObject({ by: null, serial: 1, to: 0 });
    asking("a");
    confirm("b", 1);
    asking("a");
    minor("a");
    expect(except("b")).toBe("exception resynchronized");
    expect(play.points()).toEqual(["1 confirmed", "2 void", "3 void"]);
    major("a", { rule: "server" });
    minor("a");
    expect(except("b")).toBe("exception resynchronized");
    expect(play.last("resynchronized")).toMatchObject({ serial: 3, to: play.state.sync.base.offset });
    resync("a", "set", 1);
    minor("a");
    expect(except("b")).toBe("exception resynchronized");
    expect(play.last("resynchronized")).toMatchObject({ serial: 1, to: play.state.sync.base.offset });
  });

  it("removes who reports it, where the policy says so", () => {
    begin(["a", "b", "c"], { exception: "remove" });
    asking("a");
    confirm("b", 1);
    expect(except("c")).toBe("exception left sync-settled");
    expect(play.last("left")).toMatchObject({ member: "c", how: "removed", reason: "my disk is full" });
  });

  it("ends the session, where the policy says so", () => {
    begin(["a", "b"], { exception: "end" });
    major("a");
    expect(except("b")).toBe("exception ended");
    expect(play.emits("a", "x")).toBe("SESSION_ENDED");
    expect(play.waits(defaultSync.confirmWithin)).toBe("");
    expect(deadlines(play.state).next).toBe(Infinity);
  });

  it("is a member's, as confirming is", () => {
    begin(["a"]);
    expect(play.server({ type: "exception", reason: "none" })).toBe("USAGE");
    expect(play.server({ type: "sync-confirm", serial: 1 })).toBe("USAGE");
  });
});
