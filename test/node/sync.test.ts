/** Sync points and resynchronization as an app sees them, over real sockets. */

import { type Client, memoryStorage, type PointOutcome, type Resynchronization, type Session } from "@rostrum/client";
import { describe, expect, it } from "vitest";
import { behind, codeOf, join, type Place, quick, serve } from "./place.ts";

interface App {
  readonly client: Client;
  readonly session: Session;
  readonly notes: () => readonly unknown[];
  readonly went: Resynchronization[];
  readonly returned: unknown[];
  /** Codes of what was refused. */
  readonly refusals: string[];
}

const enter = async (
  { url }: Pick<Place, "url">,
  user: string,
  options: { readonly storage?: ReturnType<typeof memoryStorage>; readonly confirm?: "explicit" } = {},
): Promise<App> => {
  let notes: unknown[] = [];
  const went: Resynchronization[] = [];
  const returned: unknown[] = [];
  const refusals: string[] = [];
  const { confirm, storage = memoryStorage() } = options;
  const client = join(url, { user, storage, auth: () => user, heartbeat: quick });
  const session = client.session("s", {
    checkpoint: () => notes,
    restore: (state: unknown[]) => {
      notes = state;
    },
    ...(confirm === undefined ? {} : { confirm }),
  });
  session.on("note", (note: unknown) => void notes.push(note));
  session.on("resynchronize", (resynchronization) => void went.push(resynchronization));
  session.on("refused", (error, message) => {
    refusals.push(error.code);
    if (message !== undefined) returned.push(message.args[0]);
  });
  await session.ready;
  return { client, session, notes: () => notes, went, returned, refusals };
};

const say = async ({ session }: App, ...notes: readonly string[]): Promise<void> => {
  for (const note of notes) await session.emit("note", note);
};

const agree = (apps: readonly App[], notes: readonly unknown[]): Promise<void> =>
  expect.poll(() => apps.map((app) => app.notes()), { timeout: 5_000 }).toEqual(apps.map(() => notes));

const membersOf = ({ session }: App): Promise<void> => expect.poll(() => session.members.get().length).toBe(2);

describe("a major point", () => {
  it("is confirmed when all have processed what is before it", async () => {
    const place = await serve();
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    await membersOf(a);
    await say(a, "one");
    const result = await a.session.sync.major({ name: "chapter", data: { page: 1 } });
    expect(result).toMatchObject({ outcome: "confirmed", point: { serial: 1, name: "chapter", data: { page: 1 } } });
    await expect.poll(() => b.session.sync.points.get()[0]?.status).toBe("confirmed");
    expect(await codeOf(a.session.sync.restart(0))).toBe("SYNC_SECURED");
  });

  it("names who is missing when its time is over", async () => {
    const place = await serve({ sync: { confirmWithin: 100 } });
    const [a, b] = [await enter(place, "a"), await enter(place, "b", { confirm: "explicit" })];
    await membersOf(a);
    const result = await a.session.sync.major();
    expect(result).toMatchObject({ outcome: "unconfirmed", missing: [b.session.member] });
    // It secures nothing, so one can go back behind it.
    await a.session.sync.restart(0);
  });

  it("is confirmed by a word where the app wants to say it, and then all before it are", async () => {
    const place = await serve();
    const [a, b] = [await enter(place, "a"), await enter(place, "b", { confirm: "explicit" })];
    await membersOf(a);
    await a.session.sync.minor({ name: "first", confirm: true });
    const result = a.session.sync.major({ name: "second" });
    await expect.poll(() => b.session.sync.points.get().length).toBe(2);
    await b.session.sync.confirm("second", { seen: true });
    expect(await result).toMatchObject({ outcome: "confirmed" });
    expect(a.session.sync.points.get().map(({ status }) => status)).toEqual(["confirmed", "confirmed"]);
    expect(await codeOf(b.session.sync.confirm("second"))).toBe("SYNC_NOT_ASKED");
    expect(await codeOf(b.session.sync.confirm(9))).toBe("SYNC_UNKNOWN");
  });

  it("by quorum needs half, by the server nobody", async () => {
    const place = await serve();
    const a = await enter(place, "a");
    const others = [await enter(place, "b"), await enter(place, "c", { confirm: "explicit" })];
    await expect.poll(() => a.session.members.get().length).toBe(3);
    expect(await a.session.sync.major({ rule: "quorum" })).toMatchObject({ outcome: "confirmed" });
    expect(await a.session.sync.major({ rule: "server" })).toMatchObject({
      outcome: "confirmed",
      point: { serial: 2 },
    });
    expect(others.length).toBe(2);
  });
});

