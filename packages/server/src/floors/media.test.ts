import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { memberId, type Offset, type SessionId, sessionId, type UserId } from "@rostrum/protocol";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type MediaOptions, mediaFollowsFloor, type PublisherContext } from "./media.ts";
import type { FloorMove, Holder } from "./moves.ts";

const holder = (name: string): Holder => ({ member: memberId(name), user: name as UserId, fence: 1 as Offset });
const names = (holders: readonly Holder[]): string => holders.map(({ user }) => user).join();

/** A source of moves, as the plugin is one. */
const source = () => {
  const listeners = new Set<(move: FloorMove) => void>();
  return {
    listeners,
    onFloor: (listener: (move: FloorMove) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    /** These hold the floor now. */
    hold: (users: readonly string[], floor = "mic", session: SessionId = sessionId("s")) => {
      const move: FloorMove = { session, floor, holders: users.map(holder), granted: [], lost: [] };
      for (const listener of listeners) listener(move);
    },
  };
};

interface Call {
  /** `session/floor:users` */
  readonly what: string;
  readonly signal: AbortSignal;
  readonly done: () => void;
  readonly fail: (error: unknown) => void;
}

/** An adapter whose calls end when the test says so. */
const slow = () => {
  const calls: Call[] = [];
  const setPublishers = (publishers: readonly Holder[], { session, floor, signal }: PublisherContext): Promise<void> =>
    new Promise((done, fail) => {
      calls.push({ what: `${session}/${floor}:${names(publishers)}`, signal, done, fail });
    });
  const call = (at: number): Call => {
    const found = calls.at(at);
    if (found === undefined) throw new Error(`There is no call ${at}.`);
    return found;
  };
  return { adapter: { setPublishers }, call, told: () => calls.map(({ what }) => what) };
};

/** How many of them nobody holds any more. */
const collected = (refs: readonly WeakRef<object>[]): number => {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return refs.filter((ref) => ref.deref() === undefined).length;
};

/** Lets everything run that needs no time. */
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

describe("mediaFollowsFloor", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const follow = (options: Partial<MediaOptions> = {}) => {
    const sessions = source();
    const sfu = slow();
    const undo = mediaFollowsFloor(sessions, { floors: ["mic"], adapter: sfu.adapter, ...options });
    return { ...sessions, ...sfu, undo };
  };

  it("tells the whole list each time, also if it is what was told before", async () => {
    const { hold, call, told } = follow();
    for (const users of [["ann"], ["ann", "bob"], ["ann", "bob"], []]) {
      hold(users);
      call(-1).done();
      await settle();
    }
    expect(told()).toEqual(["s/mic:ann", "s/mic:ann,bob", "s/mic:ann,bob", "s/mic:"]);
  });

  it("waits for the call under way, and then tells the newest list only", async () => {
    const { hold, call, told } = follow();
    hold(["ann"]);
    hold(["bob"]);
    hold(["cem"]);
    await settle();
    expect(told()).toEqual(["s/mic:ann"]);
    expect(call(0).signal.aborted).toBe(true);
    call(0).done();
    await settle();
    expect(told()).toEqual(["s/mic:ann", "s/mic:cem"]);
    expect(call(1).signal.aborted).toBe(false);
    call(1).done();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told()).toHaveLength(2);
  });

  it("never overlaps for one floor, and lets no floor or session wait for another", async () => {
    let [calls, most] = [0, 0];
    const open = new Map<string, number>();
    const adapter = {
      setPublishers: async (_: readonly Holder[], { session, floor }: PublisherContext) => {
        const key = `${session}/${floor}`;
        open.set(key, (open.get(key) ?? 0) + 1);
        most = Math.max(most, open.get(key) ?? 0);
        await new Promise((resolve) => setTimeout(resolve, 10));
        open.set(key, (open.get(key) ?? 0) - 1);
        calls += 1;
        if (calls % 3 === 0) throw new Error("now and then");
      },
    };
    const { hold } = follow({ floors: ["mic", "screen"], adapter });
    hold(["ann"], "mic");
    hold(["bob"], "screen");
    hold(["cem"], "mic", sessionId("other"));
    expect([...open.values()]).toEqual([1, 1, 1]);
    for (let n = 0; n < 100; n += 1) {
      hold([`user${n}`]);
      await vi.advanceTimersByTimeAsync(3);
    }
    expect(most).toBe(1);
    expect(calls).toBeGreaterThan(10);
  });

  it("tries again after a failure, ever later, with the list as it is then", async () => {
    const failed: unknown[] = [];
    const { hold, call, told } = follow({ onError: (error, about) => failed.push([error, about]) });
    hold(["ann"]);
    for (const wait of [100, 250, 500, 1_000, 2_000, 5_000, 5_000]) {
      const before = told().length;
      call(-1).fail("away");
      await vi.advanceTimersByTimeAsync(wait - 1);
      expect(told()).toHaveLength(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(told()).toHaveLength(before + 1);
    }
    expect(failed).toEqual(Array.from({ length: 7 }, () => ["away", { session: "s", floor: "mic" }]));
    call(-1).fail("away");
    await vi.advanceTimersByTimeAsync(10);
    // Withdrawing from somebody does not wait until the SFU's next chance.
    hold([]);
    await settle();
    expect(call(-1).what).toBe("s/mic:");
    call(-1).done();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told()).toHaveLength(9);
  });

  it("does not wait when a call fails while a newer list waits", async () => {
    const errors: unknown[] = [];
    const { hold, call, told } = follow({ onError: (error) => errors.push(error) });
    hold(["ann"]);
    hold([]);
    call(0).fail("away");
    await settle();
    expect(told()).toEqual(["s/mic:ann", "s/mic:"]);
    hold(["bob"]);
    call(1).fail(call(1).signal.reason);
    await settle();
    expect(told()).toEqual(["s/mic:ann", "s/mic:", "s/mic:bob"]);
    // The second one only did what its signal asked for.
    expect(errors).toEqual(["away"]);
  });

  it("goes on whatever onError and the adapter throw", async () => {
    const complained = vi.spyOn(console, "error").mockImplementation(() => {});
    let broken = true;
    const applied: string[] = [];
    const { hold } = follow({
      adapter: {
        setPublishers: (publishers) => {
          if (broken) throw new Error("not even a promise");
          applied.push(names(publishers));
          return Promise.resolve();
        },
      },
      onError: () => {
        throw new Error("a listener's own fault");
      },
    });
    hold(["ann"]);
    await settle();
    broken = false;
    await vi.advanceTimersByTimeAsync(100);
    expect(applied).toEqual(["ann"]);
    expect(complained).toHaveBeenCalledTimes(1);
    complained.mockRestore();
  });

  it("follows the floors it was given, by name or by pattern", async () => {
    const { hold, told } = follow({ floors: ["mic", "stage:*"] });
    for (const floor of ["mic", "microphone", "stage:", "stage:left", "stag", "*"]) hold(["ann"], floor);
    await settle();
    expect(told()).toEqual(["s/mic:ann", "s/stage::ann", "s/stage:left:ann"]);
  });

  it("begins anew for a floor that had settled: nothing of it was kept", async () => {
    const { hold, call, told } = follow();
    hold(["ann"]);
    call(0).fail("away");
    await vi.advanceTimersByTimeAsync(100);
    call(1).done();
    await settle();
    hold(["bob"]);
    // At once, by a call of its own, with a signal of its own, and with the first wait again.
    expect(told()).toEqual(["s/mic:ann", "s/mic:ann", "s/mic:bob"]);
    expect(call(1).signal.aborted).toBe(false);
    call(2).fail("away");
    await vi.advanceTimersByTimeAsync(100);
    expect(told()).toHaveLength(4);
    call(3).done();
    await settle();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("holds nothing of floors that have settled", async () => {
    const refs: WeakRef<object>[] = [];
    const { listeners } = follow({ adapter: { setPublishers: async () => {} } });
    for (let n = 0; n < 100; n += 1) {
      const holders = [holder(`user${n}`)];
      refs.push(new WeakRef(holders));
      for (const listener of listeners)
        listener({ session: sessionId(`s${n}`), floor: "mic", holders, granted: [], lost: [] });
    }
    await settle();
    vi.useRealTimers();
    // The engine may still have the last of them at hand.
    await expect.poll(() => collected(refs), { timeout: 5_000 }).toBeGreaterThan(90);
  });

  it("stops when undone: the call under way is told so, and no other follows", async () => {
    const errors: unknown[] = [];
    const { hold, call, told, undo, listeners } = follow({ onError: (error) => errors.push(error) });
    hold(["ann"], "mic");
    hold(["bob"], "mic", sessionId("other"));
    call(1).fail("away");
    await settle();
    hold(["cem"], "mic");
    undo();
    expect(listeners.size).toBe(0);
    expect(call(0).signal.aborted).toBe(true);
    call(0).fail(call(0).signal.reason);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told()).toEqual(["s/mic:ann", "other/mic:bob"]);
    expect(errors).toEqual(["away"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
