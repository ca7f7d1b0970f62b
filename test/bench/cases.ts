/** What is measured. Each case answers one figure of one side; the runner takes the sides in turn and compares medians. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entry, emptyState, lastOffset, sessionId, toRecord } from "@rostrum/protocol";
import { embeddedStore } from "@rostrum/server";
import { connectEnd, type End, lightEnd, percentile, sleep, Target, turn } from "./load.ts";
import type { Mode } from "./server.ts";

const text = "x".repeat(100);

/** Messages delivered per second of server CPU, one sender with up to 1,000 under way, `fan` receivers. */
export const fanout =
  (fan: number, seconds = 3) =>
  async (mode: Mode): Promise<number> => {
    await using target = await Target.start(mode);
    let delivered = 0;
    const count = (): void => {
      delivered += 1;
    };
    const receivers: End[] = [];
    for (let each = 0; each < fan; each += 1) receivers.push(await connectEnd(target, "r", count));
    // The plain sender stands outside the room; a member of a session always hears itself, and pays for it.
    const sender = await connectEnd(target, mode === "plain" ? "elsewhere" : "r", () => {});
    const toRoom = mode === "plain" ? await plainSender(target) : sender;
    let sent = 0;
    const pump = async (until: number): Promise<void> => {
      while (performance.now() < until) {
        while (sent - delivered / fan < 1_000) {
          toRoom.send(text);
          sent += 1;
        }
        await turn();
      }
    };
    await pump(performance.now() + 1_000);
    const before = { cpu: await target.ask({ ask: "cpu" }), delivered };
    await pump(performance.now() + seconds * 1_000);
    const cpu = (await target.ask({ ask: "cpu" })) - before.cpu;
    const figure = ((delivered - before.delivered) / cpu) * 1_000;
    for (const end of [...receivers, sender, toRoom]) end.close();
    return figure;
  };

/** A plain socket that is in no room of interest and sends to room "r". */
const plainSender = async (target: Target): Promise<End> => {
  const { io } = await import("socket.io-client");
  const socket = io(target.url, { transports: ["websocket"], forceNew: true, reconnection: false });
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return {
    send: (message) => void socket.emit("msg", "r", message),
    close: () => void socket.disconnect(),
    drop: () => {},
    comeBack: async () => {},
  };
};

/** 10 sessions of 20 members, each sending single messages at random moments: delivered per second of server CPU. */
export const mesh =
  (perSecond: number, seconds = 6) =>
  async (mode: Mode): Promise<number> => {
    await using target = await Target.start(mode);
    let delivered = 0;
    const ends: End[] = [];
    for (let room = 0; room < 10; room += 1) {
      const members = await Promise.all(
        Array.from({ length: 20 }, () => connectEnd(target, `r${room}`, () => void (delivered += 1))),
      );
      ends.push(...members);
    }
    const timers = ends.map((end) => {
      let timer: NodeJS.Timeout | undefined;
      const next = (): void => {
        // Exponential gaps: people do not send in step.
        timer = setTimeout(
          () => {
            end.send(text);
            next();
          },
          (-Math.log(1 - Math.random()) / perSecond) * 1_000,
        );
      };
      next();
      return () => clearTimeout(timer);
    });
    await sleep(1_500);
    const before = { cpu: await target.ask({ ask: "cpu" }), delivered };
    await sleep(seconds * 1_000);
    const cpu = (await target.ask({ ask: "cpu" })) - before.cpu;
    const figure = ((delivered - before.delivered) / cpu) * 1_000;
    for (const stop of timers) stop();
    for (const end of ends) end.close();
    return figure;
  };

/** One message at a time, from the emit to the other member's handler: milliseconds, p50 and p99 of 2,000. */
export const latency = async (mode: Mode): Promise<{ readonly p50: number; readonly p99: number }> => {
  await using target = await Target.start(mode);
  let arrived = (): void => {};
  const receiver = await connectEnd(target, "r", () => arrived());
  const sender = mode === "plain" ? await plainSender(target) : await connectEnd(target, "r", () => {});
  const samples: number[] = [];
  for (let round = 0; round < 2_500; round += 1) {
    const started = performance.now();
    const done = new Promise<void>((resolve) => (arrived = resolve));
    sender.send(text);
    await done;
    if (round >= 500) samples.push(performance.now() - started);
    // One at a time: the sender's own echo must not be in the way of the next round, on either side.
    await sleep(2);
  }
  receiver.close();
  sender.close();
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99) };
};

