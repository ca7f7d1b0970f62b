/** Long editing over real sockets and a real disk: messages stay, updates go, and late members have all of both. */

import { fork } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join as pathOf } from "node:path";
import { memoryStorage } from "@rostrum/client";
import { documentIn, type Entry, type Offset, sessionId } from "@rostrum/protocol";
import { embeddedStore, type SessionsOptions, type Store } from "@rostrum/server";
import { bindDoc, type DocBinding } from "@rostrum/yjs";
import { yjsDocuments } from "@rostrum/yjs/server";
import { describe, expect, it } from "vitest";
import { folderOf, heard, join, type Place, serve } from "./place.ts";

const s = sessionId("s");
const options: Partial<SessionsOptions> = { snapshotEvery: 50, retention: { updates: 20 } };

const there = async (
  folder: string,
  more: Partial<SessionsOptions> = {},
  port = 0,
): Promise<Place & { store: Store }> => {
  const store = embeddedStore(folder);
  const place = await serve({ store, documents: yjsDocuments(), ...options, ...more }, port);
  const close = async (): Promise<void> => {
    await place.close();
    await store.close();
  };
  return { ...place, store, close };
};

const textOf = (notes: DocBinding): string => notes.doc.getText("t").toString();
const line = "The quick brown fox jumps over the lazy dog, and over the next one. ";

/** Types so many lines, each an update of its own and half of them taken back, and says something now and then. */
const write = async (url: string, lines: number): Promise<string> => {
  const client = join(url);
  const session = client.session("s");
  const notes = bindDoc(session, "notes");
  await notes.whenSynced;
  const t = notes.doc.getText("t");
  for (let n = 0; n < lines; n += 1) {
    t.insert(t.length, line);
    if (n % 2 === 1) t.delete(t.length - line.length, line.length);
    await notes.flush();
    if (n % 20 === 0) await session.emit("note", n);
  }
  await notes.flush();
  const text = textOf(notes);
  client.close();
  return text;
};

const sizeOf = async (folder: string): Promise<number> => {
  const files = await readdir(folder);
  return (await Promise.all(files.map((file) => stat(pathOf(folder, file))))).reduce((sum, { size }) => sum + size, 0);
};

const updatesIn = (entries: readonly Entry[]): number =>
  entries.reduce(
    (sum, entry) => sum + (entry.type === "messages" && documentIn(entry) !== undefined ? entry.items.length : 0),
    0,
  );

const thinnedIn = (entries: readonly Entry[]): Offset =>
  entries.reduce((line, entry) => (entry.type === "documents-thinned" ? Math.max(line, entry.upTo) : line), 0);

describe("long editing", () => {
  it("takes no message from who comes back late, and leaves a small store", async () => {
    const folder = await folderOf();
    const first = await there(folder);
    const storage = memoryStorage();
    const before = join(first.url, { storage });
    await bindDoc(before.session("s"), "notes").whenSynced;
    await before.session("s").emit("note", -1);
    before.close();
    const text = await write(first.url, 2_000);
    const log = await first.store.read(s, 0, 1_000_000);
    expect(thinnedIn(log)).toBeGreaterThan(500);
    expect(updatesIn(log)).toBeLessThan(1_500);
    const client = join(first.url, { storage });
    const session = client.session("s");
    const said = heard(session);
    const resumed = new Promise((resolve) => session.on("resume", resolve));
    const notes = bindDoc(session, "notes");
    await expect.poll(() => said.at(-1), { timeout: 30_000 }).toBe(1_980);
    await expect.poll(() => textOf(notes), { timeout: 30_000 }).toBe(text);
    expect(said.filter((n) => n !== -1)).toEqual(Array.from({ length: 100 }, (_, n) => 20 * n));
    expect(await resumed).toMatchObject({ outcome: "resumed" });
    expect(await resumed).not.toHaveProperty("gap");
    client.close();
    await first.close();
    const { packed, kept } = await partsOf(folder);
    expect(await sizeOf(folder)).toBeLessThan(2 * packed + kept + 60_000);

    // A newcomer to the next server has the document.
    const second = await there(folder);
    const late = join(second.url).session("s");
    const copy = bindDoc(late, "notes");
    await copy.whenSynced;
    expect(textOf(copy)).toBe(text);
    await second.close();
  });

  it("goes on after a SIGKILL between what the log says and what is done", async () => {
    const folder = await folderOf();
    const child = fork(new URL("./thin-server.ts", import.meta.url), [folder], {
      execArgv: ["--import", "tsx", "--conditions=source"],
    });
    const gone = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
    const url = await new Promise<string>((resolve) => child.once("message", (message) => resolve(String(message))));
    const client = join(url);
    const session = client.session("s");
    const notes = bindDoc(session, "notes");
    const t = notes.doc.getText("t");
    let isGone = false;
    void gone.then(() => {
      isGone = true;
    });
    for (let n = 0; n < 5_000 && !isGone; n += 1) {
      t.insert(t.length, line);
      await Promise.race([notes.flush(), gone]);
    }
    expect(await gone).toBe("SIGKILL");
    const text = textOf(notes);
    const store = embeddedStore(folder);
    const before = await store.read(s, 0, 1_000_000);
    expect(thinnedIn(before)).toBeGreaterThan(0);
    // Said, and not done.
    expect(before.some((entry) => documentIn(entry) !== undefined && entry.offset < thinnedIn(before))).toBe(true);
    await store.close();
    const place = await there(folder, {}, Number(new URL(url).port));
    client.retry();
    await notes.flush();
    expect(textOf(notes)).toBe(text);
    const other = bindDoc(join(place.url).session("s"), "notes");
    await other.whenSynced;
    await expect.poll(() => textOf(other)).toBe(text);
    client.close();
    await place.close();
    const again = embeddedStore(folder);
    const after = await again.read(s, 0, 1_000_000);
    expect(after.filter((entry) => documentIn(entry) !== undefined && entry.offset <= thinnedIn(after))).toEqual([]);
    await again.close();
  });
});

/** Bytes of the packed state, and of what the log has. */
const partsOf = async (folder: string): Promise<{ readonly packed: number; readonly kept: number }> => {
  const store = embeddedStore(folder);
  try {
    const record = await store.documents?.load(s, "notes");
    const state = await store.documents?.state(s, "notes", record?.offset ?? 0);
    const log = await store.read(s, 0, 1_000_000);
    return { packed: state?.byteLength ?? 0, kept: Buffer.byteLength(JSON.stringify(log)) };
  } finally {
    await store.close();
  }
};
