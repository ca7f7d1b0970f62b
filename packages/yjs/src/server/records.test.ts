/** Records, versions and what is opened of them: of documents that are edited, restored, taken back, and of servers that die. */

import { type Offset, RostrumError } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { Disk, Server } from "./host.fixture.ts";
import { Replica } from "./replica.fixture.ts";

const started = (fixture: ConstructorParameters<typeof Server>[1] = {}, disk: Disk = new Disk()): Server => {
  const server = new Server(disk, fixture);
  server.joins("ada");
  return server;
};

const sinceOf = (server: Server, document = "notes"): Offset =>
  server.host.current.documents.get(document)?.since ?? -1;

describe("a record", () => {
  it("is made after many updates, and the log is cut behind it", () => {
    const server = started({ retention: 100, snapshotEvery: 50 });
    const a = new Replica("notes");
    for (let n = 0; n < 1_200; n += 1) server.says("ada", a.type("x"));
    expect(server.compactions).toBeGreaterThanOrEqual(2);
    expect(server.compactions).toBeLessThan(10);
    expect(server.disk.records.get("notes")?.record.offset).toBeGreaterThan(500);
    expect(server.disk.log.length).toBeLessThan(800);
    expect(server.text("notes")).toBe("x".repeat(1_200));
  });

  it("is made of large updates before there are many", () => {
    const server = started();
    const a = new Replica("notes");
    for (let n = 0; n < 5; n += 1) server.says("ada", a.type("x".repeat(20_000)));
    expect(server.disk.records.get("notes")?.record.bytes).toBeGreaterThan(60_000);
  });

  it("stays near the document's live size, however long it is edited", () => {
    const server = started({ retention: 100, snapshotEvery: 50 });
    const a = new Replica("notes");
    for (let n = 0; n < 3_000; n += 1) {
      server.says("ada", a.type("0123456789"));
      server.says("ada", a.erase(0, Math.max(0, a.text.length - 100)));
    }
    server.waits(100_000);
    expect(server.text("notes")).toHaveLength(100);
    expect(server.disk.records.get("notes")?.record.bytes).toBeLessThan(1_000);
    expect(sinceOf(server)).toBe(0);
  });

  it("is made before the log is cut above what it lacks, not after", () => {
    const server = started({ retention: 100, snapshotEvery: 50 });
    const a = new Replica("notes");
    server.says("ada", a.type("early"));
    server.slow = [];
    const line = sinceOf(server);
    for (let n = 0; n < 400; n += 1) server.says("ada", ["note", n]);
    // Asked for, and not there yet: nothing of it is cut.
    expect(server.slow).toHaveLength(1);
    expect(server.disk.first).toBeLessThanOrEqual(line);
    for (const go of server.slow.splice(0)) go();
    server.slow = undefined;
    for (let n = 0; n < 100; n += 1) server.says("ada", ["note", n]);
    expect(server.disk.first).toBeGreaterThan(line);
    expect(server.text("notes")).toBe("early");
  });

  it("holds up nothing while it is made, and what comes meanwhile is not in it", () => {
    const server = started();
    const a = new Replica("notes");
    server.slow = [];
    for (let n = 0; n < 510; n += 1) server.says("ada", a.type("x"));
    expect(server.slow).toHaveLength(1);
    for (const go of server.slow.splice(0)) go();
    server.run();
    const { offset } = server.disk.records.get("notes")?.record ?? { offset: 0 };
    expect(sinceOf(server)).toBe(offset + 1);
    expect(server.text("notes")).toBe("x".repeat(510));
  });

  it("is not made of what waits for something that is not there", () => {
    const server = started();
    const a = new Replica("notes");
    server.says("ada", a.type("one"));
    // A server of another version let it through.
    const [lost, behind] = [a.type("lost"), a.type("behind")];
    expect(lost).toBeDefined();
    const { disk } = server;
    const offset = disk.head + 1;
    disk.log.push({ type: "messages", by: null, offset, at: 1, items: [["@doc/notes", 77, 0, 0, behind[4]]] });
    server.host.followed(disk.log.slice(-1));
    server.waits(100_000);
    expect(disk.records.size).toBe(0);
    expect(sinceOf(server)).toBeLessThanOrEqual(offset);
    expect(server.warnings).toContain('The document "notes" could not be compacted');
  });

  it("that was saved and never told of is told of by the next server", () => {
    const disk = new Disk();
    const server = started({}, disk);
    server.says("ada", new Replica("notes").type("one"));
    server.host.save();
    const upTo = disk.head;
    server.waits(100_000);
    // It died before it said so.
    disk.log = disk.log.filter(({ offset }) => offset <= upTo);
    const next = started({}, disk);
    next.waits(10);
    expect(sinceOf(next)).toBe(0);
    expect(next.compactions).toBe(0);
    expect(next.text("notes")).toBe("one");
  });

  it("that is lost is said to be lost, and nothing is made up in its place", () => {
    const disk = new Disk();
    const server = started({}, disk);
    const a = new Replica("notes");
    server.says("ada", a.type("one"));
    server.waits(100_000);
    disk.records.clear();
    expect(server.text("notes")).toBe("STORE_CORRUPT");
    expect(server.opens("ada", "notes").code).toBe("STORE_CORRUPT");
  });

  it("is given to the app, which may fail", () => {
    const server = started();
    server.says("ada", new Replica("notes").type("one"));
    server.waits(100_000);
    expect(server.kept).toMatchObject([{ document: "notes" }]);
  });
});

