/** Transfers over lanes, in raw frames, over real sockets and real files. */

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sessionId } from "@rostrum/protocol";
import { embeddedStore, fileBlobs, memoryBlobs, type SessionsOptions } from "@rostrum/server";
import { describe, expect, it } from "vitest";
import { piece } from "./piece.ts";
import { folderOf, type Place, serve, unmannered, victim } from "./place.ts";
import { digestOf, RawMember } from "./raw.ts";
import { tapped } from "./tapped-blobs.ts";

const interval = 1_000_000;
const content = piece(0, 5_400_123);
const result = { bytes: content.length, digest: digestOf(content) };

/** Paths of the blobs' files. */
const files = async (folder: string): Promise<readonly string[]> =>
  (await readdir(join(folder, "blobs"), { recursive: true }).catch((): string[] => []))
    .filter((name) => name.includes("b-"))
    .map((name) => join(folder, "blobs", name));

const onDisk = (folder: string, more: Partial<SessionsOptions> = {}, port = 0): Promise<Place> =>
  serve({ store: embeddedStore(folder), activities: { interval }, flicker: 5_000, ...unmannered, ...more }, port);

describe("a transfer", () => {
  it("is stored as it is sent, with a point at each interval, and goes to others while it is sent", async () => {
    const folder = await folderOf();
    const { url, sessions } = await onDisk(folder);
    const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
    const id = await a.transfer({ size: content.length });
    const [out, back] = [await a.lane(), await b.lane()];
    expect(await out.upload(id)).toMatchObject({ at: 0, upTo: content.length });
    const fetching = back.fetch(id);
    await out.push(id, content, 0, 2_500_000);
    // What is confirmed comes at once; the rest has to wait for its point.
    await back.until(() => (back.fetched(id).length === 2 * interval ? true : undefined));
    await out.push(id, content, 2_500_000);
    out.finish(id, content);
    expect((await a.entry("activity-ended")).result).toEqual(result);
    expect(digestOf(await fetching)).toBe(result.digest);
    const points = b.entries("activity-point").map(({ data }) => data);
    const whole = [1, 2, 3, 4, 5].map((n) => ({
      bytes: n * interval,
      digest: digestOf(content.subarray(0, n * interval)),
    }));
    expect(points).toEqual([...whole, result]);
    const [file = ""] = await files(folder);
    expect(digestOf(await readFile(file))).toBe(result.digest);
    expect(sessions.health().transfers).toEqual({ lanes: 2, uploads: 0, fetches: 0, bytes: 0 });
  });

  it("may be empty, and of a size that nobody knew", async () => {
    const { url } = await serve();
    const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
    const empty = await a.transfer();
    const [out, back] = [await a.lane(), await b.lane()];
    const fetching = back.fetch(empty);
    await out.upload(empty);
    out.finish(empty, new Uint8Array(0));
    expect(await fetching).toHaveLength(0);
    expect(await a.entry("activity-point")).toMatchObject({ serial: 1, data: { bytes: 0 }, confirmed: true });
    expect((await a.entry("activity-ended")).result).toMatchObject({ bytes: 0 });
  });

  it("goes on at the exact byte when its lane was cut", async () => {
    const { url } = await onDisk(await folderOf());
    const a = await RawMember.join(url);
    const id = await a.transfer();
    const first = await a.lane();
    await first.upload(id);
    await first.push(id, content, 0, 1_234_567);
    await first.taken();
    first.cut();
    const second = await a.lane();
    expect(await second.upload(id)).toMatchObject({ at: 1_234_567 });
    await second.push(id, content, 1_234_567);
    second.finish(id, content);
    expect((await a.entry("activity-ended")).result).toEqual(result);
  });

  it("goes on at the exact byte when its member was cut, and when it counted as dropped", async () => {
    const { url } = await onDisk(await folderOf(), { flicker: 50 });
    const a = await RawMember.join(url);
    const id = await a.transfer();
    const first = await a.lane();
    await first.upload(id);
    await first.push(id, content, 0, 1_500_000);
    await first.taken();
    // Taken up anew while the old connection is still there.
    const again = await a.resume();
    expect(await first.refused(0)).toBe("REPLACED");
    const second = await again.lane();
    expect(await second.upload(id)).toMatchObject({ at: 1_500_000 });
    await second.push(id, content, 1_500_000, 2_500_000);
    await second.taken();
    again.cut();
    expect(await second.refused(0)).toBe("MEMBER_UNKNOWN");
    const back = await again.resume();
    await back.entry("activity-interrupted");
    const run = (await back.command({ type: "activity-resume", activity: id })) as number;
    const third = await back.lane();
    third.send({ type: "upload", session: "s", activity: id, run: id });
    expect(await third.refused(id)).toBe("ACTIVITY_NOT_HELD");
    const fourth = await back.lane();
    expect(await fourth.upload(id, run)).toMatchObject({ at: 2_500_000 });
    await fourth.push(id, content, 2_500_000);
    fourth.finish(id, content);
    expect((await back.entry("activity-ended")).result).toEqual(result);
  });

  it("goes on at the exact byte over another lane of its member, and on another device of its user", async () => {
    const { url } = await serve({
      authenticate: () => ({ user: "u" }),
      activities: { interval },
    });
    const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
    const id = await a.transfer();
    const [first, second] = [await a.lane(), await a.lane()];
    await first.upload(id);
    await first.push(id, content, 0, 300_000);
    await first.taken();
    expect(await second.upload(id)).toMatchObject({ at: 300_000 });
    expect(await first.refused(id)).toBe("REPLACED");
    await second.push(id, content, 300_000, 700_001);
    await second.taken();
    await a.command({ type: "activity-interrupt", activity: id, run: id });
    expect(await second.refused(id)).toBe("ACTIVITY_INTERRUPTED");
    const run = (await b.command({ type: "activity-resume", activity: id })) as number;
    const third = await b.lane();
    expect(await third.upload(id, run)).toMatchObject({ at: 700_001 });
    await third.push(id, content, 700_001);
    third.finish(id, content);
    expect((await b.entry("activity-ended")).result).toEqual(result);
  });

  it("of the state at a sync point is shared when it has ended", async () => {
    const { url, sessions } = await serve({ activities: { interval } });
    const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
    const point = Number(await a.command({ type: "sync-minor" }));
    const id = Number(await a.command({ type: "activity-start", kind: "state", name: "state", point }));
    const [out, back] = [await a.lane(), await b.lane()];
    await out.upload(id);
    await out.push(id, content);
    out.finish(id, content);
    expect(await b.entry("sync-shared")).toMatchObject({ point, activity: id });
    expect(digestOf(await back.fetch(id))).toBe(result.digest);
    // Its point is void: so is its state.
    await sessions.get("s").sync.restart(0);
    await b.entry("activity-forgotten");
    back.send({ type: "fetch", session: "s", activity: id, at: 0, upTo: 10 });
    expect(await back.refused(id)).toBe("ACTIVITY_UNKNOWN");
  });

  it("is read on from any byte", async () => {
    const { url } = await serve({ activities: { interval } });
    const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
    const id = await a.transfer();
    const out = await a.lane();
    await out.upload(id);
    await out.push(id, content);
    out.finish(id, content);
    await b.entry("activity-ended");
    const back = await b.lane();
    back.send({ type: "fetch", session: "s", activity: id, at: 0, upTo: 777_777 });
    // No more than there is room for.
    await back.until(() => (back.fetched(id).length === 777_777 ? true : undefined));
    await back.taken();
    expect(back.fetched(id)).toHaveLength(777_777);
    back.cut();
    const on = await b.lane();
    expect(digestOf(await on.fetch(id, 777_777, 300_000))).toBe(digestOf(content.subarray(777_777)));
    // Asked for before it was heard that this was all, it is not sent again; once that is settled, it is.
    const before = on.all("bytes").length;
    const { at: last } = on.all("bytes").at(-1) ?? { at: 0 };
    on.send({ type: "fetch", session: "s", activity: id, at: last + 1, upTo: last + 300_000 });
    await on.taken();
    expect(on.all("bytes")).toHaveLength(before);
    on.send({ type: "fetch", session: "s", activity: id, at: 5_000_000, upTo: 5_000_000 });
    on.send({ type: "fetch", session: "s", activity: id, at: last + 1, upTo: last + 300_000 });
    await on.until(() => on.all("bytes")[before]);
  });
});

