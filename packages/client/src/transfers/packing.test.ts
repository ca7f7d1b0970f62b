import { expect, it } from "vitest";
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
