/** What a sender, a reader or a disk that does not play by the rules can do to transfers: nothing but be refused. */

import { readdir } from "node:fs/promises";
import type { Socket } from "node:net";
import { type MemberCommand, memberId, RostrumError } from "@rostrum/protocol";
import { type BlobStore, fileBlobs, memoryBlobs, memoryStore, type SessionsOptions, type Store } from "@rostrum/server";
import { Scheduler } from "@rostrum/testing";
import { describe, expect, it } from "vitest";
import { piece } from "../node/piece.ts";
import { closing, folderOf, type Place, serve, unmannered } from "../node/place.ts";
import { digestOf, RawLane, RawMember } from "../node/raw.ts";
import { type Tap, tapped } from "../node/tapped-blobs.ts";

const content = piece(0, 1_000_000);
const interval = 300_000;

const place = (more: Partial<SessionsOptions> = {}): Promise<Place> =>
  serve({ activities: { interval }, ...unmannered, ...more });

/** A member that uploads, at some byte. */
const sending = async (
  { url }: Place,
  sent = 0,
  data: object = {},
): Promise<{ readonly a: RawMember; readonly lane: RawLane; readonly id: number }> => {
  const a = await RawMember.join(url);
  const id = await a.transfer(data);
  const lane = await a.lane();
  await lane.upload(id);
  await lane.push(id, content, 0, sent);
  await lane.taken();
  return { a, lane, id };
};

const discarded = async (a: RawMember, id: number): Promise<string> => {
  const { why, reason = "" } = await a.until(() =>
    a.entries("activity-discarded").find(({ activity }) => activity === id),
  );
  return `${why} ${reason.split(":")[0]}`;
};

describe("a lane", () => {
  const ask = async (url: string, frame: object): Promise<string> => {
    const lane = await RawLane.dial(url);
    lane.send({ type: "lane", session: "s", ...frame });
    return lane.refused(0);
  };

  it("is refused without the present token of a member that is connected", async () => {
    const { url, sessions } = await place();
    const a = await RawMember.join(url);
    const b = await RawMember.join(url);
    const { birth, member, token } = a.opened;
    expect(await ask(url, { birth, member, token: "1.forged" })).toBe("TOKEN_REUSED");
    expect(await ask(url, { birth, member, token: b.opened.token })).toBe("TOKEN_REUSED");
    expect(await ask(url, { birth, member: "nobody", token })).toBe("MEMBER_UNKNOWN");
    expect(await ask(url, { birth: "another", member, token })).toBe("MEMBER_UNKNOWN");
    expect(await ask(url, { session: "other", birth, member, token })).toBe("SERVER_BUSY");
    expect(sessions.health().sessions).toBe(1);
    const again = await a.resume();
    expect(await ask(url, { birth, member, token })).toBe("TOKEN_REUSED");
    const lane = await again.lane();
    await sessions.get("s").remove(again.id);
    expect(await lane.refused(0)).toBe("MEMBER_UNKNOWN");
    expect(await ask(url, { birth, member, token: again.opened.token })).toBe("MEMBER_UNKNOWN");
    expect(sessions.health().transfers.lanes).toBe(0);
  });

  it("is closed when its member is taken up anew, and takes nothing more", async () => {
    const here = await place();
    const { a, lane, id } = await sending(here, 100_000);
    const again = await a.resume();
    expect(await lane.refused(0)).toBe("REPLACED");
    lane.chunk(id, 100_000, content.subarray(100_000, 200_000));
    lane.finish(id, content);
    await lane.taken();
    const next = await again.lane();
    expect(await next.upload(id)).toMatchObject({ at: 100_000 });
  });

  it("gives way, as the oldest of too many", async () => {
    const { url } = await place();
    const a = await RawMember.join(url);
    const first = await a.lane();
    for (let n = 0; n < 4; n += 1) await a.lane();
    expect(await first.refused(0)).toBe("REPLACED");
  });

  it("carries so many uploads and fetches, and no more", async () => {
    const here = await place();
    const a = await RawMember.join(here.url);
    const lane = await a.lane();
    const ids = [];
    for (let n = 0; n < 17; n += 1) ids.push(await a.transfer());
    for (const id of ids) lane.send({ type: "upload", session: "s", activity: id, run: id });
    expect(await lane.refused(ids[16] ?? 0)).toBe("SERVER_BUSY");
    for (const id of ids) lane.send({ type: "fetch", session: "s", activity: id, at: 0, upTo: 10 });
    await lane.until(() => (lane.all("lane-refused").length === 2 ? true : undefined));
    expect(here.sessions.health().transfers).toMatchObject({ lanes: 1, uploads: 16, fetches: 16 });
    lane.cut();
    await expect.poll(() => here.sessions.health().transfers).toMatchObject({ lanes: 0, uploads: 0, fetches: 0 });
  });

  it("is none before it is opened, and hears nothing of the session", async () => {
    const { url, sessions } = await place();
    const { a, lane } = await sending({ url } as Place);
    const stray = await RawLane.dial(url);
    stray.send({ type: "upload", session: "s", activity: 1, run: 1 });
    stray.chunk(1, 0, content.subarray(0, 10));
    stray.send({ type: "fetch", session: "s", activity: 1, at: 0, upTo: 1 });
    await stray.taken();
    expect(stray.heard.map(({ type }) => type)).toEqual(["pong"]);
    await sessions.get("s").emit("note", 1);
    await a.entry("messages");
    await lane.taken();
    expect(lane.all("entries")).toEqual([]);
  });

  it("is refused, as a transfer is, where there is nowhere to keep bytes", async () => {
    const { blobs: _, ...store } = memoryStore();
    const { url } = await place({ store: store as Store });
    const a = await RawMember.join(url);
    for (const kind of ["transfer", "state"] as const)
      expect(await a.command({ type: "activity-start", kind, name: "file" })).toBe("FEATURE_MISSING");
    expect(await a.command({ type: "activity-start", kind: "app", name: "work" })).toBeTypeOf("number");
    expect(await (await a.lane()).refused(0)).toBe("FEATURE_MISSING");
  });
});

