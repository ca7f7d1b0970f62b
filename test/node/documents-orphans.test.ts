/** Documents of tabs that died: what they had left is sent by another tab, or is still there. */

import { memoryStorage, type Storage } from "@rostrum/client";
import { bindDoc, type DocBinding } from "@rostrum/yjs";
import { yjsDocuments } from "@rostrum/yjs/server";
import { expect, it } from "vitest";
import { behind, codeOf, join, serve } from "./place.ts";

const type = ({ doc }: DocBinding, what: string): void => doc.getText("t").insert(0, what);

/** Drafts on the device. */
const draftsIn = async (storage: Storage): Promise<number> => {
  let found = 0;
  for (const scope of await storage.list(""))
    for (const key of (await storage.load(scope)).keys()) if (/^d\/[^/]+$/.test(key)) found += 1;
  return found;
};

const roles = { all: ["*"], reader: ["read", "volatile", "emit"] };

it("drafts that nobody has discarded outlive the sending of what else was left", async () => {
  const { url, sessions } = await serve({
    documents: yjsDocuments(),
    guards: { "@doc/notes": "pen" },
    floors: { pen: {} },
    authenticate: () => ({ user: "u" }),
  });
  const storage = memoryStorage();
  const said: unknown[] = [];
  sessions.get("s").on("note", (value: unknown) => void said.push(value));
  const tabs = [join(url, { storage, user: "u" }), join(url, { storage, user: "u" })];
  const sat = tabs.map((tab) => ({ tab, session: tab.session("s") }));
  for (const { session } of sat) {
    const notes = bindDoc(session, "notes");
    await notes.whenSynced;
    type(notes, "not mine to write");
    expect(await codeOf(notes.flush())).toBe("FLOOR_NOT_HELD");
  }
  await expect.poll(() => draftsIn(storage)).toBe(2);
  for (const [index, { tab, session }] of sat.entries()) {
    await session.emit("note", index).queued;
    tab.close();
  }
  const next = join(url, { storage, user: "u" });
  const session = next.session("s");
  const notes = bindDoc(session, "notes");
  await notes.whenSynced;
  await expect.poll(() => said.length).toBe(2);
  // The tab that only sent what was left has gone when nothing is left to be sent.
  await expect.poll(() => session.members.get().length).toBeLessThanOrEqual(2);
  expect(notes.drafts.get()).toHaveLength(1);
  expect(await draftsIn(storage)).toBe(2);
  // And who comes next, and finds what nobody has, finds it.
  const another = join(url, { storage, user: "u" });
  const found = bindDoc(another.session("s"), "notes");
  await expect.poll(() => found.drafts.get()).toHaveLength(1);
});

it("an edit that is refused when another tab sends it is a draft there", async () => {
  let role = "all";
  const there = await serve({
    documents: yjsDocuments(),
    roles,
    authenticate: () => ({ user: "u", roles: [role] }),
  });
  const { url } = there;
  const proxy = await behind(there);
  const storage = memoryStorage();
  const tabs = [join(proxy.url, { storage, user: "u" }), join(proxy.url, { storage, user: "u" })];
  const sat = tabs.map((tab) => ({ tab, session: tab.session("s") }));
  for (const { session } of sat) await bindDoc(session, "notes").whenSynced;
  await proxy.close();
  for (const { tab, session } of sat) {
    type(bindDoc(session, "notes"), "late");
    // The edit goes before the message, and both on the disk.
    await session.emit("note", 1).queued;
    tab.close();
  }
  role = "reader";
  const next = join(url, { storage, user: "u" });
  const notes = bindDoc(next.session("s"), "notes");
  await notes.whenSynced;
  await expect.poll(() => draftsIn(storage)).toBe(2);
  await expect.poll(() => notes.drafts.get()).toHaveLength(2);
});
