import { describe, expect, it } from "vitest";
import { packState, unpackState } from "./packing.ts";

const pieces = async function* (bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
};

it("a state comes back as it was, in pieces of any size", async () => {
  const state = { notes: ["a", "ü", ""], nested: { list: [1, -1, 1.5, true, null] }, bytes: Uint8Array.of(1, 2, 255) };
  const packed = await packState(state);
  for (const size of [1, 7, packed.length]) expect(await unpackState(pieces(packed, size))).toEqual(state);
});

it("a large state of text shrinks to a fraction", async () => {
  const state = Array.from({ length: 10_000 }, (_, index) => ({ id: index, text: `note number ${index} of many` }));
  expect((await packState(state)).length).toBeLessThan(JSON.stringify(state).length / 4);
});

it("what cannot travel is refused, and bytes that are no state as well", async () => {
  await expect(packState({ call: 1n })).rejects.toThrow(/cannot travel/);
  await expect(unpackState(pieces(Uint8Array.of(1, 2, 3), 3))).rejects.toThrow();
});

describe("what somebody packed to do harm", () => {
  const packed = async (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> =>
    new Uint8Array(
      await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
    );
  const unpacked = async (bytes: Uint8Array<ArrayBuffer>): Promise<unknown> => {
    const whole = await packed(bytes);
    return unpackState(pieces(whole, 65_536));
  };

  it("is not taken at its word for how long its lists are", async () => {
    // Lists of 16 million in one another: each would be made before its first value is read.
    const lists = new Uint8Array(300);
    for (let at = 0; at < lists.length; at += 5) lists.set([0xdd, 1, 0, 0, 0], at);
    await expect(unpacked(lists)).rejects.toThrow(RangeError);
    await expect(unpacked(Uint8Array.of(0xdf, 255, 255, 255, 255))).rejects.toThrow(RangeError);
    await expect(unpacked(Uint8Array.of(0x92, 1))).rejects.toThrow(RangeError);
    await expect(unpacked(new Uint8Array(0))).rejects.toThrow(RangeError);
  });

  it("is refused if it is more than anybody should share, in bytes or in values", async () => {
    await expect(unpacked(new Uint8Array(80_000_000))).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    const empties = new Uint8Array(5_000_005).fill(0x90);
    empties.set([0xdd, 0, 0x4c, 0x4b, 0x40]);
    await expect(unpacked(empties)).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE", details: { limit: 4_000_000 } });
    await expect(packState(new Array(5_000_000).fill(1))).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
  });

  it("is not fetched to its end if nothing comes of it", async () => {
    const name = new Uint8Array(1_000_000).fill(0x61);
    let fetched = 0;
    // A gzip header whose file name does not end.
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3);
      for (; fetched < 500; fetched += 1) yield name;
    };
    await expect(unpackState(endless())).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    expect(fetched).toBeLessThan(100);
  });

  it("holds nothing but what a state can hold", async () => {
    await expect(unpacked(Uint8Array.of(0xd4, 1, 1))).rejects.toThrow(TypeError);
    await expect(unpacked(Uint8Array.of(0xc1))).rejects.toThrow(TypeError);
  });
});

it("a state of everything that can travel comes back", async () => {
  const lengths = [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536];
  const state = {
    numbers: [0, 127, 128, 255, 256, 65_536, 2 ** 32, 2 ** 53 - 1, -1, -32, -33, -128, -129, -32_769, -(2 ** 33), 0.1],
    texts: lengths.map((length) => "x".repeat(length)),
    bytes: lengths.map((length) => new Uint8Array(length)),
    lists: lengths.map((length) => new Array(length).fill(null)),
    maps: [0, 15, 16, 70_000].map((count) =>
      Object.fromEntries(Array.from({ length: count }, (_, key) => [`k${key}`, true])),
    ),
  };
  expect(await unpackState(pieces(await packState(state), 4_096))).toEqual(state);
});
