/** What is left on the device when the user's data was removed: nothing. */

import { memoryStorage, type Storage } from "@rostrum/client";
import { expect, it } from "vitest";
import { join, serve } from "./place.ts";

it("what dead tabs had left unsent is not written again by who was sending it", async () => {
  const inner = memoryStorage();
  const written: string[] = [];
  const storage: Storage = {
    ...inner,
    commit: (scope, transaction) => {
      written.push(...transaction.set.map(([key]) => key));
      return inner.commit(scope, transaction);
    },
  };
  const answers: (() => void)[] = [];
  let held = false;
  const { url } = await serve({
    authenticate: async () => {
      if (held) await new Promise<void>((resolve) => answers.push(resolve));
      return { user: "u" };
    },
  });
  const tabs = [join(url, { storage, user: "u" }), join(url, { storage, user: "u" })];
  const sessions = tabs.map((tab) => tab.session("s"));
  await Promise.all(sessions.map(({ ready }) => ready));
  // They die with something unsent.
  for (const [index, tab] of tabs.entries()) {
    const sending = sessions[index]?.emit("note", index);
    await sending?.queued;
    tab.close();
  }
  const scopes = await storage.list("u\u0000");
  expect(scopes).toHaveLength(2);
  const next = join(url, { storage, user: "u" });
  const session = next.session("s");
  session.ready.then(() => (held = true)).catch(() => {});
  await session.ready;
  held = true;
  await expect.poll(() => answers.length).toBe(1);
  await next.forget();
  expect(await storage.list("")).toEqual([]);
  written.length = 0;
  held = false;
  for (const answer of answers) answer();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect([await storage.list(""), written]).toEqual([[], []]);
});

it("nor what could not be read and was set aside", async () => {
  const storage = memoryStorage();
  const { url } = await serve();
  await storage.commit("u\u0000s\u0000tab", { set: [["tail/1", 7]], remove: [] });
  await storage.commit("aside:x:other\u0000s\u0000tab", { set: [["tail/1", 7]], remove: [] });
  const client = join(url, { storage, user: "u" });
  const warned: string[] = [];
  const session = client.session("s");
  session.on("warning", ({ code }) => void warned.push(code));
  await session.ready;
  expect(warned).toEqual(["STORAGE_CORRUPT"]);
  expect(await storage.list("aside:")).toHaveLength(2);
  await client.forget();
  expect(await storage.list("")).toEqual(["aside:x:other\u0000s\u0000tab"]);
});
