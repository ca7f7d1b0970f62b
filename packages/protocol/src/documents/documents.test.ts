/** Documents in the log: what needs no look into an update. The host's look is played here. */

import { describe, expect, it } from "vitest";
import type { MemberCommand } from "../command.ts";
import { defaultConfig } from "../config.ts";
import { decide } from "../decide.ts";
import type { Entry, Item } from "../entry.ts";
import { RostrumError } from "../errors.ts";
import { defaultFloor } from "../floors/config.ts";
import { foldAll } from "../fold.ts";
import { memberId, sessionId, userId } from "../ids.ts";
import { emptyState, fromRecord, type SessionState, type StateRecord, toRecord, toView } from "../state.ts";
import { type DocumentHead, documentIn, documentOf, isUpdate } from "./document.ts";

const bytes = (size: number): Uint8Array => new Uint8Array(size);
const update = (document: string, n: number, lineage = 0, size = 10): Item => [
  `@doc/${document}`,
  7,
  n,
  lineage,
  bytes(size),
];

class Log {
  state: SessionState = emptyState(sessionId("s"));
  readonly entries: Entry[] = [];
  /** Updates that were looked at, as `document n`. */
  readonly inspected: string[] = [];
  private seq = 0;

  constructor(config: object = {}) {
    this.server({ type: "open", session: sessionId("s"), birth: "b", config: { ...defaultConfig, ...config } });
    for (const [name, role] of [
      ["ada", "member"],
      ["bob", "reader"],
    ] as const)
      this.server({
        type: "join",
        member: memberId(name),
        user: userId(name),
        roles: [role],
        node: "n",
      });
  }

  says(name: string, command: MemberCommand): readonly string[] {
    this.seq += 1_000;
    const from = { member: memberId(name), incarnation: 1, seq: this.seq };
    return this.take(decide(this.state, { from, command }, 1_000, this.inspect));
  }

  private readonly inspect = (document: string, item: readonly unknown[]): RostrumError | undefined => {
    this.inspected.push(`${document} ${String(item[2])}`);
    return item[2] === 13 ? new RostrumError("DOCUMENT_GAP", "unlucky") : undefined;
  };

  sends(name: string, ...items: readonly Item[]): readonly string[] {
    return this.says(name, { type: "messages", items });
  }

  server(command: Parameters<typeof decide>[1]["command"]): readonly string[] {
    return this.take(decide(this.state, { from: null, command }, 1_000, this.inspect));
  }

  /** Entries as `type span`, refusals as their codes. */
  private take({ entries, refusals, state }: ReturnType<typeof decide>): readonly string[] {
    this.entries.push(...entries);
    this.state = state;
    return [
      ...entries.map((entry) =>
        entry.type === "messages" ? `${documentIn(entry) ?? ""}×${entry.items.length}` : entry.type,
      ),
      ...refusals.map(({ error, count }) => (count === 1 ? error.code : `${error.code}×${count}`)),
    ];
  }

  head(document: string): DocumentHead | undefined {
    return this.state.documents.get(document);
  }

  isReproducible(): boolean {
    const text = (state: SessionState): string => JSON.stringify(toRecord(state));
    const half = this.entries.length >> 1;
    const record = JSON.parse(text(foldAll(emptyState(sessionId("s")), this.entries.slice(0, half)))) as StateRecord;
    return text(foldAll(fromRecord(record), this.entries.slice(half))) === text(this.state);
  }
}

const point = (log: Log): number => {
  log.server({ type: "sync-minor" });
  return log.state.sync.points.at(-1)?.offset ?? 0;
};

