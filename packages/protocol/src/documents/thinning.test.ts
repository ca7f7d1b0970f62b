import { describe, expect, it } from "vitest";
import { defaultConfig } from "../config.ts";
import { decide } from "../decide.ts";
import { audienceOf, type Entry } from "../entry.ts";
import { fold, foldAll } from "../fold.ts";
import { memberId, type Offset, sessionId, userId } from "../ids.ts";
import { emptyState, fromRecord, type SessionState, toRecord, toView } from "../state.ts";
import { recordedUpTo } from "./rules.ts";

const ada = memberId("ada");
const update = (offset: Offset, document = "notes"): Entry => ({
  type: "messages",
  offset,
  at: 0,
  by: ada,
  seq: offset,
  items: [[`@doc/${document}`, 7, 0, 0, new Uint8Array(3)]],
});
const saved = (offset: Offset, upTo: Offset, document = "notes"): Entry => ({
  type: "document-saved",
  offset,
  at: 0,
  document,
  upTo,
  updates: 1,
  bytes: 3,
});
const beginning: readonly Entry[] = [
  { type: "opened", offset: 1, at: 0, session: sessionId("s"), birth: "b", config: defaultConfig },
  { type: "joined", offset: 2, at: 0, member: ada, user: userId("u"), roles: ["member"], node: "n" },
];
const stateAfter = (...entries: readonly Entry[]): SessionState =>
  foldAll(emptyState(sessionId("s")), [...beginning, ...entries]);
const thin = (state: SessionState, upTo: Offset): readonly Entry[] =>
  decide(state, { from: null, command: { type: "documents-thin", upTo } }, 1).entries;

describe("the log is thinned", () => {
  it("up to where it was asked for, and it is known from there on", () => {
    const state = stateAfter(update(3), update(4), saved(5, 4));
    const entries = thin(state, 4);
    expect(entries).toMatchObject([{ type: "documents-thinned", upTo: 4, offset: 6 }]);
    expect(foldAll(state, entries)).toMatchObject({ thinned: 4, control: 6, head: 6 });
    expect(entries.map(audienceOf)).toEqual(["none"]);
  });

  it("never of what a record lacks, whatever was asked for", () => {
    const state = stateAfter(update(3), update(4), update(5, "other"), saved(6, 4));
    expect(recordedUpTo(state)).toBe(4);
    expect(thin(state, 6)).toMatchObject([{ upTo: 4 }]);
    expect(thin(stateAfter(update(3)), 3)).toMatchObject([{ upTo: 2 }]);
  });

  it("and never less than it was", () => {
    const state = stateAfter(update(3), update(4), saved(5, 4), {
      type: "documents-thinned",
      offset: 6,
      at: 0,
      upTo: 4,
    });
    for (const upTo of [0, 3, 4]) expect(thin(state, upTo)).toEqual([]);
    expect(fold(state, { type: "documents-thinned", offset: 7, at: 0, upTo: 2 }).thinned).toBe(4);
  });

  it("by the server alone", () => {
    const envelope = { from: { member: ada, incarnation: 1, seq: 9 }, command: { type: "documents-thin", upTo: 2 } };
    expect(decide(stateAfter(), envelope as never, 1).entries).toEqual([]);
  });

  it("as records tell, older ones of nothing; and members are not told", () => {
    const state = stateAfter({ type: "documents-thinned", offset: 3, at: 0, upTo: 2 });
    expect(fromRecord(toRecord(state)).thinned).toBe(2);
    const { thinned: _, ...older } = toRecord(state);
    expect(fromRecord(older as never).thinned).toBe(0);
    expect(toView(state, ada).thinned).toBe(0);
  });
});
