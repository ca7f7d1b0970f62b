/** Going back, and what outlives the loss of a log: cases that the simulated world once found, each told by itself. */

import { type Entry, type MemberCommand, memberId, type Offset, type ServerFrame, userId } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import { beginning, me, other, Page, session } from "./page.fixture.ts";
import type { EngineOptions } from "./terms.ts";

const keeping: Partial<EngineOptions> = { keepsState: true };
const at = 0;

const said = (offset: Offset, by = other, seq?: number): Entry => ({
  type: "messages",
  by,
  offset,
  at,
  items: [["note", offset]],
  ...(seq === undefined ? {} : { seq }),
});
const minor = (offset: Offset, serial: number, asked?: readonly (typeof me)[]): Entry => ({
  type: "sync-point",
  serial,
  kind: "minor",
  by: other,
  offset,
  at,
  ...(asked === undefined ? {} : { asked, need: asked.length }),
});
const major = (offset: Offset, serial: number, asked: readonly (typeof me)[] = []): Entry => ({
  type: "sync-point",
  serial,
  kind: "major",
  by: other,
  offset,
  at,
  asked,
  need: asked.length,
  until: 1_000,
});
const settled = (offset: Offset, serial: number): Entry => ({
  type: "sync-settled",
  serial,
  outcome: "confirmed",
  offset,
  at,
});
const restart = (offset: Offset, to: Offset, generation: number, serial = 2): Entry => ({
  type: "resynchronized",
  kind: "restart",
  generation,
  serial,
  to,
  by: other,
  offset,
  at,
});
const epoch = (offset: Offset, id: string): Entry => ({ type: "epoch-begun", epoch: id, offset, at });

const confirmations = (page: Page): readonly unknown[] =>
  page
    .sentOf("commands")
    .flatMap(({ commands }) => commands as readonly MemberCommand[])
    .filter(({ type }) => type === "sync-confirm");
const messages = (page: Page): readonly unknown[] =>
  page
    .sentOf("commands")
    .flatMap(({ commands }) => commands as readonly MemberCommand[])
    .filter(({ type }) => type === "messages");
const emit = (page: Page, ...values: readonly number[]): void => {
  for (const value of values)
    page.engine.message(["note", value], undefined, 10, { queued: () => {}, stored: () => {}, refused: () => {} });
  page.turn();
};

describe("a confirmation", () => {
  it("names its generation, and is sent again when a resynchronization has overtaken it", () => {
    const page = new Page(new Map(), keeping).load().open(beginning, 0);
    page.tell([minor(4, 1), minor(5, 2, [me])]);
    page.turn();
    expect(confirmations(page)).toEqual([{ type: "sync-confirm", serial: 2 }]);
    // It goes back behind the point, so the point still waits for us.
    page.tell([said(6), restart(7, 5, 1)]);
    page.turn();
    expect(confirmations(page).slice(1)).toEqual([{ type: "sync-confirm", serial: 2, generation: 1 }]);
  });

  it("waits for the disk, and what the disk had of another log does not count", () => {
    const page = new Page(new Map(), keeping).load().open(beginning, 0);
    page.tell([said(4), said(5), minor(6, 1), minor(7, 2)]);
    page.slow = true;
    page.engine.disconnect();
    const log: readonly Entry[] = [...beginning, major(4, 1, [me])];
    page.opened(log, { kind: "reset", why: "fork", fork: 3 }, 3);
    page.turn();
    expect(confirmations(page)).toEqual([]);
    for (let each = 0; each < 4; each += 1) {
      page.settle();
      page.turn();
    }
    expect(confirmations(page)).toEqual([{ type: "sync-confirm", serial: 1 }]);
  });
});

