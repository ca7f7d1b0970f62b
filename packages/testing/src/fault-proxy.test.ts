import { createHash } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createFaultProxy, type FaultProxy } from "./fault-proxy.ts";

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of opened.splice(0).reverse()) await undo();
});

test("passes bytes both ways and counts them", async () => {
  const { proxy, client, server } = await pair();
  client.write("to the server");
  server.write("to the client");
  await until(() => text(server) === "to the server" && text(client) === "to the client");
  expect(proxy.stats).toEqual({ connections: 1, open: 1, bytesUp: 13, bytesDown: 13 });
});

test("passes the end of one direction while the other goes on", async () => {
  const { proxy, client, server } = await pair();
  client.end("last words");
  await until(() => server.readableEnded);
  server.end("answer");
  await until(() => client.readableEnded && proxy.stats.open === 0);
  expect([text(server), text(client)]).toEqual(["last words", "answer"]);
});

test("tells an RST of one side to the other", async () => {
  const { client, server } = await pair();
  server.resetAndDestroy();
  await until(() => client.destroyed);
  expect(failure(client)).toBe("ECONNRESET");
});

test("resets the client when the target refuses", async () => {
  const target = await listen();
  const proxy = await proxyTo(target.port);
  await target.close();
  const client = await dial(proxy.port);
  await until(() => client.destroyed);
  expect(failure(client)).toBe("ECONNRESET");
});

test("a slow link delays each way and keeps the order, whatever the jitter", async () => {
  const { proxy, client, server } = await pair();
  proxy.set({ kind: "slow", delayMs: 30, jitterMs: 40 });
  const lines = Array.from({ length: 50 }, (_, i) => `line ${i}\n`);
  const start = performance.now();
  for (const line of lines) {
    client.write(line);
    await new Promise(setImmediate);
  }
  await until(() => received(server).length > 0);
  expect(performance.now() - start).toBeGreaterThanOrEqual(30);
  await until(() => text(server) === lines.join(""));
  server.end("bye");
  await until(() => text(client) === "bye" && client.readableEnded);
});

test("what a slow link holds arrives in order when the link is fast again", async () => {
  const { proxy, client, server } = await pair();
  proxy.set({ kind: "slow", delayMs: 60 });
  client.write("slow ");
  await until(() => client.bytesWritten === 5);
  await roundTrip(proxy); // through the same event loop: the proxy has read it by now
  proxy.set({ kind: "ok" });
  client.write("fast");
  await until(() => text(server) === "slow fast");
});

test("a lossy link resets connections by chance, and the chance repeats with the seed", async () => {
  const survived = async (seed: number): Promise<number> => {
    const { proxy, client, server } = await pair({ seed });
    proxy.set({ kind: "lossy", resetProbability: 0.2 });
    let echoes = 0;
    while (!client.destroyed && echoes < 200) {
      client.write("x");
      await until(() => client.destroyed || received(server).length > echoes);
      if (received(server).length > echoes) echoes += 1;
    }
    return echoes;
  };
  const first = await survived(7);
  expect(first).toBeLessThan(200);
  expect(await survived(7)).toBe(first);
});

test("half-open: nothing passes, nobody is told, and new connections get no answer", async () => {
  const { proxy, client, server } = await pair();
  proxy.set({ kind: "half-open" });
  client.write("into the void");
  server.write("into the void");
  const late = await dial(proxy.port);
  late.write("anybody?");
  await until(() => client.writableLength === 0 && server.writableLength === 0 && late.bytesWritten > 0);
  await barrier();
  expect([text(client), text(server), text(late)]).toEqual(["", "", ""]);
  expect([client, server, late].some((socket) => socket.destroyed || socket.readableEnded)).toBe(false);
  expect(proxy.stats).toEqual({ connections: 2, open: 2, bytesUp: 0, bytesDown: 0 });
});

test("half-open: closing one side is not told to the other", async () => {
  const { proxy, client, server } = await pair();
  proxy.set({ kind: "half-open" });
  client.destroy();
  await until(() => client.closed);
  await barrier();
  expect(server.destroyed || server.readableEnded).toBe(false);
});

