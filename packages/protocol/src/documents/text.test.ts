import { describe, expect, it } from "vitest";
import type { Entry } from "../entry.ts";
import type { MemberId, SessionId } from "../ids.ts";
import { defaultLimits } from "../limits.ts";
import { parseFrame } from "../parse.ts";
import { commandsAsText, entriesAsText, entriesFromText } from "./text.ts";

const session = "s" as SessionId;
const toText = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const fromText = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const bytes = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, index) => (index * 7) % 256);

describe("updates on the wire", () => {
  for (const size of [1, 2, 3, 1_000, 4_096, 4_097, 100_000]) {
    it(`arrive as they were, with ${size} bytes`, () => {
      const item = ["@doc/notes", 7, 0, 0, bytes(size)] as const;
      const commands = [{ type: "messages", items: [["note", "@doc/x"], item] }] as const;
      const sent = commandsAsText({ type: "commands", session, seq: 1, commands }, toText);
      expect(typeof (sent.commands[0] as (typeof commands)[0]).items[1]?.[4]).toBe(size > 4_096 ? "object" : "string");
      expect(parseFrame(sent, defaultLimits, fromText)).toEqual({ type: "commands", session, seq: 1, commands });
      const entries = [
        { type: "messages", offset: 1, at: 1, by: "m" as MemberId, seq: 1, items: [["note", "@doc/x"]] },
        { type: "messages", offset: 2, at: 1, by: "m" as MemberId, seq: 2, items: [item] },
      ] as const;
      const frame = { type: "entries", session, after: 0, upTo: 2, entries } as const;
      const travelled = JSON.parse(JSON.stringify(entriesAsText(frame, toText)));
      if (size <= 4_096) expect(entriesFromText(travelled, fromText)).toEqual(frame);
      else expect(entriesFromText(entriesAsText(frame, toText), fromText)).toEqual(frame);
    });
  }

  it("of one member without a word in between are one entry", () => {
    const entry = (offset: number, by: string, seq: number, ...ns: readonly number[]): Entry => ({
      type: "messages",
      offset,
      at: offset,
      by: by as MemberId,
      seq,
      items: ns.map((n) => ["@doc/notes", 7, n, 0, bytes(3)]),
    });
    const entries = [
      entry(2, "a", 5, 0),
      entry(3, "a", 6, 1, 2),
      entry(5, "a", 9, 3),
      entry(6, "b", 10, 0),
      entry(8, "b", 11, 1),
    ];
    const sent = entriesAsText({ type: "entries", session, after: 0, upTo: 9, entries }, toText);
    expect(entriesFromText(sent, fromText).entries).toEqual([
      { ...entry(2, "a", 5, 0, 1, 2), at: 3 },
      ...entries.slice(2),
    ]);
    const said: Entry = { type: "messages", offset: 1, at: 1, by: "a" as MemberId, seq: 1, items: [["note"]] };
    const frame = {
      type: "entries",
      session,
      after: 0,
      upTo: 2,
      entries: [said, { ...said, offset: 2, seq: 2 }],
    } as const;
    expect(entriesAsText(frame, toText)).toBe(frame);
  });

  it("is refused if it is text that stands for no bytes, or for too many", () => {
    for (const text of ["", "A".repeat(10_000)]) {
      const commands = [{ type: "messages", items: [["@doc/notes", 7, 0, 0, text]] }];
      expect(parseFrame({ type: "commands", session, seq: 1, commands }, defaultLimits, fromText)).toMatchObject({
        commands: [{ type: "unreadable", error: { code: "FRAME_INVALID" } }],
      });
    }
  });
});

describe("a name with half a character in it", () => {
  it("is none: on a disk it would be the same as others", () => {
    const half = "notes\ud800";
    const update = { type: "messages", items: [[`@doc/${half}`, 1, 0, 0, Uint8Array.of(1)]] };
    expect(parseFrame({ type: "commands", session, seq: 1, commands: [update] }, defaultLimits)).toMatchObject({
      commands: [{ type: "unreadable" }],
    });
    expect(() => parseFrame({ type: "document-open", session, document: half }, defaultLimits)).toThrow("half");
    expect(() =>
      parseFrame({ type: "document-close", session: "s\udfff", document: "notes" }, defaultLimits),
    ).toThrow();
    expect(parseFrame({ type: "document-close", session, document: "notes 😀" }, defaultLimits)).toMatchObject({
      document: "notes 😀",
    });
  });
});
