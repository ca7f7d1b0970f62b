/** What is read of commands and frames: what they say, or a typed refusal, and nothing else. */

import { describe, expect, it } from "vitest";
import { RostrumError } from "./errors.ts";
import { defaultLimits } from "./limits.ts";
import { parseFrame, parsePacket } from "./parse.ts";

const frame = (value: unknown): unknown => {
  try {
    return parseFrame(value, defaultLimits);
  } catch (error) {
    if (error instanceof RostrumError) return error.code;
    throw error;
  }
};

/** One command as a server reads it: what it says, or why it is none. */
const command = (value: unknown): unknown => {
  const read = parseFrame({ type: "commands", session: "s", seq: 1, commands: [value] }, defaultLimits);
  const [only] = read.type === "commands" ? read.commands : [];
  return only?.type === "unreadable" ? only.error.code : only;
};

const long = "x".repeat(1_000);
/** No whole numbers from 0. */
const noNumbers = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1", true, [], {}];
const noNames = ["", 7, true, [], {}, long];
const noWords = [7, true, [], {}, long];
const noMembers = ["", 7, [], {}, long];
const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });

/** Commands as they are to be read, and what each field must not be. `null` is allowed where a field is optional. */
const cases: readonly {
  readonly good: Readonly<Record<string, unknown>>;
  readonly bad: Readonly<Record<string, readonly unknown[]>>;
}[] = [
  {
    good: { type: "sync-minor", name: "intro", data: { slide: 1 }, confirm: true, generation: 2 },
    bad: { name: noNames, generation: noNumbers },
  },
  {
    good: { type: "sync-major", name: "unit", data: [1], rule: "quorum", within: 5_000, generation: 0 },
    bad: { name: noNames, rule: ["most", "", 1, {}], within: noNumbers, generation: noNumbers },
  },
  {
    good: { type: "sync-confirm", serial: 2 ** 40, data: "seen", generation: 3 },
    bad: { serial: [...noNumbers, undefined, null], generation: noNumbers },
  },
  {
    good: { type: "resynchronize", kind: "restart", serial: 7, reason: "lost the thread", generation: 1 },
    bad: { kind: ["reset", "", 1, undefined, "__proto__"], serial: [...noNumbers, undefined], reason: noWords },
  },
  {
    good: { type: "resynchronize", kind: "set", serial: 999_999_999 },
    bad: { serial: [...noNumbers, undefined, 1_000_000_000] },
  },
  { good: { type: "resynchronize", kind: "abandon", reason: "", generation: 1 }, bad: { generation: noNumbers } },
  {
    good: { type: "exception", reason: "disk full", generation: 1 },
    bad: { reason: [...noWords, "", undefined, null], generation: noNumbers },
  },
  {
    good: { type: "activity-start", kind: "app", name: "work", to: ["b", "c"], data: { anything: [1] } },
    bad: {
      kind: ["file", "", 1, undefined],
      name: [...noNames, undefined, null],
      to: [7, "b", {}, [7], [long], new Array(1_001).fill("b")],
    },
  },
  {
    good: { type: "activity-start", kind: "transfer", name: "cat.png", data: { size: 5, type: "image/png", data: 1 } },
    bad: { data: [7, [], null, ...noNumbers.map((size) => ({ size })), { type: 7 }, { type: long }] },
  },
  { good: { type: "activity-start", kind: "state", name: "state", point: 7 }, bad: { point: noNumbers } },
  {
    good: { type: "activity-point", activity: 1, run: 2, data: 3, confirm: true },
    bad: { activity: [...noNumbers, undefined, null], run: [...noNumbers, undefined, null] },
  },
  {
    good: { type: "activity-confirm", activity: 1, serial: 0 },
    bad: { activity: [...noNumbers, undefined], serial: [...noNumbers, undefined] },
  },
  {
    good: { type: "activity-interrupt", activity: 1, run: 2, for: "b", data: 3 },
    bad: { activity: noNumbers, run: [...noNumbers, undefined], for: noMembers },
  },
  { good: { type: "activity-resume", activity: 1 }, bad: { activity: [...noNumbers, undefined, null] } },
  { good: { type: "activity-decline", activity: 1, reason: "no" }, bad: { activity: noNumbers, reason: noWords } },
  { good: { type: "activity-discard", activity: 1, reason: "no" }, bad: { activity: noNumbers, reason: noWords } },
  {
    good: { type: "activity-end", activity: 1, run: 2, result: { done: true } },
    bad: { activity: noNumbers, run: [...noNumbers, undefined] },
  },
];