describe("a chunk", () => {
  it.each([
    ["out of order", 300_000, 10, { at: 300_000, expected: 200_000 }],
    ["overlapping", 199_999, 10, { at: 199_999, expected: 200_000 }],
    ["again", 0, 100_000, { at: 0, expected: 200_000 }],
    ["beyond what was asked for", 200_000, 250_001, { at: 450_001, upTo: 450_000 }],
  ])("%s is not taken, and the upload goes on where it was", async (_, at, length, details) => {
    const here = await place({ limits: { laneBytes: 250_000 } });
    const { a, lane, id } = await sending(here, 200_000);
    await lane.until(() => lane.all("continue").find(({ upTo }) => upTo === 450_000));
    lane.chunk(id, at, piece(at, length));
    lane.chunk(id, 200_000, content.subarray(200_000, 200_010));
    expect(await lane.refused(id)).toBe("FRAME_INVALID");
    expect(lane.refusal(id)?.error.details).toEqual(details);
    await lane.taken();
    const on = await a.lane();
    expect(await on.upload(id)).toMatchObject({ at: 200_000 });
    await on.push(id, content, 200_000);
    on.finish(id, content);
    expect((await a.entry("activity-ended")).result).toEqual({ bytes: content.length, digest: digestOf(content) });
  });

  it("is not taken before it is asked for, nor after the end", async () => {
    const here = await place();
    const a = await RawMember.join(here.url);
    const id = await a.transfer();
    const lane = await a.lane();
    lane.send({ type: "upload", session: "s", activity: id, run: id });
    lane.chunk(id, 0, content.subarray(0, 10));
    expect(await lane.refused(id)).toBe("FRAME_INVALID");
    const next = await a.lane();
    expect(await next.upload(id)).toMatchObject({ at: 0 });
    next.finish(id, content.subarray(0, 10));
    next.chunk(id, 0, content.subarray(0, 10));
    expect(await next.refused(id)).toBe("FRAME_INVALID");
  });

  it("beyond the declared size, the largest size or the session's room is the end of the transfer", async () => {
    const folder = await folderOf();
    const limits = { bytes: 600_000, bytesInAll: 700_000, interval };
    const blobs = fileBlobs(folder);
    const here = await place({ blobs, activities: limits });
    const files = async (): Promise<number> =>
      (await readdir(folder, { recursive: true })).filter((name) => name.includes("b-")).length;
    const sized = await sending(here, 90_000, { size: 100_000 });
    sized.lane.chunk(sized.id, 90_000, content.subarray(90_000, 100_001));
    expect(await sized.lane.refused(sized.id)).toBe("TRANSFER_TOO_LARGE");
    expect(await discarded(sized.a, sized.id)).toBe("failed TRANSFER_TOO_LARGE");
    const large = await sending(here, 600_000);
    large.lane.chunk(large.id, 600_000, content.subarray(0, 1));
    expect(await large.lane.refused(large.id)).toBe("TRANSFER_TOO_LARGE");
    expect(await discarded(large.a, large.id)).toBe("failed TRANSFER_TOO_LARGE");
    await expect.poll(files).toBe(0);
    const [one, two] = [await sending(here, 400_000), await sending(here, 300_000)];
    two.lane.chunk(two.id, 300_000, content.subarray(0, 1));
    expect(await two.lane.refused(two.id)).toBe("TRANSFER_QUOTA");
    expect(await discarded(two.a, two.id)).toBe("failed TRANSFER_QUOTA");
    await expect.poll(files).toBe(1);
    // The others go on.
    one.lane.finish(one.id, content.subarray(0, 400_000));
    await one.a.entry("activity-ended");
    expect(await one.a.command({ type: "activity-start", kind: "transfer", name: "f", data: { size: 300_001 } })).toBe(
      "TRANSFER_QUOTA",
    );
  });
});

