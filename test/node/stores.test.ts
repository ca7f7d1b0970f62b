/** Both stores of the server, against the contract and against what disks and people do to them. */

import { fork } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entry, sessionId } from "@rostrum/protocol";
import { embeddedStore, memoryStore, type Store } from "@rostrum/server";
import { type Subject, storeContract } from "@rostrum/testing/contract";
import { documentStoreContract } from "@rostrum/testing/document-contract";
import { ClassicLevel } from "classic-level";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const s = sessionId("s");
const entry = (offset: number, text = "x"): Entry => ({
  type: "messages",
  by: null,
  offset,
  at: offset,
  items: [["note", text]],
});

const inMemory = async (): Promise<Subject> => {
  const store = memoryStore();
  return { store, close: () => store.close() };
};

const embedded = async (): Promise<Subject> => {
  const folder = await mkdtemp(join(tmpdir(), "rostrum-"));
  let store = embeddedStore(folder);
  return {
    store,
    reopen: async () => {
      await store.close();
      store = embeddedStore(folder);
      return store;
    },
    close: async () => {
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
};

storeContract("memoryStore", inMemory);
storeContract("embeddedStore", embedded);
documentStoreContract("memoryStore", inMemory);
documentStoreContract("embeddedStore", embedded);

describe("embeddedStore", () => {
  let folder: string;
  const stores: Store[] = [];
  const open = (): Store => {
    const store = embeddedStore(folder);
    stores.push(store);
    return store;
  };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rostrum-"));
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await rm(folder, { recursive: true });
  });

  const level = async (use: (db: ClassicLevel<string, Buffer>) => Promise<void>): Promise<void> => {
    const db = new ClassicLevel<string, Buffer>(folder, { valueEncoding: "buffer" });
    await db.open();
    await use(db);
    await db.close();
  };

  it("refuses a folder that another store has open", async () => {
    await open().secret();
    await expect(open().secret()).rejects.toMatchObject({ code: "STORE_LOCKED" });
  });

  it("refuses a folder with foreign files and leaves them alone", async () => {
    await writeFile(join(folder, "thesis.txt"), "years of work");
    await expect(open().load(s)).rejects.toMatchObject({ code: "STORE_CORRUPT" });
    expect(await readFile(join(folder, "thesis.txt"), "utf8")).toBe("years of work");
    expect(await readdir(folder)).toEqual(["thesis.txt"]);
  });

  it("refuses a database of something else", async () => {
    await level((db) => db.put("theirs", Buffer.from("data")));
    await expect(open().load(s)).rejects.toMatchObject({ code: "STORE_CORRUPT" });
  });

  it("refuses a newer format", async () => {
    await open().secret();
    await stores.pop()?.close();
    await level((db) => db.put("m!format", Buffer.from("2")));
    await expect(open().load(s)).rejects.toMatchObject({ code: "STORE_NEWER", details: { found: 2, known: 1 } });
  });

  it("names a damaged record and goes on with the other sessions", async () => {
    const other = sessionId("other");
    const store = open();
    await store.append(s, { control: 0, head: 0 }, [entry(1)]);
    await store.append(other, { control: 0, head: 0 }, [entry(1)]);
    await store.close();
    await level(async (db) => {
      for await (const [key, value] of db.iterator({ gte: "e!", lt: "e!~" })) {
        if (!key.includes(`${Buffer.from("s").toString("base64url")}!`)) continue;
        value[value.length - 1] = (value[value.length - 1] ?? 0) ^ 1;
        await db.put(key, value);
      }
    });
    const again = open();
    await expect(again.load(s)).rejects.toMatchObject({ code: "STORE_CORRUPT" });
    expect(await again.load(other)).toMatchObject({ head: 1 });
  });

  it("names a document whose bytes are damaged", async () => {
    const state = new Uint8Array(2_000_000).fill(7);
    const record = { birth: "b", offset: 1, lineage: 0, changed: 1, writers: [], bytes: state.length };
    const store = open();
    await store.documents?.save(s, "notes", record, state);
    await store.documents?.save(s, "others", record, state);
    await store.close();
    const notes = Buffer.from("notes").toString("base64url");
    await level(async (db) => {
      for await (const [key, value] of db.iterator({ gte: "d!", lt: "d!~" })) {
        if (!key.includes(`!${notes}!s!`)) continue;
        value[value.length - 1] = 0;
        await db.put(key, value);
      }
    });
    const again = open();
    await expect(again.documents?.state(s, "notes", 1)).rejects.toMatchObject({ code: "STORE_CORRUPT" });
    expect(await again.documents?.state(s, "others", 1)).toHaveLength(2_000_000);
  });

  it("finds the record that was, if it died over the next one", async () => {
    const state = new Uint8Array(1_500_000).fill(7);
    const record = { birth: "b", offset: 5, lineage: 0, changed: 5, writers: [], bytes: state.length };
    const store = open();
    await store.documents?.save(s, "notes", record, state);
    await store.close();
    // Its first piece, and not what names it.
    await level(async (db) => {
      for await (const [key, value] of db.iterator({ gte: "d!", lt: "d!~" }))
        if (key.includes("!s!")) await db.put(key.replace("0000000000000005", "0000000000000009"), value);
    });
    const again = open();
    expect(await again.documents?.load(s, "notes")).toMatchObject({ offset: 5 });
    expect(await again.documents?.state(s, "notes", 5)).toHaveLength(1_500_000);
    await again.documents?.save(s, "notes", { ...record, offset: 7 }, state);
    await again.close();
    const offsets = new Set<string>();
    await level(async (db) => {
      for await (const key of db.keys({ gte: "d!", lt: "d!~" }))
        if (key.includes("!s!")) offsets.add(key.slice(-33, -17));
    });
    expect([...offsets]).toEqual(["0000000000000007"]);
  });

  it("loses nothing that it acknowledged to a SIGKILL", async () => {
    const child = fork(new URL("./append-forever.ts", import.meta.url), [folder], {
      execArgv: ["--import", "tsx", "--conditions=source"],
    });
    let acknowledged = 0;
    child.on("message", (head) => {
      acknowledged = Number(head);
      if (acknowledged > 200) child.kill("SIGKILL");
    });
    await new Promise((resolve) => child.once("exit", resolve));
    expect(acknowledged).toBeGreaterThan(200);
    const { head } = await open().load(s);
    expect(head).toBeGreaterThanOrEqual(acknowledged);
    const entries = await (stores[0] as Store).read(s, 0, 1_000_000);
    expect(entries.map(({ offset }) => offset)).toEqual(Array.from({ length: head }, (_, n) => n + 1));
  });
});
