/** Documents over real sockets: members that speak in raw frames, and the app's server. */

import type { DocumentOpenFrame, DocumentStateFrame, Item, Offset, SessionId } from "@rostrum/protocol";
import { memoryStore, type SessionsOptions } from "@rostrum/server";
import { editDoc, readDoc, yjsDocuments } from "@rostrum/yjs/server";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { type Place, serve } from "./place.ts";
import { RawMember } from "./raw.ts";

const features = ["activities", "sync", "documents"];

/** One copy of a document, and what it has to send. */
class Replica {
  readonly doc = new Y.Doc();
  n = 0;
  private made: Uint8Array[] = [];

  constructor(
    readonly name: string,
    readonly lineage: Offset = 0,
  ) {
    this.doc.on("update", (update: Uint8Array, _origin: unknown, _doc: Y.Doc, { local }: Y.Transaction) => {
      if (local) this.made.push(update);
    });
  }

  /** The update that an edit makes, as an item. */
  edit(edit: (doc: Y.Doc) => void): Item {
    this.doc.transact(() => edit(this.doc));
    const update = Y.mergeUpdates(this.made.splice(0));
    return [`@doc/${this.name}`, this.doc.clientID, this.n++, this.lineage, update];
  }

  type(text: string): Item {
    return this.edit((doc) => doc.getText("t").insert(doc.getText("t").length, text));
  }

  get text(): string {
    return this.doc.getText("t").toString();
  }

  take(answer: Answer): this {
    answer.applyTo(this.doc);
    return this;
  }
}

interface Answer {
  readonly frames: readonly DocumentStateFrame[];
  readonly bytes: number;
  applyTo(doc: Y.Doc): void;
}

const join = (place: Place, more: object = {}): Promise<RawMember> => RawMember.join(place.url, { features, ...more });

const says = (member: RawMember, item: Item, more: object = {}): Promise<Offset | string> =>
  member.command({ type: "messages", items: [item], ...more });

/** Opens a document, and puts the answer together. */
const open = async (
  member: RawMember,
  document: string,
  more: Partial<DocumentOpenFrame> = {},
): Promise<Answer & { readonly code?: string }> => {
  const isOurs = (frame: { document: string; point?: Offset }): boolean =>
    frame.document === document && frame.point === more.point;
  const before = member.all("document-state").filter(isOurs).length;
  const refusedBefore = member.all("document-refused").filter(isOurs).length;
  member.send({ type: "document-open", session: "s" as SessionId, document, ...more });
  return member.until(() => {
    const refused = member.all("document-refused").filter(isOurs)[refusedBefore];
    if (refused !== undefined) return { frames: [], bytes: 0, code: refused.error.code, applyTo: () => {} };
    const frames = member.all("document-state").filter(isOurs).slice(before);
    if (frames.at(-1)?.end !== true) return undefined;
    return {
      frames,
      bytes: frames.reduce((sum, { bytes }) => sum + new Uint8Array(bytes).length, 0),
      applyTo: (doc: Y.Doc) => {
        for (let part = 0; part <= (frames.at(-1)?.part ?? 0); part += 1) {
          const pieces = frames.filter((frame) => frame.part === part);
          const bytes = Buffer.concat(pieces.map((piece) => new Uint8Array(piece.bytes)));
          if (bytes.length === 0) continue;
          if (pieces[0]?.format === 2) Y.applyUpdateV2(doc, bytes);
          else Y.applyUpdate(doc, bytes);
        }
      },
    };
  });
};

const documents = yjsDocuments;
const place = (options: Partial<SessionsOptions> = {}): Promise<Place> =>
  serve({ store: memoryStore(), documents: documents(), ...options });

/** Updates of a document that a member was sent. */
const updatesOf = (member: RawMember, document: string): readonly Item[] =>
  member
    .entries("messages")
    .flatMap(({ items }) => items)
    .filter(([event]) => event === `@doc/${document}`);

describe("documents", () => {
  it("go to those who follow them, and to nobody else", async () => {
    const there = await place();
    const [ada, bob, eve] = await Promise.all([join(there), join(there), join(there)]);
    expect((await open(ada, "notes")).frames).toMatchObject([{ size: 0, end: true, lineage: 0, whole: true }]);
    await open(bob, "notes");
    const mine = new Replica("notes");
    expect(await says(ada, mine.type("hello"))).toBeTypeOf("number");
    await bob.until(() => updatesOf(bob, "notes")[0]);
    // What comes behind it comes to all.
    await says(ada, ["note", "said"]);
    await eve.until(() => eve.entries("messages").find(({ items }) => items[0]?.[0] === "note"));
    expect(updatesOf(eve, "notes")).toEqual([]);
    const theirs = new Replica("notes").take(await open(eve, "notes"));
    expect(theirs.text).toBe("hello");
    expect((await readDoc(there.sessions.get("s"), "notes")).getText("t").toString()).toBe("hello");
  });

  it("are edited by the server", async () => {
    const there = await place();
    const session = there.sessions.get("s");
    const ada = await join(there);
    await open(ada, "notes");
    expect(await editDoc(session, "notes", () => {})).toBeUndefined();
    await editDoc(session, "notes", (doc) => doc.getText("t").insert(0, "from the server"));
    await ada.until(() => updatesOf(ada, "notes")[0]);
    expect(new Replica("notes").take(await open(ada, "notes")).text).toBe("from the server");
  });

  it("are compacted, and the log is let go", async () => {
    const there = await place({ snapshotEvery: 50, retention: { count: 100, bytes: 1e9, age: 1e9 } });
    const session = there.sessions.get("s");
    const ada = await join(there);
    await open(ada, "notes");
    const mine = new Replica("notes");
    for (let n = 0; n < 700; n += 1) await says(ada, mine.type("x"));
    await expect.poll(async () => (await session.documents())[0]?.updates).toBeLessThan(300);
    const bob = await join(there);
    const answer = await open(bob, "notes");
    expect(new Replica("notes").take(answer).text).toBe("x".repeat(700));
    expect(answer.frames[0]?.format).toBe(2);
  });
});
