/** A blob's writer on a disk that does what disks do. */

import { describe, expect, it } from "vitest";
import { FileWriter, type WrittenFile } from "./file-writer.ts";
import { replaced } from "./refusals.ts";

const failure = (code: string): Error => Object.assign(new Error(code), { code });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

class Disk implements WrittenFile {
  text = "";
  calls: string[] = [];
  /** At most so many bytes are taken at once. */
  most = Number.POSITIVE_INFINITY;
  /** What comes next fails. */
  readonly fail: { write?: string; truncate?: string; datasync?: string } = {};
  /** Bytes that fit. */
  room = Number.POSITIVE_INFINITY;
  /** Held until it is called. */
  hold: Promise<void> = Promise.resolve();

  async writev(pieces: readonly Uint8Array[], position: number): Promise<{ bytesWritten: number }> {
    await this.hold;
    if (this.fail.write !== undefined) throw failure(this.fail.write);
    const given = Buffer.concat(pieces);
    const bytesWritten = Math.min(given.length, this.most, this.room - position);
    if (bytesWritten < 1 && this.most > 0) throw failure("ENOSPC");
    const part = given.subarray(0, bytesWritten).toString();
    this.text = this.text.slice(0, position) + part + this.text.slice(position + bytesWritten);
    this.calls.push(`write ${bytesWritten}`);
    return { bytesWritten };
  }

  async truncate(size: number): Promise<void> {
    if (this.fail.truncate !== undefined) throw failure(this.fail.truncate);
    this.text = this.text.slice(0, size);
    this.calls.push(`truncate ${size}`);
  }

  /** A flush waits for this. */
  flushing: Promise<void> = Promise.resolve();

  async datasync(): Promise<void> {
    await this.flushing;
    if (this.fail.datasync !== undefined) throw failure(this.fail.datasync);
    this.calls.push("datasync");
  }

  async close(): Promise<void> {
    this.calls.push("close");
  }
}

const open = (): { readonly disk: Disk; readonly writer: FileWriter } => {
  const disk = new Disk();
  const keep = async (): Promise<void> => void disk.calls.push("keep");
  return { disk, writer: new FileWriter({ blob: "b", handle: disk, size: 0, keep, onClosed: () => {} }) };
};

describe("a blob's writer", () => {
  it("goes on after short writes until all is there", async () => {
    const { disk, writer } = open();
    disk.most = 2;
    await Promise.all([writer.append(bytes("abcde")), writer.append(bytes("fg"))]);
    expect(disk.text).toBe("abcdefg");
    expect(disk.calls).toEqual(["write 2", "write 2", "write 2", "write 1"]);
  });

  it("flushes the folders with the first flush, and nothing when there is nothing", async () => {
    const { disk, writer } = open();
    await writer.flush();
    await writer.flush();
    await writer.append(bytes("a"));
    await writer.flush();
    await writer.flush();
    expect(disk.calls).toEqual(["datasync", "keep", "write 1", "datasync"]);
  });

  it("lets appends land while a flush is under way, which is of what came before it", async () => {
    const { disk, writer } = open();
    let flushed = (): void => {};
    disk.flushing = new Promise((resolve) => (flushed = resolve));
    await writer.append(bytes("abc"));
    const flush = writer.flush();
    await writer.append(bytes("def"));
    expect([disk.text, writer.size]).toEqual(["abcdef", 6]);
    flushed();
    await flush;
    expect(disk.calls).toEqual(["write 3", "write 3", "datasync", "keep"]);
    await writer.flush();
    expect(disk.calls.at(-1)).toBe("datasync");
  });

  it("goes back to the last good flush, with what landed while the bad one was under way", async () => {
    const { disk, writer } = open();
    await writer.append(bytes("abc"));
    await writer.flush();
    let flushed = (): void => {};
    disk.flushing = new Promise((resolve) => (flushed = resolve));
    disk.fail.datasync = "EIO";
    await writer.append(bytes("def"));
    const flush = writer.flush();
    await writer.append(bytes("ghi"));
    flushed();
    await expect(flush).rejects.toMatchObject({ code: "BLOB_FAILED" });
    expect([disk.text, writer.size]).toEqual(["abc", 3]);
    await expect(writer.append(bytes("x"))).rejects.toMatchObject({ code: "BLOB_FAILED" });
  });

  it.each(["ENOSPC", "EDQUOT", "EFBIG"])(
    "says BLOB_FULL at %s, cuts off what was written, and takes nothing more",
    async (code) => {
      const { disk, writer } = open();
      await writer.append(bytes("abc"));
      if (code === "ENOSPC") disk.room = 5;
      else disk.fail.write = code;
      const results = await Promise.allSettled([
        writer.append(bytes("defg")),
        writer.append(bytes("h")),
        writer.flush(),
      ]);
      for (const result of results)
        expect(result).toMatchObject({
          reason: { code: "BLOB_FULL", details: { blob: "b", bytes: 5, size: 3, cause: code } },
        });
      expect(disk.text).toBe("abc");
      expect(writer.size).toBe(3);
    },
  );

  it.each(["EIO", "EBADF"])("says BLOB_FAILED at %s", async (code) => {
    const { disk, writer } = open();
    disk.fail.write = code;
    await expect(writer.append(bytes("a"))).rejects.toMatchObject({ code: "BLOB_FAILED", details: { cause: code } });
  });

  it("does not wait for ever for a disk that takes nothing", async () => {
    const { disk, writer } = open();
    disk.most = 0;
    await expect(writer.append(bytes("a"))).rejects.toMatchObject({ code: "BLOB_FAILED" });
  });

  it("tells how much is good even if the rest cannot be cut off", async () => {
    const { disk, writer } = open();
    await writer.append(bytes("abc"));
    disk.room = 5;
    disk.fail.truncate = "EIO";
    await expect(writer.append(bytes("defg"))).rejects.toMatchObject({ code: "BLOB_FULL" });
    expect(disk.text).toBe("abcde");
    expect(writer.size).toBe(3);
  });

  it("trusts nothing that a failed flush was to make durable", async () => {
    const { disk, writer } = open();
    await writer.append(bytes("abc"));
    await writer.flush();
    await writer.append(bytes("def"));
    disk.fail.datasync = "EIO";
    await expect(writer.flush()).rejects.toMatchObject({ code: "BLOB_FAILED", details: { bytes: 3, size: 3 } });
    delete disk.fail.datasync;
    expect(disk.text).toBe("abc");
    expect(writer.size).toBe(3);
    await expect(writer.flush()).rejects.toMatchObject({ code: "BLOB_FAILED" });
    await expect(writer.append(bytes("g"))).rejects.toMatchObject({ code: "BLOB_FAILED" });
  });

  it("lets nothing land once its end has come, what is under way included", async () => {
    const { disk, writer } = open();
    await writer.append(bytes("abc"));
    let go = (): void => {};
    disk.hold = new Promise((resolve) => {
      go = resolve;
    });
    const late = Promise.allSettled([writer.append(bytes("def")), writer.append(bytes("ghi"))]);
    await new Promise(setImmediate);
    let ended = false;
    const end = writer.end(replaced("b")).then(() => {
      ended = true;
    });
    await new Promise(setImmediate);
    expect(ended).toBe(false);
    go();
    await end;
    for (const result of await late) expect(result).toMatchObject({ reason: { code: "BLOB_FAILED" } });
    expect(disk.text).toBe("abc");
    expect(disk.calls.at(-1)).toBe("close");
    await writer.close();
    expect(disk.calls.filter((call) => call === "close")).toHaveLength(1);
  });
});
