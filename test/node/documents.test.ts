/** Documents over real sockets: members that speak in raw frames, and the app's server. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { DocumentOpenFrame, DocumentStateFrame, Item, Offset } from "@rostrum/protocol";
import { sessionId } from "@rostrum/protocol";
import { embeddedStore, memoryStore, type SessionsOptions } from "@rostrum/server";
import { editDoc, readDoc, yjsDocuments } from "@rostrum/yjs/server";
import { describe, expect, it, vi } from "vitest";
import * as Y from "yjs";
import { Replica } from "../../packages/yjs/src/server/replica.fixture.ts";
import { codeOf, folderOf, type Place, serve, victim } from "./place.ts";
import { RawMember } from "./raw.ts";

const features = ["activities", "sync", "documents"];

interface Part {
  readonly format: 1 | 2;
  readonly bytes: Uint8Array;
}

interface Answer {
  readonly frames: readonly DocumentStateFrame[];
  readonly bytes: number;
  readonly parts: readonly Part[];
  readonly code?: string;
}

const join = (url: string, more: object = {}): Promise<RawMember> => RawMember.join(url, { features, ...more });

const says = (member: RawMember, item: Item): Promise<Offset | string> =>
  member.command({ type: "messages", items: [item] });

/** Many items at once, in one command. */
const saysAll = async (member: RawMember, items: readonly Item[]): Promise<void> => {
  expect(await member.command({ type: "messages", items })).toBeTypeOf("number");
};

const partsOf = (frames: readonly DocumentStateFrame[]): readonly Part[] => {
  const parts = new Map<number, Uint8Array[]>();
  const formats = new Map<number, 1 | 2>();
  for (const { part, format, at, size, bytes } of frames) {
    const pieces = parts.get(part) ?? [];
    if (size > 0) parts.set(part, pieces);
    expect(at).toBe(pieces.reduce((sum, piece) => sum + piece.length, 0));
    pieces.push(new Uint8Array(bytes));
    formats.set(part, format);
  }
  return [...parts].map(([part, pieces]) => ({ format: formats.get(part) ?? 1, bytes: Buffer.concat(pieces) }));
};

/** Opens a document, and puts the answer together. */
const open = async (member: RawMember, document: string, more: Partial<DocumentOpenFrame> = {}): Promise<Answer> => {
  const isOurs = (frame: { readonly document: string; readonly point?: Offset }): boolean =>
    frame.document === document && frame.point === more.point;
  const before = member.all("document-state").filter(isOurs).length;
  const refusedBefore = member.all("document-refused").filter(isOurs).length;
  member.send({ type: "document-open", session: "s", document, ...more });
  return member.until(() => {
    const refused = member.all("document-refused").filter(isOurs)[refusedBefore];
    if (refused !== undefined) return { frames: [], bytes: 0, parts: [], code: refused.error.code };
    const frames = member.all("document-state").filter(isOurs).slice(before);
    if (frames.at(-1)?.end !== true) return undefined;
    const parts = partsOf(frames);
    return { frames, parts, bytes: parts.reduce((sum, { bytes }) => sum + bytes.length, 0) };
  });
};

const place = (options: Partial<SessionsOptions> = {}): Promise<Place> =>
  serve({ store: memoryStore(), documents: yjsDocuments(), ...options });

/** Updates of a document that a member was sent. */
const updatesOf = (member: RawMember, document: string): readonly Item[] =>
  member
    .entries("messages")
    .flatMap(({ items }) => items)
    .filter(([event]) => event === `@doc/${document}`);

const textOf = async (at: Place, document = "notes", options: { readonly point?: Offset } = {}): Promise<string> =>
  (await readDoc(at.sessions.get("s"), document, options)).getText("t").toString();

const saved = (at: Place): Promise<void> =>
  expect
    .poll(async () => (await at.sessions.get("s").documents()).every(({ updates }) => updates === 0), {
      timeout: 30_000,
    })
    .toBe(true);

