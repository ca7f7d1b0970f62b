import { defaultConfig } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { Hall } from "./hall.fixture.ts";
import { type Drive, Page, textOf, typeInto, updatesSent } from "./world.fixture.ts";

const at = (hall: Hall, name: string, drive?: Drive): Page => {
  const page = new Page(hall, name, drive);
  page.bind();
  return page;
};

const opens = ({ sent }: Page): readonly unknown[] => sent.filter(({ type }) => type === "document-open");
const edit = (page: Page, text: string): void => {
  typeInto(page.bind(), text);
  page.settle().wait(50);
};
const isClean = (page: Page): boolean => {
  const { store } = page.bind().doc;
  return store.pendingStructs === null && store.pendingDs === null;
};

describe("coming back", () => {
  it("brings what was missed by itself, and asks for nothing", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(bob, "one");
    ada.drop();
    edit(bob, " two");
    typeInto(ada.bind(), "zero ", 0);
    ada.settle();
    expect(ada.bind().status.get()).toMatchObject({ synced: false, saved: false, pending: 1 });
    const before = opens(ada).length;
    ada.connect().wait(50);
    expect(opens(ada).length).toBe(before);
    expect([textOf(ada.bind()), textOf(bob.bind()), hall.textOf()]).toEqual(Array(3).fill("zero one two"));
    expect(ada.bind().status.get()).toMatchObject({ synced: true, saved: true });
    expect(isClean(ada)).toBe(true);
  });

  it("asks for what it lacks when the document was not followed", () => {
    const hall = new Hall();
    const bob = at(hall, "bob").connect();
    edit(bob, "one");
    const ada = new Page(hall, "ada").connect();
    edit(bob, " two");
    ada.bind();
    ada.settle();
    expect(textOf(ada.bind())).toBe("one two");
    edit(bob, " three");
    expect(textOf(ada.bind())).toBe("one two three");
    expect(ada.bind().status.get()).toMatchObject({ loaded: "server", synced: true });
  });

  it("takes what comes while it is answered, after the answer", () => {
    const hall = new Hall();
    const bob = at(hall, "bob").connect();
    edit(bob, "one");
    hall.holdsAnswers = true;
    const ada = at(hall, "ada").connect();
    edit(bob, " two");
    expect(textOf(ada.bind())).toBe("");
    typeInto(ada.bind(), "mine ");
    ada.settle();
    hall.answerHeld();
    edit(bob, " three");
    ada.settle().wait(50);
    expect(textOf(ada.bind())).toBe(textOf(bob.bind()));
    expect([...textOf(ada.bind())].sort().join("")).toBe([..."mine one two three"].sort().join(""));
    expect(isClean(ada)).toBe(true);
  });

  it("in the middle of an answer begins again", () => {
    const hall = new Hall();
    const bob = at(hall, "bob").connect();
    edit(bob, "one");
    const ada = at(hall, "ada");
    hall.holdsAnswers = true;
    ada.connect();
    hall.answerHeld();
    // A piece of it has come.
    ada.step();
    ada.drop();
    edit(bob, " two");
    ada.connect();
    expect(textOf(ada.bind())).toBe("one two");
  });

  it("with updates that were refused meanwhile", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(ada, "one");
    ada.drop();
    edit(ada, " offline");
    ada.roles = ["nobody"];
    ada.connect().wait(50);
    expect([textOf(ada.bind()), textOf(bob.bind()), hall.textOf()]).toEqual(["one", "one", "one"]);
    expect(ada.replaced.map(({ reason, draft }) => [reason, draft?.code])).toEqual([["refused", "FORBIDDEN"]]);
    ada.roles = ["member"];
    ada.drop().connect();
    edit(ada, " again");
    expect([textOf(ada.bind()), hall.textOf()]).toEqual(["one again", "one again"]);
  });

  it("whose answers were lost sends nothing twice", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    ada.deafen();
    edit(ada, "once");
    expect(hall.textOf()).toBe("once");
    ada.drop().connect().wait(50);
    expect([textOf(ada.bind()), textOf(bob.bind()), hall.textOf()]).toEqual(["once", "once", "once"]);
    expect(ada.replaced).toEqual([]);
    expect(ada.bind().status.get()).toMatchObject({ saved: true, synced: true });
  });

  it("as another member sends what nobody knows of again, once", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    ada.deafen();
    edit(ada, "stored");
    ada.drop();
    edit(ada, " unsent");
    const member = ada.engine.member;
    if (member === undefined) throw new Error("nobody");
    hall.server({ type: "remove", member, how: "removed" });
    hall.state = { ...hall.state, members: new Map([...hall.state.members].filter(([id]) => id !== member)) };
    ada.connect();
    // The server says that it does not know us.
    ada.engine.frame({ type: "closed", session: hall.state.session, error: { code: "MEMBER_UNKNOWN", message: "" } });
    ada.settle().wait(1_000);
    expect([textOf(ada.bind()), textOf(bob.bind()), hall.textOf()]).toEqual(Array(3).fill("stored unsent"));
    expect(ada.bind().status.get()).toMatchObject({ saved: true });
  });
});