describe("what is opened", () => {
  it("is empty of a document that there is not", () => {
    const server = started();
    expect(server.opens("ada", "notes")).toMatchObject({ parts: [], frames: 1, lineage: 0, whole: true, ended: true });
  });

  it("is only what was missed, in blocks", () => {
    const server = started();
    server.joins("bob");
    const a = new Replica("notes");
    const b = new Replica("notes");
    server.says("ada", a.type("one"));
    const { upTo, parts } = server.opens("bob", "notes");
    b.take(parts);
    for (let n = 0; n < 120; n += 1) server.says("ada", a.type("x"));
    const missed = server.opens("bob", "notes", { lineage: 0, after: upTo });
    expect(missed.parts).toHaveLength(3);
    expect(missed.whole).toBe(false);
    expect(b.take(missed.parts).text).toBe(a.text);
    const nothing = server.opens("bob", "notes", { lineage: 0, after: missed.upTo });
    expect(nothing).toMatchObject({ parts: [], frames: 1, ended: true, whole: false });
  });

  it("is record and tail for who has nothing, and what is lacking for who says what it has", () => {
    const server = started({ retention: 10, snapshotEvery: 10 });
    server.joins("bob");
    const a = new Replica("notes");
    const b = new Replica("notes");
    for (let n = 0; n < 100; n += 1) server.says("ada", a.type("a sentence of some length. "));
    const first = server.opens("bob", "notes");
    b.take(first.parts);
    server.waits(100_000);
    for (let n = 0; n < 20; n += 1) server.says("ada", a.type("more"));
    server.waits(100_000);
    server.says("ada", a.type("tail"));
    for (let n = 0; n < 50; n += 1) server.says("ada", ["note", n]);
    const whole = server.opens("bob", "notes");
    expect(whole.whole).toBe(true);
    expect(whole.parts[0]?.format).toBe(2);
    expect(new Replica("notes").take(whole.parts).text).toBe(a.text);
    const vector = Y.encodeStateVector(b.doc);
    const diff = server.opens("bob", "notes", { lineage: 0, after: first.upTo, vector });
    expect(diff.whole).toBe(false);
    expect(diff.bytes).toBeLessThan(whole.bytes / 4);
    expect(b.take(diff.parts).text).toBe(a.text);
  });

  it("comes in pieces of the size that is welcome, and messages pass between them", () => {
    const server = started();
    const a = new Replica("notes");
    let text = "";
    for (let n = 0; n < 2_000; n += 1) text += String.fromCharCode(97 + ((n * n) % 26));
    for (let n = 0; n < 5; n += 1) server.says("ada", a.type(text));
    server.waits(100_000);
    const before = server.frames.length;
    server.host.openDocument("ada", { type: "document-open", session: "s" as never, document: "notes" });
    server.send("ada", { type: "messages", items: [["note", 1]] });
    server.run();
    const frames = server.frames.slice(before).map(([, frame]) => frame);
    const states = frames.flatMap((frame) => (frame.type === "document-state" ? [frame] : []));
    expect(states.length).toBeGreaterThan(5);
    expect(Math.max(...states.map(({ bytes }) => bytes.byteLength))).toBe(1_000);
    const last = states.at(-1);
    expect(frames.findIndex(({ type }) => type === "entries")).toBeLessThan(frames.indexOf(last as never));
    expect(new Replica("notes").take(server.answer("ada", "notes", before).parts).text).toBe(a.text);
  });

  it("is answered once, though it is asked for twice, and anew if asked otherwise", () => {
    const server = started();
    server.says("ada", new Replica("notes").type("one"));
    const ask = (more: object = {}): void =>
      server.host.openDocument("ada", { type: "document-open", session: "s" as never, document: "notes", ...more });
    ask();
    ask();
    ask();
    server.run();
    expect(server.told("ada", "document-state").filter(({ end }) => end)).toHaveLength(1);
    ask();
    ask({ lineage: 0, after: 1_000 });
    server.run();
    expect(server.told("ada", "document-state").filter(({ end }) => end)).toHaveLength(3);
  });

  it("goes no further when it is closed, and can be opened again at once", () => {
    const server = started();
    server.joins("bob");
    const a = new Replica("notes");
    server.says("ada", a.type("one"));
    const frame = { type: "document-open", session: "s" as never, document: "notes" } as const;
    server.host.openDocument("bob", frame);
    server.host.closeDocument("bob", "notes");
    server.run();
    expect(server.told("bob", "document-state").some(({ end }) => end)).toBe(false);
    server.says("ada", a.type("two"));
    expect(server.updates("bob", "notes")).toEqual([]);
    server.host.openDocument("bob", frame);
    server.host.closeDocument("bob", "notes");
    server.host.openDocument("bob", frame);
    server.run();
    const third = a.type("three");
    server.says("ada", third);
    // What it had not been told of yet may come with it.
    expect(server.updates("bob", "notes").at(-1)).toEqual(third);
  });

  it("is refused to who may not read it, and it is not followed", () => {
    const server = started({ config: { roles: { member: ["*"], reader: ["read:notes"], none: ["emit"] } } });
    server.joins("bob", ["reader"], ["notes", "secret"]);
    server.joins("eve", ["none"], ["notes"]);
    expect(server.opens("bob", "notes").code).toBeUndefined();
    expect(server.opens("bob", "secret").code).toBe("FORBIDDEN");
    expect(server.opens("eve", "notes").code).toBe("FORBIDDEN");
    const a = new Replica("notes");
    server.says("ada", a.type("one"), new Replica("secret").type("two"));
    server.says("ada", ["note", "behind"]);
    expect(server.updates("bob", "notes")).toHaveLength(1);
    expect(server.updates("bob", "secret")).toEqual([]);
    expect(server.updates("eve", "notes")).toEqual([]);
    expect(server.says("bob", new Replica("notes").type("mine"))).toEqual(["FORBIDDEN"]);
  });

  it("of a sync point is what it was there", () => {
    const server = started();
    const a = new Replica("notes");
    server.says("ada", a.type("one"));
    const point = server.point();
    server.says("ada", a.type("two"));
    for (let round = 0; round < 2; round += 1) {
      const then = server.opens("ada", "notes", { point });
      expect(then).toMatchObject({ upTo: point, whole: true, ended: true });
      expect(new Replica("notes").take(then.parts).text).toBe("one");
      // Then from the version that the record left there.
      server.waits(100_000);
    }
    expect(server.disk.versionsOf("notes")).toEqual([point]);
    expect(server.opens("ada", "notes", { point: point + 1 }).code).toBe("SYNC_UNKNOWN");
    expect(server.opens("ada", "others", { point }).code).toBe("DOCUMENT_UNKNOWN");
  });
});

