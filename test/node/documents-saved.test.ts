/** What `saved` and `flush` say of a document is so, at every moment. */

import { memoryStorage, type Storage } from "@rostrum/client";
import { bindDoc } from "@rostrum/yjs";
import { readDoc, yjsDocuments } from "@rostrum/yjs/server";
import { expect, it } from "vitest";
import { behind, join, serve } from "./place.ts";

it("nothing is said to be saved before it is known what an earlier life of the page has left", async () => {
  const there = await serve({ documents: yjsDocuments(), authenticate: () => ({ user: "u" }) });
  const proxy = await behind(there);
  const inner = memoryStorage();
  let hold: Promise<void> = Promise.resolve();
  const storage: Storage = {
    ...inner,
    load: async (scope) => {
      if (scope.includes("doc/")) await hold;
      return inner.load(scope);
    },
  };
  const first = join(proxy.url, { storage, user: "u" });
  const before = bindDoc(first.session("s"), "notes");
  await before.whenSynced;
  proxy.set({ kind: "off" });
  before.doc.getText("t").insert(0, "left behind");
  await first.session("s").emit("note").queued;
  first.close();
  let go = (): void => {};
  hold = new Promise((resolve) => (go = resolve));
  const second = join(proxy.url, { storage, user: "u" });
  const notes = bindDoc(second.session("s"), "notes");
  let said = false;
  notes.status.subscribe(({ saved }) => (said ||= saved));
  let flushed = false;
  const flush = notes.flush().then(() => (flushed = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect([said, flushed, notes.status.get().saved]).toEqual([false, false, false]);
  go();
  await expect.poll(() => notes.status.get().pending).toBe(1);
  expect([said, flushed]).toEqual([false, false]);
  proxy.set({ kind: "ok" });
  await flush;
  expect(notes.status.get().saved).toBe(true);
  expect((await readDoc(there.sessions.get("s"), "notes")).getText("t").toString()).toBe("left behind");
});
