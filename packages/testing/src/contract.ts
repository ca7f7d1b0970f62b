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