describe("followers", () => {
  it("all get one frame, the others none until something concerns them", () => {
    const server = started();
    for (const name of ["bob", "cid", "dan"]) server.joins(name);
    for (const name of ["ada", "bob"]) server.opens(name, "notes");
    const a = new Replica("notes");
    server.says("ada", a.type("one"), a.type("two"));
    expect(server.updates("bob", "notes")).toHaveLength(2);
    expect(server.updates("ada", "notes")).toHaveLength(2);
    const before = server.told("cid", "entries").length;
    server.says("ada", a.type("three"));
    expect(server.told("cid", "entries")).toHaveLength(before);
    server.says("bob", ["note", 1]);
    const frames = server.told("cid", "entries");
    expect(frames).toHaveLength(before + 1);
    // What lies between is covered, though it is not there.
    expect(frames.at(-1)?.upTo).toBe(server.disk.head);
    expect(frames.at(-1)?.entries).toHaveLength(1);
    expect(frames.at(-1)?.after).toBe(frames.at(-2)?.upTo ?? -1);
  });

  it("hear of their own updates, though they follow nothing", () => {
    const server = started();
    server.joins("bob");
    server.says("bob", new Replica("notes").type("one"));
    expect(server.updates("bob", "notes")).toHaveLength(1);
    expect(server.updates("ada", "notes")).toEqual([]);
  });

  it("get what others are aware of, and who follows not gets nothing", () => {
    const server = started();
    for (const name of ["bob", "cid"]) server.joins(name);
    for (const name of ["ada", "bob"]) server.opens(name, "notes");
    server.host.relay(server.host.audience.memberOf("ada") ?? null, "@aware/notes", [1], undefined, "ada");
    expect(server.told("bob", "volatile-event")).toHaveLength(1);
    expect(server.told("ada", "volatile-event")).toEqual([]);
    expect(server.told("cid", "volatile-event")).toEqual([]);
  });

  it("who no longer may read follow no longer", () => {
    const server = started({ config: { roles: { member: ["*"], reader: ["read"] } } });
    server.joins("bob", ["reader"], ["notes"]);
    const a = new Replica("notes");
    server.says("ada", a.type("one"));
    expect(server.updates("bob", "notes")).toHaveLength(1);
    const { config } = server.host.current;
    server.server({ type: "configure", config: { ...config, roles: { member: ["*"], reader: [] } } });
    server.says("ada", a.type("two"));
    expect(server.updates("bob", "notes")).toHaveLength(1);
  });
});