describe("an app that goes back", () => {
  it("does so when the handler that is at work has finished", () => {
    const page = new Page(new Map(), keeping).load().open(beginning, 0);
    page.tell([said(4), minor(5, 1)]);
    page.held = true;
    page.tell([said(6)]);
    const kept = page.engine.stateAt(5);
    if (kept === undefined) throw new Error("no state");
    page.engine.goBackTo(kept);
    page.let();
    expect(page.seen).toEqual([4]);
  });

  it("finds the state to which it has to, though what it was told says that nobody goes there any more", () => {
    const page = new Page(new Map(), { ...keeping, pointStates: 1 }).load().open(beginning, 0);
    page.tell([minor(4, 1), said(5)]);
    // The major point makes the earlier one useless; the app has still to go there first.
    page.tell([minor(6, 2), restart(7, 4, 1), said(8), major(9, 2), settled(10, 2)]);
    expect(page.told).toEqual(["back to 4 from device"]);
    expect(page.seen).toEqual([8]);
  });

  it("finds its state at a major point that waited, whatever was set since", () => {
    const page = new Page(new Map(), { ...keeping, pointStates: 1, checkpointEntries: 1 }).load().open(beginning, 0);
    page.tell([said(4), major(5, 1, [me]), said(6)]);
    page.tell([minor(7, 2), said(8), minor(9, 3), said(10)]);
    page.tell([settled(11, 1)]);
    page.tell([restart(12, 5, 1)]);
    expect(page.told).toEqual(["back to 5 from device"]);
    expect(page.seen).toEqual([4]);
  });

  it("does so although it missed the entry, and stays there after a reload", () => {
    const page = new Page(new Map(), keeping).load().open(beginning, 0);
    page.tell([said(4), minor(5, 1), said(6)]);
    page.engine.disconnect();
    const log = [...beginning, said(4), minor(5, 1), said(6), restart(7, 5, 1), said(8), minor(9, 2)];
    page.opened(log, { kind: "snapshot", from: 6, gap: { from: 7, to: 8 } }, 8);
    expect(page.told).toEqual(["back to 5 from device"]);
    expect(page.seen).toEqual([4]);
    const later = new Page(page.disk, keeping).load();
    expect(later.seen).toEqual([4]);
  });

  it("goes back behind all that it missed if it has no state for the last of it", () => {
    const page = new Page(new Map(), keeping).load().open(beginning, 0);
    page.tell([said(4), minor(5, 1), said(6)]);
    page.engine.disconnect();
    const log = [
      ...beginning,
      said(4),
      minor(5, 1),
      said(6),
      restart(7, 5, 1),
      minor(8, 2),
      said(9),
      restart(10, 8, 2),
    ];
    page.opened(log, { kind: "snapshot", from: 6, gap: { from: 7, to: 10 } }, 10);
    expect(page.seen).toEqual([4]);
    expect(page.engine.under()).toEqual({ generation: 2 });
  });
});

describe("a state that is taken up", () => {
  const log: readonly Entry[] = [
    ...beginning,
    said(4),
    minor(5, 1),
    { type: "activity-started", name: "s", kind: "state", point: 5, by: other, offset: 6, at },
    { type: "activity-ended", activity: 6, expiresAt: null, by: null, offset: 7, at },
    { type: "sync-shared", point: 5, activity: 6, offset: 8, at },
    said(9),
  ];
  const newcomer = (page: Page): Page => {
    page.shared.set(5, [4]);
    return page.load();
  };

  it("holds what comes before it, also what comes late", () => {
    const page = newcomer(new Page(new Map(), keeping));
    // The history begins with the very point.
    page.opened(log, { kind: "joined" }, 5);
    expect(page.seen).toEqual([4, 9]);
    // The entries come when the state has been taken up.
    const early = newcomer(new Page(new Map(), keeping));
    early.engine.connect();
    const { take } = early;
    early.take = (frame) => frame.type !== "entries" && take.call(early, frame);
    early.opened(log, { kind: "joined" }, 3);
    expect(early.seen).toEqual([4]);
    take.call(early, { type: "entries", session, after: 3, upTo: 9, entries: log.slice(3) });
    expect(early.seen).toEqual([4, 9]);
  });

  it("is taken up in the next life of the page if this one dies over it", () => {
    const page = newcomer(new Page(new Map(), keeping));
    page.held = true;
    page.opened(log, { kind: "joined" }, 5);
    const later = newcomer(new Page(structuredClone(page.disk), keeping));
    expect(later.seen).toEqual([4, 9]);
  });

  it("is not, if the session went back behind its point meanwhile", () => {
    const page = newcomer(new Page(new Map(), keeping));
    page.held = true;
    page.opened(log, { kind: "joined" }, 5);
    page.tell([restart(10, 0, 1, 1)]);
    page.let();
    expect(page.seen).toEqual([]);
  });
});