describe("going back", () => {
  it("takes everybody's app to the point, and what was sent since is void", async () => {
    const place = await serve();
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    await say(a, "one");
    await say(b, "two");
    await a.session.sync.minor({ name: "draft" });
    await say(a, "three");
    await say(b, "four");
    await agree([a, b], ["one", "two", "three", "four"]);
    await b.session.sync.restart("draft", "wrong turn");
    await agree([a, b], ["one", "two"]);
    expect(a.went).toMatchObject([{ kind: "restart", by: b.session.member, reason: "wrong turn", restored: "device" }]);
    await say(a, "five");
    await agree([a, b], ["one", "two", "five"]);
    expect((await a.session.sync.minor()).serial).toBe(2);
    // A newcomer is given nothing of what is void.
    const c = await enter(place, "c");
    await agree([c], ["one", "two", "five"]);
  });

  it("hands back what others had sent before they knew", async () => {
    const place = await serve();
    const proxy = await behind(place);
    const [a, b] = [await enter(place, "a"), await enter(proxy, "b")];
    await say(a, "one");
    await agree([a, b], ["one"]);
    await a.session.sync.minor({ name: "draft" });
    await expect.poll(() => b.session.sync.points.get().length).toBe(1);
    proxy.set({ kind: "off" });
    await expect.poll(() => b.session.status.get().phase).not.toBe("live");
    const late = b.session.emit("note", "late");
    await say(a, "two");
    await a.session.sync.restart("draft");
    proxy.set({ kind: "ok" });
    expect(await codeOf(late)).toBe("RESYNCHRONIZED");
    expect([b.returned, b.refusals]).toEqual([["late"], ["RESYNCHRONIZED"]]);
    await agree([a, b], ["one"]);
    await say(b, "again");
    await agree([a, b], ["one", "again"]);
  });

  it("outlives a reload, on either side of the point", async () => {
    const place = await serve();
    const storage = memoryStorage();
    const a = await enter(place, "a");
    let b = await enter(place, "b", { storage });
    await say(b, "one");
    await a.session.sync.minor({ name: "draft" });
    await say(b, "two");
    await agree([a, b], ["one", "two"]);
    b.client.close();
    await a.session.sync.restart("draft");
    await say(a, "three");
    b = await enter(place, "b", { storage });
    await agree([a, b], ["one", "three"]);
    b.client.close();
    b = await enter(place, "b", { storage });
    await agree([b], ["one", "three"]);
    await say(b, "four");
    await agree([a, b], ["one", "three", "four"]);
  });

  it("of two at once, what X.225 puts first stands, and the other is told", async () => {
    const place = await serve();
    const proxy = await behind(place);
    const [a, b] = [await enter(place, "a"), await enter(proxy, "b")];
    await a.session.sync.minor({ name: "first" });
    await a.session.sync.minor({ name: "second" });
    await expect.poll(() => b.session.sync.points.get().length).toBe(2);
    proxy.set({ kind: "off" });
    await expect.poll(() => b.session.status.get().phase).not.toBe("live");
    const [higher, lower] = [b.session.sync.restart("second"), b.session.sync.restart("first")];
    await a.session.sync.restart("second");
    proxy.set({ kind: "ok" });
    // The same point again changes nothing; the lower one goes before what a had asked for.
    expect(await codeOf(higher)).toBe("SYNC_COLLISION");
    await lower;
    await expect.poll(() => a.session.sync.points.get().map(({ status }) => status)).toEqual(["set", "void"]);
  });

  it("for one member alone gives it the state and then the rest once more", async () => {
    const place = await serve();
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    await say(a, "one");
    await a.session.sync.minor({ name: "draft" });
    await say(b, "two");
    await agree([a, b], ["one", "two"]);
    expect(await a.session.sync.stateAt("draft")).toEqual(["one"]);
    const again: boolean[] = [];
    a.session.on("note", (_: unknown, meta: { replayed: boolean }) => void again.push(meta.replayed));
    await a.session.sync.restore("draft");
    await agree([a, b], ["one", "two"]);
    expect(again).toEqual([true]);
    expect(b.went).toEqual([]);
    await say(a, "three");
    await agree([a, b], ["one", "two", "three"]);
  });

  it("abandons a unit, or numbers anew", async () => {
    const place = await serve();
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    await membersOf(a);
    await say(a, "one");
    expect(await a.session.sync.major()).toMatchObject({ outcome: "confirmed" });
    await say(b, "two");
    await a.session.sync.minor();
    await agree([a, b], ["one", "two"]);
    await b.session.sync.abandon();
    await agree([a, b], ["one"]);
    expect((await a.session.sync.minor()).serial).toBe(3);
    await a.session.sync.set(100);
    expect((await a.session.sync.minor()).serial).toBe(100);
    await agree([a, b], ["one"]);
  });

  it("follows from an exception where the server says so", async () => {
    const place = await serve({ sync: { exception: "restart" } });
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    const told: string[] = [];
    b.session.on("exception", ({ reason }) => void told.push(reason));
    await membersOf(a);
    await say(a, "one");
    expect(await a.session.sync.major()).toMatchObject({ outcome: "confirmed" });
    await say(b, "poison");
    await agree([a, b], ["one", "poison"]);
    await a.session.sync.exception("cannot apply poison");
    await agree([a, b], ["one"]);
    expect(told).toEqual(["cannot apply poison"]);
  });

  it("ends what waited for a point that is void", async () => {
    const place = await serve();
    const [a, b] = [await enter(place, "a"), await enter(place, "b", { confirm: "explicit" })];
    await membersOf(a);
    const outcome: Promise<PointOutcome> = a.session.sync.major();
    await expect.poll(() => b.session.sync.points.get().length).toBe(1);
    await b.session.sync.restart(0);
    expect((await outcome).outcome).toBe("void");
  });
});

