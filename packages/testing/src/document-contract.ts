/**
 * What every store of documents must do, as a vitest suite. A third party's store with `documents` passes it as well.
 *
 * @example
 * documentStoreContract("my store", async () => { const store = myStore(folder); return { store, close: () => store.close() } })
 */

import { type SessionId, sessionId } from "@rostrum/protocol";
import type { DocumentRecord, DocumentStore } from "@rostrum/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Subject } from "./contract.ts";

const s = sessionId("standup");
const other = sessionId("standup2");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (state: Uint8Array | undefined): string | undefined =>
  state === undefined ? undefined : new TextDecoder().decode(state);

const recordAt = (offset: number, state: Uint8Array, more: Partial<DocumentRecord> = {}): DocumentRecord => ({
  birth: "b",
  offset,
  lineage: 0,
  changed: offset,
  writers: [
    { replica: 4_294_967_295, user: "ada", clock: 7, n: 3 },
    { replica: 2, user: null, clock: 1, n: 0 },
  ],
  bytes: state.byteLength,
  ...more,
});

/** Bytes of which no two pieces are alike. */
const large = (size: number): Uint8Array => {
  const made = new Uint8Array(size);
  for (let at = 0; at < size; at += 1) made[at] = (at * 31 + (at >> 10)) & 255;
  return made;
};

