import { describe, expect, it } from "vitest";
import { fromPacket, toPacket } from "./packet.ts";

const bytes = (...values: readonly number[]): Uint8Array => new Uint8Array(values);

describe("a packet", () => {
  it("carries all binary of its frames as one, and gives it back where it was", () => {
    const frames = [
      {
        type: "entries",
        entries: [
          {
            items: [
              ["a", bytes(1, 2), { deep: [bytes()] }],
              ["b", "text"],
            ],
          },
        ],
      },
      { type: "bytes", bytes: bytes(3, 4, 5) },
    ];
    const before = [
      {
        type: "entries",
        entries: [
          {
            items: [
              ["a", bytes(1, 2), { deep: [bytes()] }],
              ["b", "text"],
            ],
          },
        ],
      },
      { type: "bytes", bytes: bytes(3, 4, 5) },
    ];
    const [hollow, holes, all] = toPacket(frames);
    expect(holes).toHaveLength(3);
    expect(all).toEqual(bytes(1, 2, 3, 4, 5));
    // What is shared with others is not changed.
    expect(frames).toEqual(before);
    const travelled = JSON.parse(JSON.stringify([hollow, holes])) as [unknown, unknown];
    expect(fromPacket(...travelled, (all ?? bytes()).buffer)).toEqual(before);
  });

  it("is the frames as they are, if there is one binary or none", () => {
    const frames = [
      { type: "bytes", bytes: bytes(1) },
      { type: "ping", n: 1 },
    ];
    expect(toPacket(frames)).toEqual([frames]);
    expect(toPacket(frames)[0]).toBe(frames);
    expect(fromPacket(frames)).toBe(frames);
  });

  it.each([
    ["more than there is", [[4, 0, "a"]]],
    ["a negative size", [[-1, 0, "a"]]],
    ["no path", [[1]]],
    ["a place that is not there", [[1, 0, "b"]]],
    ["a place where something is", [[1, 0, "c"]]],
    [
      "a place twice",
      [
        [1, 0, "a"],
        [1, 0, "a"],
      ],
    ],
    ["the prototype", [[1, 0, "__proto__"]]],
    ["what everything has", [[1, 0, "constructor"]]],
    ["a path through text", [[1, 0, "c", 0]]],
    ["a bad key", [[1, 0, { a: 1 }]]],
  ])("is refused with %s", (_, holes) => {
    expect(() => fromPacket([{ a: null, c: "text" }], holes, bytes(1, 2, 3))).toThrow(
      expect.objectContaining({ code: "FRAME_INVALID" }),
    );
  });

  it("has whatever Socket.IO adds to its broadcasts left out (connection state recovery)", () => {
    const frames = [{ type: "pong", n: 1 }];
    expect(fromPacket(frames, "Xyz/1")).toBe(frames);
    const [hollow, holes, all] = toPacket([{ a: bytes(1), b: bytes(2) }]);
    expect(fromPacket(hollow, holes, all)).toEqual([{ a: bytes(1), b: bytes(2) }]);
  });

  it("is refused without the binary that it speaks of", () => {
    expect(() => fromPacket([{ a: null }], [[1, 0, "a"]])).toThrow(expect.objectContaining({ code: "FRAME_INVALID" }));
  });
});
