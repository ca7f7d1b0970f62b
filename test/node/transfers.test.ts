/** Transfers as an app sees them, over real sockets and through faults. */

import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join as pathOf } from "node:path";
import {
  type Client,
  createClient,
  type IncomingTransfer,
  memoryStorage,
  type OutgoingTransfer,
  RostrumError,
  type SendingProgress,
  type Session,
  type TransferSource,
} from "@rostrum/client";
import { attachSessions, memoryStore, type SessionsOptions } from "@rostrum/server";
import { Server } from "socket.io";
import { io as connect } from "socket.io-client";
import { describe, expect, it } from "vitest";
import { piece } from "./piece.ts";
import { behind, closing, codeOf, join, type Place, quick, serve } from "./place.ts";

const interval = 65_536;
const limits = { chunkBytes: 8_192, laneBytes: 32_768 };

/** Who a client says it is, it is. */
const authenticate = ({ auth }: { readonly auth: unknown }): { user: string } => ({ user: String(auth) });
const place = (options: Partial<SessionsOptions> = {}): Promise<Place> =>
  serve({ authenticate, activities: { interval }, limits, ...options });
const client = (url: string, name: string, options = {}): Client =>
  join(url, { auth: () => name, user: name, heartbeat: quick, ...options });
const enter = async (at: Pick<Place, "url">, name: string, options = {}): Promise<Session> => {
  const session = client(at.url, name, options).session("s");
  await session.ready;
  return session;
};
const idOf = (session: Session): string => session.member ?? "";
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
/** What comes in, in order. */
const arrivals = (session: Session): IncomingTransfer[] => {
  const list: IncomingTransfer[] = [];
  session.on("transfer", (incoming) => void list.push(incoming));
  return list;
};
const arrival = async (list: readonly IncomingTransfer[], index = 0): Promise<IncomingTransfer> => {
  await expect.poll(() => list.length, { timeout: 20_000, interval: 5 }).toBeGreaterThan(index);
  return list[index] as IncomingTransfer;
};
const contentOf = async (incoming: IncomingTransfer): Promise<Uint8Array> =>
  new Uint8Array(await (await incoming.blob()).arrayBuffer());
const whyOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "nothing",
    (error: unknown) =>
      error instanceof RostrumError ? `${error.code} ${String(error.details["why"])}` : String(error),
  );
const reached = (sending: OutgoingTransfer, look: (progress: SendingProgress) => boolean): Promise<void> =>
  expect.poll(() => look(sending.progress.get()), { timeout: 20_000, interval: 2 }).toBe(true);
/** A stream that gives no more than it may, in pieces. */
const dripping = (
  content: Uint8Array,
  size: number,
  from = 0,
): {
  readonly source: AsyncIterable<Uint8Array>;
  readonly upTo: (at: number) => void;
  readonly given: () => number;
} => {
  let [open, given, wake] = [from, 0, (): void => {}];
  const source = (async function* (): AsyncGenerator<Uint8Array> {
    while (given < content.length) {
      while (given >= open) await new Promise<void>((resolve) => (wake = resolve));
      const bytes = content.subarray(given, Math.min(given + size, open));
      given += bytes.length;
      yield bytes;
    }
  })();
  return {
    source,
    upTo: (at) => {
      open = at;
      wake();
    },
    given: () => given,
  };
};
const mega = 1_500_000;