export const documentStoreContract = (name: string, open: () => Promise<Subject>): void => {
  describe(`${name} keeps the contract of documents`, () => {
    let subject: Subject;
    let documents: DocumentStore;
    const documentsIn = ({ store }: Pick<Subject, "store">): DocumentStore => {
      if (store.documents === undefined) throw new Error("the store has no documents");
      return store.documents;
    };
    beforeEach(async () => {
      subject = await open();
      documents = documentsIn(subject);
    });
    afterEach(() => subject.close());

    const save = async (text: string, offset: number, document = "notes", session: SessionId = s): Promise<void> =>
      documents.save(session, document, recordAt(offset, bytes(text)), bytes(text));
    const stateAt = async (offset: number, document = "notes", session = s): Promise<string | undefined> =>
      textOf(await documents.state(session, document, offset));
    const version = async (text: string, point: number, document = "notes", session = s): Promise<void> =>
      documents.saveVersion(session, document, point, { lineage: 1, state: bytes(text) });
    const versionAt = async (point: number, document = "notes", session = s): Promise<string | undefined> =>
      textOf((await documents.version(session, document, point))?.state);

    it("knows nothing of a document that was never saved", async () => {
      expect(await documents.load(s, "notes")).toBeUndefined();
      expect(await documents.state(s, "notes", 0)).toBeUndefined();
      expect(await documents.versions(s, "notes")).toEqual([]);
      expect(await documents.version(s, "notes", 1)).toBeUndefined();
      await documents.removeVersion(s, "notes", 1);
      await documents.remove(s, "notes");
      expect(await documents.load(s, "notes")).toBeUndefined();
    });

    it("gives record and state back", async () => {
      await save("hello", 9);
      expect(await documents.load(s, "notes")).toEqual(recordAt(9, bytes("hello")));
      const state = await documents.state(s, "notes", 9);
      expect(state?.constructor).toBe(Uint8Array);
      expect(textOf(state)).toBe("hello");
    });

    it("gives a state to who names its offset, and to nobody else", async () => {
      await save("one", 1);
      await save("two", 2);
      expect(await stateAt(2)).toBe("two");
      expect(await stateAt(1)).toBeUndefined();
      expect(await stateAt(3)).toBeUndefined();
    });

    it("never goes back, but for another life of the log", async () => {
      await save("new", 9);
      await save("old", 5);
      expect(await documents.load(s, "notes")).toMatchObject({ offset: 9 });
      expect(await stateAt(9)).toBe("new");
      await documents.save(s, "notes", recordAt(3, bytes("other"), { birth: "c" }), bytes("other"));
      expect(await documents.load(s, "notes")).toMatchObject({ birth: "c", offset: 3 });
      expect(await stateAt(3)).toBe("other");
    });

    it("takes a shorter version in place of a longer one", async () => {
      const long = large(2_500_000);
      await documents.saveVersion(s, "notes", 4, { lineage: 0, state: long });
      await version("short", 4);
      expect(await versionAt(4)).toBe("short");
    });

    it("keeps what it was given, whatever becomes of it", async () => {
      const mine = bytes("hello");
      await documents.save(s, "notes", recordAt(1, mine), mine);
      await documents.saveVersion(s, "notes", 1, { lineage: 0, state: mine });
      mine.fill(0);
      expect(await stateAt(1)).toBe("hello");
      expect(await versionAt(1)).toBe("hello");
    });

    it("takes states of any size", async () => {
      for (const size of [0, 1, 1_048_575, 1_048_576, 1_048_577, 5_000_000]) {
        const state = large(size);
        await documents.save(s, "notes", recordAt(size + 1, state), state);
        expect(Buffer.compare((await documents.state(s, "notes", size + 1)) ?? bytes("none"), state)).toBe(0);
        await documents.saveVersion(s, "notes", size + 1, { lineage: 3, state });
        const kept = await documents.version(s, "notes", size + 1);
        expect(kept?.lineage).toBe(3);
        expect(Buffer.compare(kept?.state ?? bytes("none"), state)).toBe(0);
      }
    });

    it("keeps versions, in order, until they are removed", async () => {
      for (const point of [20, 3, 100]) await version(`v${point}`, point);
      expect(await documents.versions(s, "notes")).toEqual([3, 20, 100]);
      await version("again", 20);
      expect(await versionAt(20)).toBe("again");
      await documents.removeVersion(s, "notes", 20);
      await documents.removeVersion(s, "notes", 20);
      expect(await documents.versions(s, "notes")).toEqual([3, 100]);
      expect(await versionAt(20)).toBeUndefined();
      expect(await versionAt(100)).toBe("v100");
    });

    it("removes a document with all that is kept of it, and no other", async () => {
      await save("one", 1);
      await version("v", 1);
      await save("two", 1, "notes2");
      await version("v2", 1, "notes2");
      await documents.remove(s, "notes");
      expect(await documents.load(s, "notes")).toBeUndefined();
      expect(await documents.versions(s, "notes")).toEqual([]);
      expect(await stateAt(1)).toBeUndefined();
      expect(await stateAt(1, "notes2")).toBe("two");
      expect(await versionAt(1, "notes2")).toBe("v2");
    });

    it("keeps documents and sessions apart, whatever their names", async () => {
      const names = ["a", "a!", "a!b", "h", "s", "v", "a/b", "ä", "\u0000", "~", "a".repeat(123), "__proto__", "😀"];
      for (const session of [s, other]) for (const each of names) await save(`${session} ${each}`, 1, each, session);
      for (const session of [s, other])
        for (const each of names) expect(await stateAt(1, each, session)).toBe(`${session} ${each}`);
    });

    it("is deleted with its session, and with no other", async () => {
      await subject.store.append(s, { control: 0, head: 0 }, [
        { type: "messages", by: null, offset: 1, at: 1, items: [["note", 1]] },
      ]);
      await save("one", 1);
      await version("v", 1);
      await save("two", 1, "notes", other);
      await subject.store.delete(s);
      expect(await documents.load(s, "notes")).toBeUndefined();
      expect(await documents.versions(s, "notes")).toEqual([]);
      expect(await stateAt(1, "notes", other)).toBe("two");
    });

    it("reads the state that is there, though another takes its place meanwhile", async () => {
      const states = new Map([1, 2, 3, 4].map((offset) => [offset, large(1_500_000).fill(offset, 0, 10)]));
      await Promise.all(
        [...states].flatMap(([offset, state]) => [
          documents.save(s, "notes", recordAt(offset, state), state),
          documents.load(s, "notes").then(async (record) => {
            if (record === undefined) return;
            const read = await documents.state(s, "notes", record.offset);
            if (read !== undefined) expect(read[0]).toBe(record.offset);
          }),
        ]),
      );
      expect(await documents.load(s, "notes")).toMatchObject({ offset: 4 });
    });

    it("refuses with STORE_FAILED after the store was closed", async () => {
      await subject.store.close();
      await expect(documents.load(s, "notes")).rejects.toMatchObject({ code: "STORE_FAILED" });
      await expect(save("late", 1)).rejects.toMatchObject({ code: "STORE_FAILED" });
    });

    it("has everything again after it was closed and opened, if it says that it is durable", async () => {
      const { reopen } = subject;
      if (reopen === undefined) return;
      await save("hello", 9);
      await version("v", 3);
      documents = documentsIn({ store: await reopen() });
      expect(await documents.load(s, "notes")).toEqual(recordAt(9, bytes("hello")));
      expect(await stateAt(9)).toBe("hello");
      expect(await documents.versions(s, "notes")).toEqual([3]);
      expect(await versionAt(3)).toBe("v");
    });
  });
};
