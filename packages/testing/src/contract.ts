/**
 * What every store must do, as a vitest suite. A third party's store passes it or is not a store.
 *
 * @example
 * storeContract("my store", async () => { const store = myStore(folder); return { store, close: () => store.close() } })
 */

import {
  type Entry,
  emptyState,
  lastOffset,
  type MemberId,
  type Offset,
  type SessionId,
  sessionId,
  toRecord,
} from "@rostrum/protocol";
import type { Snapshot, Store } from "@rostrum/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

export interface Subject {
  readonly store: Store;
  /** Closes the store and opens the same data anew; absent for a store that keeps nothing. */
  readonly reopen?: () => Promise<Store>;
  readonly close: () => Promise<void>;
}

const messages = (offset: Offset, ...texts: readonly unknown[]): Entry => ({
  type: "messages",
  by: "m" as MemberId,
  seq: offset,
  offset,
  at: 1_000 + offset,
  items: texts.map((text) => ["note", text] as const),
});

/** So many updates of a document. */
const update = (offset: Offset, document: string, count = 1): Entry => ({
  type: "messages",
  by: "m" as MemberId,
  seq: offset,
  offset,
  at: 1_000 + offset,
  items: Array.from({ length: count }, (_, n) => [`@doc/${document}`, 7, n, 0, new Uint8Array([n])] as const),
});

const control = (offset: Offset): Entry => ({
  type: "sync-point",
  kind: "minor",
  serial: offset,
  by: null,
  offset,
  at: 1_000 + offset,
});

const snapshotAt = (session: SessionId, head: Offset, at: Offset): Snapshot => ({
  state: { ...toRecord(emptyState(session)), birth: "b", head, control: at },
  marks: [{ offset: head, at: 1, bytes: 10 }],
});