test("a connection that lived through half-open stays dead when the link is back, until its peers close it", async () => {
  const { proxy, client, server } = await pair();
  proxy.set({ kind: "half-open" });
  proxy.set({ kind: "ok" });
  client.write("still nothing");
  await roundTrip(proxy);
  expect(text(server)).toBe("");
  expect(client.destroyed || server.destroyed).toBe(false);
  client.destroy();
  server.resetAndDestroy();
  await until(() => proxy.stats.open === 0);
});

test.each(["up", "down"] as const)("half-open %s: only that direction is dead, then both", async (direction) => {
  const { proxy, client, server } = await pair();
  const [mute, heard] = direction === "up" ? [client, server] : [server, client];
  proxy.set({ kind: "half-open", direction });
  mute.write("lost");
  heard.write("passes");
  await until(() => text(mute) === "passes");
  expect(text(heard)).toBe("");
  proxy.set({ kind: "ok" });
  mute.write("lost");
  heard.write("lost");
  await roundTrip(proxy);
  expect([text(mute), text(heard)]).toEqual(["passes", ""]);
});

test("half-open down: a new connection reaches the target, the answer does not come back", async () => {
  const target = await listen();
  const proxy = await proxyTo(target.port);
  proxy.set({ kind: "half-open", direction: "down" });
  const client = await dial(proxy.port);
  client.write("hello");
  const server = await target.next();
  await until(() => text(server) === "hello");
  server.write("lost");
  await until(() => server.writableLength === 0);
  await barrier();
  expect(text(client)).toBe("");
});

test("off resets every connection and every new one; ok lets them in again", async () => {
  const { proxy, client, server } = await pair();
  proxy.set({ kind: "off" });
  await until(() => client.destroyed && server.destroyed);
  expect([failure(client), failure(server)]).toEqual(["ECONNRESET", "ECONNRESET"]);
  const late = await dial(proxy.port);
  await until(() => late.destroyed);
  expect(failure(late)).toBe("ECONNRESET");
  proxy.set({ kind: "ok" });
  await roundTrip(proxy);
});

test("cut resets once and leaves the link as it was", async () => {
  const { proxy, client, server } = await pair();
  proxy.cut();
  await until(() => client.destroyed && server.destroyed);
  expect([failure(client), failure(server)]).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(proxy.mode).toEqual({ kind: "ok" });
  await roundTrip(proxy);
});

test.each(["up", "down"] as const)("cutAfterBytes cuts at the byte, going %s", async (direction) => {
  const { proxy, client, server } = await pair();
  const [from, to] = direction === "up" ? [client, server] : [server, client];
  proxy.cutAfterBytes(10, direction);
  from.write("1234567");
  await until(() => text(to) === "1234567");
  from.write("890abc");
  // libuv may tell the receiver of data with RST right behind it an end instead of ECONNRESET.
  await until(() => from.destroyed && (to.destroyed || to.readableEnded));
  expect(text(to)).toBe("1234567890");
  expect(direction === "up" ? proxy.stats.bytesUp : proxy.stats.bytesDown).toBe(10);
  await roundTrip(proxy);
});

test("new connections go where retarget points", async () => {
  const { proxy, client, server } = await pair();
  const other = await listen();
  proxy.retarget({ host: "127.0.0.1", port: other.port });
  const late = await dial(proxy.port);
  late.write("to the other");
  const otherServer = await other.next();
  await until(() => text(otherServer) === "to the other");
  client.write("to the first");
  await until(() => text(server) === "to the first");
});

test.each([{ kind: "ok" }, { kind: "slow", delayMs: 5, jitterMs: 5 }] as const)(
  "a receiver that does not read stops the sender, and loses nothing ($kind)",
  async (mode) => {
    const { proxy, client, server } = await pair();
    proxy.set(mode);
    server.pause();
    const total = 48 * 1024 * 1024;
    const chunk = Buffer.alloc(64 * 1024);
    const sent = createHash("sha256");
    for (let i = 0; i < total / chunk.length; i += 1) {
      const bytes = Buffer.from(chunk.fill(i % 251));
      sent.update(bytes);
      client.write(bytes);
    }
    client.end();
    await steady(() => client.writableLength);
    expect(client.writableLength).toBeGreaterThan(total / 2);
    server.resume();
    await until(() => server.readableEnded, 20_000);
    expect(createHash("sha256").update(received(server)).digest("hex")).toBe(sent.digest("hex"));
    expect(proxy.stats.bytesUp).toBe(total);
  },
  30_000,
);