describe("the app's own", () => {
  const kept = (text: string): Uint8Array => {
    const doc = new Y.Doc();
    doc.getText("t").insert(0, text);
    return Y.encodeStateAsUpdate(doc);
  };

  it("is loaded once, though several ask, and edited from there", () => {
    const update = kept("kept by the app");
    const server = started({ load: () => update });
    for (const name of ["bob", "cid"]) server.joins(name);
    const frame = { type: "document-open", session: "s" as never, document: "notes" } as const;
    for (const name of ["ada", "bob", "cid"]) server.host.openDocument(name, frame);
    server.run();
    expect(server.loads).toBe(1);
    const b = new Replica("notes").take(server.opens("bob", "notes").parts);
    expect(b.text).toBe("kept by the app");
    expect(server.says("bob", b.erase(0, 5))).toEqual([expect.any(Number)]);
    server.waits(100_000);
    expect(server.text("notes")).toBe("by the app");
    expect(server.loads).toBe(1);
  });

  it("is loaded before the first edit, of whoever did not wait for it", () => {
    const server = started({ load: () => kept("kept. ") });
    expect(server.says("ada", new Replica("notes").type("new. "))).toEqual([expect.any(Number)]);
    expect(["kept. new. ", "new. kept. "]).toContain(server.text("notes"));
  });

  it("that cannot be loaded is not begun anew in its place", () => {
    const failure = new RostrumError("SERVER_BUSY", "the app's database is down");
    let answer: Uint8Array | RostrumError = failure;
    const server = started({ load: () => answer });
    expect(server.opens("ada", "notes").code).toBe("SERVER_BUSY");
    expect(server.says("ada", new Replica("notes").type("x"))).toEqual(["SERVER_BUSY"]);
    expect(server.host.current.documents.size).toBe(0);
    answer = kept("there after all");
    server.waits(2_000);
    expect(new Replica("notes").take(server.opens("ada", "notes").parts).text).toBe("there after all");
  });
});

