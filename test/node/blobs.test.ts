/** Both blob stores of the server, against the contract and against what disks and people do to them. */

import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sessionId } from "@rostrum/protocol";
import { type BlobStore, embeddedStore, fileBlobs, memoryBlobs, memoryStore, type Store } from "@rostrum/server";
import { blobStoreContract } from "@rostrum/testing/blob-contract";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Said } from "./append-blob.ts";
import { piece } from "./piece.ts";

const s = sessionId("s");
const other = sessionId("other");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const put = async (blobs: BlobStore | undefined, session = s, text = "abc", blob = "b"): Promise<void> => {
  const writer = await blobs?.write(session, blob, 0);
  await writer?.append(bytes(text));
  await writer?.flush();
  await writer?.close();
};
const all = async (blobs: BlobStore, blob = "b"): Promise<Uint8Array> => {
  const reader = await blobs.read(s, blob);
  return reader.read(0, 1_000_000_000);
};
const folderOf = (session: string): string => createHash("sha256").update(session).digest("hex");

blobStoreContract("memoryBlobs", async () => {
  const blobs = memoryBlobs();
  return { blobs, close: () => blobs.close() };
});

blobStoreContract("fileBlobs", async () => {
  const folder = await mkdtemp(join(tmpdir(), "rostrum-"));
  let blobs = fileBlobs(folder);
  return {
    blobs,
    reopen: async () => {
      await blobs.close();
      blobs = fileBlobs(folder);
      return blobs;
    },
    close: async () => {
      await blobs.close();
      await rm(folder, { recursive: true });
    },
  };
});

describe("memoryBlobs", () => {
  it("refuses what is over its limit in all, and goes on when there is room", async () => {
    const blobs = memoryBlobs(10);
    await put(blobs, other, "12345678");
    const writer = await blobs.write(s, "b", 0);
    await writer.append(bytes("ab"));
    await expect(writer.append(bytes("c"))).rejects.toMatchObject({
      code: "BLOB_FULL",
      retryable: true,
      details: { blob: "b", bytes: 1, size: 2, limit: 10 },
    });
    expect(writer.size).toBe(2);
    await expect(writer.append(new Uint8Array())).rejects.toMatchObject({ code: "BLOB_FULL" });
    await blobs.write(other, "b", 7);
    await (await blobs.write(s, "b", 2)).append(bytes("c"));
    await blobs.remove(other, "b");
    await (await blobs.write(s, "b", 3)).append(bytes("1234567"));
    expect(new TextDecoder().decode(await all(blobs))).toBe("abc1234567");
    await blobs.removeAll(s);
    await put(blobs, s, "1234567890");
  });
});