test("close leaves no socket and no timer, even with bytes held", async () => {
  const target = await listen();
  const timers = resources("Timeout");
  const proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: target.port } });
  const client = await dial(proxy.port);
  const server = await target.next();
  proxy.set({ kind: "slow", delayMs: 600_000 });
  client.write("held");
  server.write("held");
  await until(() => client.bytesWritten === 4 && server.bytesWritten === 4);
  await barrier();
  await proxy.close();
  await until(() => client.destroyed && server.destroyed);
  expect(proxy.stats.open).toBe(0);
  await target.close();
  await until(() => resources("TCP") === 0 && resources("Timeout") <= timers);
});

test("cut leaves no socket, even of a side that is just being ended", async () => {
  const target = await listen();
  const proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: target.port } });
  const client = await dial(proxy.port);
  const server = await target.next();
  client.end();
  await until(() => server.readableEnded);
  proxy.set({ kind: "half-open" });
  await proxy.close();
  client.destroy();
  server.destroy();
  await target.close();
  await until(() => resources("TCP") === 0);
});

// The world of these tests: a target that hands out its sockets, clients, and waiting for conditions.

interface Target {
  readonly port: number;
  next(): Promise<Socket>;
  close(): Promise<void>;
}

const bytesOf = new WeakMap<Socket, Buffer[]>();
const failureOf = new WeakMap<Socket, string>();

function watch(socket: Socket): Socket {
  const chunks: Buffer[] = [];
  bytesOf.set(socket, chunks);
  socket.on("data", (bytes) => chunks.push(bytes));
  socket.on("error", (error: NodeJS.ErrnoException) => failureOf.set(socket, error.code ?? error.message));
  opened.push(() => socket.destroy());
  return socket;
}

const received = (socket: Socket): Buffer => Buffer.concat(bytesOf.get(socket) ?? []);
const text = (socket: Socket): string => received(socket).toString();
const failure = (socket: Socket): string | undefined => failureOf.get(socket);

async function listen(): Promise<Target> {
  const waiting: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => waiting.push(watch(socket)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  opened.push(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    async next() {
      await until(() => waiting.length > 0);
      const socket = waiting.shift();
      if (!socket) throw new Error("no socket");
      return socket;
    },
    close,
  };
}

async function proxyTo(port: number, seed = 1): Promise<FaultProxy> {
  const proxy = await createFaultProxy({ target: { host: "127.0.0.1", port }, seed });
  opened.push(() => proxy.close());
  return proxy;
}

async function dial(port: number): Promise<Socket> {
  const socket = watch(connect({ port, host: "127.0.0.1", allowHalfOpen: true }));
  await until(() => !socket.connecting);
  return socket;
}

async function pair({ seed = 1 } = {}): Promise<{ proxy: FaultProxy; client: Socket; server: Socket }> {
  const target = await listen();
  const proxy = await proxyTo(target.port, seed);
  const client = await dial(proxy.port);
  return { proxy, client, server: await target.next() };
}

/** A byte there and back on sockets of its own: what the event loop had to do for others is done by then. */
async function barrier(): Promise<void> {
  const server = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = await dial((server.address() as AddressInfo).port);
  client.write("x");
  await until(() => text(client) === "x");
  client.destroy();
  server.close();
}

/** A new connection through the proxy still reaches the target. */
async function roundTrip(proxy: FaultProxy): Promise<void> {
  const before = proxy.stats.bytesUp;
  const client = await dial(proxy.port);
  client.write("x");
  await until(() => proxy.stats.bytesUp > before);
  client.resetAndDestroy();
}

/** Resolves when the value has not changed for a good while. */
async function steady(value: () => number): Promise<void> {
  let last = value();
  for (let same = 0; same < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    same = value() === last ? same + 1 : 0;
    last = value();
  }
}

async function until(condition: () => boolean, withinMs = 4_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`still not: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What keeps this process busy, counted. */
function resources(kind: "Timeout" | "TCP"): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith(kind)).length;
}