describe("an update in form", () => {
  it("is named by its document", () => {
    expect(documentOf("@doc/notes")).toBe("notes");
    expect(documentOf("@docs/notes")).toBeUndefined();
    expect(documentOf("note")).toBeUndefined();
  });

  it.each<{ readonly item: Item }>([
    { item: ["@doc/a", 1, 0, 0] },
    { item: ["@doc/a", 1, 0, 0, "text"] },
    { item: ["@doc/a", 1, 0, 0, bytes(1), 1] },
    { item: ["@doc/a", -1, 0, 0, bytes(1)] },
    { item: ["@doc/a", 1, 0.5, 0, bytes(1)] },
    { item: ["@doc/a", 1, 0, "0", bytes(1)] },
    { item: ["note", 1, 0, 0, bytes(1)] },
  ])("is none otherwise (%#)", ({ item }) => {
    expect(isUpdate(item)).toBe(false);
  });
});

describe("updates", () => {
  it("are stored in runs of one document", () => {
    const log = new Log();
    expect(log.sends("ada", update("a", 0), update("a", 1), ["note", 1], update("b", 0), update("a", 2))).toEqual([
      "a×2",
      "×1",
      "b×1",
      "a×1",
    ]);
    expect(log.head("a")).toMatchObject({ lineage: 0, last: 8, since: 4, updates: 3, bytes: 30 });
    expect(log.head("b")).toMatchObject({ last: 7, since: 7, updates: 1 });
    expect(log.isReproducible()).toBe(true);
  });

  it("are refused one by one, each before it is looked into", () => {
    const log = new Log({ roles: { member: ["emit", "edit:a", "edit:b"] }, documents: { most: 1, bytes: 100 } });
    const outcomes = log.sends(
      "ada",
      update("a", 0),
      update("c", 0),
      update("a", 1, 99),
      ["@doc/a", 1, 0, 0, "none"],
      update("a", 13),
      ["note", 1],
      update("a", 14),
    );
    expect(outcomes).toEqual([
      "a×1",
      "×1",
      "a×1",
      "FORBIDDEN",
      "DOCUMENT_RESTORED",
      "DOCUMENT_INVALID",
      "DOCUMENT_GAP",
    ]);
    expect(log.inspected).toEqual(["a 0", "a 13", "a 14"]);
    expect(log.sends("ada", update("b", 0))).toEqual(["DOCUMENT_LIMIT"]);
  });

  it("need the floor that guards their document", () => {
    const log = new Log({ floors: { pen: defaultFloor }, guards: { "@doc/a": "pen" } });
    expect(log.sends("ada", update("a", 0), update("b", 0))).toEqual(["b×1", "FLOOR_NOT_HELD"]);
    log.says("ada", { type: "floor-request", floor: "pen" });
    expect(log.sends("ada", update("a", 0))).toEqual(["a×1"]);
  });

  it("cannot be private, and the server says one alone", () => {
    const log = new Log();
    expect(log.says("ada", { type: "messages", items: [update("a", 0)], to: [memberId("bob")] })).toEqual([
      "DOCUMENT_INVALID",
    ]);
    expect(log.server({ type: "messages", items: [update("a", 0), ["note", 1]] })).toEqual(["USAGE×2"]);
    expect(log.server({ type: "messages", items: [update("a", 0)] })).toEqual(["a×1"]);
  });

  it("are refused where nobody can look into them", () => {
    const log = new Log();
    const from = { member: memberId("ada"), incarnation: 1, seq: 1 };
    const { refusals, entries } = decide(
      log.state,
      { from, command: { type: "messages", items: [update("a", 0)] } },
      1,
    );
    expect(entries).toEqual([]);
    expect(refusals[0]?.error.code).toBe("FEATURE_MISSING");
  });

  it("are told of to nobody by the view", () => {
    const log = new Log();
    log.sends("ada", update("a", 0));
    expect(toView(log.state).documents).toEqual([]);
  });
});

