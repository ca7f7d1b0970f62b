/** What a client that does not play by the rules can do: nothing but be refused. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createClient } from "@rostrum/client";
import { defaultLimits, parseFrame, RostrumError } from "@rostrum/protocol";
import { attachSessions, embeddedStore, type Sessions } from "@rostrum/server";
import { Scheduler } from "@rostrum/testing";
import { Server } from "socket.io";
import type { Socket } from "socket.io-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answers, opened, opening, refusals, Wire } from "./wire.ts";

const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });

const values: readonly unknown[] = [
  undefined,
  null,
  0,
  -1,
  1.5,
  2 ** 53,
  Number.NaN,
  "",
  "s",
  "__proto__",
  "x".repeat(1_000),
  [],
  {},
  [[]],
  ["note", 1],
  [["note", 1]],
  [{ type: "messages", items: [["note", 1]] }],
  [{ type: "messages", items: [] }],
  [{ type: "floor-release", floor: "mic", fence: 1e9 }],
  [{ type: "floor-request", floor: "mic", priority: 9 }],
  [{ type: "floor-request", floor: "mic", for: {}, within: -1 }],
  [{ type: "floor-configure", floor: "mic", change: { __proto__: null, capacity: -1 } }],
  [{ type: "floor-reorder", floor: "mic", member: "m", position: 1e300 }],
  [{ type: "propose", subject: { kind: "dialog", mode: "shouting" } }],
  [{ type: "answer", proposal: "1", accept: "yes" }],
  [{ type: "sync-minor", name: 7, data: { a: [7] } }],
  [{ type: "sync-major", rule: "nobody", within: Number.NaN }],
  [{ type: "sync-confirm", serial: -1 }],
  [{ type: "resynchronize", kind: "set", serial: 1e300 }],
  [{ type: "resynchronize", kind: "abandon", generation: "1" }],
  [{ type: "exception", reason: "x".repeat(1_000) }],
  [{ type: "activity-start", kind: "transfer", name: "f", data: { size: -1 }, to: [{}] }],
  [{ type: "activity-point", activity: 1, run: 0.5, confirm: "yes" }],
  [{ type: "activity-interrupt", activity: 1, run: 1, for: [] }],
  [{ type: "activity-end", activity: "1", run: null, result: deep(40) }],
  [{ type: "constructor" }],
  JSON.parse('{"__proto__":{"polluted":true}}'),
  deep(40),
  new Uint8Array(8),
  { birth: "b", offset: 1e12 },
  { member: "m", token: "1.x" },
  true,
];

/** Frames that are almost right: every shape of wrong, by chance. */
const frames = (chance: Scheduler): unknown => {
  const value = (): unknown => chance.pick(values);
  const frame: Record<string, unknown> = {
    type: chance.pick([
      "open",
      "commands",
      "volatile",
      "processed",
      "auth",
      "ping",
      "renew",
      "detach",
      "lane",
      "upload",
      "chunk",
      "finish",
      "fetch",
      "opened",
      "toString",
      7,
      null,
    ]),
  };
  for (const key of [
    "session",
    "versions",
    "features",
    "required",
    "instance",
    "resume",
    "cursor",
    "seq",
    "commands",
    "event",
    "args",
    "to",
    "offset",
    "n",
    "auth",
    "history",
    "birth",
    "member",
    "token",
    "activity",
    "run",
    "at",
    "upTo",
    "bytes",
    "digest",
  ]) {
    if (chance.chance(0.7)) frame[key] = key === "session" && chance.chance(0.8) ? "s" : value();
  }
  return chance.chance(0.1) ? value() : frame;
};