describe("a document goes back", () => {
  it("to a point of its own, and of another document, each before and after a record", () => {
    for (const settle of [0, 100_000]) {
      const server = started();
      const a = new Replica("notes");
      server.says("ada", a.type("one"));
      const point = server.point();
      server.says("ada", a.type("two"));
      server.waits(settle);
      const back = server.command("ada", { type: "document-restore", document: "notes", point })[0] as Offset;
      const copy = server.command("ada", { type: "document-restore", document: "copy", from: "notes", point })[0];
      expect(server.text("notes")).toBe("one");
      expect(server.text("copy")).toBe("one");
      expect(server.opens("ada", "notes")).toMatchObject({ lineage: back, whole: true });
      expect(server.opens("ada", "copy").lineage).toBe(copy);
      // Promptly: so that what restores hold is not needed for long.
      expect(server.host.current.documents.get("notes")?.begun).toEqual([]);
      const later = server.point();
      const anew = new Replica("notes", back).take(server.opens("ada", "notes").parts);
      server.says("ada", anew.type("three"));
      server.waits(settle);
      expect(server.text("notes")).toBe("onethree");
      expect(server.text("notes", later)).toBe("one");
      expect(server.text("notes", point)).toBe("one");
    }
  });

  it("with the session, and with it only those that have changed since", () => {
    for (const settle of [0, 100_000]) {
      const server = started();
      const [a, b] = [new Replica("notes"), new Replica("others")];
      server.says("ada", a.type("one"), b.type("same"));
      server.point();
      server.says("ada", a.type("two"), new Replica("new").type("gone"));
      server.waits(settle);
      const serial = server.host.current.sync.points.at(-1)?.serial ?? 0;
      server.server({ type: "resynchronize", kind: "restart", serial });
      expect(["notes", "others", "new"].map((name) => server.text(name))).toEqual(["one", "same", ""]);
      expect(server.says("ada", a.type("late"))).toEqual(["RESYNCHRONIZED"]);
      const { generation } = server.host.current.sync;
      const say = (item: readonly [string, ...unknown[]]): string | Offset | undefined =>
        server.command("ada", { type: "messages", items: [item], generation })[0];
      expect(say(b.type(" on"))).toEqual(expect.any(Number));
      expect(say(a.type("late"))).toBe("DOCUMENT_RESTORED");
      server.waits(settle);
      expect(server.text("others")).toBe("same on");
    }
  });

  it("to where everything began, if the session does", () => {
    const server = started();
    server.says("ada", new Replica("notes").type("one"));
    server.waits(100_000);
    server.server({ type: "resynchronize", kind: "abandon" });
    expect(server.text("notes")).toBe("");
    server.waits(100_000);
    expect(server.text("notes")).toBe("");
  });
});