describe("a record", () => {
  it("leaves what came behind it", () => {
    const log = new Log();
    log.sends("ada", update("a", 0), update("a", 1));
    const upTo = log.state.head;
    log.sends("ada", update("a", 2));
    log.server({ type: "document-saved", document: "a", upTo, updates: 2, bytes: 20 });
    expect(log.head("a")).toMatchObject({ since: upTo + 1, updates: 1, bytes: 10 });
    log.server({ type: "document-saved", document: "a", upTo: log.state.head, updates: 1, bytes: 10 });
    expect(log.head("a")).toMatchObject({ since: 0, updates: 0, bytes: 0, last: upTo + 1 });
    log.sends("ada", update("a", 3));
    expect(log.head("a")?.since).toBe(log.state.head);
    expect(log.isReproducible()).toBe(true);
  });

  it("with nothing behind it leaves nothing to count, though one before it was not told of", () => {
    const log = new Log();
    log.sends("ada", update("a", 0), update("a", 1));
    log.server({ type: "document-saved", document: "a", upTo: log.state.head, updates: 0, bytes: 0 });
    expect(log.head("a")).toMatchObject({ since: 0, updates: 0, bytes: 0 });
  });

  it("of a document that there is not is nothing", () => {
    const log = new Log();
    expect(log.server({ type: "document-saved", document: "a", upTo: 1, updates: 0, bytes: 0 })).toEqual([]);
  });
});

describe("a restore", () => {
  it("begins a content, on which alone updates are taken", () => {
    const log = new Log();
    log.sends("ada", update("a", 0));
    const at = point(log);
    log.sends("ada", update("a", 1));
    expect(log.says("ada", { type: "document-restore", document: "a", point: at })).toEqual(["document-restored"]);
    const lineage = log.state.head;
    expect(log.head("a")).toMatchObject({ lineage, last: lineage, begun: [{ at: lineage, document: "a", point: at }] });
    expect(log.sends("ada", update("a", 2), update("a", 0, lineage))).toEqual(["a×1", "DOCUMENT_RESTORED"]);
    log.server({ type: "document-saved", document: "a", upTo: lineage, updates: 2, bytes: 20 });
    expect(log.head("a")).toMatchObject({ lineage, begun: [], since: lineage + 1 });
    expect(log.isReproducible()).toBe(true);
  });

  it("may make another document, and needs a point, a source and the right", () => {
    const log = new Log({ roles: { member: ["*"], reader: ["restore:copy", "read:b"] } });
    log.sends("ada", update("a", 0));
    const at = point(log);
    const restore = (name: string, document: string, from?: string, where = at): readonly string[] =>
      log.says(name, {
        type: "document-restore",
        document,
        point: where,
        ...(from === undefined ? {} : { from }),
      });
    expect(restore("ada", "copy", "a")).toEqual(["document-restored"]);
    expect(restore("ada", "copy", "a", 1)).toEqual(["SYNC_UNKNOWN"]);
    expect(restore("ada", "copy", "none")).toEqual(["DOCUMENT_UNKNOWN"]);
    expect(restore("bob", "a")).toEqual(["FORBIDDEN"]);
    expect(restore("bob", "copy", "a")).toEqual(["FORBIDDEN"]);
  });
});

describe("a session that goes back", () => {
  it("takes back the documents that have changed since, and no other", () => {
    const log = new Log();
    log.sends("ada", update("a", 0), update("b", 0));
    const at = point(log);
    log.sends("ada", update("a", 1), update("c", 0));
    const { serial } = log.state.sync.points.at(-1) ?? { serial: 0 };
    log.server({ type: "resynchronize", kind: "restart", serial });
    const lineage = log.state.head;
    expect(["a", "b", "c"].map((name) => log.head(name)?.lineage)).toEqual([lineage, 0, lineage]);
    expect(log.head("a")?.begun).toEqual([{ at: lineage, document: "a", point: at }]);
    log.server({ type: "resynchronize", kind: "set", serial: 9 });
    expect(log.head("a")?.lineage).toBe(lineage);
    expect(log.isReproducible()).toBe(true);
  });
});