describe("a command", () => {
  for (const { good, bad } of cases) {
    it(`${String(good.type)} ${String(good.kind ?? "")} is read as it stands, or refused by itself`, () => {
      expect(command(good)).toEqual(good);
      expect(command({ ...good, unknown: 1, __proto__: { serial: 1 } })).toEqual(good);
      for (const [key, values] of Object.entries(bad))
        for (const value of values)
          expect([key, value, command({ ...good, [key]: value })]).toEqual([key, value, "FRAME_INVALID"]);
      for (const key of ["data", "result"]) {
        if (!(key in good) || good.kind === "transfer") continue;
        expect(command({ ...good, [key]: "x".repeat(70_000) })).toBe("MESSAGE_TOO_LARGE");
        expect(command({ ...good, [key]: nested(40) })).toBe("MESSAGE_INVALID");
      }
    });
  }

  it("of a transfer is held to its size as any payload", () => {
    const data = { size: 1, data: "x".repeat(70_000) };
    expect(command({ type: "activity-start", kind: "transfer", name: "f", data })).toBe("MESSAGE_TOO_LARGE");
  });

  it("is held to less where it stays in the state, which every newcomer gets", () => {
    const [fits, more] = ["x".repeat(defaultLimits.dataBytes - 10), "x".repeat(defaultLimits.dataBytes)];
    const run = { activity: 1, run: 1 };
    for (const [good, key] of [
      [{ type: "sync-minor" }, "data"],
      [{ type: "sync-major" }, "data"],
      [{ type: "activity-start", kind: "app", name: "w" }, "data"],
      [{ type: "activity-point", ...run }, "data"],
      [{ type: "activity-interrupt", ...run }, "data"],
      [{ type: "activity-end", ...run }, "result"],
    ] as const) {
      expect(command({ ...good, [key]: fits })).toEqual({ ...good, [key]: fits });
      expect(command({ ...good, [key]: more })).toBe("MESSAGE_TOO_LARGE");
    }
    // What only goes by may be as large as a message.
    expect(command({ type: "sync-confirm", serial: 1, data: more })).toMatchObject({ type: "sync-confirm" });
  });

  it("takes a day at most for what is meant to end, and no field from a prototype", () => {
    expect(command({ type: "sync-major", within: 1e12 })).toEqual({ type: "sync-major", within: 86_400_000 });
    expect(command({ type: "sync-major", within: 0 })).toEqual({ type: "sync-major", within: 1 });
    expect(command(Object.create({ type: "sync-minor" }))).toBe("FRAME_INVALID");
    expect(command({ type: "sync-minor", confirm: "yes" })).toEqual({ type: "sync-minor" });
    expect(command({ type: "resynchronize", kind: "abandon", serial: 7 })).toEqual({
      type: "resynchronize",
      kind: "abandon",
    });
  });

  it("carries the generation of messages", () => {
    const messages = { type: "messages", items: [["note", 1]], generation: 4 };
    expect(command(messages)).toEqual(messages);
    for (const generation of noNumbers) expect(command({ ...messages, generation })).toBe("FRAME_INVALID");
  });
});