describe("a hole", () => {
  it("is asked for once, and told of if it stays (pending never after catch-up)", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(bob, "one");
    // An update goes missing between the store and the answer.
    const pieces = hall.piecesAt.bind(hall);
    edit(bob, " two");
    edit(bob, " three");
    const eve = at(hall, "eve");
    hall.piecesAt = (...args) => pieces(...args).filter((_, index) => index !== 1);
    eve.connect().wait(50);
    expect(opens(eve).length).toBe(2);
    expect(eve.warnings.map(({ code }) => code)).toEqual(["DOCUMENT_GAP"]);
    expect(eve.bind().status.get()).toMatchObject({ synced: false, error: { code: "DOCUMENT_GAP" } });
    hall.piecesAt = pieces;
    const joe = at(hall, "joe").connect();
    expect(isClean(joe)).toBe(true);
    expect(textOf(joe.bind())).toBe("one two three");
    expect(textOf(ada.bind())).toBe("one two three");
  });
});

describe("a document that is begun anew", () => {
  const restored = (hall: Hall, page: Page, name = "notes"): void => {
    const point = hall.state.sync.points.at(-1)?.offset ?? 0;
    page.engine.submit(
      { type: "document-restore", document: name, point, ...(name === "notes" ? {} : { from: "notes" }) },
      10,
      {
        queued: () => {},
        stored: () => {},
        refused: (error) => {
          throw error;
        },
      },
    );
    page.settle();
  };
  const point = (page: Page): void => {
    const { generation } = page.engine.state.sync;
    page.engine.submit({ type: "sync-minor", name: "v1", generation }, 10, {
      queued: () => {},
      stored: () => {},
      refused: () => {},
    });
    page.settle();
  };

  it("is replaced for everybody, and what was under way is a draft", () => {
    const hall = new Hall();
    const [ada, bob, eve] = [at(hall, "ada").connect(), at(hall, "bob").connect(), at(hall, "eve").connect()];
    edit(ada, "one");
    point(ada);
    edit(bob, " two");
    eve.drop();
    edit(eve, " offline");
    restored(hall, ada);
    ada.wait(50);
    expect([textOf(ada.bind()), textOf(bob.bind()), hall.textOf()]).toEqual(["one", "one", "one"]);
    expect([ada, bob].flatMap(({ replaced }) => replaced.map(({ reason, draft }) => [reason, draft]))).toEqual([
      ["restored", undefined],
      ["restored", undefined],
    ]);
    eve.connect().wait(50);
    expect(eve.replaced.map(({ reason, draft }) => [reason, draft?.code])).toEqual([["restored", "DOCUMENT_RESTORED"]]);
    expect(textOf(eve.bind())).toBe("one");
    expect(eve.bind().drafts.get()[0]?.view().getText("t").toString()).toBe("one two offline");
    edit(eve, " on");
    expect([textOf(ada.bind()), textOf(bob.bind()), textOf(eve.bind()), hall.textOf()]).toEqual(
      Array(4).fill("one on"),
    );
    expect(eve.bind().status.get()).toMatchObject({ saved: true, synced: true });
  });

  it("by a resynchronization, too; one that only numbers anew changes nothing", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(ada, "one");
    point(ada);
    edit(bob, " two");
    const back = (command: object): void => {
      const { generation } = hall.state.sync;
      ada.engine.submit({ type: "resynchronize", generation, ...command } as never, 10, {
        queued: () => {},
        stored: () => {},
        refused: (error) => {
          throw error;
        },
      });
      ada.settle().wait(50);
    };
    back({ kind: "set", serial: 50 });
    edit(bob, " three");
    expect(ada.replaced).toEqual([]);
    point(ada);
    edit(bob, " four");
    back({ kind: "restart", serial: 50 });
    expect(hall.textOf()).toBe("one two three");
    expect([...ada.replaced, ...bob.replaced].map(({ reason }) => reason)).toEqual(["restored", "restored"]);
    edit(bob, "!");
    expect([textOf(ada.bind()), textOf(bob.bind())]).toEqual([hall.textOf(), hall.textOf()]);
    expect(bob.bind().status.get()).toMatchObject({ saved: true, synced: true });
  });

  it("with edits of before it was known that are not refused, if it was not this one", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(ada, "one");
    point(ada);
    hall.holdsAnswers = true;
    ada.engine.submit({ type: "resynchronize", kind: "restart", serial: 1 } as never, 10, {
      queued: () => {},
      stored: () => {},
      refused: () => {},
    });
    ada.settle();
    typeInto(bob.bind(), " held");
    bob.settle().wait(50);
    expect(bob.bind().status.get()).toMatchObject({ saved: false, synced: false });
    hall.answerHeld();
    bob.settle().wait(50);
    ada.settle();
    expect([textOf(ada.bind()), textOf(bob.bind()), hall.textOf()]).toEqual(Array(3).fill("one held"));
    expect([...ada.replaced, ...bob.replaced]).toEqual([]);
  });

  it("under another name leaves this one as it is", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(ada, "one");
    point(ada);
    edit(ada, " two");
    restored(hall, ada, "copy");
    const copy = bob.bind("copy");
    bob.settle();
    expect([textOf(copy), textOf(bob.bind())]).toEqual(["one", "one two"]);
  });
});

