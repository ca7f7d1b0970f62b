/** What editors do: shared types, relative positions, undo. */

import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { Hall } from "./hall.fixture.ts";
import { Page, textOf, typeInto } from "./world.fixture.ts";

const at = (hall: Hall, name: string): Page => {
  const page = new Page(hall, name);
  page.bind();
  return page.connect();
};

/** As y-codemirror.next binds a text: its own origin for what is typed, a relative position for the cursor. */
class Editor {
  readonly origin = { editor: true };
  value: string;
  private cursor: Y.RelativePosition;
  private readonly text: Y.Text;
  private readonly observer = (event: Y.YTextEvent): void => {
    if (event.transaction.origin === this.origin) return;
    let at = 0;
    for (const { retain = 0, insert, delete: gone = 0 } of event.delta) {
      at += retain;
      const added = typeof insert === "string" ? insert : "";
      this.value = this.value.slice(0, at) + added + this.value.slice(at + gone);
      at += added.length;
    }
  };

  constructor(private readonly doc: Y.Doc) {
    this.text = doc.getText("t");
    this.value = this.text.toString();
    this.cursor = Y.createRelativePositionFromTypeIndex(this.text, this.value.length);
    this.text.observe(this.observer);
  }

  type(what: string): void {
    const at = this.position;
    this.value = this.value.slice(0, at) + what + this.value.slice(at);
    this.doc.transact(() => this.text.insert(at, what), this.origin);
    this.cursor = Y.createRelativePositionFromTypeIndex(this.text, at + what.length);
  }

  get position(): number {
    return Y.createAbsolutePositionFromRelativePosition(this.cursor, this.doc)?.index ?? 0;
  }

  destroy(): void {
    this.text.unobserve(this.observer);
  }
}

describe("an editor", () => {
  it("sees what others type, keeps its place, and undoes its own", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada"), at(hall, "bob")];
    const editor = new Editor(ada.bind().doc);
    const undo = ada.bind().undo((doc) => doc.getText("t"), { trackedOrigins: new Set([editor.origin]) });
    editor.type("mine");
    ada.settle().wait(50);
    typeInto(bob.bind(), "theirs ", 0);
    bob.settle().wait(50);
    expect(editor.value).toBe("theirs mine");
    expect(editor.position).toBe(11);
    undo.undo();
    ada.settle().wait(50);
    expect([editor.value, textOf(bob.bind()), hall.textOf()]).toEqual(["theirs ", "theirs ", "theirs "]);
    undo.redo();
    ada.settle().wait(50);
    expect([editor.value, hall.textOf()]).toEqual(["theirs mine", "theirs mine"]);
  });

  it("is bound to the next document, where nothing brings refused edits back (undo after replacement)", () => {
    const hall = new Hall();
    hall.limits = { ...hall.limits, updateBytes: 100 };
    const ada = at(hall, "ada");
    let editor = new Editor(ada.bind().doc);
    ada.bind().on("replaced", ({ doc, previous }) => {
      expect(previous.isDestroyed).toBe(false);
      editor.destroy();
      editor = new Editor(doc);
    });
    const undo = ada.bind().undo((doc) => doc.getText("t"));
    typeInto(ada.bind(), "kept");
    ada.settle().wait(50);
    const { manager } = undo;
    typeInto(ada.bind(), "large".repeat(50));
    ada.settle().wait(50);
    expect(editor.value).toBe("kept");
    expect(undo.manager).not.toBe(manager);
    undo.undo();
    undo.redo();
    ada.settle().wait(50);
    expect([editor.value, textOf(ada.bind()), hall.textOf()]).toEqual(["kept", "kept", "kept"]);
    typeInto(ada.bind(), "!");
    ada.settle().wait(50);
    expect([editor.value, hall.textOf()]).toEqual(["kept!", "kept!"]);
    undo.undo();
    ada.settle().wait(50);
    expect([editor.value, hall.textOf()]).toEqual(["kept", "kept"]);
    undo.destroy();
  });

  it("finds sub-documents bound when they are loaded", () => {
    const hall = new Hall();
    const [ada, bob] = [at(hall, "ada"), at(hall, "bob")];
    const chapter = new Y.Doc({ guid: "chapter-1" });
    chapter.getText("t").insert(0, "Once");
    ada.bind().doc.getMap<Y.Doc>("chapters").set("1", chapter);
    ada.settle().wait(50);
    expect(ada.bind().subdocument("chapter-1")?.doc).toBe(chapter);
    expect(hall.textOf("chapter-1")).toBe("Once");
    const theirs = bob.bind().doc.getMap<Y.Doc>("chapters").get("1");
    expect(bob.bind().subdocument("chapter-1")).toBeUndefined();
    theirs?.load();
    bob.settle().wait(50);
    expect(theirs?.getText("t").toString()).toBe("Once");
    theirs?.getText("t").insert(4, " upon a time");
    bob.settle().wait(50);
    expect(chapter.getText("t").toString()).toBe("Once upon a time");
    // What replaces it is found in its place.
    hall.limits = { ...hall.limits, updateBytes: 100 };
    ada.drop().connect();
    chapter.getText("t").insert(0, "large".repeat(50));
    ada.settle().wait(50);
    const next = ada.bind().doc.getMap<Y.Doc>("chapters").get("1");
    expect(next).not.toBe(chapter);
    expect(ada.bind().subdocument("chapter-1")?.doc).toBe(next);
    expect(next?.getText("t").toString()).toBe("Once upon a time");
    next?.getText("t").insert(16, "!");
    ada.settle().wait(50);
    expect(theirs?.getText("t").toString()).toBe("Once upon a time!");
    bob.bind().doc.getMap("chapters").delete("1");
    bob.settle().wait(50);
    expect(ada.bind().subdocument("chapter-1")).toBeUndefined();
  });

  it("lets nobody choose a guid that closes what the app has bound, or opens what there cannot be", () => {
    const hall = new Hall();
    const [ada, eve] = [at(hall, "ada"), at(hall, "eve")];
    const plans = ada.bind("plans");
    typeInto(plans, "kept");
    const guids = ["plans", "notes", "x".repeat(200), ""];
    for (const guid of guids)
      eve
        .bind()
        .doc.getMap<Y.Doc>("m")
        .set(`of ${guid.length}`, new Y.Doc({ guid, autoLoad: true }));
    eve.settle().wait(50);
    ada.settle().wait(50);
    expect(ada.bind().subdocument("plans")).toBe(plans);
    const asked = ada.sent.flatMap((frame) => (frame.type === "document-open" ? [frame.document] : []));
    expect(new Set(asked)).toEqual(new Set(["notes", "plans"]));
    // Replaced, and then let go of: what is in it goes with it, and nothing else.
    hall.limits = { ...hall.limits, updateBytes: 100 };
    ada.drop().connect();
    typeInto(ada.bind(), "large".repeat(50));
    ada.settle().wait(50);
    expect(ada.bind("plans")).toBe(plans);
    ada.bind().destroy();
    typeInto(plans, "!");
    ada.settle().wait(50);
    expect([plans.isOver, hall.textOf("plans")]).toEqual([false, "kept!"]);
  });
});