describe("a shared state", () => {
  it("is what a newcomer begins with, instead of the whole history", async () => {
    const place = await serve({ history: { last: 0 } });
    const a = await enter(place, "a");
    await say(a, "one", "two");
    expect(await a.session.sync.major({ name: "chapter" })).toMatchObject({ outcome: "confirmed" });
    await expect.poll(() => a.session.sync.points.get()[0]?.state).toBeGreaterThan(0);
    await say(a, "three");
    const late = await enter(place, "late");
    await agree([a, late], ["one", "two", "three"]);
    await say(late, "four");
    await agree([a, late], ["one", "two", "three", "four"]);
  });

  it("takes who was not there yet back to the point", async () => {
    const place = await serve({ history: { last: 0 } });
    const a = await enter(place, "a");
    await say(a, "one");
    await a.session.sync.minor({ name: "draft", share: true });
    await say(a, "two");
    await a.session.sync.minor({ name: "later", share: true });
    await expect.poll(() => a.session.sync.points.get()[1]?.state).toBeGreaterThan(0);
    const late = await enter(place, "late");
    await agree([late], ["one", "two"]);
    expect(await late.session.sync.stateAt("draft")).toEqual(["one"]);
    await a.session.sync.restart("draft");
    await agree([a, late], ["one"]);
    expect(late.went).toMatchObject([{ restored: "shared" }]);
    // The later one is void, and its state with it.
    await expect.poll(() => a.session.sync.points.get().map(({ state }) => state !== undefined)).toEqual([true, false]);
    await say(late, "three");
    await agree([a, late], ["one", "three"]);
  });

  it("closes the gap of who was away for longer than the log reaches back", async () => {
    const place = await serve({ retention: { count: 5 }, snapshotEvery: 5 });
    const storage = memoryStorage();
    const a = await enter(place, "a");
    let b = await enter(place, "b", { storage });
    await say(b, "one");
    await agree([a, b], ["one"]);
    b.client.close();
    for (let each = 0; each < 30; each += 1) await say(a, `n${each}`);
    expect(await a.session.sync.major({ rule: "server" })).toMatchObject({ outcome: "confirmed" });
    await expect.poll(() => a.session.sync.points.get()[0]?.state).toBeGreaterThan(0);
    await say(a, "after");
    b = await enter(place, "b", { storage });
    await agree([b], a.notes());
    expect(b.notes()).toHaveLength(32);
  });

  it("that is larger than the page of a newcomer allows is told, and stops nothing", async () => {
    const place = await serve({ activities: { bytes: 100 } });
    const a = await enter(place, "a");
    const warnings: string[] = [];
    a.session.on("warning", ({ code }) => void warnings.push(code));
    for (let each = 0; each < 40; each += 1) await say(a, `${each} ${Math.random()}`);
    expect(await a.session.sync.major()).toMatchObject({ outcome: "confirmed" });
    await expect.poll(() => warnings).toEqual(["TRANSFER_TOO_LARGE"]);
    await say(a, "goes on");
  });
});
