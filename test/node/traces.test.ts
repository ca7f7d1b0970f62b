/**
 * Workloads of the kinds B1 to B4 of the public crdt-benchmarks: what they say of themselves holds in Yjs, each run of one is the
 * same, and played through clients and servers over sockets they come to the same.
 */

import { embeddedStore, type SessionsOptions } from "@rostrum/server";
import { bindDoc, type DocBinding } from "@rostrum/yjs";
import { readDoc, yjsDocuments } from "@rostrum/yjs/server";
import { describe, expect, it } from "vitest";
import { applyUpdate, Doc, encodeSnapshot, encodeStateAsUpdate, snapshot } from "yjs";
import type { Workload } from "../bench/documents/operations.ts";
import { paper } from "../bench/documents/paper.ts";
import { agedState, apply, difference } from "../bench/documents/replay.ts";
import { alones, crowds, pairs } from "../bench/documents/traces.ts";
import { folderOf, join, serve } from "./place.ts";

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

/** A writer with a connection of its own. */
const writer = async (url: string, session: string): Promise<DocBinding> => {
  const notes = bindDoc(join(url).session(session), "paper");
  await notes.whenSynced;
  return notes;
};

/** All write at once, each without a pause but to let the others' words in. */
const playOverSockets = async (work: Workload, options: Partial<SessionsOptions> = {}): Promise<void> => {
  const { url, sessions } = await serve({ documents: yjsDocuments(), ...options });
  const first = await writer(url, work.name);
  for (const operation of work.opening) apply(first.doc, operation);
  await first.flush();
  const others = await Promise.all(Array.from({ length: work.writers - 1 }, () => writer(url, work.name)));
  const writers = [first, ...others];
  await Promise.all(
    writers.map(async ({ doc }, index) => {
      let done = 0;
      for (const operation of work.operations(index)) {
        apply(doc, operation);
        done += 1;
        if (done % 500 === 0) await new Promise(setImmediate);
      }
    }),
  );
  await Promise.all(writers.map((each) => each.flush()));
  const expected = work.expected();
  const late = await writer(url, work.name);
  for (const { doc } of [...writers, late])
    await expect.poll(() => difference(doc, expected), { timeout: 60_000 }).toBeUndefined();
  const stored = await readDoc(sessions.get(work.name), "paper");
  expect(difference(stored, expected)).toBeUndefined();
  for (const { doc } of [...writers, late]) {
    expect([doc.store.pendingStructs, doc.store.pendingDs]).toEqual([null, null]);
    expect(encodeSnapshot(snapshot(doc))).toEqual(encodeSnapshot(snapshot(stored)));
  }
};

describe("through clients and servers", () => {
  const works = [...alones(2_000), ...pairs(1_000), ...crowds(20)];
  it.each(works.map((work) => [work.name, work] as const))("%s", (_, work) => playOverSockets(work));

  it("b4-like, 259,778 operations, in the embedded store", async () => {
    await playOverSockets(paper(), { store: embeddedStore(await folderOf()) });
  });
});
