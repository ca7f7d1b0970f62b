/**
 * What every blob store must do, as a vitest suite. A third party's blob store passes it or is not one.
 *
 * @example
 * blobStoreContract("my blobs", async () => { const blobs = myBlobs(bucket); return { blobs, close: () => blobs.close() } })
 */

import { sessionId } from "@rostrum/protocol";
import type { BlobStore, BlobWriter } from "@rostrum/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

export interface BlobSubject {
  readonly blobs: BlobStore;
  /** Closes the blob store and opens the same data anew; absent for one that keeps nothing. */
  readonly reopen?: () => Promise<BlobStore>;
  readonly close: () => Promise<void>;
}

const s = sessionId("standup");
const other = sessionId("standup2");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const failed = { code: "BLOB_FAILED" };
const unknown = { code: "BLOB_UNKNOWN" };
const usage = { code: "USAGE" };

export const blobStoreContract = (name: string, open: () => Promise<BlobSubject>): void => {
  describe(`${name} keeps the blob store's contract`, () => {
    let subject: BlobSubject;
    let blobs: BlobStore;
    beforeEach(async () => {
      subject = await open();
      blobs = subject.blobs;
    });
    afterEach(() => subject.close());

    /** A writer that has appended the text. */
    const written = async (text: string, blob = "b", session = s): Promise<BlobWriter> => {
      const writer = await blobs.write(session, blob, 0);
      await writer.append(bytes(text));
      return writer;
    };
    const put = async (text: string, blob = "b", session = s): Promise<void> => {
      const writer = await written(text, blob, session);
      await writer.flush();
      await writer.close();
    };
    const get = async (blob = "b", session = s, from = 0, length = 1_000_000): Promise<string> => {
      const reader = await blobs.read(session, blob);
      const found = await reader.read(from, length);
      await reader.close();
      return new TextDecoder().decode(found);
    };

    it("knows nothing of a blob that was never written", async () => {
      expect(await blobs.size(s, "b")).toBeUndefined();
      expect(await blobs.list(s)).toEqual([]);
      await expect(blobs.read(s, "b")).rejects.toMatchObject(unknown);
      await blobs.remove(s, "b");
      await blobs.removeAll(s);
      expect(await blobs.size(s, "b")).toBeUndefined();
    });

    it("gives back what was appended, in whole and in part", async () => {
      await put("hello, world");
      expect(await blobs.size(s, "b")).toBe(12);
      expect(await get()).toBe("hello, world");
      expect(await get("b", s, 7, 3)).toBe("wor");
      expect(await get("b", s, 7, 100)).toBe("world");
      expect(await get("b", s, 7, 0)).toBe("");
      expect(await get("b", s, 12, 5)).toBe("");
      expect(await get("b", s, 1_000, 5)).toBe("");
    });

    it("has a blob as soon as it is opened for writing", async () => {
      const writer = await blobs.write(s, "b", 0);
      expect(writer.size).toBe(0);
      expect(await blobs.size(s, "b")).toBe(0);
      expect(await blobs.list(s)).toEqual(["b"]);
      expect(await get()).toBe("");
      await writer.append(new Uint8Array());
      await writer.flush();
      await writer.close();
      expect(await blobs.size(s, "b")).toBe(0);
    });

    it("counts what was appended", async () => {
      const writer = await written("abc");
      expect(writer.size).toBe(3);
      await writer.append(bytes("de"));
      expect(writer.size).toBe(5);
      expect(await blobs.size(s, "b")).toBe(5);
    });

    it("keeps its own copy, and gives one", async () => {
      const writer = await blobs.write(s, "b", 0);
      const mine = bytes("abc");
      await writer.append(mine);
      mine.fill(0);
      const reader = await blobs.read(s, "b");
      (await reader.read(0, 3)).fill(0);
      expect(await get()).toBe("abc");
    });

    it("appends a part of a larger buffer, and only that", async () => {
      const writer = await blobs.write(s, "b", 0);
      await writer.append(bytes("abcdef").subarray(2, 4));
      expect(await get()).toBe("cd");
    });

    it("places concurrent appends in the order of their calls", async () => {
      const writer = await blobs.write(s, "b", 0);
      const texts = Array.from({ length: 100 }, (_, n) => `${"x".repeat(n % 7)}${n};`);
      await Promise.all([...texts.map((text) => writer.append(bytes(text))), writer.flush()]);
      expect(writer.size).toBe(texts.join("").length);
      expect(await get()).toBe(texts.join(""));
    });

    it("lets what is under way land before it closes a writer", async () => {
      const writer = await blobs.write(s, "b", 0);
      const appending = Promise.all(["a", "b", "c"].map((text) => writer.append(bytes(text))));
      await writer.close();
      await appending;
      expect(await get()).toBe("abc");
    });

    it("goes on at the end", async () => {
      await put("abc");
      const writer = await blobs.write(s, "b", 3);
      expect(writer.size).toBe(3);
      await writer.append(bytes("def"));
      expect(await get()).toBe("abcdef");
    });

    it("cuts to where writing is to go on", async () => {
      await put("abcdef");
      const writer = await blobs.write(s, "b", 2);
      expect(await blobs.size(s, "b")).toBe(2);
      expect(await get()).toBe("ab");
      await writer.append(bytes("XY"));
      expect(await get()).toBe("abXY");
      await writer.close();
      expect(await blobs.size(s, "b")).toBe(4);
      expect(await get()).toBe("abXY");
    });

    it("cuts within what was appended in many pieces", async () => {
      const first = await blobs.write(s, "b", 0);
      for (const text of ["ab", "cd", "ef"]) await first.append(bytes(text));
      await (await blobs.write(s, "b", 3)).append(bytes("XYZ"));
      expect(await get()).toBe("abcXYZ");
      expect(await get("b", s, 2, 3)).toBe("cXY");
    });

    it("refuses to go on behind the end, and changes nothing", async () => {
      await expect(blobs.write(s, "b", 1)).rejects.toMatchObject(failed);
      expect(await blobs.list(s)).toEqual([]);
      const writer = await written("abc");
      await expect(blobs.write(s, "b", 4)).rejects.toMatchObject({ ...failed, retryable: true });
      await writer.append(bytes("d"));
      expect(await get()).toBe("abcd");
    });

    it("refuses a writer from when another was opened", async () => {
      const first = await written("abc");
      const second = await blobs.write(s, "b", 3);
      await expect(first.append(bytes("late"))).rejects.toMatchObject(failed);
      await expect(first.flush()).rejects.toMatchObject(failed);
      await first.close();
      await second.append(bytes("def"));
      await second.flush();
      expect(await get()).toBe("abcdef");
    });

    it("keeps nothing of what the first of two writers has under way", async () => {
      const first = await written("abc");
      const late = Array.from({ length: 50 }, () => first.append(bytes("late".repeat(1_000))));
      // Some may have landed by then, and are cut off.
      const results = Promise.allSettled(late);
      const second = await blobs.write(s, "b", 3);
      await second.append(bytes("def"));
      await results;
      await expect(first.append(bytes("late"))).rejects.toMatchObject(failed);
      expect(second.size).toBe(6);
      expect(await get()).toBe("abcdef");
      await second.close();
      expect(await get()).toBe("abcdef");
    });

    it("leaves one of many who open at once with the blob", async () => {
      const writers = await Promise.all(Array.from({ length: 10 }, () => blobs.write(s, "b", 0)));
      const results = await Promise.allSettled(writers.map((writer, n) => writer.append(bytes(`${n}`))));
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      expect(await get()).toBe(`${results.findIndex(({ status }) => status === "fulfilled")}`);
    });

    it("shows a reader what is appended after it was opened", async () => {
      const writer = await blobs.write(s, "b", 0);
      const reader = await blobs.read(s, "b");
      expect(await reader.read(0, 10)).toHaveLength(0);
      await writer.append(bytes("abc"));
      expect(await reader.read(0, 10)).toEqual(bytes("abc"));
      await writer.append(bytes("def"));
      await writer.close();
      expect(await reader.read(2, 10)).toEqual(bytes("cdef"));
      await (await blobs.write(s, "b", 6)).append(bytes("g"));
      expect(await reader.read(6, 10)).toEqual(bytes("g"));
    });

    it("reads at many places at once", async () => {
      const text = Array.from({ length: 1_000 }, (_, n) => `${n}`.padStart(4, "0")).join("");
      await put(text);
      const reader = await blobs.read(s, "b");
      const parts = await Promise.all(Array.from({ length: 100 }, (_, n) => reader.read(n * 40, 40)));
      expect(parts.map((part) => new TextDecoder().decode(part)).join("")).toBe(text);
    });

    it("gives binary back as it was, megabytes of it", async () => {
      const given = Uint8Array.from({ length: 3_000_000 }, (_, n) => (n * 31 + (n >> 8)) & 255);
      const writer = await blobs.write(s, "b", 0);
      for (let at = 0; at < given.length; at += 700_000) await writer.append(given.subarray(at, at + 700_000));
      const reader = await blobs.read(s, "b");
      expect(Buffer.compare(await reader.read(0, 10_000_000), given)).toBe(0);
    });

    it("refuses names and numbers that are none, at every call, and makes nothing", async () => {
      const names = [
        "",
        ".",
        "..",
        "../b",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "a\0b",
        "a b",
        "ä",
        "b.txt",
        "b\n",
        "a".repeat(101),
      ];
      for (const each of names) {
        await expect(blobs.size(s, each), each).rejects.toMatchObject(usage);
        await expect(blobs.write(s, each, 0), each).rejects.toMatchObject(usage);
        await expect(blobs.read(s, each), each).rejects.toMatchObject(usage);
        await expect(blobs.remove(s, each), each).rejects.toMatchObject(usage);
      }
      for (const each of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
        await expect(blobs.write(s, "b", each), `${each}`).rejects.toMatchObject(usage);
      expect(await blobs.list(s)).toEqual([]);
      await put("abc");
      const reader = await blobs.read(s, "b");
      for (const each of [-1, 0.5, Number.NaN]) {
        await expect(reader.read(each, 1), `${each}`).rejects.toMatchObject(usage);
        await expect(reader.read(0, each), `${each}`).rejects.toMatchObject(usage);
      }
    });

    it("tells apart names that are alike, and lists them sorted", async () => {
      const names = ["-", "A", "AA", "Aa", "_", "a", "aA", "a-a", "con", "nul", "Z".repeat(100)];
      for (const each of names) await put(`in ${each}`, each);
      for (const each of names) expect(await get(each)).toBe(`in ${each}`);
      expect(await blobs.list(s)).toEqual([...names].sort());
    });

    it("keeps sessions apart, whatever their names", async () => {
      const names = ["a", "A", "a!", "a/b", "..", "../a", "ä", "\u0000", "~", "a".repeat(128), "__proto__", "😀"];
      for (const each of names) await put(`in ${each}`, "b", sessionId(each));
      for (const each of names) expect(await get("b", sessionId(each))).toBe(`in ${each}`);
      await blobs.removeAll(sessionId(".."));
      for (const each of names) expect(await blobs.list(sessionId(each))).toEqual(each === ".." ? [] : ["b"]);
    });

    it("removes a blob and nothing else", async () => {
      await put("abc", "b");
      await put("def", "c");
      await blobs.remove(s, "b");
      expect(await blobs.size(s, "b")).toBeUndefined();
      expect(await blobs.list(s)).toEqual(["c"]);
      await expect(blobs.read(s, "b")).rejects.toMatchObject(unknown);
      await put("new", "b");
      expect(await get("b")).toBe("new");
      expect(await get("c")).toBe("def");
    });

    it("removes a blob that is written, and its writer writes no more", async () => {
      const writer = await written("abc");
      await blobs.remove(s, "b");
      await expect(writer.append(bytes("d"))).rejects.toMatchObject(failed);
      await expect(writer.flush()).rejects.toMatchObject(failed);
      expect(await blobs.list(s)).toEqual([]);
      const next = await written("new");
      await writer.close();
      await next.append(bytes("er"));
      expect(await get()).toBe("newer");
    });

    it("removes a blob under appends, and none of them brings it back", async () => {
      const writer = await blobs.write(s, "b", 0);
      const late = Promise.allSettled(Array.from({ length: 50 }, () => writer.append(bytes("late".repeat(1_000)))));
      await blobs.remove(s, "b");
      await late;
      expect(await blobs.size(s, "b")).toBeUndefined();
      expect(await blobs.list(s)).toEqual([]);
    });

    it("shows the reader of a removed blob what was there, or that it is gone", async () => {
      await put("abc");
      const reader = await blobs.read(s, "b");
      await blobs.remove(s, "b");
      await put("another");
      const read = await reader.read(0, 10).then(
        (found) => new TextDecoder().decode(found),
        (error: unknown) => error,
      );
      if (read !== "abc") expect(read).toMatchObject(unknown);
      await reader.close();
    });

    it("removes all blobs of a session, written ones too, and no other's", async () => {
      await put("abc", "b");
      const writer = await written("def", "c");
      await put("ghi", "b", other);
      await blobs.removeAll(s);
      expect(await blobs.list(s)).toEqual([]);
      await expect(writer.append(bytes("late"))).rejects.toMatchObject(failed);
      expect(await get("b", other)).toBe("ghi");
      await put("new", "b");
      expect(await get("b")).toBe("new");
    });

    it("refuses what is asked of a closed writer or reader", async () => {
      const writer = await written("abc");
      const reader = await blobs.read(s, "b");
      for (const each of [writer, reader, writer, reader]) await each.close();
      await expect(writer.append(bytes("d"))).rejects.toMatchObject(failed);
      await expect(writer.flush()).rejects.toMatchObject(failed);
      await expect(reader.read(0, 1)).rejects.toMatchObject(failed);
      expect(await get()).toBe("abc");
    });

    it("refuses everything after it was closed", async () => {
      const writer = await written("abc");
      const reader = await blobs.read(s, "b");
      await blobs.close();
      await blobs.close();
      await expect(writer.append(bytes("d"))).rejects.toMatchObject(failed);
      await expect(writer.flush()).rejects.toMatchObject(failed);
      await expect(reader.read(0, 1)).rejects.toMatchObject(failed);
      await expect(blobs.size(s, "b")).rejects.toMatchObject(failed);
      await expect(blobs.write(s, "b", 0)).rejects.toMatchObject(failed);
      await expect(blobs.read(s, "b")).rejects.toMatchObject(failed);
      await expect(blobs.list(s)).rejects.toMatchObject(failed);
      await expect(blobs.remove(s, "b")).rejects.toMatchObject(failed);
      await expect(blobs.removeAll(s)).rejects.toMatchObject(failed);
      await writer.close();
      await reader.close();
    });

    it("has everything again after it was closed and opened, if it says that it is durable", async () => {
      const { reopen } = subject;
      expect(reopen !== undefined).toBe(blobs.durable);
      if (reopen === undefined) return;
      await put("gone", "c");
      await blobs.remove(s, "c");
      await (await written("abc")).flush();
      blobs = await reopen();
      expect(await blobs.list(s)).toEqual(["b"]);
      expect(await get()).toBe("abc");
      await (await blobs.write(s, "b", 2)).append(bytes("XY"));
      expect(await get()).toBe("abXY");
    });
  });
};
