/** What the benchmark's workloads say of themselves holds in Yjs, and each run of one is the same. */

import { describe, expect, it } from "vitest";
import { applyUpdate, Doc, encodeStateAsUpdate } from "yjs";
import type { Workload } from "../bench/documents/operations.ts";
import { paper } from "../bench/documents/paper.ts";
import { agedState, apply, difference } from "../bench/documents/replay.ts";
import { alones, crowds, pairs } from "../bench/documents/traces.ts";

/** Everybody writes without hearing of anybody, and then all is put together, in either order. */
const play = (work: Workload): readonly Doc[] => {
  const opening = new Doc();
  for (const operation of work.opening) apply(opening, operation);
  const start = encodeStateAsUpdate(opening);
  const states = Array.from({ length: work.writers }, (_, writer) => {
    const doc = new Doc();
    applyUpdate(doc, start);
    for (const operation of work.operations(writer)) apply(doc, operation);
    return encodeStateAsUpdate(doc);
  });
  return [states, states.toReversed()].map((order) => {
    const doc = new Doc();
    for (const state of order) applyUpdate(doc, state);
    return doc;
  });
};

describe("workloads of documents", () => {
  it.each([...alones(1_000), ...pairs(1_000), ...crowds(100), paper(2)].map((work) => [work.name, work] as const))(
    "%s",
    (_, work) => {
      const [one, other] = play(work);
      if (one === undefined || other === undefined) throw new Error("nothing was played");
      for (const doc of [one, other]) expect(difference(doc, work.expected())).toBeUndefined();
      expect(one.toJSON()).toEqual(other.toJSON());
      for (let writer = 0; writer < work.writers; writer += 1)
        expect([...work.operations(writer)]).toEqual([...work.operations(writer)]);
    },
  );

  it("b4-like has the recorded trace's measure", () => {
    const operations = [...paper().operations(0)];
    expect(operations.length).toBe(259_778);
    expect(operations.filter(({ kind }) => kind === "insert").length).toBe(182_315);
  });

  it("an aged document has many replicas and many deletions", () => {
    const doc = new Doc();
    applyUpdate(doc, agedState(100_000, 100));
    expect(doc.store.clients.size).toBe(100);
    expect(doc.getText("text").length).toBeGreaterThan(20_000);
  });
});