describe("an upload", () => {
  it("is only for who runs the transfer, under its present run", async () => {
    const here = await place();
    const { a, id } = await sending(here);
    const b = await RawMember.join(here.url);
    const lane = await b.lane();
    const refused = async (activity: number, run: number): Promise<string> => {
      const before = lane.all("lane-refused").length;
      lane.send({ type: "upload", session: "s", activity, run });
      return lane.until(() => lane.all("lane-refused")[before]?.error.code);
    };
    expect(await refused(id, id)).toBe("ACTIVITY_NOT_HELD");
    const c = await RawMember.join(here.url);
    expect(await refused(await a.transfer({}, { to: [c.id] }), id)).toBe("ACTIVITY_UNKNOWN");
    const app = await b.command({ type: "activity-start", kind: "app", name: "work" });
    expect(await refused(Number(app), Number(app))).toBe("ACTIVITY_UNKNOWN");
    expect(await refused(12_345, 12_345)).toBe("ACTIVITY_UNKNOWN");
    const own = await b.transfer();
    await b.command({ type: "activity-interrupt", activity: own, run: own });
    expect(await refused(own, own)).toBe("ACTIVITY_INTERRUPTED");
    const run = Number(await b.command({ type: "activity-resume", activity: own }));
    expect(await refused(own, own)).toBe("ACTIVITY_NOT_HELD");
    expect(await lane.upload(own, run)).toMatchObject({ at: 0 });
  });

  it.each([
    ["another digest", (lane: RawLane, id: number) => lane.finish(id, piece(1, content.length))],
    ["fewer bytes", (lane: RawLane, id: number) => lane.finish(id, content.subarray(0, 999_999))],
    ["more bytes", (lane: RawLane, id: number) => lane.finish(id, piece(0, 1_000_001))],
  ])("that ends with %s is given up, and both sides are told of both", async (_, finish) => {
    const folder = await folderOf();
    const here = await place({ blobs: fileBlobs(folder) });
    const { a, lane, id } = await sending(here, content.length);
    finish(lane, id);
    expect(await lane.refused(id)).toBe("TRANSFER_DIGEST");
    expect(lane.refusal(id)?.error.details).toMatchObject({ bytes: content.length, received: digestOf(content) });
    expect(await discarded(a, id)).toBe("failed TRANSFER_DIGEST");
    await expect.poll(() => readdir(folder)).toEqual([]);
  });

  it("that ends before its declared size is given up", async () => {
    const { a, lane, id } = await sending(await place(), 500_000, { size: 500_001 });
    lane.finish(id, content.subarray(0, 500_000));
    expect(await lane.refused(id)).toBe("TRANSFER_DIGEST");
    expect(lane.refusal(id)?.error.details).toMatchObject({ size: 500_001, bytes: 500_000, said: 500_000 });
    expect(await discarded(a, id)).toBe("failed TRANSFER_DIGEST");
  });

  it("has no points or end but the server's", async () => {
    const { a, id } = await sending(await place(), 100_000);
    const data = { bytes: 1, digest: digestOf(content) };
    expect(await a.command({ type: "activity-point", activity: id, run: id, data })).toBe("FORBIDDEN");
    expect(await a.command({ type: "activity-end", activity: id, run: id, result: data })).toBe("FORBIDDEN");
  });
});