describe("what was made before there was any state", () => {
  it("belongs to the first that there is", () => {
    const page = new Page().load();
    emit(page, 1);
    page.opened([...beginning, restart(4, 0, 1, 1)], { kind: "joined" }, 4);
    page.turn();
    expect(messages(page)).toMatchObject([{ generation: 1 }]);
    const early = new Page(page.disk);
    emit(early, 2);
    early.load().opened([...beginning, restart(4, 0, 1, 1)], { kind: "resumed", from: 4 }, 4);
    expect(messages(early)).toMatchObject([{ generation: 1 }, { generation: 1 }]);
  });
});

describe("after the loss of a log", () => {
  const lost: readonly Entry[] = [...beginning, said(4, me, 1), said(5, me, 2)];
  /** It has stored two messages, at #4 and #5. */
  const stored = (options: Partial<EngineOptions> = {}): Page => {
    const page = new Page(new Map(), options).load().open(beginning, 0);
    emit(page, 4, 5);
    page.tell(lost.slice(3));
    page.engine.disconnect();
    return page;
  };
  const restored: readonly Entry[] = [...beginning, said(4, me, 1), epoch(5, "e")];

  it("what lay behind the fork is sent again, once, also after a reload", () => {
    const page = stored();
    page.opened(restored, { kind: "reset", why: "fork", fork: 4 }, 5, 1);
    page.turn();
    expect(page.resumptions.at(-1)).toMatchObject({ reclaimed: 1, fork: 4 });
    expect(page.sentOf("commands").slice(-1)).toMatchObject([{ seq: 2, commands: [{ items: [["note", 5]] }] }]);
    const later = new Page(page.disk).load();
    expect(later.engine.outbox.all().map(({ seq }) => seq)).toEqual([2]);
  });

  it("what lies before it is there, whoever we are by then", () => {
    const page = stored();
    page.take({ type: "closed", session, error: { code: "MEMBER_UNKNOWN", message: "" } } as ServerFrame);
    page.engine.connect();
    page.take({ type: "closed", session, error: { code: "MEMBER_UNKNOWN", message: "" } } as ServerFrame);
    const again = memberId("again");
    const log: readonly Entry[] = [
      ...lost,
      { type: "joined", offset: 6, at, member: again, user: userId("u"), roles: ["member"], node: "" },
    ];
    page.opened(log, { kind: "reset", why: "member-unknown" }, 6, 0, again);
    page.engine.disconnect();
    // The new member has stored nothing: that says nothing of what the old one had.
    page.opened(log, { kind: "resumed", from: 6 }, 6, 0, again);
    page.turn();
    expect(page.engine.outbox.size).toBe(0);
    expect(page.resumptions.at(-1)).toMatchObject({ reclaimed: 0 });
  });

  it("what was taken back does not come again, though it was told of in one frame", () => {
    const page = new Page().load().open(beginning, 0);
    emit(page, 4);
    page.tell([said(4, me, 1), restart(5, 0, 1, 1)]);
    page.engine.disconnect();
    page.opened([...beginning, epoch(4, "e")], { kind: "reset", why: "fork", fork: 3 }, 4);
    expect(page.engine.outbox.size).toBe(0);
  });

  it("what was let go may be lost, and that is told although another fork comes in between", () => {
    const page = stored({ secureMessages: 1 });
    page.engine.connect();
    const { tell } = page;
    page.tell = () => {};
    page.opened([...beginning, epoch(4, "e")], { kind: "reset", why: "fork", fork: 3 }, 3);
    page.tell = tell;
    page.engine.disconnect();
    page.opened([...beginning, epoch(4, "f")], { kind: "reset", why: "fork", fork: 3 }, 4);
    expect(page.resumptions.map(({ unsaved }) => unsaved)).toContainEqual({ from: 4, to: 4 });
  });

  it("a client that went back alone tells how far it had been", () => {
    const page = new Page(new Map(), keeping).load().open(beginning, 0);
    page.tell([minor(4, 1), said(5), minor(6, 2)]);
    const kept = page.engine.stateAt(4);
    if (kept === undefined) throw new Error("no state");
    page.engine.goBackTo(kept);
    expect(page.sentOf("open").at(-1)).toMatchObject({ cursor: { offset: 4, seen: 6 } });
    const later = new Page(page.disk, keeping).load();
    later.engine.connect();
    expect(later.sentOf("open").at(-1)).toMatchObject({ cursor: { offset: 4, seen: 6 } });
  });

  it("a state that leaves out what was taken back there is not gone back to", () => {
    const page = new Page(new Map(), { ...keeping, checkpointEntries: 1 }).load().open(beginning, 0);
    // The resynchronization is known before the app comes to what it takes back.
    page.held = true;
    page.tell([epoch(4, "a")]);
    page.tell([said(5), minor(6, 1), said(7), restart(8, 4, 1, 1)]);
    page.let();
    page.engine.disconnect();
    page.opened([...beginning, epoch(4, "a"), said(5), epoch(6, "e")], { kind: "reset", why: "fork", fork: 5 }, 3);
    expect(page.seen).toEqual([5]);
  });

  it("what names something of the lost log comes back, and messages go under the generation of the new one", () => {
    const page = new Page().load().open(beginning, 0);
    page.tell([minor(4, 1), restart(5, 4, 1)]);
    page.engine.disconnect();
    emit(page, 1);
    page.submit({ type: "resynchronize", kind: "restart", serial: 1, generation: 1 });
    page.opened([...beginning, epoch(4, "e")], { kind: "reset", why: "fork", fork: 3 }, 4);
    expect(page.told).toContain("refused RESYNCHRONIZED resynchronize");
    expect(messages(page)).toMatchObject([{ generation: 0 }]);
    // Also from a page that died before it could send.
    const disk = structuredClone(page.disk);
    const later = new Page(disk).load().opened([...beginning, epoch(4, "e")], { kind: "resumed", from: 4 }, 4);
    expect(messages(later)).toMatchObject([{ generation: 0 }]);
  });
});