describe("fileBlobs", () => {
  let base: string;
  let folder: string;
  const opened: BlobStore[] = [];
  const open = (): BlobStore => {
    const blobs = fileBlobs(folder);
    opened.push(blobs);
    return blobs;
  };
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), "rostrum-"));
    folder = join(base, "data", "blobs");
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((blobs) => blobs.close()));
    await rm(base, { recursive: true });
  });

  /** Appends pieces of a length in a process of its own; what it said last is the answer. */
  const appendElsewhere = async (length: number, until: number, flags: { limit?: number } = {}): Promise<Said> => {
    const node = ["--import", "tsx", "--conditions=source"];
    const child = fork(
      new URL("./append-blob.ts", import.meta.url),
      [folder, `${length}`],
      flags.limit === undefined
        ? { execArgv: node }
        : {
            execPath: "/bin/sh",
            execArgv: ["-c", `ulimit -f ${flags.limit} && exec "$0" "$@"`, process.execPath, ...node],
          },
    );
    let last: Said = { size: 0 };
    child.on("message", (said: Said) => {
      last = said;
      if (said.size > until) child.kill("SIGKILL");
    });
    await new Promise((resolve) => child.once("exit", resolve));
    return last;
  };

  /** Files that this process has open below the folder, where the system tells. */
  const handles = async (): Promise<readonly string[]> => {
    const names = await readdir("/proc/self/fd").catch((): string[] => []);
    const paths = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => "")));
    return paths.filter((path) => path.startsWith(base));
  };

  it("makes its folder when the first blob is written, and no sooner", async () => {
    const blobs = open();
    await blobs.size(s, "b");
    await blobs.list(s);
    await blobs.remove(s, "b");
    await blobs.removeAll(s);
    await expect(blobs.read(s, "b")).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
    await expect(blobs.write(s, "b", 1)).rejects.toMatchObject({ code: "BLOB_FAILED" });
    expect(await readdir(base)).toEqual([]);
    await put(blobs);
    expect(await readdir(folder)).toEqual([folderOf("s")]);
  });

  it("touches nothing outside of its folder, whatever the names", async () => {
    await mkdir(join(base, "data"));
    await writeFile(join(base, "data", "thesis.txt"), "years of work");
    const blobs = open();
    for (const session of ["..", "../..", "/", "thesis.txt", "\0"]) {
      await put(blobs, sessionId(session));
      for (const blob of [
        "..",
        "../thesis.txt",
        "../../thesis.txt",
        `${base}/data/thesis.txt`,
        "thesis.txt\0",
        "b\0",
      ]) {
        await expect(blobs.write(sessionId(session), blob, 0)).rejects.toMatchObject({ code: "USAGE" });
        await expect(blobs.read(sessionId(session), blob)).rejects.toMatchObject({ code: "USAGE" });
        await expect(blobs.remove(sessionId(session), blob)).rejects.toMatchObject({ code: "USAGE" });
      }
      await blobs.removeAll(sessionId(session));
    }
    expect(await readdir(base)).toEqual(["data"]);
    expect((await readdir(join(base, "data"))).sort()).toEqual(["blobs", "thesis.txt"]);
    expect(await readFile(join(base, "data", "thesis.txt"), "utf8")).toBe("years of work");
    expect(await readdir(folder)).toEqual([]);
  });

  it("tells capitals from small letters where the file system does not", async () => {
    const blobs = open();
    await put(blobs, s, "1", "aB");
    await put(blobs, s, "2", "Ab");
    const names = await readdir(join(folder, folderOf("s")));
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(2);
  });

  it("removes a session's folder with its last blob, and leaves files of others alone", async () => {
    const blobs = open();
    await put(blobs, s, "abc", "b");
    await put(blobs, s, "abc", "c");
    await blobs.remove(s, "b");
    expect(await readdir(folder)).toEqual([folderOf("s")]);
    await blobs.remove(s, "c");
    expect(await readdir(folder)).toEqual([]);
    await put(blobs);
    await writeFile(join(folder, folderOf("s"), "thesis.txt"), "years of work");
    expect(await blobs.list(s)).toEqual(["b"]);
    await blobs.removeAll(s);
    expect(await readdir(join(folder, folderOf("s")))).toEqual(["thesis.txt"]);
  });

  it("leaves no file open", async () => {
    const blobs = open();
    await Promise.all(Array.from({ length: 20 }, () => blobs.write(s, "b", 0)));
    const removed = await blobs.write(s, "c", 0);
    await blobs.read(s, "c");
    await blobs.remove(s, "c");
    await expect(removed.flush()).rejects.toMatchObject({ code: "BLOB_FAILED" });
    await blobs.read(s, "b");
    const opening = Promise.allSettled([blobs.read(s, "b"), blobs.write(s, "d", 0)]);
    await new Promise(setImmediate);
    await blobs.close();
    // Whether they were opened yet or are refused.
    await opening;
    expect(await handles()).toEqual([]);
  });

  it("has all that was flushed after a SIGKILL, and goes on from there", async () => {
    const { size: acknowledged, refused } = await appendElsewhere(1_000, 200_000);
    expect(refused).toBeUndefined();
    expect(acknowledged).toBeGreaterThan(200_000);
    const blobs = open();
    const size = (await blobs.size(s, "b")) ?? 0;
    expect(size).toBeGreaterThanOrEqual(acknowledged);
    expect(Buffer.compare(await all(blobs), piece(0, size))).toBe(0);
    // Where the client's own record says.
    const at = acknowledged - 500;
    const writer = await blobs.write(s, "b", at);
    await writer.append(piece(at, 2_000));
    await writer.flush();
    expect(await blobs.size(s, "b")).toBe(at + 2_000);
    expect(Buffer.compare(await all(blobs), piece(0, at + 2_000))).toBe(0);
  });

  it("cuts off what had no room, and goes on when there is some", async () => {
    // 512 or 1,024 bytes each, by the shell: no whole number of pieces, so that the last is written in part.
    const { size, refused } = await appendElsewhere(100_000, 50_000_000, { limit: 2_048 });
    expect(refused).toBe("BLOB_FULL");
    expect(size).toBeGreaterThanOrEqual(1_000_000);
    expect(size % 100_000).toBe(0);
    const blobs = open();
    expect(await blobs.size(s, "b")).toBe(size);
    const writer = await blobs.write(s, "b", size);
    await writer.append(piece(size, 100_000));
    await writer.flush();
    expect(Buffer.compare(await all(blobs), piece(0, size + 100_000))).toBe(0);
  });

  it("says BLOB_FAILED when the disk refuses otherwise", async () => {
    await mkdir(join(base, "data"));
    await writeFile(folder, "a file where a folder should be");
    const blobs = open();
    const failed = { code: "BLOB_FAILED", details: { cause: "ENOTDIR" } };
    await expect(blobs.size(s, "b")).rejects.toMatchObject(failed);
    await expect(blobs.write(s, "b", 0)).rejects.toMatchObject(failed);
    await expect(blobs.read(s, "b")).rejects.toMatchObject(failed);
    await expect(blobs.list(s)).rejects.toMatchObject(failed);
  });

  it("shows no path to clients", async () => {
    await mkdir(join(base, "data"));
    await writeFile(folder, "a file where a folder should be");
    const error: unknown = await open()
      .write(s, "b", 0)
      .catch((cause: unknown) => cause);
    expect((error as Error).message).not.toContain(base);
  });

  it("reads what is there when a file was cut under its reader", async () => {
    const blobs = open();
    await put(blobs, s, "abcdef");
    const reader = await blobs.read(s, "b");
    await truncate(join(folder, folderOf("s"), "b-b"), 3);
    expect(await reader.read(1, 10)).toEqual(bytes("bc"));
    await expect(blobs.write(s, "b", 6)).rejects.toMatchObject({ code: "BLOB_FAILED", details: { at: 6, size: 3 } });
  });
});

