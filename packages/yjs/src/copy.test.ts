import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { apply, changing } from "./copy.ts";

describe("a change from elsewhere", () => {
  it("makes no edit of its own, though it makes formatting superfluous", () => {
    const [ours, theirs] = [new Y.Doc(), new Y.Doc()];
    ours.getText("t").insert(0, "word");
    Y.applyUpdate(theirs, Y.encodeStateAsUpdate(ours));
    for (const doc of [ours, theirs]) doc.getText("t").format(0, 4, { bold: true });
    const edits: unknown[] = [];
    ours.on("update", (_update: Uint8Array, origin: unknown, _doc: Y.Doc, { local }: Y.Transaction) => {
      if (local) edits.push(origin);
    });
    changing(ours, "theirs", () => apply(ours, { format: 1, bytes: Y.encodeStateAsUpdate(theirs) }));
    expect(edits).toEqual([]);
    expect(ours.getText("t").toDelta()).toEqual([{ insert: "word", attributes: { bold: true } }]);
    // An edit still tidies up: nothing was taken from it.
    ours.getText("t").format(0, 4, { bold: null });
    expect(ours.getText("t").toDelta()).toEqual([{ insert: "word" }]);
    expect(edits).toEqual([null]);
  });
});
