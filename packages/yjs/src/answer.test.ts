/** Answers that are not what they say. */

import { type DocumentStateFrame, sessionId } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import { Answer } from "./answer.ts";

const frame = (more: Partial<DocumentStateFrame>): DocumentStateFrame => ({
  type: "document-state",
  session: sessionId("s"),
  document: "notes",
  lineage: 0,
  upTo: 1,
  whole: true,
  part: 0,
  format: 1,
  at: 0,
  size: 0,
  bytes: new Uint8Array(),
  end: false,
  ...more,
});

describe("an answer", () => {
  it("is put together of its pieces", () => {
    const answer = new Answer();
    answer.take(frame({ size: 3, bytes: Uint8Array.of(1, 2) }));
    answer.take(frame({ size: 3, at: 2, bytes: Uint8Array.of(3) }));
    expect(answer.take(frame({ part: 1, size: 1, bytes: Uint8Array.of(4), format: 2, end: true }))?.pieces).toEqual([
      { format: 1, bytes: Uint8Array.of(1, 2, 3) },
      { format: 2, bytes: Uint8Array.of(4) },
    ]);
    expect(answer.isBroken).toBe(false);
  });

  it.each([
    ["more than there can be", { size: 2 ** 50, bytes: Uint8Array.of(1) }],
    ["what is no number", { size: Number.NaN, bytes: Uint8Array.of(1), at: 1 }],
    ["less than there is", { size: 1, bytes: Uint8Array.of(1, 2) }],
    ["another place", { size: 4, at: 2, bytes: Uint8Array.of(1) }],
  ])("that promises %s takes no room for it, and is not used", (_, more) => {
    const answer = new Answer();
    answer.take(frame({ size: 4, bytes: Uint8Array.of(1) }));
    answer.take(frame(more));
    answer.take(frame({ end: true }));
    expect(answer.isBroken).toBe(true);
  });
});
