/** Activities as an app sees them, over real sockets. */

import { type ActivityChange, memoryStorage, RostrumError, type Session } from "@rostrum/client";
import { describe, expect, it } from "vitest";
import { behind, codeOf, join, type Place, quick, serve } from "./place.ts";

/** Who a client says it is, it is. */
const authenticate = ({ auth }: { readonly auth: unknown }): { user: string } => ({ user: String(auth) });
const enter = async (place: Pick<Place, "url">, name: string): Promise<Session> => {
  const session = join(place.url, { auth: () => name, user: name, heartbeat: quick }).session("s");
  await session.ready;
  return session;
};
const idOf = (session: Session): string => session.member ?? "";
const reasonOf = (signal: AbortSignal): string =>
  signal.reason instanceof RostrumError ? `${signal.reason.code} ${String(signal.reason.details["reason"])}` : "none";
const told = (session: Session): string[] => {
  const list: string[] = [];
  session.on("activity", (change: ActivityChange) => void list.push(change.type));
  return list;
};

describe("an activity", () => {
  it("is begun, marked and ended, and all whom it concerns are told", async () => {
    const place = await serve({ authenticate });
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    const atB = told(b);
    const review = await a.activities.start("review", { data: { pages: new Uint8Array([1, 2]) } });
    expect(a.activities.get(review.id)).toBe(review);
    expect(review.get()).toMatchObject({ status: "running", mine: true, here: true, by: idOf(a), confirmed: null });
    const [one, two] = await Promise.all([review.point({ page: 1 }), review.point()]);
    expect([one, two]).toMatchObject([{ serial: 1, data: { page: 1 } }, { serial: 2 }]);
    expect(review.get().confirmed).toMatchObject({ serial: 2 });
    await expect.poll(() => b.activities.get()).toMatchObject([{ name: "review", mine: false, here: false }]);
    expect(b.activities.get()[0]?.data).toEqual({ pages: new Uint8Array([1, 2]) });
    const seen = b.activities.get(review.id);
    await review.end({ verdict: "good" });
    expect(review.get()).toMatchObject({ status: "ended", here: false, result: { verdict: "good" } });
    expect(review.lost.aborted).toBe(false);
    await expect.poll(() => seen?.get().status).toBe("ended");
    expect(seen?.get().result).toEqual({ verdict: "good" });
    expect(a.activities.get()).toEqual([]);
    expect(atB).toEqual(["started", "point", "point", "ended"]);
    expect(await codeOf(review.point())).toBe("ACTIVITY_UNKNOWN");
  });

  it("does not concern others, who are told nothing", async () => {
    const place = await serve({ authenticate });
    const [a, b, c] = [await enter(place, "a"), await enter(place, "b"), await enter(place, "c")];
    const [atB, atC] = [told(b), told(c)];
    const secret = await a.activities.start("secret", { to: [idOf(b)] });
    await expect.poll(() => atB).toEqual(["started"]);
    await secret.discard("never mind");
    await expect.poll(() => atB).toEqual(["started", "discarded"]);
    await a.emit("mark");
    expect(atC).toEqual([]);
    expect(c.activities.get()).toEqual([]);
    expect(await codeOf(a.activities.start("x", { to: ["nobody"] }))).toBe("RECIPIENT_UNKNOWN");
  });

  it("goes back to its last confirmed point, where somebody else has to confirm", async () => {
    const place = await serve({ authenticate });
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    const work = await a.activities.start("work");
    await expect.poll(() => b.activities.get(work.id)).toBeDefined();
    const atB = b.activities.get(work.id);
    await work.point(1, { confirm: true });
    await work.point(2, { confirm: true });
    expect(work.get()).toMatchObject({ confirmed: null, points: [{ serial: 1 }, { serial: 2 }] });
    await expect.poll(() => atB?.get().points.length).toBe(2);
    await atB?.confirm(1);
    await expect.poll(() => work.get().confirmed).toMatchObject({ serial: 1, data: 1 });
    const { lost } = work;
    await work.interrupt({ data: "lunch" });
    expect(reasonOf(lost)).toBe("ACTIVITY_INTERRUPTED asked");
    expect(work.get().expiresAt).toBeGreaterThan(Date.now());
    expect(await codeOf(work.point(3))).toBe("ACTIVITY_INTERRUPTED");
    expect(await codeOf(atB?.resume() ?? Promise.resolve())).toBe("FORBIDDEN");
    expect(await work.resume()).toMatchObject({ from: { serial: 1, data: 1 } });
    expect(work.lost.aborted).toBe(false);
    expect(await work.point("again")).toMatchObject({ serial: 2 });
  });

  it("is handed over, and taken up by that member alone", async () => {
    const place = await serve({ authenticate });
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    const work = await a.activities.start("work");
    await work.point("half");
    const changes: ActivityChange[] = [];
    b.on("activity", (change) => void changes.push(change));
    await work.interrupt({ for: idOf(b) });
    expect(reasonOf(work.lost)).toBe("ACTIVITY_INTERRUPTED handed");
    await expect.poll(() => changes.at(-1)).toMatchObject({ type: "interrupted", reason: "handed", for: idOf(b) });
    expect(await codeOf(work.resume())).toBe("FORBIDDEN");
    const mine = b.activities.get(work.id);
    expect(mine?.lost.aborted).toBe(true);
    expect(await mine?.resume()).toMatchObject({ from: { data: "half" } });
    expect(mine?.lost.aborted).toBe(false);
    await mine?.end("done");
    await expect.poll(() => work.get()).toMatchObject({ status: "ended", result: "done" });
  });

  it("is interrupted when its member drops, and resumed by another device of the user", async () => {
    const place = await serve({ authenticate });
    const proxy = await behind(place);
    const [a, other] = [await enter(proxy, "u"), await enter(place, "u")];
    const work = await a.activities.start("work");
    await work.point(7);
    const { lost } = work;
    proxy.set({ kind: "off" });
    await expect.poll(() => other.activities.get(work.id)?.get().status).toBe("interrupted");
    expect(lost.aborted).toBe(false);
    const taken = other.activities.get(work.id);
    expect(await taken?.resume()).toMatchObject({ from: { data: 7 } });
    proxy.set({ kind: "ok" });
    await expect.poll(() => reasonOf(lost)).toBe("ACTIVITY_INTERRUPTED dropped");
    await expect.poll(() => work.get()).toMatchObject({ holder: idOf(other), here: false, mine: true });
    expect(await codeOf(work.point())).toBe("ACTIVITY_NOT_HELD");
    expect(await codeOf(work.resume())).toBe("ACTIVITY_RUNNING");
  });

  it("goes on under the same run after a flicker, and in the next life of the page", async () => {
    const place = await serve({ authenticate, flicker: 5_000 });
    const storage = memoryStorage();
    const options = { auth: () => "u", user: "u", storage };
    const first = join(place.url, options);
    const work = await first.session("s").activities.start("work");
    await work.point("kept");
    first.close();
    expect(work.lost.aborted).toBe(true);
    const second = join(place.url, options).session("s");
    await second.ready;
    const again = second.activities.get(work.id);
    expect(again?.get()).toMatchObject({ here: true, status: "running", confirmed: { data: "kept" } });
    await again?.point("more");
    await again?.end();
  });

  it("is declined, and void when all have declined", async () => {
    const place = await serve({ authenticate });
    const [a, b] = [await enter(place, "a"), await enter(place, "b")];
    const work = await a.activities.start("work", { to: [idOf(b)] });
    await expect.poll(() => b.activities.get(work.id)).toBeDefined();
    await b.activities.get(work.id)?.decline("no time");
    await expect.poll(() => work.get().status).toBe("discarded");
    expect(reasonOf(work.lost)).toBe("ACTIVITY_INTERRUPTED discarded");
  });

  it("is not begun if its signal fires, and belongs to one log only", async () => {
    const place = await serve({ authenticate });
    const proxy = await behind(place);
    const a = await enter(proxy, "a");
    expect(await codeOf(a.activities.start("x", { signal: AbortSignal.abort(new Error("no")) }))).toBe("Error: no");
    const stop = new AbortController();
    const starting = a.activities.start("x", { signal: stop.signal });
    stop.abort(new Error("changed my mind"));
    await expect(starting).rejects.toThrow("changed my mind");
    await expect.poll(() => a.activities.get()).toEqual([]);
    const work = await a.activities.start("y");
    const next = await serve({ authenticate });
    proxy.retarget({ host: "127.0.0.1", port: Number(new URL(next.url).port) });
    proxy.cut();
    await expect.poll(() => work.get().status).toBe("gone");
    expect(reasonOf(work.lost)).toBe("ACTIVITY_INTERRUPTED unknown");
    expect(a.activities.get()).toEqual([]);
  });
});
