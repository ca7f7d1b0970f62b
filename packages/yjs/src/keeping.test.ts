import { defaultConfig, type SessionConfig } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import { Hall } from "./hall.fixture.ts";
import { Drive, Page, textOf, typeInto } from "./world.fixture.ts";

const readers: SessionConfig = { ...defaultConfig, roles: { member: ["read", "volatile"] } };

const at = (hall: Hall, name: string, drive?: Drive): Page => {
  const page = new Page(hall, name, drive);
  page.bind();
  return page;
};
const edit = (page: Page, text: string): void => {
  typeInto(page.bind(), text);
  page.settle().wait(50);
};
const keys = (drive: Drive, kind: string): readonly string[] =>
  [...drive.scope("doc/notes").keys()].filter((key) => key.startsWith(kind));

describe("a document on the device", () => {
  it("stands before the network answers, with what was not sent", () => {
    const hall = new Hall();
    const ada = at(hall, "ada").connect();
    edit(ada, "kept");
    ada.wait(2_000).drop();
    edit(ada, " unsent");
    const again = at(hall, "ada", ada.die());
    again.settle();
    expect(textOf(again.bind())).toBe("kept unsent");
    expect(again.bind().status.get()).toEqual({ loaded: "device", synced: false, pending: 1, saved: false });
    edit(again, " and more");
    again.connect().wait(50);
    expect([textOf(again.bind()), hall.textOf()]).toEqual(Array(2).fill("kept unsent and more"));
    expect(again.bind().status.get()).toEqual({ loaded: "server", synced: true, pending: 0, saved: true });
    expect(again.replaced).toEqual([]);
  });

  it("of a page that had followed it goes on without a question, or asks for what it lacks", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    edit(bob, "one");
    ada.wait(20_000);
    const drive = ada.die();
    edit(bob, " two");
    const again = at(hall, "ada", drive).connect();
    expect(textOf(again.bind())).toBe("one two");
    expect(again.sent.filter(({ type }) => type === "document-open")).toEqual([]);
    // This time the record is behind the session's.
    edit(bob, " three");
    const third = at(hall, "ada", again.die()).connect();
    expect(textOf(third.bind())).toBe("one two three");
    expect(third.sent.filter(({ type }) => type === "document-open").length).toBe(1);
  });

  it("is never bound a hole, wherever the page dies", () => {
    for (let dead = 0; dead < 14; dead += 1) {
      const hall = new Hall();
      const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
      ada.wait(2_000);
      ada.drive.isSlow = true;
      typeInto(ada.bind(), "a");
      ada.settle();
      ada.drive.step(dead);
      typeInto(bob.bind(), "b");
      bob.settle().wait(50);
      ada.wait(200);
      ada.drive.step(Math.max(0, dead - 4));
      typeInto(ada.bind(), "c");
      ada.settle().wait(200);
      ada.drive.step(Math.max(0, dead - 8));
      const again = at(hall, "ada", ada.die()).connect();
      again.wait(2_000);
      bob.settle();
      expect([textOf(again.bind()), textOf(bob.bind())], `dead after ${dead}`).toEqual([hall.textOf(), hall.textOf()]);
      const { store } = again.bind().doc;
      expect([store.pendingStructs, store.pendingDs]).toEqual([null, null]);
      expect(again.bind().status.get()).toMatchObject({ saved: true, synced: true });
    }
  });

  it("keeps what is refused, wherever the page dies: it is sent again or a draft", () => {
    for (let dead = 0; dead < 12; dead += 1) {
      const hall = new Hall();
      const ada = at(hall, "ada").connect();
      edit(ada, "kept");
      ada.wait(2_000);
      hall.server({ type: "configure", config: readers });
      typeInto(ada.bind(), " refused");
      ada.bind().gathered();
      // It is on the disk before it is sent.
      for (let steps = 0; steps < 4; steps += 1) ada.step();
      ada.drive.isSlow = true;
      ada.settle();
      ada.drive.step(dead);
      const again = at(hall, "ada", ada.die()).connect();
      again.wait(2_000);
      expect(textOf(again.bind()), `dead after ${dead}`).toBe("kept");
      expect(again.bind().drafts.get().length, `dead after ${dead}`).toBe(1);
      expect(again.bind().drafts.get()[0]?.view().getText("t").toString()).toBe("kept refused");
    }
  });

  it("keeps drafts over reloads, until they are discarded", () => {
    const hall = new Hall(readers);
    const ada = at(hall, "ada").connect();
    edit(ada, "no");
    const again = at(hall, "ada", ada.die()).connect();
    const [draft] = again.bind().drafts.get();
    expect(draft).toMatchObject({ reason: "refused", code: "FORBIDDEN" });
    expect(draft?.view().getText("t").toString()).toBe("no");
    draft?.discard();
    expect(at(hall, "ada", again.die()).bind().drafts.get()).toEqual([]);
  });

  it("keeps the refusal of a document that nobody has open", () => {
    const hall = new Hall();
    const ada = at(hall, "ada").connect();
    edit(ada, "kept");
    ada.wait(2_000).drop();
    edit(ada, " late");
    hall.server({ type: "configure", config: readers });
    const again = new Page(hall, "ada", ada.die());
    again.bind("other");
    again.connect().wait(1_000);
    expect(textOf(again.bind())).toBe("kept");
    expect(
      again
        .bind()
        .drafts.get()
        .map(({ code }) => code),
    ).toEqual(["FORBIDDEN"]);
  });

  it("is compacted, whether or not something is under way", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada").connect(), at(hall, "bob").connect()];
    for (let n = 0; n < 400; n += 1) {
      typeInto(bob.bind(), "x");
      bob.bind().gathered();
      bob.settle();
    }
    ada.wait(200);
    expect(keys(ada.drive, "p/").length).toBe(1);
    ada.deafen();
    for (let n = 0; n < 300; n += 1) {
      typeInto(ada.bind(), "y");
      ada.bind().gathered();
    }
    ada.drop().connect().wait(200);
    expect(keys(ada.drive, "p/").length).toBeLessThan(300);
    const again = at(hall, "ada", ada.die());
    expect(textOf(again.bind()).length).toBe(700);
  });

  it("that a newer version wrote is left alone", () => {
    const hall = new Hall();
    const ada = at(hall, "ada").connect();
    edit(ada, "kept");
    const drive = ada.wait(2_000).die();
    const newer = { format: 99, strange: true };
    drive.scope("doc/notes").set("head", newer);
    const again = at(hall, "ada", drive).connect();
    expect(again.warnings.map(({ code }) => code)).toEqual(["STORAGE_NEWER"]);
    edit(again, " and on");
    again.wait(2_000);
    expect(textOf(again.bind())).toBe("kept and on");
    expect(drive.scope("doc/notes").get("head")).toEqual(newer);
  });

  it("that cannot be written goes on from memory, and says so", () => {
    const hall = new Hall();
    const ada = at(hall, "ada").connect();
    ada.drive.fails = true;
    edit(ada, "in memory");
    ada.wait(2_000);
    expect(ada.warnings.filter(({ details }) => details["document"] === "notes").map(({ code }) => code)).toEqual([
      "STORAGE_FAILED",
    ]);
    edit(ada, "!");
    expect([textOf(ada.bind()), hall.textOf()]).toEqual(["in memory!", "in memory!"]);
    expect(ada.bind().status.get()).toMatchObject({ saved: true });
  });

  it("made before anything was known is kept, and sent by the next page", () => {
    const hall = new Hall();
    const ada = at(hall, "ada");
    typeInto(ada.bind(), "early");
    ada.settle();
    expect(keys(ada.drive, "h/").length).toBe(1);
    const again = at(hall, "ada", ada.die());
    expect(textOf(again.bind())).toBe("early");
    expect(again.bind().status.get()).toMatchObject({ saved: false, pending: 1 });
    again.connect().wait(50);
    expect([textOf(again.bind()), hall.textOf()]).toEqual(["early", "early"]);
    expect(keys(again.drive, "h/")).toEqual([]);
  });

  it("waits when the outbox is full, and loses nothing", () => {
    const hall = new Hall();
    const ada = new Page(hall, "ada", new Drive(), { outboxCommands: 3 });
    ada.bind();
    ada.connect();
    edit(ada, "0");
    ada.drop();
    const noted = { queued: () => {}, stored: () => {}, refused: () => {} };
    for (let n = 0; n < 3; n += 1) ada.engine.submit({ type: "messages", items: [["note", n]] }, 10, noted);
    for (let n = 1; n < 8; n += 1) edit(ada, String(n));
    expect(ada.bind().status.get()).toMatchObject({ pending: 7 });
    ada.connect().wait(50);
    expect([textOf(ada.bind()), hall.textOf()]).toEqual(["01234567", "01234567"]);
    expect(ada.replaced).toEqual([]);
  });

  it("does not fill the outbox, however long it is edited without a connection", () => {
    const hall = new Hall();
    const ada = new Page(hall, "ada", new Drive(), { outboxCommands: 3 });
    ada.bind();
    ada.connect();
    edit(ada, "0");
    ada.drop();
    const words = Array.from({ length: 200 }, (_, n) => ` ${n}`);
    for (const word of words) edit(ada, word);
    expect(ada.bind().status.get()).toMatchObject({ pending: 1 });
    const again = at(hall, "ada", ada.die());
    again.settle();
    expect(textOf(again.bind())).toBe(`0${words.join("")}`);
    edit(again, "!");
    again.connect().wait(50);
    expect([textOf(again.bind()), hall.textOf()]).toEqual(Array(2).fill(`0${words.join("")}!`));
    expect(again.replaced).toEqual([]);
  });

  it("leaves nothing running when it is destroyed", () => {
    const hall = new Hall();
    const ada = at(hall, "ada").connect();
    const notes = ada.bind();
    edit(ada, "x");
    typeInto(notes, "y");
    const { doc } = notes;
    notes.destroy();
    ada.settle();
    expect(hall.textOf()).toBe("xy");
    expect(doc.isDestroyed).toBe(true);
    expect(ada.alarms).toBe(0);
    expect(notes.status.get()).toMatchObject({ synced: false, error: { code: "CLOSED" } });
    expect(notes.writable.get()).toEqual({ can: false, why: "closed" });
    expect(ada.bind()).not.toBe(notes);
    ada.settle();
    expect(textOf(ada.bind())).toBe("xy");
  });
});
