/** Both stores of the server, against the contract and against what disks and people do to them. */

import { fork } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entry, sessionId } from "@rostrum/protocol";
import { embeddedStore, memoryStore, type Store } from "@rostrum/server";
import { storeContract } from "@rostrum/testing/contract";
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

storeContract("memoryStore", async () => {
  const store = memoryStore();
  return { store, close: () => store.close() };
});

storeContract("embeddedStore", async () => {
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
});

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