describe("a transfer", () => {
  it("comes to whom it is addressed, and its sender is told who has it", async () => {
    const at = await place();
    const [a, b, c] = [await enter(at, "a"), await enter(at, "b"), await enter(at, "c")];
    const [atB, atC] = [arrivals(b), arrivals(c)];
    const content = piece(0, 300_000);
    const file = new File([content as Uint8Array<ArrayBuffer>], "notes.txt", { type: "text/plain" });
    const sending = a.transfers.send(file, { to: [idOf(b)], data: { page: 3 } });
    const incoming = await arrival(atB);
    expect(incoming).toMatchObject({
      id: await sending.id,
      from: idOf(a),
      name: "notes.txt",
      type: "text/plain",
      size: 300_000,
      data: { page: 3 },
    });
    expect(await sending.done).toEqual({ id: incoming.id, bytes: 300_000, digest: digestOf(content) });
    expect(sending.progress.get()).toEqual({
      state: "done",
      sent: 300_000,
      confirmed: 300_000,
      size: 300_000,
      resent: 0,
    });
    expect(a.transfers.get()).toMatchObject([{ status: "ended", here: false, mine: true, waiting: [idOf(b)] }]);
    expect(sending.receivedBy.get()).toEqual([]);
    const blob = await incoming.blob();
    expect(blob.type).toBe("text/plain");
    expect(digestOf(new Uint8Array(await blob.arrayBuffer()))).toBe(digestOf(content));
    expect(incoming.progress.get()).toEqual({ state: "done", received: 300_000, available: 300_000, size: 300_000 });
    await expect.poll(() => sending.receivedBy.get()).toEqual([idOf(b)]);
    await expect.poll(() => a.transfers.get()).toEqual([]);
    await a.emit("mark");
    expect(atC).toEqual([]);
  });

  it.each([
    ["nothing", 0],
    ["one byte", 1],
    ["exactly one interval", interval],
    ["one byte more than an interval", interval + 1],
    ["exactly the window", limits.laneBytes],
  ])("carries %s", async (_, length) => {
    const at = await place();
    const [a, b] = [await enter(at, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const content = piece(7, length);
    const sources: TransferSource[] = [
      content,
      new Blob([content as Uint8Array<ArrayBuffer>]),
      dripping(content, 5_000, Infinity).source,
      new Blob([content as Uint8Array<ArrayBuffer>]).stream(),
    ];
    for (const [n, source] of sources.entries()) {
      const sending = a.transfers.send(source, { to: [idOf(b)], name: String(n) });
      expect(await sending.done).toMatchObject({ bytes: length, digest: digestOf(content) });
      expect(digestOf(await contentOf(await arrival(atB, n)))).toBe(digestOf(content));
      await expect.poll(() => sending.receivedBy.get()).toEqual([idOf(b)]);
    }
  });

  it("goes to everybody, also to who joins later, and several go side by side", async () => {
    const at = await place();
    const [a, b] = [await enter(at, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const contents = [piece(0, 200_000), piece(9, 250_000), piece(5, 100)];
    const sendings = contents.map((content, n) => a.transfers.send(content, { name: `f${n}` }));
    await Promise.all(sendings.map(({ done }) => done));
    const late = await enter(at, "late");
    const atLate = arrivals(late);
    for (const list of [atB, atLate]) {
      await arrival(list, 2);
      const got = await Promise.all(list.map(contentOf));
      expect(got.map(digestOf)).toEqual(
        list.map(({ name }) => digestOf(contents[Number(name.slice(1))] ?? piece(0, 0))),
      );
    }
    expect(a.transfers.get()).toHaveLength(3);
  });
});

describe("a transfer goes on by itself", () => {
  it("when its connections are cut again and again, and costs little", async () => {
    const at = await place({ flicker: 5_000 });
    const [proxy, other] = [await behind(at), await behind(at)];
    const [a, b] = [await enter(proxy, "a"), await enter(other, "b")];
    const atB = arrivals(b);
    const content = piece(0, mega);
    const sending = a.transfers.send(new Blob([content as Uint8Array<ArrayBuffer>]), { to: [idOf(b)] });
    const got = contentOf(await arrival(atB));
    let cuts = 0;
    for (let bytes = 200_000; bytes < 1_200_000; bytes += 250_000) {
      await reached(sending, ({ sent }) => sent >= bytes);
      const { connections } = proxy.stats;
      proxy.cutAfterBytes(10_000, "up");
      other.cutAfterBytes(10_000, "down");
      await expect.poll(() => proxy.stats.connections, { timeout: 20_000, interval: 2 }).toBeGreaterThan(connections);
      cuts += 1;
    }
    await sending.done;
    expect(digestOf(await got)).toBe(digestOf(content));
    // The server goes on at the very byte: only what was under way is sent again.
    expect(sending.progress.get().resent).toBeLessThanOrEqual(cuts * limits.laneBytes);
    expect(sending.progress.get().resent).toBeGreaterThan(0);
    await expect.poll(() => sending.receivedBy.get()).toEqual([idOf(b)]);
    // Each byte came down once, but for what was under way at a cut.
    expect(other.stats.bytesDown).toBeLessThan(mega + cuts * 2 * limits.laneBytes + 100_000);
  });

  it("when its member dropped and the transfer was interrupted, also from a stream", async () => {
    const at = await place();
    const proxy = await behind(at);
    const [a, b] = [await enter(proxy, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const interruptions: string[] = [];
    b.on("activity", (change) => {
      if (change.type === "interrupted") interruptions.push(change.reason);
    });
    const content = piece(3, mega);
    const drip = dripping(content, 7_000, 400_000);
    const sending = a.transfers.send(drip.source);
    const got = contentOf(await arrival(atB));
    await reached(sending, ({ sent }) => sent >= 390_000);
    proxy.set({ kind: "off" });
    await expect.poll(() => interruptions).toEqual(["dropped"]);
    expect(sending.progress.get().state).toBe("waiting");
    proxy.set({ kind: "ok" });
    await reached(sending, ({ state }) => state === "running");
    drip.upTo(Infinity);
    await sending.done;
    expect(digestOf(await got)).toBe(digestOf(content));
    expect(sending.progress.get().resent).toBeLessThanOrEqual(interval + limits.laneBytes);
  });

  it("when the link is half open", async () => {
    const at = await place();
    const proxy = await behind(at);
    const [a, b] = [await enter(proxy, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const content = piece(5, mega);
    const sending = a.transfers.send(new Blob([content as Uint8Array<ArrayBuffer>]));
    const got = contentOf(await arrival(atB));
    await reached(sending, ({ sent }) => sent >= 300_000);
    proxy.set({ kind: "half-open" });
    await expect.poll(() => a.status.get().phase).toBe("resuming");
    proxy.set({ kind: "ok" });
    await sending.done;
    expect(digestOf(await got)).toBe(digestOf(content));
  });

  it("when the server is killed, at both ends, and costs at most an interval and what was under way", async () => {
    const folder = await mkdtemp(pathOf(tmpdir(), "rostrum-transfers-"));
    closing.push(() => rm(folder, { recursive: true }));
    let child: ChildProcess | undefined;
    const kill = async (): Promise<void> => {
      const gone = child === undefined ? undefined : once(child, "exit");
      child?.kill("SIGKILL");
      await gone;
    };
    closing.push(kill);
    const start = async (port: number): Promise<number> => {
      child = fork(new URL("./transfer-server.ts", import.meta.url), [folder, String(port)], {
        execArgv: ["--import", "tsx", "--conditions=source"],
      });
      const [address] = (await once(child, "message")) as [{ readonly port: number }];
      return address.port;
    };
    const port = await start(0);
    const at = { url: `http://127.0.0.1:${port}` };
    const [a, b] = [await enter(at, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const content = piece(1, mega);
    const drip = dripping(content, 4_000, 500_000);
    const [file, stream] = [
      a.transfers.send(new Blob([content as Uint8Array<ArrayBuffer>]), { to: [idOf(b)], name: "file" }),
      a.transfers.send(drip.source, { to: [idOf(b)], name: "stream" }),
    ];
    await arrival(atB, 1);
    const got = Promise.all(atB.map(contentOf));
    await Promise.all([file, stream].map((each) => reached(each, ({ confirmed }) => confirmed > 0)));
    await kill();
    await expect.poll(() => [a, b].some(({ status }) => status.get().phase === "live")).toBe(false);
    await start(port);
    drip.upTo(Infinity);
    await Promise.all([file.done, stream.done]);
    expect((await got).map(digestOf)).toEqual([digestOf(content), digestOf(content)]);
    for (const each of [file, stream])
      expect(each.progress.get().resent).toBeLessThanOrEqual(interval + limits.laneBytes);
    await expect.poll(() => a.transfers.get(), { timeout: 10_000 }).toEqual([]);
  });
});

describe("a stream", () => {
  it("is read and received no faster than it is taken", async () => {
    const at = await place();
    const [a, b] = [await enter(at, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const content = piece(2, mega);
    const size = 4_000;
    const drip = dripping(content, size, Infinity);
    const sending = a.transfers.send(drip.source);
    let most = 0;
    sending.progress.subscribe(({ confirmed }) => {
      most = Math.max(most, drip.given() - confirmed);
    });
    const incoming = await arrival(atB);
    const reader = incoming.stream().getReader();
    let [taken, ahead] = [0, 0];
    incoming.progress.subscribe(({ received }) => {
      ahead = Math.max(ahead, received - taken);
    });
    await reader.read();
    await sending.done;
    // The sender keeps what the server may go back to, no more.
    expect(most).toBeLessThanOrEqual(interval + limits.laneBytes + 2 * size);
    // The reader stands, and so do the bytes.
    await expect.poll(() => incoming.progress.get()).toMatchObject({ state: "running", available: mega });
    expect(incoming.progress.get().received).toBeLessThanOrEqual(limits.laneBytes * 2);
    const parts: Uint8Array[] = [];
    ahead = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      parts.push(next.value);
      taken += next.value.length;
    }
    expect(ahead).toBeLessThanOrEqual(limits.laneBytes + 2 * limits.chunkBytes);
    expect(incoming.progress.get().state).toBe("done");
    expect(taken).toBeGreaterThan(mega - 10_000);
  });

  it("has one reader at a time, may be let go, and begun anew", async () => {
    const at = await place();
    const [a, b] = [await enter(at, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const content = piece(2, 200_000);
    const sending = a.transfers.send(content, { to: [idOf(b)] });
    const incoming = await arrival(atB);
    const reader = incoming.stream().getReader();
    await reader.read();
    expect(await codeOf(incoming.blob())).toBe("USAGE");
    await reader.cancel();
    const stop = new AbortController();
    const stopped = incoming.blob({ signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(stopped).rejects.toThrow("enough");
    expect(digestOf(await contentOf(incoming))).toBe(digestOf(content));
    await expect.poll(() => sending.receivedBy.get()).toEqual([idOf(b)]);
  });
});

describe("a transfer that stops", () => {
  it("is paused and goes on, whoever paused it", async () => {
    const at = await place();
    const [a, b] = [await enter(at, "a"), await enter(at, "b")];
    const content = piece(0, mega);
    const drip = dripping(content, 5_000, 300_000);
    const sending = a.transfers.send(drip.source);
    sending.pause();
    const id = await sending.id;
    await expect.poll(() => b.transfers.get()).toMatchObject([{ status: "interrupted" }]);
    expect(sending.progress.get().state).toBe("paused");
    sending.resume();
    await reached(sending, ({ sent }) => sent >= 300_000);
    await a.activities.get(id)?.interrupt();
    await reached(sending, ({ state }) => state === "paused");
    sending.resume();
    await reached(sending, ({ state }) => state === "running");
    // A pause that is taken back at once.
    sending.pause();
    sending.resume();
    drip.upTo(Infinity);
    expect(await sending.done).toMatchObject({ bytes: mega });
  });

  it("is given up by its sender", async () => {
    const at = await place();
    const [a, b] = [await enter(at, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const refused: string[] = [];
    a.on("refused", ({ code }) => void refused.push(code));
    const content = piece(0, mega);
    const sending = a.transfers.send(dripping(content, 5_000, 100_000).source);
    const reading = (await arrival(atB)).blob();
    await reached(sending, ({ sent }) => sent >= 100_000);
    sending.abort("the wrong one");
    expect(await whyOf(sending.done)).toBe("TRANSFER_ABORTED asked");
    expect(sending.progress.get().state).toBe("failed");
    expect(await whyOf(reading)).toBe("TRANSFER_ABORTED asked");
    const stop = new AbortController();
    const another = a.transfers.send(content, { signal: stop.signal });
    stop.abort(new Error("no"));
    await expect(another.done).rejects.toThrow("no");
    await a.emit("mark");
    await expect.poll(() => [...a.transfers.get(), ...b.transfers.get()]).toEqual([]);
    expect(refused).toEqual([]);
  });

  it("is given up by somebody else, or by all to whom it was addressed", async () => {
    const at = await place();
    const [a, b, c] = [await enter(at, "a"), await enter(at, "b"), await enter(at, "c")];
    const [atB, atC] = [arrivals(b), arrivals(c)];
    const source = (): AsyncIterable<Uint8Array> => dripping(piece(0, mega), 5_000, 100_000).source;
    const moderated = a.transfers.send(source());
    const { id } = await arrival(atB);
    await b.activities.get(id)?.discard("too loud");
    expect(await whyOf(moderated.done)).toBe("TRANSFER_ABORTED asked");
    const sending = a.transfers.send(source(), { to: [idOf(b), idOf(c)] });
    await (await arrival(atB, 1)).decline("not me");
    await expect.poll(() => a.transfers.get()[0]).toMatchObject({ waiting: [idOf(c)], declined: [idOf(b)] });
    await (await arrival(atC, 1)).decline("me neither");
    expect(await whyOf(sending.done)).toBe("TRANSFER_REFUSED declined");
    expect(await codeOf(a.transfers.send(piece(0, 5), { to: ["nobody"] }).id)).toBe("RECIPIENT_UNKNOWN");
  });

  it("with its source: the file has changed, the stream broke, the size was another", async () => {
    const at = await place();
    const a = await enter(at, "a");
    const broken = (async function* (): AsyncGenerator<Uint8Array> {
      yield piece(0, 100_000);
      throw new Error("unplugged");
    })();
    const sending = a.transfers.send(broken);
    const id = await sending.id;
    expect(await codeOf(sending.done)).toBe("TRANSFER_SOURCE");
    // What was sent is not lost: the rest may follow.
    await expect.poll(() => a.transfers.get()).toMatchObject([{ id, status: "interrupted", bytes: interval }]);
    const content = piece(0, 100_123);
    expect(await a.transfers.resume(id, content).done).toMatchObject({ id, bytes: 100_123, digest: digestOf(content) });
    const short = a.transfers.send(dripping(piece(0, 50), 10, Infinity).source, { size: 60 });
    expect(await codeOf(short.done)).toBe("TRANSFER_SOURCE");
    const long = a.transfers.send(dripping(piece(0, 70), 10, Infinity).source, { size: 60 });
    expect(await codeOf(long.done)).toBe("TRANSFER_SOURCE");
    expect(await codeOf(a.transfers.send(7 as never).done)).toBe("USAGE");
    expect(await codeOf(a.transfers.send(piece(0, 1), { name: "x".repeat(200) }).done)).toBe("USAGE");
  });

  it("is over here when its session is", async () => {
    const at = await place();
    const [a, b] = [await enter(at, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const sending = a.transfers.send(dripping(piece(0, mega), 5_000, 100_000).source);
    const reading = (await arrival(atB)).blob();
    await reached(sending, ({ sent }) => sent >= 100_000);
    b.close();
    expect(await codeOf(reading)).toBe("CLOSED");
    a.close();
    expect(await codeOf(sending.done)).toBe("CLOSED");
    expect(await codeOf(a.transfers.send(piece(0, 1)).done)).toBe("CLOSED");
  });

  it("is not in another log", async () => {
    const at = await place();
    const proxy = await behind(at);
    const a = await enter(proxy, "a");
    const sending = a.transfers.send(dripping(piece(0, mega), 5_000, 100_000).source);
    await reached(sending, ({ sent }) => sent >= 100_000);
    const next = await place();
    proxy.retarget({ host: "127.0.0.1", port: Number(new URL(next.url).port) });
    proxy.cut();
    expect(await codeOf(sending.done)).toBe("OUTCOME_UNKNOWN");
    // The new log has room for it.
    expect(await a.transfers.send(piece(0, 10)).done).toMatchObject({ bytes: 10 });
  });
});

it("runs over a connection like the app's own, wherever that goes", async () => {
  const http = createServer();
  const io = new Server(http, { path: "/ws" });
  const sessions = attachSessions(io.of("/talk"), { store: memoryStore() });
  io.of("/talk").use((socket, next) => next(socket.handshake.auth["key"] === "k" ? undefined : new Error("no key")));
  closing.push(async () => {
    await sessions.close();
    await io.close();
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/talk`;
  const options = { path: "/ws", auth: { key: "k" } };
  const own = connect(url, { ...options, autoConnect: false, reconnection: false });
  const clients = [
    createClient({ socket: own, storage: memoryStorage() }),
    createClient({ url, io: options, storage: memoryStorage() }),
  ];
  closing.push(...clients.map((each) => () => each.close()));
  for (const each of clients) {
    const sending = each.session("s").transfers.send(piece(0, 1_000_000));
    expect(await sending.done).toMatchObject({ bytes: 1_000_000 });
    expect(sending.progress.get().state).toBe("done");
  }
});

describe("a transfer is taken up again", () => {
  it("in the next life of the page, with the same file only", async () => {
    const at = await place({ flicker: 5_000 });
    const storage = memoryStorage();
    const content = piece(0, mega);
    const first = client(at.url, "a", { storage });
    const b = await enter(at, "b");
    const atB = arrivals(b);
    const sending = first.session("s").transfers.send(dripping(content, 5_000, 400_000).source, { size: mega });
    const id = await sending.id;
    const got = contentOf(await arrival(atB));
    await reached(sending, ({ confirmed }) => confirmed >= 5 * interval);
    first.close();
    expect(await codeOf(sending.done)).toBe("CLOSED");
    const second = client(at.url, "a", { storage }).session("s");
    await second.ready;
    // The server has not seen it away, and what it was sent from went with the page.
    await expect.poll(() => second.transfers.get()).toMatchObject([{ id, status: "interrupted", mine: true }]);
    expect(await codeOf(second.transfers.resume(id, piece(1, mega)).id)).toBe("TRANSFER_SOURCE");
    expect(await codeOf(second.transfers.resume(id, content.subarray(0, mega - 1)).id)).toBe("TRANSFER_SOURCE");
    expect(await codeOf(second.transfers.resume(id, dripping(content, 5_000, Infinity).source).done)).toBe("nothing");
    expect(digestOf(await got)).toBe(digestOf(content));
    expect(await codeOf(second.transfers.resume(77_777, content).done)).toBe("ACTIVITY_UNKNOWN");
  });

  it("by another device of the user, and the first sees it go on there", async () => {
    const at = await place();
    const proxy = await behind(at);
    const [a, other, b] = [await enter(proxy, "a"), await enter(at, "a"), await enter(at, "b")];
    const atB = arrivals(b);
    const content = piece(0, mega);
    const sending = a.transfers.send(dripping(content, 5_000, 400_000).source, { to: [idOf(b)] });
    const id = await sending.id;
    const got = contentOf(await arrival(atB));
    expect(await codeOf(other.transfers.resume(id, content).id)).toBe("ACTIVITY_RUNNING");
    await reached(sending, ({ confirmed }) => confirmed >= interval);
    proxy.set({ kind: "off" });
    await expect.poll(() => other.transfers.get()).toMatchObject([{ id, status: "interrupted", mine: true }]);
    // It does not end before the first is back and sees who has it.
    const again = dripping(content, 50_000, 1_000_000);
    const there = other.transfers.resume(id, again.source);
    expect(await there.id).toBe(id);
    proxy.set({ kind: "ok" });
    expect(await codeOf(sending.done)).toBe("ACTIVITY_NOT_HELD");
    again.upTo(content.length);
    expect(await there.done).toMatchObject({ bytes: mega, digest: digestOf(content) });
    expect(digestOf(await got)).toBe(digestOf(content));
    await expect.poll(() => there.receivedBy.get()).toEqual([idOf(b)]);
  });

  it("by itself, if the app finds the file", async () => {
    const at = await place();
    const storage = memoryStorage();
    const content = piece(0, 500_000);
    const first = client(at.url, "a", { storage });
    const sending = first.session("s").transfers.send(dripping(content, 5_000, 300_000).source, { name: "film" });
    const id = await sending.id;
    await reached(sending, ({ confirmed }) => confirmed >= interval);
    first.close();
    const asked: string[] = [];
    const second = client(at.url, "a", { storage }).session("s", {
      transferSource: async ({ name }) => {
        asked.push(name);
        return new Blob([content as Uint8Array<ArrayBuffer>]);
      },
    });
    await second.ready;
    await expect.poll(() => second.transfers.outgoing(id)).toBeDefined();
    expect(await second.transfers.outgoing(id)?.done).toMatchObject({ bytes: 500_000 });
    expect(asked).toEqual(["film"]);
  });

  it("though it was begun by a page that was offline and did not live to see it", async () => {
    const at = await place();
    const storage = memoryStorage();
    const content = piece(0, 200_000);
    const first = client("http://127.0.0.1:1", "a", { storage });
    const sending = first.session("s").transfers.send(content, { name: "film" });
    await expect.poll(() => first.session("s").status.get().pending.commands).toBe(1);
    await first.session("s").emit("note", "behind it").queued;
    first.close();
    expect(await codeOf(sending.id)).toBe("CLOSED");
    // Something else is carried already when it begins.
    const b = await enter(at, "b");
    await b.transfers.send(piece(0, 10)).done;
    const session = client(at.url, "a", { storage }).session("s", { transferSource: async () => content });
    arrivals(session);
    await expect
      .poll(() => session.transfers.get().map(({ name, status }) => [name, status]))
      .toEqual([
        ["transfer", "ended"],
        ["film", "ended"],
      ]);
  });
});