describe("a session that is over", () => {
  const left: Entry = { type: "left", member: me, how: "removed", by: null, offset: 6, at };

  it("leaves nothing behind, though a handler finishes late or a state was just let go", () => {
    const page = new Page(new Map(), { ...keeping, pointStates: 1 }).load().open(beginning, 0);
    page.tell([minor(4, 1), minor(5, 2)]);
    page.held = true;
    page.tell([said(6)]);
    page.tell([{ ...left, offset: 7 } as Entry]);
    page.let();
    page.turn();
    expect([...page.disk.keys()]).toEqual([]);
  });

  it("does not know what became of what it sent, if the log had not told everything", () => {
    const page = new Page().load().open(beginning, 0);
    emit(page, 1);
    page.engine.disconnect();
    emit(page, 2);
    page.engine.connect();
    page.take({
      type: "closed",
      session,
      error: { code: "CLOSED", message: "", details: { how: "removed" } },
    } as ServerFrame);
    expect(page.told).toEqual(["refused OUTCOME_UNKNOWN messages", "refused CLOSED messages"]);
    expect(page.engine.isOver).toBe(true);
  });

  it("is not so if the release was never sent", () => {
    const page = new Page().load().open(beginning, 0);
    page.engine.disconnect();
    emit(page, 1);
    page.engine.release({ queued: () => {}, stored: () => {}, refused: () => {} });
    page.engine.connect();
    page.take({ type: "closed", session, error: { code: "MEMBER_UNKNOWN", message: "" } } as ServerFrame);
    expect(page.engine.isOver).toBe(false);
    expect(page.engine.outbox.size).toBe(2);
  });
});