describe("a transfer whose server is killed", () => {
  it("goes on at its last point: no more than an interval is sent again", async () => {
    const server = await victim(new URL("./lane-server.ts", import.meta.url), await folderOf(), String(interval));
    const a = await RawMember.join(server.url);
    const id = await a.transfer({ size: content.length });
    const lane = await a.lane();
    await lane.upload(id);
    await lane.push(id, content, 0, 3_400_000);
    await a.until(() => (a.entries("activity-point").length === 3 ? true : undefined));
    await server.kill();
    await server.start();
    const again = await a.resume(server.url);
    const on = await again.lane();
    expect(await on.upload(id)).toMatchObject({ at: 3 * interval });
    await on.push(id, content, 3 * interval);
    on.finish(id, content);
    expect((await again.entry("activity-ended")).result).toEqual(result);
    expect(digestOf(await (await again.lane()).fetch(id))).toBe(result.digest);
  });

  it("is given up if the disk has changed its bytes, or lost some", async () => {
    const folder = await folderOf();
    const place = await onDisk(folder);
    const a = await RawMember.join(place.url);
    const [changed, lost] = [await a.transfer(), await a.transfer()];
    const lane = await a.lane();
    for (const id of [changed, lost]) {
      await lane.upload(id);
      await lane.push(id, content, 0, 1_200_000);
    }
    await a.until(() => (a.entries("activity-point").length === 2 ? true : undefined));
    await place.close();
    for (const file of await files(folder)) {
      const bytes = await readFile(file);
      bytes[500_000] = (bytes[500_000] ?? 0) ^ 1;
      await writeFile(file, file.endsWith(`-${changed}`) ? bytes : bytes.subarray(0, 900_000));
    }
    const { url } = await onDisk(folder, {}, Number(new URL(place.url).port));
    const again = await a.resume(url);
    const on = await again.lane();
    for (const id of [changed, lost]) {
      on.send({ type: "upload", session: "s", activity: id, run: id });
      expect(await on.refused(id)).toBe("TRANSFER_DIGEST");
    }
    await expect.poll(() => again.entries("activity-discarded").map(({ why }) => why)).toEqual(["failed", "failed"]);
    await expect.poll(() => files(folder)).toEqual([]);
  });
});