describe("a store's blobs", () => {
  let folder: string;
  const stores: Store[] = [];
  const embedded = (): Store => {
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

  it("go with the session, and close with the store", async () => {
    for (const store of [memoryStore(), embedded()]) {
      const { blobs } = store;
      await put(blobs, s);
      await put(blobs, other);
      await store.delete(s);
      expect(await blobs?.list(s)).toEqual([]);
      expect(await blobs?.list(other)).toEqual(["b"]);
      expect(blobs?.durable).toBe(store.durable);
      await store.close();
      await expect(blobs?.list(other)).rejects.toMatchObject({ code: "BLOB_FAILED" });
    }
  });

  it("lie in the embedded store's folder, which opens with them, and with them alone", async () => {
    const store = embedded();
    // Before the store has opened: it waits for that.
    await put(store.blobs);
    const secret = await store.secret();
    await store.close();
    expect(await readdir(folder)).toContain("blobs");
    const again = embedded();
    expect(await again.secret()).toEqual(secret);
    expect(await again.blobs?.list(s)).toEqual(["b"]);
    await again.close();
    for (const name of await readdir(folder)) if (name !== "blobs") await rm(join(folder, name));
    const alone = embedded();
    expect(await alone.load(s)).toMatchObject({ head: 0 });
    expect(await alone.blobs?.size(s, "b")).toBe(3);
  });

  it("are not made in a folder that is not the store's, and not touched where another has it open", async () => {
    await writeFile(join(folder, "thesis.txt"), "years of work");
    await expect(put(embedded().blobs)).rejects.toMatchObject({ code: "STORE_CORRUPT" });
    expect(await readdir(folder)).toEqual(["thesis.txt"]);
    await rm(join(folder, "thesis.txt"));
    await put(embedded().blobs);
    const { blobs } = embedded();
    await expect(blobs?.write(s, "b", 0)).rejects.toMatchObject({ code: "STORE_LOCKED" });
    await expect(blobs?.removeAll(s)).rejects.toMatchObject({ code: "STORE_LOCKED" });
    expect(await stores[1]?.blobs?.size(s, "b")).toBe(3);
  });
});