describe("a fetch", () => {
  it("is only for whom the transfer concerns, and of no more at once than a lane may have under way", async () => {
    const here = await place({ limits: { laneBytes: 500_000 } });
    const [a, b, c] = await Promise.all([1, 2, 3].map(() => RawMember.join(here.url)));
    if (a === undefined || b === undefined || c === undefined) throw new Error("three members joined");
    const id = await a.transfer({}, { to: [b.id] });
    const out = await a.lane();
    await out.upload(id);
    await out.push(id, content);
    out.finish(id, content);
    await b.entry("activity-ended");
    const outside = await c.lane();
    outside.send({ type: "fetch", session: "s", activity: id, at: 0, upTo: 10 });
    expect(await outside.refused(id)).toBe("ACTIVITY_UNKNOWN");
    const greedy = await b.lane();
    greedy.send({ type: "fetch", session: "s", activity: id, at: 0, upTo: 500_001 });
    expect(await greedy.refused(id)).toBe("FRAME_INVALID");
    greedy.send({ type: "fetch", session: "s", activity: id, at: 1_000_001, upTo: 1_000_002 });
    await greedy.until(() => (greedy.all("lane-refused").length === 2 ? true : undefined));
    expect(greedy.refusal(id)?.error.details).toEqual({ at: 1_000_001, bytes: 1_000_000 });
    expect(await (await b.lane()).fetch(id, 0, 500_000)).toHaveLength(content.length);
    await b.command({ type: "activity-decline", activity: id });
  });

  it("is over when all have declined", async () => {
    const here = await place();
    const [a, b] = [await RawMember.join(here.url), await RawMember.join(here.url)];
    const id = await a.transfer({}, { to: [b.id] });
    const lane = await b.lane();
    lane.send({ type: "fetch", session: "s", activity: id, at: 0, upTo: 10 });
    await lane.taken();
    await b.command({ type: "activity-decline", activity: id });
    expect(await lane.refused(id)).toBe("TRANSFER_ABORTED");
    expect(lane.refusal(id)?.error.details).toMatchObject({ why: "declined" });
  });
});