describe("a frame of a lane", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const lane = { type: "lane", session: "s", birth: "b", member: "m", token: "1.x" };
  const upload = { type: "upload", session: "s", activity: 1, run: 1 };
  const chunk = { type: "chunk", session: "s", activity: 1, at: 0, bytes };
  const finish = { type: "finish", session: "s", activity: 1, bytes: 3, digest: "0a".repeat(32) };
  const fetch = { type: "fetch", session: "s", activity: 1, at: 0, upTo: 10 };

  it("is read as it stands", () => {
    for (const each of [lane, upload, chunk, finish, fetch]) expect(frame({ ...each, unknown: 1 })).toEqual(each);
    expect(frame({ ...chunk, bytes: bytes.buffer })).toEqual(chunk);
    expect(frame({ ...chunk, bytes: new Uint8Array(defaultLimits.chunkBytes) })).toMatchObject({ type: "chunk" });
  });

  it("is refused when a field is not what it has to be", () => {
    const refuse = (good: object, key: string, values: readonly unknown[]): void => {
      for (const value of values)
        expect([key, value, frame({ ...good, [key]: value })]).toEqual([key, value, "FRAME_INVALID"]);
    };
    for (const each of [lane, upload, chunk, finish, fetch]) refuse(each, "session", [...noNames, undefined]);
    refuse(lane, "birth", [...noNames, undefined]);
    refuse(lane, "member", [...noMembers, undefined]);
    refuse(lane, "token", [...noNames, undefined]);
    for (const each of [upload, chunk, finish, fetch]) refuse(each, "activity", [...noNumbers, undefined, null]);
    refuse(upload, "run", [...noNumbers, undefined]);
    refuse(chunk, "at", [...noNumbers, undefined]);
    refuse(chunk, "bytes", [undefined, null, "abc", [1, 2], {}, 3, new Uint8Array(0)]);
    refuse(chunk, "bytes", [new Uint8Array(defaultLimits.chunkBytes + 1)]);
    let deep: unknown[] = [];
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    expect(frame({ ...chunk, bytes: deep })).toBe("FRAME_INVALID");
    refuse(finish, "bytes", [...noNumbers, bytes]);
    refuse(finish, "digest", ["", "0A".repeat(32), "0a".repeat(31), `${"0a".repeat(32)}\n`, 7, undefined, bytes]);
    refuse(fetch, "at", noNumbers);
    refuse(fetch, "upTo", [...noNumbers, undefined]);
  });
});

describe("an open", () => {
  const open = {
    type: "open",
    session: "s",
    versions: [1],
    features: ["sync"],
    required: [],
    instance: "i",
    cursor: { birth: "b", offset: 3, epochs: [{ id: "b", from: 1 }] },
    history: { since: "state" },
  };

  it("tells the last epochs that the client knows, a few of them", () => {
    expect(frame(open)).toEqual(open);
    const epochs = (value: unknown): unknown => frame({ ...open, cursor: { birth: "b", offset: 3, epochs: value } });
    expect(epochs(undefined)).toMatchObject({ cursor: { birth: "b", offset: 3 } });
    expect(epochs(new Array(9).fill({ id: "b", from: 1 }))).toBe("FRAME_INVALID");
    for (const value of [7, "b", {}, [7], [{}], [{ id: "", from: 1 }], [{ id: long, from: 1 }], [{ id: "b" }]])
      expect(epochs(value)).toBe("FRAME_INVALID");
    for (const from of noNumbers) expect(epochs([{ id: "b", from }])).toBe("FRAME_INVALID");
  });

  it("asks for a history that there is", () => {
    expect(frame({ ...open, history: { since: "sync-point" } })).toMatchObject({ history: { since: "sync-point" } });
    expect(frame({ ...open, history: { last: 5 } })).toMatchObject({ history: { last: 5 } });
    for (const history of [7, [], {}, { since: "yesterday" }, { last: -1 }])
      expect(frame({ ...open, history })).toBe("FRAME_INVALID");
  });
});

it("a packet is a list of so many frames", () => {
  expect(parsePacket([1, 2])).toEqual([1, 2]);
  for (const value of [undefined, {}, "x", new Array(1_001).fill(1)])
    expect(() => parsePacket(value)).toThrow(RostrumError);
});