/** `perSecond` messages in, fan-out 10: milliseconds from emit to handler, p50. */
export const loaded =
  (perSecond: number, seconds = 3) =>
  async (mode: Mode): Promise<number> => {
    await using target = await Target.start(mode);
    const samples: number[] = [];
    let arrived = 0;
    const on = (message: string): void => {
      arrived += 1;
      samples.push(performance.now() - Number(message.slice(0, 20)));
    };
    const ends: End[] = [];
    for (let each = 0; each < 10; each += 1) ends.push(await connectEnd(target, "r", on));
    const sender = mode === "plain" ? await plainSender(target) : (ends[0] as End);
    const started = performance.now();
    let sent = 0;
    while (performance.now() - started < (seconds + 1) * 1_000) {
      const due = ((performance.now() - started) / 1_000) * perSecond;
      for (; sent < due && sent - arrived / 10 < 20_000; sent += 1) {
        sender.send(String(performance.now()).padEnd(20).slice(0, 20).padEnd(100, "x"));
      }
      if (performance.now() - started < 1_000) samples.length = 0;
      await (perSecond >= 1_000 ? turn() : sleep(1));
    }
    for (const end of [...ends, sender]) end.close();
    return percentile(samples, 0.5);
  };

/** `count` members come back at once, each with 100 missed entries: milliseconds until all have them, server CPU ms. */
export const storm =
  (count: number) =>
  async (mode: Mode): Promise<{ readonly time: number; readonly cpu: number; readonly lost: number }> => {
    await using target = await Target.start(mode);
    const heard = new Array<number>(count).fill(0);
    const hear = (index: number) => (): void => void (heard[index] = (heard[index] ?? 0) + 1);
    const ends: End[] = [];
    for (let from = 0; from < count; from += 50) {
      ends.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(50, count - from) }, (_, n) => lightEnd(target, "r", hear(from + n))),
        )),
      );
    }
    // Recovery needs one event first.
    await target.ask({ ask: "emit", room: "r", count: 1, text });
    const all = async (each: number): Promise<void> => {
      const until = performance.now() + 60_000;
      while (heard.some((number) => number < each) && performance.now() < until) await sleep(2);
    };
    await all(1);
    for (const end of ends) end.drop();
    await sleep(1_500);
    await target.ask({ ask: "emit", room: "r", count: 100, text });
    await sleep(500);
    const cpu = await target.ask({ ask: "cpu" });
    const started = performance.now();
    await Promise.all(ends.map((end, index) => end.comeBack(hear(index))));
    await all(101);
    const time = performance.now() - started;
    const used = (await target.ask({ ask: "cpu" })) - cpu;
    const lost = heard.reduce((sum, number) => sum + Math.max(0, 101 - number), 0);
    for (const end of ends) end.close();
    return { time, cpu: used, lost };
  };

/** Resident bytes for each idle member. */
export const memory = async (mode: Mode): Promise<number> => {
  await using target = await Target.start(mode);
  const ends: End[] = [];
  const connect = async (count: number): Promise<void> => {
    for (let from = 0; from < count; from += 50) {
      ends.push(
        ...(await Promise.all(
          Array.from({ length: 50 }, (_, n) => connectEnd(target, `r${(from + n) % 50}`, () => {})),
        )),
      );
    }
    await sleep(500);
  };
  await connect(500);
  const before = await target.ask({ ask: "memory" });
  await connect(2_000);
  const figure = ((await target.ask({ ask: "memory" })) - before) / 2_000;
  for (const end of ends) end.close();
  return figure;
};

/** Milliseconds to open a session of `entries` messages whose last 100 lie behind its snapshot. */
export const openLong = async (entries: number): Promise<number> => {
  const folder = await mkdtemp(join(tmpdir(), "rostrum-bench-"));
  const session = sessionId("long");
  let store = embeddedStore(folder);
  const batch = 1_000;
  let head = 0;
  const append = async (count: number): Promise<void> => {
    const entry: Entry = {
      type: "messages",
      by: null,
      offset: head + 1,
      at: head,
      items: Array.from({ length: count }, () => ["msg", text] as const),
    };
    await store.append(session, { control: 0 }, [entry]);
    head = lastOffset(entry);
  };
  for (let each = 0; each < entries - 100; each += batch) await append(Math.min(batch, entries - 100 - each));
  if (head > 0)
    await store.snapshot(session, { state: { ...toRecord(emptyState(session)), birth: "b", head }, marks: [] });
  const saved = head;
  for (let each = 0; each < 100; each += 1) await append(1);
  await store.close();
  store = embeddedStore(folder);
  await store.secret();
  const started = performance.now();
  const loaded = await store.load(session);
  const tail = await store.read(session, loaded.snapshot?.state.head ?? 0, 1_000);
  const time = performance.now() - started;
  if (loaded.head !== saved + 100 || tail.length !== 100) throw new Error(`opened ${loaded.head} with ${tail.length}`);
  await store.close();
  await rm(folder, { recursive: true });
  return time;
};