describe("whatever is done to documents", () => {
  const chanceOf = (seed: number): (() => number) => {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    };
  };

  it.each(Array.from({ length: 30 }, (_, seed) => seed))("each valid point still has what it was (%i)", (seed) => {
    const chance = chanceOf(seed + 1);
    const pick = (count: number): number => Math.floor(chance() * count);
    const names = ["a", "b", "c"];
    const disk = new Disk();
    const fixture = {
      retention: 60,
      snapshotEvery: 15,
      config: { sync: { major: "server", confirmWithin: 1_000, exception: "tell", points: 6 } as const },
    };
    let server = new Server(disk, fixture);
    let member = 0;
    const enter = (): string => {
      member += 1;
      server.joins(`ada.${member}`);
      return `ada.${member}`;
    };
    let self = enter();
    /** What each document has to be, now and at each point. */
    let texts = new Map<string, string>();
    const at = new Map<Offset, ReadonlyMap<string, string>>();
    const replicas = new Map<string, Replica>();
    const note = (offset: Offset): void => void at.set(offset, new Map(texts));
    const check = (): void => {
      for (const name of names) {
        const known = server.host.current.documents.has(name);
        expect(server.text(name)).toBe(known ? (texts.get(name) ?? "") : "DOCUMENT_UNKNOWN");
        for (const { offset, status } of server.host.current.sync.points)
          if (known && status !== "void") expect(server.text(name, offset)).toBe(at.get(offset)?.get(name) ?? "");
      }
    };
    at.set(0, new Map());
    for (let step = 0; step < 120; step += 1) {
      const name = names[pick(3)] ?? "a";
      const { sync } = server.host.current;
      const valid = sync.points.filter(({ status }) => status !== "void");
      const what = chance();
      if (what < 0.45) {
        const lineage = server.host.current.documents.get(name)?.lineage ?? 0;
        const replica = replicas.get(name) ?? new Replica(name, lineage).take(server.opens(self, name).parts);
        replicas.set(name, replica);
        const items = Array.from({ length: 1 + pick(3) }, () =>
          replica.text.length > 4 && chance() < 0.4
            ? replica.erase(pick(replica.text.length - 2), 1 + pick(2))
            : replica.type(String.fromCharCode(97 + pick(26)), pick(replica.text.length + 1)),
        );
        const { generation } = sync;
        for (const outcome of server.command(self, { type: "messages", items, generation }))
          expect(outcome).toEqual(expect.any(Number));
        texts.set(name, replica.text);
      } else if (what < 0.6) {
        const set = server.server(chance() < 0.8 ? { type: "sync-minor" } : { type: "sync-major", rule: "server" });
        if (!(set instanceof RostrumError)) note(set[0]?.offset ?? 0);
      } else if (what < 0.7) {
        const point = valid[pick(valid.length)]?.offset;
        const from = names[pick(3)] ?? "a";
        if (point !== undefined && server.host.current.documents.has(from)) {
          server.server({ type: "document-restore", document: name, from, point });
          texts.set(name, at.get(point)?.get(from) ?? "");
          replicas.delete(name);
        }
      } else if (what < 0.76) {
        const before = new Map([...server.host.current.documents].map(([each, head]) => [each, head.lineage]));
        const kind = chance() < 0.6 ? "restart" : chance() < 0.7 ? "abandon" : "set";
        const serial = kind === "restart" ? (valid[pick(valid.length)]?.serial ?? sync.base.serial) : sync.highest + 5;
        const done = server.server({ type: "resynchronize", kind, ...(kind === "abandon" ? {} : { serial }) });
        const entry = done instanceof RostrumError ? undefined : done.find(({ type }) => type === "resynchronized");
        if (entry?.type === "resynchronized") {
          if (kind === "set") note(entry.offset);
          else texts = new Map(at.get(entry.to));
          for (const [each, { lineage }] of server.host.current.documents)
            if (before.get(each) !== lineage) replicas.delete(each);
        }
      } else if (what < 0.84) server.waits(pick(2) * 100_000);
      else if (what < 0.9) for (let n = 0; n < 20; n += 1) server.says(self, ["note", n]);
      else if (what < 0.95) {
        // It dies, perhaps over a record.
        if (chance() < 0.7) {
          for (const each of names) server.host.documents?.compact(each);
          server.run(pick(25));
        }
        if (chance() < 0.3) server.host.save();
        server = new Server(disk, fixture);
        self = enter();
        replicas.clear();
      } else check();
    }
    check();
    expect(server.warnings).toEqual([]);
    expect(server.failed).toBeUndefined();
    // Of what is no longer to be had nothing is kept.
    server.waits(200_000);
    const { sync } = server.host.current;
    const places = sync.points.filter(({ status }) => status !== "void").length + 1;
    for (const name of names) expect(disk.versionsOf(name).length).toBeLessThanOrEqual(places);
    expect(server.host.documents?.resting).toBe(true);
  });
});
