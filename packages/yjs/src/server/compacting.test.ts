/** Compacting what Yjs cannot take up, or not in any reasonable time. */

import { afterEach, describe, expect, it } from "vitest";
import * as Y from "yjs";
import { readFacts } from "../facts.ts";
import { yjsDocuments } from "./codec.ts";
import { bytes, info, joined } from "./forged.fixture.ts";
import { Thread } from "./thread.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const client = 5;

/** Maps in maps: each is well formed, and deleting the first takes as much stack as there are levels. */
const nested = (levels: number): Uint8Array => {
  const [map, aMap] = [7, 1];
  const first = bytes(map, 1, "t", aMap);
  const rest = Array.from({ length: levels - 1 }, (_, index) => bytes(map, 0, client, index, aMap));
  return joined(bytes(1, levels, client, 0), first, ...rest, bytes(0));
};

/**
 * Texts that all begin at the same place and end at different ones: Yjs looks at all of them for each. A few kilobytes for a
 * second, and a document may have megabytes.
 */
const tangled = (count: number): Uint8Array => {
  const embed = 5;
  const parts: Uint8Array[] = [bytes(embed, 1, "t", "0"), bytes(info(embed, "right"), client, 0, "0")];
  for (let n = 2; n < count; n += 1) parts.push(bytes(info(embed, "origin", "right"), client, n - 1, client, 0, "0"));
  for (let n = 1; n < count; n += 1) parts.push(bytes(info(embed, "right"), client, count - n, "0"));
  return joined(bytes(1, parts.length, client, 0), ...parts, bytes(0));
};

describe("a document", () => {
  it("that cannot be taken up any more is merged as it is: the log can be cut behind it", async () => {
    const codec = yjsDocuments();
    closing.push(() => codec.close());
    const levels = 50_000;
    const updates = [nested(levels), bytes(0, 1, client, 1, 0, 1)];
    for (const update of updates) readFacts(update);
    const { state, clocks } = await codec.compact({ updates });
    expect([...clocks]).toEqual([[client, levels]]);
    const { structs, ds } = Y.decodeUpdateV2(state);
    expect(structs).toHaveLength(levels);
    expect(ds.clients.get(client)).toMatchObject([{ clock: 0, len: 1 }]);
    // And goes on like that.
    const more = await codec.compact({ state, updates: [bytes(1, 1, 6, 0, 4, 1, "u", "more", 0)] });
    expect(new Map(more.clocks)).toEqual(
      new Map([
        [client, levels],
        [6, 4],
      ]),
    );
  });
});

describe("a job", () => {
  it("that takes too long is given up, and the next is done", async () => {
    const thread = new Thread(3_000);
    closing.push(() => thread.stop());
    const update = tangled(15_000);
    readFacts(update);
    const stuck = thread.do({ kind: "compact", updates: [update] });
    const next = thread.do({ kind: "compact", updates: [bytes(1, 1, 6, 0, 4, 1, "u", "more", 0)] });
    await expect(stuck).rejects.toThrow("longer than");
    expect((await next).clocks).toEqual([[6, 4]]);
  }, 30_000);
});