export const storeContract = (name: string, open: () => Promise<Subject>): void => {
  describe(`${name} keeps the store's contract`, () => {
    let subject: Subject;
    let store: Store;
    const s = sessionId("standup");
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.close());

    const append = (
      control: Offset,
      head: Offset | undefined,
      ...entries: readonly Entry[]
    ): ReturnType<Store["append"]> => store.append(s, head === undefined ? { control } : { control, head }, entries);

    it("has a secret of at least 32 bytes that stays the same", async () => {
      const secret = await store.secret();
      expect(secret.length).toBeGreaterThanOrEqual(32);
      expect(await store.secret()).toEqual(secret);
    });

    it("knows nothing of a session that was never appended to", async () => {
      expect(await store.load(s)).toEqual({ snapshot: undefined, first: 1, head: 0 });
      expect(await store.read(s, 0, 10)).toEqual([]);
    });

    it("gives back what was appended, in order", async () => {
      expect(await append(0, 0, control(1), messages(2, "a", "b"))).toMatchObject({ ok: true, first: 1 });
      expect(await append(1, undefined, messages(4, "c"))).toMatchObject({ ok: true, first: 4 });
      expect(await store.read(s, 0, 10)).toEqual([control(1), messages(2, "a", "b"), messages(4, "c")]);
      expect(await store.load(s)).toEqual({ snapshot: undefined, first: 1, head: 4 });
    });

    it("appends nothing if the control head has moved", async () => {
      await append(0, 0, control(1));
      expect(await append(0, undefined, messages(2, "late"))).toEqual({ ok: false });
      expect(await store.read(s, 0, 10)).toEqual([control(1)]);
    });

    it("appends nothing if the head has moved and was asked for", async () => {
      await append(0, 0, control(1), messages(2, "a"));
      expect(await append(1, 1, control(2))).toEqual({ ok: false });
      expect(await store.load(s)).toMatchObject({ head: 2 });
    });

    it("moves a batch of data up behind what others appended", async () => {
      await append(0, 0, control(1), messages(2, "a", "b"));
      expect(await append(1, undefined, messages(2, "c", "d"), messages(4, "e"))).toMatchObject({ ok: true, first: 4 });
      const read = await store.read(s, 3, 10);
      expect(read.map(({ offset }) => offset)).toEqual([4, 6]);
      expect(read.at(-1)).toMatchObject({ items: [["note", "e"]] });
    });

    it("lets one of many that expect the same head through", async () => {
      await append(0, 0, control(1));
      const results = await Promise.all(Array.from({ length: 20 }, () => append(1, 1, control(2))));
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
      expect(await store.load(s)).toMatchObject({ head: 2 });
    });

    it("places concurrent data one after the other, without holes", async () => {
      await append(0, 0, control(1));
      const results = await Promise.all(Array.from({ length: 50 }, (_, n) => append(1, undefined, messages(2, n, n))));
      expect(new Set(results.map((result) => result.ok && result.first)).size).toBe(50);
      const read = await store.read(s, 1, 1_000);
      let next = 2;
      for (const entry of read) {
        expect(entry.offset).toBe(next);
        next = lastOffset(entry) + 1;
      }
      expect(next).toBe(102);
    });

    it("reads from within an entry, and about as much as was asked for", async () => {
      await append(0, 0, control(1), messages(2, "a", "b", "c"), messages(5, "d"), messages(6, "e"));
      expect((await store.read(s, 3, 1)).map(({ offset }) => offset)).toEqual([2]);
      expect((await store.read(s, 4, 2)).map(({ offset }) => offset)).toEqual([5, 6]);
      expect(await store.read(s, 6, 10)).toEqual([]);
    });

    it("reads in pages across many appends", async () => {
      await append(0, 0, control(1));
      for (let offset = 2; offset < 200; offset += 2) await append(1, undefined, messages(offset, "x", "y"));
      const seen: Offset[] = [];
      for (let after = 0; ; ) {
        const page = await store.read(s, after, 17);
        const last = page.at(-1);
        if (last === undefined) break;
        seen.push(...page.map(({ offset }) => offset));
        after = lastOffset(last);
      }
      expect(seen).toEqual([1, ...Array.from({ length: 99 }, (_, n) => 2 + 2 * n)]);
    });

    it("gives binary back as binary", async () => {
      await append(0, 0, messages(1, { bytes: new Uint8Array([0, 127, 255]) }));
      const [entry] = await store.read(s, 0, 1);
      const payload = entry?.type === "messages" ? (entry.items[0]?.[1] as { bytes: Uint8Array }) : undefined;
      expect(payload?.bytes).toBeInstanceOf(Uint8Array);
      expect([...(payload?.bytes ?? [])]).toEqual([0, 127, 255]);
    });

    it("keeps the newest snapshot and never an older one", async () => {
      await append(0, 0, control(1), control(2), control(3));
      await store.snapshot(s, snapshotAt(s, 3, 3));
      await store.snapshot(s, snapshotAt(s, 2, 2));
      expect((await store.load(s)).snapshot).toEqual(snapshotAt(s, 3, 3));
    });

    it("trims whole entries below a line and keeps the rest", async () => {
      await append(0, 0, control(1));
      await append(1, undefined, messages(2, "a", "b", "c"));
      await append(1, undefined, messages(5, "d"));
      await store.snapshot(s, snapshotAt(s, 5, 1));
      await store.trim(s, 3);
      expect(await store.load(s)).toMatchObject({ first: 2, head: 5 });
      expect((await store.read(s, 0, 10)).map(({ offset }) => offset)).toEqual([2, 5]);
    });

    it("goes on at the head after everything was trimmed", async () => {
      await append(0, 0, control(1), messages(2, "a"));
      await store.snapshot(s, snapshotAt(s, 2, 1));
      await store.trim(s, 3);
      expect(await store.load(s)).toMatchObject({ first: 3, head: 2 });
      expect(await append(1, 2, control(3))).toMatchObject({ ok: true, first: 3 });
    });

    it("drops updates of documents up to a line, if it says that it can, and nothing else", async () => {
      if (store.thin === undefined) return;
      await append(0, 0, control(1), update(2, "notes"));
      await append(1, undefined, update(3, "notes", 2), messages(5, "a"), update(6, "other"));
      await append(1, undefined, update(7, "notes"));
      await append(1, undefined, messages(8, "b"));
      await append(1, undefined, update(9, "notes", 3), update(12, "notes"));
      await append(1, undefined, control(13));
      await store.thin(s, 10);
      const left = [1, 5, 8, 9, 12, 13];
      const offsets = async (): Promise<readonly Offset[]> => (await store.read(s, 0, 100)).map(({ offset }) => offset);
      expect(await offsets()).toEqual(left);
      expect((await store.read(s, 8, 1)).map(lastOffset)).toEqual([11]);
      expect(await store.load(s)).toMatchObject({ first: 1, head: 13 });
      // From within what is missing, and in small pages.
      for (const [after, next] of [
        [1, 5],
        [3, 5],
        [5, 8],
        [6, 8],
        [9, 9],
        [11, 12],
        [12, 13],
      ] as const)
        expect((await store.read(s, after, 1)).map(({ offset }) => offset)).toEqual([next]);
      await store.thin(s, 4);
      await store.thin(s, 10);
      expect(await offsets()).toEqual(left);
      await store.thin(s, 12);
      expect(await offsets()).toEqual([1, 5, 8, 13]);
      expect(await append(13, 13, control(14))).toMatchObject({ ok: true, first: 14 });
    });

    it("stays what it is at both ends, though what is there is dropped", async () => {
      if (store.thin === undefined) return;
      await append(0, 0, update(1, "notes"));
      await append(0, undefined, update(2, "notes"));
      await append(0, undefined, update(3, "notes"));
      await store.thin(s, 3);
      expect(await store.load(s)).toMatchObject({ first: 1, head: 3 });
      expect((await store.read(s, 0, 10)).map(({ offset }) => offset)).toEqual([3]);
      expect(await append(0, 3, control(4))).toMatchObject({ ok: true, first: 4 });
      await store.thin(s, 3);
      expect((await store.read(s, 0, 10)).map(({ offset }) => offset)).toEqual([4]);
      expect(await store.load(s)).toMatchObject({ first: 1, head: 4 });
    });

    it("does not take what was dropped for what was trimmed", async () => {
      if (store.thin === undefined) return;
      await append(0, 0, control(1));
      for (let offset = 2; offset < 8; offset += 1) await append(1, undefined, update(offset, "notes"));
      await append(1, undefined, control(8));
      await store.snapshot(s, snapshotAt(s, 8, 8));
      await store.thin(s, 7);
      await store.trim(s, 4);
      expect((await store.load(s)).first).toBeLessThanOrEqual(4);
      expect((await store.read(s, 3, 10)).map(({ offset }) => offset)).toEqual([8]);
      await store.trim(s, 8);
      const { first, head } = await store.load(s);
      expect([first <= 8, head]).toEqual([true, 8]);
      expect((await store.read(s, 0, 10)).at(-1)?.offset).toBe(8);
    });

    it("brings nothing back that was trimmed, thins what is appended meanwhile, and forgets all of it", async () => {
      if (store.thin === undefined) return;
      const { thin } = store;
      await append(0, 0, control(1));
      for (let offset = 2; offset < 100; offset += 2)
        await append(1, undefined, update(offset, "notes"), messages(offset + 1, "m"));
      await store.snapshot(s, snapshotAt(s, 99, 1));
      await Promise.all([
        thin.call(store, s, 80),
        store.trim(s, 50),
        append(1, undefined, messages(100, "late")),
        thin.call(store, s, 90),
      ]);
      const { first, head } = await store.load(s);
      const read = await store.read(s, first - 1, 1_000);
      expect(head).toBe(100);
      expect(read.every((entry) => lastOffset(entry) >= first)).toBe(true);
      const texts = read.filter((entry) => entry.type === "messages" && entry.items[0]?.[0] === "note");
      expect(texts.filter(({ offset }) => offset >= 51).map(({ offset }) => offset)).toEqual([
        ...Array.from({ length: 25 }, (_, n) => 51 + 2 * n),
        100,
      ]);
      await store.delete(s);
      expect(await store.load(s)).toEqual({ snapshot: undefined, first: 1, head: 0 });
      await append(0, 0, control(1), update(2, "notes"));
      await append(1, undefined, messages(3, "m"));
      await thin.call(store, s, 2);
      expect((await store.read(s, 0, 10)).map(({ offset }) => offset)).toEqual([1, 3]);
    });

    it("tells those who follow, in order, until they stop", async () => {
      const told: Offset[] = [];
      const stop = store.follow(s, (entries) => told.push(...entries.map(({ offset }) => offset)));
      await append(0, 0, control(1));
      await append(1, undefined, messages(2, "a"));
      await expect.poll(() => told).toEqual([1, 2]);
      stop();
      await append(1, undefined, messages(3, "b"));
      await store.read(s, 0, 10);
      expect(told).toEqual([1, 2]);
    });

    it("keeps sessions apart, whatever their names", async () => {
      const names = ["a", "a!", "a!b", "a/b", "ä", "\u0000", "~", "a".repeat(128), "__proto__", "😀"].map(sessionId);
      for (const [index, each] of names.entries())
        await store.append(each, { control: 0, head: 0 }, [messages(1, index)]);
      for (const [index, each] of names.entries()) {
        expect(await store.read(each, 0, 10)).toEqual([messages(1, index)]);
        expect(await store.load(each)).toMatchObject({ head: 1 });
      }
    });

    it("forgets a deleted session and nothing else", async () => {
      const other = sessionId("standup2");
      await append(0, 0, control(1));
      await store.snapshot(s, snapshotAt(s, 1, 1));
      await store.append(other, { control: 0, head: 0 }, [control(1)]);
      await store.delete(s);
      expect(await store.load(s)).toEqual({ snapshot: undefined, first: 1, head: 0 });
      expect(await store.load(other)).toMatchObject({ head: 1 });
      expect(await append(0, 0, control(1))).toMatchObject({ ok: true, first: 1 });
    });

    it("refuses with STORE_FAILED after it was closed", async () => {
      await store.close();
      await expect(append(0, 0, control(1))).rejects.toMatchObject({ code: "STORE_FAILED" });
    });

    it("has everything again after it was closed and opened, if it says that it is durable", async () => {
      const { reopen } = subject;
      expect(reopen !== undefined).toBe(store.durable);
      if (reopen === undefined) return;
      const secret = [...(await store.secret())];
      await append(0, 0, control(1), messages(2, "a", "b"));
      await store.snapshot(s, snapshotAt(s, 1, 1));
      store = await reopen();
      expect([...(await store.secret())]).toEqual(secret);
      expect(await store.load(s)).toEqual({ snapshot: snapshotAt(s, 1, 1), first: 1, head: 3 });
      expect(await append(1, 3, control(4))).toMatchObject({ ok: true, first: 4 });
    });
  });
};