describe("what is over", () => {
  it("frees its file, and is told to who sends and who reads", async () => {
    const folder = await folderOf();
    const { url } = await onDisk(folder);
    const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
    const id = await a.transfer();
    const [out, back] = [await a.lane(), await b.lane()];
    await out.upload(id);
    await out.push(id, content, 0, 2_300_000);
    back.send({ type: "fetch", session: "s", activity: id, at: 0, upTo: 4_000_000 });
    await back.until(() => (back.fetched(id).length === 2 * interval ? true : undefined));
    expect(await files(folder)).toHaveLength(1);
    await a.command({ type: "activity-discard", activity: id, reason: "wrong file" });
    expect(await out.refused(id)).toBe("TRANSFER_ABORTED");
    expect(await back.refused(id)).toBe("TRANSFER_ABORTED");
    await expect.poll(() => files(folder)).toEqual([]);
    // The lanes are lanes still.
    const next = await a.transfer();
    expect(await out.upload(next)).toMatchObject({ at: 0 });
  });

  it("frees its file when all have it, and when the session ends", async () => {
    const folder = await folderOf();
    const { url, sessions } = await onDisk(folder);
    const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
    const id = await a.transfer({}, { to: [b.id] });
    const [out, back] = [await a.lane(), await b.lane()];
    await out.upload(id);
    await out.push(id, content);
    out.finish(id, content);
    expect(digestOf(await back.fetch(id))).toBe(result.digest);
    expect(await files(folder)).toHaveLength(1);
    await b.command({ type: "activity-confirm", activity: id, serial: 6 });
    await b.entry("activity-forgotten");
    await expect.poll(() => files(folder)).toEqual([]);
    const open = await a.transfer();
    await out.upload(open);
    await out.push(open, content, 0, 100_000);
    await sessions.get("s").end("enough");
    expect(await out.refused(0)).toBe("SESSION_ENDED");
    await expect.poll(() => files(folder)).toEqual([]);
  });

  it("is removed when the session is loaded, if a crash has left it behind", async () => {
    const folder = await folderOf();
    const place = await onDisk(folder);
    const a = await RawMember.join(place.url);
    const id = await a.transfer();
    const lane = await a.lane();
    await lane.upload(id);
    await lane.push(id, content, 0, 1_100_000);
    await a.entry("activity-point");
    await place.close();
    const blobs = fileBlobs(join(folder, "blobs"));
    await (await blobs.write(sessionId("s"), "nobodys-7", 0)).append(piece(0, 10));
    await blobs.close();
    expect(await files(folder)).toHaveLength(2);
    const { sessions } = await onDisk(folder);
    await sessions.get("s").state();
    await expect.poll(async () => (await files(folder)).map((file) => file.endsWith(`-${id}`))).toEqual([true]);
    await sessions.delete("s");
    expect(await files(folder)).toEqual([]);
  });
});