describe("documents", () => {
  it("go to those who follow them, and to nobody else", async () => {
    const there = await place();
    const [ada, bob, eve] = await Promise.all([join(there.url), join(there.url), join(there.url)]);
    expect((await open(ada, "notes")).frames).toMatchObject([{ size: 0, end: true, lineage: 0, whole: true }]);
    await open(bob, "notes");
    const mine = new Replica("notes");
    expect(await says(ada, mine.type("hello"))).toBeTypeOf("number");
    await bob.until(() => updatesOf(bob, "notes")[0]);
    // What comes behind it comes to all.
    await says(ada, ["note", "said"]);
    await eve.until(() => eve.entries("messages").find(({ items }) => items[0]?.[0] === "note"));
    expect(updatesOf(eve, "notes")).toEqual([]);
    expect(new Replica("notes").take((await open(eve, "notes")).parts).text).toBe("hello");
    bob.send({ type: "document-close", session: "s", document: "notes" });
    await open(bob, "others");
    await says(ada, mine.type("!"));
    await says(ada, ["note", "said again"]);
    await eve.until(() => updatesOf(eve, "notes").at(-1)?.[2] === 1 || undefined);
    await bob.until(() => bob.entries("messages").find(({ items }) => items[0]?.[1] === "said again"));
    expect(updatesOf(bob, "notes")).toHaveLength(1);
    expect(await textOf(there)).toBe("hello!");
  });

  it("that are followed come along when a member comes back: only what it missed", async () => {
    const there = await place();
    const [ada, bob] = await Promise.all([join(there.url), join(there.url)]);
    for (const name of ["notes", "others"]) await open(bob, name);
    const [notes, others] = [new Replica("notes"), new Replica("others")];
    await says(ada, notes.type("one"));
    await bob.until(() => updatesOf(bob, "notes")[0]);
    bob.cut();
    await says(ada, notes.type("two"));
    await says(ada, others.type("elsewhere"));
    const back = await bob.resume(there.url, { features, documents: ["notes"] });
    await back.until(() => updatesOf(back, "notes")[0]);
    expect(updatesOf(back, "notes").map(([, , n]) => n)).toEqual([1]);
    expect(updatesOf(back, "others")).toEqual([]);
    const missed = await open(back, "others", { lineage: 0, after: 0 });
    expect(missed.frames[0]).toMatchObject({ format: 1, whole: false });
    expect(new Replica("others").take(missed.parts).text).toBe("elsewhere");
  });

  it("are refused to a member whose roles do not permit them", async () => {
    const there = await place({
      authenticate: ({ auth }) => ({ user: String(auth), roles: [String(auth)] }),
      roles: { writer: ["*"], reader: ["read:notes", "emit"] },
    });
    const writer = await join(there.url, { auth: "writer" });
    const reader = await join(there.url, { auth: "reader", documents: ["notes", "secret"] });
    await says(writer, new Replica("secret").type("s"));
    await says(writer, new Replica("notes").type("n"));
    await reader.until(() => updatesOf(reader, "notes")[0]);
    expect(updatesOf(reader, "secret")).toEqual([]);
    expect((await open(reader, "secret")).code).toBe("FORBIDDEN");
    expect(await says(reader, new Replica("notes").type("x"))).toBe("FORBIDDEN");
    expect(await reader.command({ type: "document-restore", document: "notes", point: 1 })).toBe("FORBIDDEN");
  });

  it("are edited by the server, who is told what it may not", async () => {
    const there = await place({ documents: yjsDocuments({ most: 1, bytes: 1_000 }) });
    const session = there.sessions.get("s");
    const ada = await join(there.url);
    await open(ada, "notes");
    expect(await editDoc(session, "notes", () => {})).toBeUndefined();
    await editDoc(session, "notes", (doc) => doc.getText("t").insert(0, "from the server"));
    await ada.until(() => updatesOf(ada, "notes")[0]);
    expect(await textOf(there)).toBe("from the server");
    const large = editDoc(session, "notes", (doc) => doc.getText("t").insert(0, "x".repeat(2_000)));
    expect(await codeOf(large)).toBe("DOCUMENT_FULL");
    expect(await codeOf(editDoc(session, "another", (doc) => doc.getText("t").insert(0, "x")))).toBe("DOCUMENT_LIMIT");
    expect(await codeOf(readDoc(session, "none"))).toBe("DOCUMENT_UNKNOWN");
    expect(await codeOf(readDoc(session, "notes", { point: 3 }))).toBe("SYNC_UNKNOWN");
    const throwing = editDoc(session, "notes", (doc) => {
      doc.getText("t").insert(0, "half");
      throw new Error("the app's");
    });
    await expect(throwing).rejects.toThrow("the app's");
    expect(await textOf(there)).toBe("from the server");
  });

  it("that the server does not have are refused, by name", async () => {
    const without = await serve({ store: memoryStore() });
    const ada = await join(without.url);
    expect(ada.opened.features).not.toContain("documents");
    expect((await open(ada, "notes")).code).toBe("FEATURE_MISSING");
    expect(await says(ada, new Replica("notes").type("x"))).toBe("FEATURE_MISSING");
    const session = without.sessions.get("s");
    for (const work of [session.documents(), readDoc(session, "notes"), session.restoreDocument("notes", 1)])
      expect(await codeOf(work)).toBe("FEATURE_MISSING");
    const there = await place();
    expect((await join(there.url)).opened.features).toContain("documents");
  });

  it("are compacted while they are edited, and the log is let go", async () => {
    const there = await place({ snapshotEvery: 50, retention: { count: 200, bytes: 1e9, age: 1e9 } });
    const session = there.sessions.get("s");
    const ada = await join(there.url);
    await open(ada, "notes");
    const mine = new Replica("notes");
    for (let n = 0; n < 50; n += 1) {
      await saysAll(
        ada,
        Array.from({ length: 20 }, () => mine.type("some text ")),
      );
      await says(ada, mine.erase(0, mine.text.length - 20));
    }
    await expect.poll(async () => (await session.documents())[0]?.updates).toBeLessThan(1_000);
    const answer = await open(await join(there.url), "notes");
    expect(new Replica("notes").take(answer.parts).text).toBe(mine.text);
    // Near its live size, after a thousand edits.
    expect(answer.parts[0]?.format).toBe(2);
    expect(answer.parts[0]?.bytes.length).toBeLessThan(2_000);
  });

  it("come in pieces that messages pass, and are given up when nobody wants them", async () => {
    const there = await place({ limits: { chunkBytes: 2_000 } });
    const session = there.sessions.get("s");
    const noise = Buffer.from(Float64Array.from({ length: 100_000 }, (_, n) => Math.sin(n))).toString("base64");
    let text = "";
    for (let n = 0; n < 4_000_000; n += 40_000) text += noise.slice(n % noise.length, (n % noise.length) + 40_000);
    await editDoc(session, "large", (doc) => doc.getText("t").insert(0, text));
    await saved(there);
    const [ada, bob] = await Promise.all([join(there.url), join(there.url)]);
    const opening = open(ada, "large");
    await says(ada, ["note", "passes"]);
    const { frames, parts } = await opening;
    expect(Math.max(...frames.map(({ bytes }) => new Uint8Array(bytes).length))).toBe(2_000);
    expect(new Replica("large").take(parts).text).toBe(text);
    const note = ada.heard.findIndex(
      (frame) => frame.type === "entries" && frame.entries.some(({ type }) => type === "messages"),
    );
    expect(note).toBeGreaterThan(-1);
    expect(note).toBeLessThan(ada.heard.findIndex((frame) => frame.type === "document-state" && frame.end));
    // Who goes, goes: the server has nothing left to do for it.
    bob.send({ type: "document-open", session: "s", document: "large" });
    await bob.until(() => bob.all("document-state")[0]);
    bob.cut();
    await expect.poll(() => there.sessions.health().members).toBe(1);
  });

  it("have versions at sync points, and go back to them, alone and with the session", async () => {
    const there = await place();
    const ada = await join(there.url);
    await open(ada, "notes");
    const mine = new Replica("notes");
    await says(ada, mine.type("one"));
    const point = await ada.command({ type: "sync-minor", name: "first" });
    if (typeof point !== "number") throw new Error(point);
    await says(ada, mine.type("two"));
    expect(new Replica("notes").take((await open(ada, "notes", { point })).parts).text).toBe("one");
    expect((await open(ada, "notes", { point: 1 })).code).toBe("SYNC_UNKNOWN");
    const restored = await ada.command({ type: "document-restore", document: "notes", point });
    expect(await says(ada, mine.type("late"))).toBe("DOCUMENT_RESTORED");
    const anew = await open(ada, "notes", { lineage: 0, after: point });
    expect(anew.frames[0]).toMatchObject({ lineage: restored, whole: true });
    expect(new Replica("notes").take(anew.parts).text).toBe("one");
    const other = await there.sessions.get("s").restoreDocument("copy", point, "notes");
    expect(await there.sessions.get("s").documents()).toMatchObject([
      { name: "notes", lineage: restored },
      { name: "copy", lineage: other.offset },
    ]);
    await there.sessions.get("s").sync.abandon();
    expect(await textOf(there)).toBe("");
    expect(await textOf(there, "copy")).toBe("");
  });

  it("are loaded from the app's own store and given back to it", async () => {
    const kept = new Map<string, Uint8Array>();
    const loads: string[] = [];
    const first = new Y.Doc();
    first.getText("t").insert(0, "kept");
    kept.set("notes", Y.encodeStateAsUpdate(first));
    let isDown = true;
    const documents = yjsDocuments({
      load: async ({ document }) => {
        loads.push(document);
        if (isDown && document === "down") throw new Error("the app's database is down");
        return kept.get(document);
      },
      store: async ({ document, state }) => void kept.set(document, state),
    });
    const there = await place({ documents });
    const [ada, bob] = await Promise.all([join(there.url), join(there.url)]);
    const both = await Promise.all([open(ada, "notes"), open(bob, "notes")]);
    for (const { parts } of both) expect(new Replica("notes").take(parts).text).toBe("kept");
    expect(loads).toEqual(["notes"]);
    expect((await open(ada, "down")).code).toBe("SERVER_BUSY");
    isDown = false;
    await expect.poll(async () => (await open(ada, "down")).code).toBeUndefined();
    await editDoc(there.sessions.get("s"), "notes", (doc) => doc.getText("t").insert(4, " ".repeat(70_000)));
    await expect.poll(() => kept.get("notes")?.length).toBeGreaterThan(70_000);
    const again = new Y.Doc();
    Y.applyUpdate(again, kept.get("notes") ?? new Uint8Array());
    expect(again.getText("t").toString().trim()).toBe("kept");
  });

  it("go on if the app's own store fails, and that is warned of", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const documents = yjsDocuments({
      store: () => {
        throw new Error("the app's database is down");
      },
    });
    const there = await place({ documents });
    await editDoc(there.sessions.get("s"), "notes", (doc) => doc.getText("t").insert(0, "x".repeat(70_000)));
    await expect.poll(() => warned.mock.calls.flat().join(" ")).toContain("could not store");
    await saved(there);
    expect(await textOf(there)).toHaveLength(70_000);
    warned.mockRestore();
  });

  it("are deleted with their session, and begin anew with it", async () => {
    const store = memoryStore();
    const there = await place({ store });
    await editDoc(there.sessions.get("s"), "notes", (doc) => doc.getText("t").insert(0, "x".repeat(70_000)));
    await saved(there);
    await there.sessions.delete("s");
    expect(await store.documents?.load(sessionId("s"), "notes")).toBeUndefined();
    expect(await codeOf(readDoc(there.sessions.get("s"), "notes"))).toBe("DOCUMENT_UNKNOWN");
  });

  it("are there after a restart, versions and all", async () => {
    const folder = await folderOf();
    const mine = new Replica("notes");
    const before = await place({ store: embeddedStore(folder) });
    const ada = await join(before.url);
    await saysAll(
      ada,
      Array.from({ length: 600 }, () => mine.type("x")),
    );
    const point = await ada.command({ type: "sync-minor" });
    await saysAll(
      ada,
      Array.from({ length: 600 }, () => mine.type("y")),
    );
    await before.close();
    const after = await place({ store: embeddedStore(folder) });
    expect(await textOf(after)).toBe(mine.text);
    await saved(after);
    expect(await textOf(after)).toBe(mine.text);
    expect(await textOf(after, "notes", { point: Number(point) })).toBe("x".repeat(600));
    const back = await ada.resume(after.url, { features });
    expect(await says(back, mine.type("!"))).toBeTypeOf("number");
    expect(await textOf(after)).toBe(mine.text);
  });

  it.each(["before", "over", "after", "version"])("lose nothing to a SIGKILL over a record (%s)", async (when) => {
    const server = await victim(new URL("./document-server.ts", import.meta.url), await folderOf(), when);
    const ada = await join(server.url);
    const mine = new Replica("notes");
    await saysAll(
      ada,
      Array.from({ length: 300 }, () => mine.type("a sentence. ")),
    );
    const point = await ada.command({ type: "sync-minor" });
    const then = mine.text;
    ada.send({
      type: "commands",
      session: "s",
      seq: 302,
      commands: [{ type: "messages", items: Array.from({ length: 300 }, () => mine.type("and more ")) }],
    });
    await ada.until(() => ada.socket.disconnected || undefined);
    await server.kill();
    await server.start();
    const back = await ada.resume(server.url, { features });
    // What was not acknowledged may be lost, but never a part of it, and nothing that was.
    const opened = new Replica("notes").take((await open(back, "notes")).parts);
    expect([then, mine.text]).toContain(opened.text);
    expect(new Replica("notes").take((await open(back, "notes", { point: Number(point) })).parts).text).toBe(then);
    if (opened.text === mine.text) expect(await says(back, mine.type("!"))).toBeTypeOf("number");
    const anew = new Replica("notes").take((await open(back, "notes")).parts);
    expect(await says(back, anew.type("?"))).toBeTypeOf("number");
  });

  it.each(["at once", "settled"])("leave nothing running when the server closes (%s)", async (how) => {
    const script = fileURLToPath(new URL("./document-leaver.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", "--conditions=source", script, how]);
    let said = "";
    for (const output of [child.stdout, child.stderr]) output.on("data", (data) => (said += String(data)));
    const [code] = (await once(child, "exit")) as [number];
    expect([said.trim(), code]).toEqual(["closed", 0]);
  });

  it("of a thousand that nobody edits cost next to nothing", async () => {
    const there = await place();
    const session = there.sessions.get("s");
    const names = Array.from({ length: 1_000 }, (_, n) => `d${n}`);
    for (const name of names) await editDoc(session, name, (doc) => doc.getText("t").insert(0, name));
    const ada = await join(there.url, { documents: names });
    const began = performance.now();
    for (const name of names) ada.send({ type: "document-open", session: "s", document: name });
    await ada.until(() => (ada.all("document-state").filter(({ end }) => end).length === 1_000 ? true : undefined));
    expect(performance.now() - began).toBeLessThan(20_000);
    await editDoc(session, "d500", (doc) => doc.getText("t").insert(0, "edited "));
    await ada.until(() => updatesOf(ada, "d500").at(-1));
  });
});

