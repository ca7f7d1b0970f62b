/** Sync points and resynchronization from the server's side. */

import { memoryStore, type Snapshot, type Store } from "@rostrum/server";
import { expect, it } from "vitest";
import { codeOf, serve } from "./place.ts";
import { RawMember } from "./raw.ts";

const saving = (): { readonly store: Store; readonly saved: Snapshot[] } => {
  const saved: Snapshot[] = [];
  const store = memoryStore();
  const snapshot: Store["snapshot"] = async (session, taken) => {
    await store.snapshot(session, taken);
    saved.push(taken);
  };
  return { saved, store: { ...store, snapshot } };
};

it("sets points, and saves the state as soon as a major one is confirmed", async () => {
  const { store, saved } = saving();
  const { url, sessions } = await serve({ store });
  const { sync } = sessions.get("s");
  const a = await RawMember.join(url);
  expect(await sync.minor({ name: "here", data: 1 })).toMatchObject({
    serial: 1,
    kind: "minor",
    status: "set",
    name: "here",
  });
  expect(await sync.minor({ confirm: true })).toMatchObject({ serial: 2, status: "open", waiting: [a.id] });
  expect(saved).toHaveLength(0);
  const point = await sync.major({ data: "slide 3", within: 20_000 });
  expect(point).toMatchObject({ serial: 3, kind: "major", status: "open", by: null });
  expect(await codeOf(sync.major())).toBe("SYNC_PENDING");
  await a.command({ type: "sync-confirm", serial: 3 });
  await expect.poll(() => saved.length).toBe(1);
  expect(saved[0]?.state.sync.base).toEqual({ serial: 3, offset: point.offset });
  // The log may be cut there.
  expect(saved[0]?.marks.at(-1)?.offset).toBe(saved[0]?.state.head);
  expect(await sync.major({ rule: "server" })).toMatchObject({ serial: 4, status: "confirmed" });
  await expect.poll(() => saved.length).toBe(2);
});

it("takes the session back, and on with a serial of its choice", async () => {
  const { sessions } = await serve();
  const session = sessions.get("s");
  const { sync } = session;
  await sync.major({ rule: "server" });
  await sync.minor();
  await session.emit("note", "void");
  await sync.restart(2, "once more");
  expect((await session.state()).sync).toMatchObject({ generation: 1, next: 3 });
  expect(await codeOf(sync.restart(9))).toBe("SYNC_UNKNOWN");
  expect(await codeOf(sync.restart(0))).toBe("SYNC_SECURED");
  await sync.abandon();
  expect((await session.state()).sync).toMatchObject({ generation: 2, next: 3, base: { serial: 1 } });
  await sync.set(100);
  expect((await sync.minor()).serial).toBe(100);
});

it("takes no options under which it would work without end, or never", async () => {
  for (const wrong of [
    { activities: { interval: 0 } },
    { activities: { bytes: -1 } },
    { activities: { resumeWithin: Number.NaN } },
    { sync: { confirmWithin: 0 } },
    { limits: { syncPoints: 0 } },
    { limits: { chunkBytes: 0 } },
    { limits: { dataBytes: "8k" as never } },
  ])
    await expect(serve(wrong)).rejects.toMatchObject({ code: "USAGE" });
});
