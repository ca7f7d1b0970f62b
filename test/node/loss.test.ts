/** The server's disk is lost, or replaced by an older copy of itself: real processes, real folders. */

import { cp, rm } from "node:fs/promises";
import { join as joinPath } from "node:path";
import type { Client, Resumption, Session } from "@rostrum/client";
import { memoryStorage } from "@rostrum/client";
import { expect, it } from "vitest";
import { folderOf, join, quick, victim } from "./place.ts";

const script = new URL("./floor-server.ts", import.meta.url);

interface App {
  readonly client: Client;
  readonly session: Session;
  /** The app's state: every note in the order of the log. */
  readonly notes: () => readonly unknown[];
  readonly resumptions: Resumption[];
  readonly returned: unknown[];
}

const app = async (url: string, user: string, storage = memoryStorage()): Promise<App> => {
  let notes: unknown[] = [];
  const resumptions: Resumption[] = [];
  const returned: unknown[] = [];
  const client = join(url, { storage, user, heartbeat: quick });
  const session = client.session("s", {
    checkpoint: () => notes,
    restore: (state: unknown[]) => {
      notes = state;
    },
  });
  session.on("note", (note: unknown) => void notes.push(note));
  session.on("resume", (resumption) => void resumptions.push(resumption));
  session.on("refused", (_, message) => void returned.push(message?.args[0]));
  await session.ready;
  return { client, session, notes: () => notes, resumptions, returned };
};

const live = (...apps: readonly App[]): Promise<void> =>
  expect
    .poll(() => apps.map(({ session }) => session.status.get()).map(({ phase, sync }) => `${phase} ${sync}`), {
      timeout: 30_000,
    })
    .toEqual(apps.map(() => "live synced"));

const stopped = (...apps: readonly App[]): Promise<void> =>
  expect.poll(() => apps.every(({ session }) => session.status.get().phase !== "live"), { timeout: 30_000 }).toBe(true);

it("a store whose folder was deleted gets everything again that was not secured, once", {
  timeout: 60_000,
}, async () => {
  const disk = await folderOf();
  const server = await victim(script, disk);
  const [a, b] = [await app(server.url, "a"), await app(server.url, "b")];
  for (let each = 1; each <= 3; each += 1) {
    await a.session.emit("note", `a${each}`);
    await b.session.emit("note", `b${each}`);
  }
  await server.kill();
  await stopped(a, b);
  await rm(disk, { recursive: true });
  void a.session.emit("note", "a4");
  await server.start();
  await live(a, b);
  await expect.poll(() => [a.notes().length, b.notes().length], { timeout: 30_000 }).toEqual([7, 7]);
  expect(a.notes()).toEqual(b.notes());
  const own = (who: string): unknown[] => a.notes().filter((note) => String(note).startsWith(who));
  expect([own("a"), own("b")]).toEqual([
    ["a1", "a2", "a3", "a4"],
    ["b1", "b2", "b3"],
  ]);
  const [back] = a.resumptions.filter(({ outcome }) => outcome === "reset");
  expect(back).toMatchObject({ why: "birth", reclaimed: 3 });
  expect(back?.unsaved).toBeUndefined();
  await b.session.emit("note", "after");
  await expect.poll(() => a.notes().at(-1)).toBe("after");
});

it("what a confirmed major point had secured is not sent again, and that is said", { timeout: 120_000 }, async () => {
  const disk = await folderOf();
  const server = await victim(script, disk);
  const [a, b] = [await app(server.url, "a"), await app(server.url, "b")];
  const { offset } = await a.session.emit("note", "secured");
  expect(await b.session.sync.major({ name: "chapter", share: false })).toMatchObject({ outcome: "confirmed" });
  await expect.poll(() => a.session.sync.points.get()[0]?.status).toBe("confirmed");
  await a.session.emit("note", "open");
  await server.kill();
  await stopped(a, b);
  await rm(disk, { recursive: true });
  await server.start();
  await live(a, b);
  await expect.poll(() => [a.notes(), b.notes()]).toEqual([["open"], ["open"]]);
  const [back] = a.resumptions.filter(({ outcome }) => outcome === "reset");
  expect(back).toMatchObject({ why: "birth", reclaimed: 1, unsaved: { from: 1, to: offset } });
});

it("an older copy of the store gets again what it lacks, also if it has gone on before", {
  timeout: 60_000,
}, async () => {
  const disk = await folderOf();
  const backup = joinPath(await folderOf(), "copy");
  const server = await victim(script, disk);
  const [a, b] = [await app(server.url, "a"), await app(server.url, "b")];
  await a.session.emit("note", "a1");
  await b.session.emit("note", "b1");
  await expect.poll(() => [a.notes().length, b.notes().length]).toEqual([2, 2]);
  await server.kill();
  await cp(disk, backup, { recursive: true });
  await server.start();
  await live(a, b);
  await a.session.emit("note", "a2");
  await b.session.emit("note", "b2");
  const late = await app(server.url, "late");
  await late.session.emit("note", "late1");
  await expect.poll(() => a.notes().length).toBe(5);
  // One of them is away while the restored log grows beyond what it had seen of the lost one.
  b.client.close();
  await server.kill();
  await stopped(a, late);
  await rm(disk, { recursive: true });
  await cp(backup, disk, { recursive: true });
  await server.start();
  await live(a, late);
  for (let each = 0; each < 10; each += 1) await a.session.emit("note", `new${each}`);
  await expect.poll(() => late.notes().length).toBe(14);
  expect(a.notes()).toEqual(late.notes());
  expect(new Set(a.notes()).size).toBe(14);
  expect(a.notes().slice(0, 2)).toEqual(["a1", "b1"]);
  expect(a.notes()).toEqual(expect.arrayContaining(["a2", "late1"]));
  expect(a.resumptions).toContainEqual(expect.objectContaining({ outcome: "reset", why: "fork", reclaimed: 1 }));
});

it("a page that was away finds out, and goes on from what it has of the common log", { timeout: 120_000 }, async () => {
  const disk = await folderOf();
  const backup = joinPath(await folderOf(), "copy");
  const server = await victim(script, disk);
  const storage = memoryStorage();
  const a = await app(server.url, "a");
  let b = await app(server.url, "b", storage);
  await b.session.emit("note", "b1");
  await a.session.sync.minor({ name: "common" });
  await expect.poll(() => b.session.sync.points.get().length).toBe(1);
  await server.kill();
  await cp(disk, backup, { recursive: true });
  await server.start();
  await live(a, b);
  await b.session.emit("note", "b2");
  await a.session.emit("note", "a1");
  await expect.poll(() => b.notes()).toEqual(["b1", "b2", "a1"]);
  b.client.close();
  await server.kill();
  await stopped(a);
  await rm(disk, { recursive: true });
  await cp(backup, disk, { recursive: true });
  await server.start();
  await live(a);
  for (let each = 0; each < 10; each += 1) await a.session.emit("note", `new${each}`);
  b = await app(server.url, "b", storage);
  await live(b);
  await expect.poll(() => b.notes().length, { timeout: 30_000 }).toBe(13);
  await expect.poll(() => a.notes()).toEqual(b.notes());
  expect(new Set(b.notes()).size).toBe(13);
  expect(b.resumptions[0]).toMatchObject({ outcome: "reset", why: "fork", reclaimed: 1 });
});