describe("a client that does not play by the rules", () => {
  it("is refused, whatever bytes it says are an update, and the document is none the worse", async () => {
    const there = await place({ limits: { updateBytes: 20_000 } });
    const [ada, eve] = await Promise.all([join(there.url), join(there.url)]);
    const mine = new Replica("notes");
    await says(ada, mine.type("precious"));
    const whole = mine.type(" text")[4] as Uint8Array;
    mine.n -= 1;
    let state = 7;
    const chance = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
    for (let n = 0; n < 300; n += 1) {
      const bytes = whole.slice();
      for (let flips = 0; flips < 1 + n / 60; flips += 1)
        bytes[Math.floor(chance() * bytes.length)] = Math.floor(chance() * 256);
      const outcome = await says(eve, ["@doc/notes", Math.floor(chance() * 2 ** 32), 0, 0, bytes]);
      if (typeof outcome === "string") expect(["DOCUMENT_INVALID", "DOCUMENT_GAP"]).toContain(outcome);
    }
    expect(await says(eve, ["@doc/notes", 1, 0, 0, new Uint8Array(20_001)])).toBe("MESSAGE_TOO_LARGE");
    for (const item of [
      ["@doc/notes", 1, 0, 0],
      ["@doc/notes", -1, 0, 0, whole],
      ["@doc/notes", 1, 0, 0, "text that is far too long to be a small update in base64".repeat(200)],
      ["@doc/notes", 1, 0, 0, ""],
      ["@doc/", 1, 0, 0, whole],
    ] as const)
      expect(await says(eve, item)).toBe("FRAME_INVALID");
    expect(await says(eve, ["@doc/notes", 1, 0, 0, "of base64, and yet none"])).toBe("DOCUMENT_INVALID");
    expect(await says(ada, ["@doc/notes", mine.doc.clientID, 1, 0, whole])).toBeTypeOf("number");
    expect(await textOf(there)).toContain("precious");
  });

  it("gets an answer to what it asks for, or a refusal", async () => {
    const there = await place();
    const eve = await join(there.url);
    await says(eve, new Replica("notes").type("x".repeat(70_000)));
    await saved(there);
    expect((await open(eve, "notes", { lineage: 0, vector: new Uint8Array([255, 255, 255]) })).code).toSatisfy(
      (code) => code === undefined || code === "DOCUMENT_INVALID",
    );
    expect((await open(eve, "notes", { lineage: 999, after: 999 })).code).toBeUndefined();
    expect((await open(eve, "notes", { lineage: 0, after: 1e12 })).code).toBeUndefined();
    for (let n = 0; n < 200; n += 1) {
      eve.send({ type: "document-open", session: "s", document: `none${n}` });
      eve.send({ type: "document-close", session: "s", document: `none${n}` });
    }
    expect((await open(eve, "notes")).parts.length).toBeGreaterThan(0);
  });
});