describe("memory", () => {
  it("holds no more of an upload than a lane may have under way, however slow the disk", async () => {
    const laneBytes = 1_000_000;
    let most = 0;
    const blobs = tapped(memoryBlobs(), {
      append: async () => {
        most = Math.max(most, place.sessions.health().transfers.bytes);
        await new Promise(setImmediate);
      },
    });
    const place = await serve({ blobs, limits: { laneBytes }, activities: { interval: 16_000_000 } });
    const a = await RawMember.join(place.url);
    const large = Buffer.alloc(64_000_000, piece(0, 65_537));
    const id = await a.transfer({ size: large.length });
    const lane = await a.lane();
    await lane.upload(id);
    await lane.push(id, large);
    lane.finish(id, large);
    expect((await a.entry("activity-ended")).result).toMatchObject({ bytes: large.length });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(laneBytes);
    expect(place.sessions.health().transfers.bytes).toBe(0);
  });

  it("is shared by all uploads: who finds none waits for its turn", async () => {
    const transferBytes = 1_000_000;
    let most = 0;
    const blobs = tapped(memoryBlobs(), {
      append: async () => {
        most = Math.max(most, place.sessions.health().transfers.bytes);
        await new Promise(setImmediate);
      },
    });
    const place = await serve({ blobs, transferBytes, activities: { interval } });
    const a = await RawMember.join(place.url);
    const lane = await a.lane();
    const ids = [];
    for (let n = 0; n < 8; n += 1) ids.push(await a.transfer());
    for (const id of ids) lane.send({ type: "upload", session: "s", activity: id, run: id });
    await Promise.all(
      ids.map(async (id) => {
        await lane.push(id, content);
        lane.finish(id, content);
      }),
    );
    await a.until(() => (a.entries("activity-ended").length === ids.length ? true : undefined));
    expect(most).toBeLessThanOrEqual(transferBytes);
  });
});

describe("the app on the server", () => {
  it("reads what is sent, and keeps it until it has it all", async () => {
    const folder = await folderOf();
    const { url, sessions } = await onDisk(folder);
    const session = sessions.get("s");
    const [a, b] = [await RawMember.join(url), await RawMember.join(url)];
    const id = await a.transfer({ size: content.length }, { to: [b.id] });
    const ends: unknown[] = [];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    sessions.onTransfer(({ activity, ...end }) => {
      ends.push({ id: activity.id, ...end });
      return held;
    });
    const own: unknown[] = [];
    const stop = session.onTransfer(({ activity }) => void own.push(activity.name));
    expect(await session.activities()).toMatchObject([{ id, kind: "transfer", status: "running" }]);
    const read = async (): Promise<string> => {
      const pieces = [];
      for await (const bytes of session.read(id)) pieces.push(bytes);
      return digestOf(Buffer.concat(pieces));
    };
    const reading = read();
    const lane = await a.lane();
    await lane.upload(id);
    await lane.push(id, content);
    lane.finish(id, content);
    expect(await reading).toBe(result.digest);
    expect(ends).toEqual([{ id, session: "s", status: "ended", ...result }]);
    expect(own).toEqual(["file"]);
    stop();
    await b.command({ type: "activity-confirm", activity: id, serial: 6 });
    await b.entry("activity-forgotten");
    expect(await files(folder)).toHaveLength(1);
    release();
    await expect.poll(() => files(folder)).toEqual([]);
    await expect(read()).rejects.toMatchObject({ code: "ACTIVITY_UNKNOWN" });
  });

  it("gives a transfer up, and who reads it on the server is told", async () => {
    const { url, sessions } = await serve({ activities: { interval } });
    const session = sessions.get("s");
    const a = await RawMember.join(url);
    const id = await a.transfer();
    const lane = await a.lane();
    await lane.upload(id);
    await lane.push(id, content, 0, 1_100_000);
    const reading = session.read(id);
    expect((await reading.next()).value).toBeInstanceOf(Uint8Array);
    await session.discard(id, "not here");
    expect(await lane.refused(id)).toBe("TRANSFER_ABORTED");
    const rest = async (): Promise<void> => {
      for await (const _ of reading);
    };
    await expect(rest()).rejects.toMatchObject({ code: expect.stringMatching(/TRANSFER_ABORTED|BLOB_/) });
    await expect(session.discard(id)).rejects.toMatchObject({ code: "ACTIVITY_UNKNOWN" });
    const waiting = session.read(await a.transfer(), { signal: AbortSignal.abort() });
    await expect(waiting.next()).rejects.toThrow();
  });
});