describe("reading what a client sent", () => {
  it("answers a frame or a typed refusal, a million times, and pollutes nothing", () => {
    const chance = new Scheduler(7);
    let refused = 0;
    for (let round = 0; round < 1_000_000; round += 1) {
      try {
        parseFrame(frames(chance), defaultLimits);
      } catch (error) {
        if (!(error instanceof RostrumError)) throw error;
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(500_000);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe("a server under hostile frames", () => {
  let wire: Wire;
  let sessions: Sessions;
  const dial = (): Promise<Socket> => wire.dial();
  beforeEach(async () => {
    wire = await Wire.open({ floors: { mic: { capacity: 1 } }, guards: { speak: "mic" } });
    ({ sessions } = wire);
  });
  afterEach(() => wire.close());

  it("goes on serving others, with its state unchanged and its memory flat", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const client = createClient({ url: wire.url });
    const session = client.session("s");
    await session.ready;
    await session.emit("note", 1);
    const before = await sessions.get("s").state();
    const chance = new Scheduler(3);
    const flood = async (packets: number): Promise<void> => {
      for (let sent = 0; sent < packets; ) {
        const socket = await dial();
        const gone = new Promise((resolve) => socket.once("disconnect", resolve));
        // Opens are left out: a new member is a change of state that anybody may make.
        for (let each = 0; each < 40; each += 1, sent += 1) {
          const some = Array.from({ length: 10 }, () => frames(chance)).filter(
            (frame) => (frame as { type?: unknown } | null)?.type !== "open",
          );
          socket.emit("rostrum", some);
        }
        await gone;
      }
    };
    await flood(400);
    collect();
    const { heapUsed } = process.memoryUsage();
    await flood(4_000);
    collect();
    expect(process.memoryUsage().heapUsed - heapUsed).toBeLessThan(8_000_000);
    const after = await sessions.get("s").state();
    expect(after).toEqual(before);
    await session.emit("note", 2);
    client.close();
  });

  it("refuses another version and a feature that it lacks, for good", async () => {
    const socket = await dial();
    const heard = answers(socket);
    socket.emit("rostrum", [{ ...opening, versions: [99] }]);
    await expect.poll(() => refusals(heard)).toEqual(["VERSION_MISMATCH"]);
    socket.emit("rostrum", [{ ...opening, required: ["telepathy"] }]);
    await expect.poll(() => refusals(heard)).toEqual(["VERSION_MISMATCH", "FEATURE_MISSING"]);
  });

  it("does not take up a member for a forged, foreign or replayed token", async () => {
    const owner = await dial();
    const first = await opened(owner, answers(owner));
    const thief = await dial();
    const heard = answers(thief);
    const cursor = { birth: first.birth, offset: first.head };
    const forged = await opened(thief, heard, {
      instance: "t",
      cursor,
      resume: { member: first.member, token: "1.forged" },
    });
    expect(forged.member).not.toBe(first.member);
    // The owner resumes and speaks; from then on the token it began with is worth nothing.
    const again = await dial();
    const answer = await opened(again, answers(again), {
      cursor,
      resume: { member: first.member, token: first.token },
    });
    expect(answer.incarnation).toBe(2);
    again.emit("rostrum", [
      { type: "commands", session: "s", seq: 1, commands: [{ type: "messages", items: [["note", 1]] }] },
    ]);
    await expect.poll(async () => (await sessions.get("s").state()).seqs.get(first.member)).toBe(1);
    const late = await dial();
    const told = answers(late);
    late.emit("rostrum", [{ ...opening, cursor, resume: { member: first.member, token: first.token } }]);
    await expect.poll(() => refusals(told)).toEqual(["TOKEN_REUSED"]);
  });

  it("takes seqs that jump, drops those that go back, and lets nobody speak without the floor", async () => {
    const socket = await dial();
    const heard = answers(socket);
    const { member } = await opened(socket, heard);
    const say = (seq: number, event: string): void => {
      socket.emit("rostrum", [
        { type: "commands", session: "s", seq, commands: [{ type: "messages", items: [[event, seq]] }] },
      ]);
    };
    say(1_000, "note");
    say(5, "note");
    say(1_001, "speak");
    await expect.poll(() => refusals(heard)).toEqual(["FLOOR_NOT_HELD"]);
    expect((await sessions.get("s").state()).seqs.get(member)).toBe(1_000);
  });

  it("starts a client with a cursor from the future anew, and says so", async () => {
    const socket = await dial();
    const first = await opened(socket, answers(socket));
    const again = await dial();
    const answer = await opened(again, answers(again), {
      cursor: { birth: first.birth, offset: 1e9 },
      resume: { member: first.member, token: first.token },
    });
    expect(answer.outcome).toEqual({ kind: "reset", why: "fork", fork: expect.any(Number) });
  });

  it("refuses what is too large, and closes who keeps more under way than the window allows", async () => {
    const socket = await dial();
    const heard = answers(socket);
    await opened(socket, heard);
    socket.emit("rostrum", [
      {
        type: "commands",
        session: "s",
        seq: 1,
        commands: [{ type: "messages", items: [["note", "x".repeat(70_000)]] }],
      },
    ]);
    await expect.poll(() => refusals(heard)).toEqual(["MESSAGE_TOO_LARGE"]);
    const items = Array.from({ length: 900 }, (_, n) => ["note", n]);
    socket.emit("rostrum", [
      { type: "commands", session: "s", seq: 10, commands: [{ type: "messages", items }] },
      { type: "commands", session: "s", seq: 910, commands: [{ type: "messages", items }] },
    ]);
    await expect.poll(() => refusals(heard)).toContain("WINDOW_EXCEEDED");
  });
});

describe("a server whose store does not open", () => {
  it("tells each who asks, and lives", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rostrum-"));
    await writeFile(join(folder, "thesis.txt"), "not a store");
    const http = createServer();
    const io = new Server(http);
    const sessions = attachSessions(io, { store: embeddedStore(folder) });
    const stop = sessions.get("s").on("note", () => {});
    sessions.get("s").volatile.emit("note");
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const client = createClient({ url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` });
    const session = client.session("s");
    await expect(session.ready.catch((error: unknown) => (error as RostrumError).code)).resolves.toBe("STORE_CORRUPT");
    await expect(sessions.get("s").emit("note")).rejects.toMatchObject({ code: "STORE_CORRUPT" });
    stop();
    client.close();
    await sessions.close().catch(() => {});
    await io.close();
    await rm(folder, { recursive: true });
  });
});