describe("a log that is lost", () => {
  it("behind some place: what is known here is sent again, and the document is replaced", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(ada, "one");
    const { head } = hall.state;
    edit(ada, " two");
    edit(bob, " three");
    edit(ada, " four");
    ada.drop();
    bob.drop();
    edit(ada, " five");
    hall.lose(head);
    expect(hall.textOf()).toBe("one");
    ada.connect().wait(1_000);
    bob.connect().wait(1_000);
    ada.settle().wait(1_000);
    expect([textOf(ada.bind()), textOf(bob.bind())]).toEqual([hall.textOf(), hall.textOf()]);
    expect(hall.textOf()).toBe("one two three four five");
    expect(ada.replaced.map(({ reason }) => reason)).toEqual(["lost"]);
    expect(ada.bind().drafts.get()).toEqual([]);
    expect(ada.bind().status.get()).toMatchObject({ saved: true, synced: true });
  });

  it("of which something never comes back: that stays a draft (epoch swap with a full outbox)", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(bob, "theirs");
    edit(ada, " mine");
    ada.drop();
    bob.die();
    edit(ada, " more");
    hall.beginAnother();
    ada.connect().wait(1_000);
    expect(hall.textOf()).toBe("");
    expect(textOf(ada.bind())).toBe("");
    expect(ada.replaced.map(({ reason }) => reason)).toEqual(["lost"]);
    const [draft] = ada.bind().drafts.get();
    expect(draft).toMatchObject({ reason: "lost" });
    expect(draft?.view().getText("t").toString()).toContain("theirs mine");
    edit(ada, "anew");
    expect([textOf(ada.bind()), hall.textOf()]).toEqual(["anew", "anew"]);
  });

  it("while the document was not open is noticed when it is", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(ada, "one");
    const { head } = hall.state;
    edit(bob, " two");
    bob.die();
    ada.wait(20_000);
    const closed = new Page(hall, "ada", ada.die());
    hall.lose(head);
    closed.connect().wait(2_000);
    const again = at(hall, "ada", closed.die()).connect();
    again.wait(100);
    expect([textOf(again.bind()), hall.textOf()]).toEqual(["one", "one"]);
    expect(again.bind().status.get()).toMatchObject({ synced: true, saved: true });
  });

  it("and begun anew as another never gets what belonged to the first from a device", () => {
    const hall = new Hall();
    const ada = at(hall, "ada").connect();
    edit(ada, "old");
    ada.wait(2_000);
    const drive = ada.die();
    drive.scope("session").clear();
    hall.beginAnother();
    hall.server({ type: "configure", config: { ...defaultConfig, maxMembers: 10 } });
    const again = at(hall, "ada", drive).connect();
    again.wait(100);
    expect(hall.textOf()).toBe("");
    expect(textOf(again.bind())).toBe("");
    expect(updatesSent(again)).toEqual([]);
    expect(Y.encodeStateVector(again.bind().doc).byteLength).toBe(1);
  });
});