describe("what a lane makes the server hold", () => {
  /** Looks on at what is read and written. */
  const watched = (): {
    readonly blobs: BlobStore;
    readonly seen: { open: number; reads: number; appends: number };
  } => {
    const seen = { open: 0, reads: 0, appends: 0 };
    const inner = tapped(memoryBlobs(), { append: () => void (seen.appends += 1) });
    const read: BlobStore["read"] = async (session, blob) => {
      const reader = await inner.read(session, blob);
      seen.open += 1;
      return {
        read: (from, length) => {
          seen.reads += 1;
          return reader.read(from, length);
        },
        close: () => {
          seen.open -= 1;
          return reader.close();
        },
      };
    };
    return { blobs: { ...inner, read }, seen };
  };
  const sent = async (here: Place): Promise<{ readonly b: RawMember; readonly id: number }> => {
    const { a, lane, id } = await sending(here, content.length);
    const b = await RawMember.join(here.url);
    lane.finish(id, content);
    await a.entry("activity-ended");
    return { b, id };
  };

  it("is few pieces, if it takes none and begins anew again and again", async () => {
    const { blobs, seen } = watched();
    const { b, id } = await sent(await place({ blobs, ...unmannered }));
    const lane = await b.lane();
    // The socket of this side is no longer read.
    const { _socket: socket } = (lane.socket.io.engine.transport as unknown as { ws: { _socket: Socket } }).ws;
    socket.pause();
    closing.push(() => void socket.resume());
    for (let round = 0; round < 300; round += 1) {
      const at = round % 2;
      lane.send({ type: "fetch", session: "s", activity: id, at, upTo: at + 900_000 });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await expect.poll(() => seen.reads).toBeGreaterThan(0);
    expect(seen.reads).toBeLessThan(100);
    expect(seen.open).toBeLessThan(5);
    socket.resume();
    lane.cut();
    await expect.poll(() => seen.open).toBe(0);
    expect(await (await b.lane()).fetch(id)).toEqual(Buffer.from(content));
  });

  it("is no open file while it has room for nothing", async () => {
    const { blobs, seen } = watched();
    const { b, id } = await sent(await place({ blobs }));
    const lane = await b.lane();
    lane.send({ type: "fetch", session: "s", activity: id, at: 0, upTo: 10 });
    await lane.until(() => lane.all("bytes")[0]);
    await expect.poll(() => seen.open).toBe(0);
    lane.send({ type: "fetch", session: "s", activity: id, at: 10, upTo: 20 });
    await lane.until(() => lane.all("bytes")[1]);
    expect(lane.fetched(id)).toEqual(Buffer.from(content.subarray(0, 20)));
  });

  it("is so many files of uploads and no more, over all members", { timeout: 60_000 }, async () => {
    const here = await place({ activities: { most: 2_000 } });
    const members = await Promise.all(Array.from({ length: 17 }, () => RawMember.join(here.url)));
    const start = { type: "activity-start", kind: "transfer", name: "f" };
    const lanes: RawLane[] = [];
    for (const member of members) {
      member.send({ type: "commands", session: "s", seq: 1, commands: new Array(64).fill(start) });
      const own = (): readonly number[] =>
        member
          .entries("activity-started")
          .filter(({ by }) => by === member.id)
          .map(({ offset }) => offset);
      await member.until(() => (own().length === 64 ? true : undefined));
      for (let each = 0; each < 64; each += 16) {
        const lane = await member.lane();
        lanes.push(lane);
        for (const id of own().slice(each, each + 16))
          lane.send({ type: "upload", session: "s", activity: id, run: id });
        await lane.taken();
      }
    }
    const refused = lanes.flatMap((lane) => lane.all("lane-refused"));
    expect(refused).toHaveLength(64);
    for (const { error } of refused) expect(error).toMatchObject({ code: "SERVER_BUSY", details: { limit: 1_024 } });
    // Who leaves makes room.
    lanes[0]?.cut();
    const [late, { activity } = { activity: 0 }] = [lanes.at(-1), refused.at(-1)];
    await expect
      .poll(async () => {
        const before = late?.all("lane-refused").length;
        late?.send({ type: "upload", session: "s", activity, run: activity });
        await late?.taken();
        return late?.all("lane-refused").length === before;
      })
      .toBe(true);
  });

  it("is written together, if it comes in single bytes", async () => {
    const { blobs, seen } = watched();
    const here = await place({ blobs });
    const { a, lane, id } = await sending(here);
    const bytes = 5_000;
    for (let at = 0; at < bytes; at += 1) lane.chunk(id, at, content.subarray(at, at + 1));
    lane.finish(id, content.subarray(0, bytes));
    expect((await a.entry("activity-ended")).result).toEqual({ bytes, digest: digestOf(content.subarray(0, bytes)) });
    expect(seen.appends).toBeLessThan(bytes / 10);
  });
});

describe("a disk", () => {
  const failing = (code: "BLOB_FULL" | "BLOB_FAILED", tap: (fail: () => void) => Tap): Partial<SessionsOptions> => {
    const fail = (): void => {
      throw new RostrumError(code, "The disk is none.");
    };
    return { blobs: tapped(memoryBlobs(), tap(fail)), activities: { interval } };
  };

  it("that is full ends the transfer, and what it took is free", async () => {
    const options = failing("BLOB_FULL", (fail) => ({ append: (at) => (at >= 650_000 ? fail() : undefined) }));
    const here = await place(options);
    const { a, lane, id } = await sending(here, 400_000);
    lane.chunk(id, 400_000, content.subarray(400_000, 650_000));
    lane.chunk(id, 650_000, content.subarray(650_000, 700_000));
    expect(await lane.refused(id)).toBe("BLOB_FULL");
    expect(await discarded(a, id)).toBe("failed BLOB_FULL");
    await expect.poll(() => options.blobs?.list(a.opened.session)).toEqual([]);
    expect(here.sessions.health().transfers).toMatchObject({ uploads: 0, bytes: 0 });
  });

  it.each(["append", "flush"] as const)(
    "that fails to %s interrupts the transfer, which goes on later",
    async (verb) => {
      let works = false;
      const options = failing("BLOB_FAILED", (fail) => ({
        [verb]: (at: number) => (at >= 450_000 && !works ? fail() : undefined),
      }));
      const { a, lane, id } = await sending(await place(options), 450_000);
      lane.chunk(id, 450_000, content.subarray(450_000, 650_000));
      expect(await lane.refused(id)).toBe("BLOB_FAILED");
      expect(await a.entry("activity-interrupted")).toMatchObject({ by: null, activity: id });
      works = true;
      const run = Number(await a.command({ type: "activity-resume", activity: id }));
      expect(await lane.upload(id, run)).toMatchObject({ at: interval });
      const on = await a.lane();
      await on.upload(id, run);
      await on.push(id, content, interval);
      on.finish(id, content);
      expect((await a.entry("activity-ended")).result).toMatchObject({ digest: digestOf(content) });
    },
  );
});

describe("frames by chance", () => {
  it("neither end the server nor a transfer that is none of theirs", async () => {
    const here = await place();
    const { a, lane, id } = await sending(here, 100_000);
    const b = await RawMember.join(here.url);
    const chance = new Scheduler(11);
    const bad = await b.lane();
    const own = await b.transfer();
    const digest = digestOf(content);
    const value = (): unknown =>
      chance.pick<unknown>([0, 1, id, own, own + 1, -1, 2 ** 53, "s", "x", null, {}, new Uint8Array(5), digest]);
    for (let round = 0; round < 3_000 && bad.socket.connected; round += 1) {
      const frame: Record<string, unknown> = { type: chance.pick(["lane", "upload", "chunk", "finish", "fetch"]) };
      for (const key of ["activity", "run", "at", "upTo", "bytes", "digest", "birth", "member", "token"])
        if (chance.chance(0.8)) frame[key] = value();
      bad.send({ session: chance.chance(0.9) ? "s" : value(), ...frame });
    }
    const commands: readonly MemberCommand[] = [
      { type: "activity-start", kind: "transfer", name: "f", to: [memberId("nobody")] },
      { type: "activity-start", kind: "state", name: "f", point: 3 },
    ];
    expect(await Promise.all(commands.map((command) => b.command(command)))).toEqual([
      "RECIPIENT_UNKNOWN",
      "SYNC_UNKNOWN",
    ]);
    await lane.push(id, content, 100_000);
    lane.finish(id, content);
    expect((await a.entry("activity-ended")).result).toMatchObject({ digest: digestOf(content) });
  });
});
