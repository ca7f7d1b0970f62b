/** Our side of a file's transfer, and what one at full speed does to messages and floors beside it. */

import { fork } from "node:child_process";
import { once } from "node:events";
import { openAsBlob } from "node:fs";
import { fileURLToPath } from "node:url";
import type { IncomingTransfer } from "@rostrum/client";
import { openClient, percentile, reply, sleep, Target } from "./load.ts";
import { type CutterStats, type SourceFile, startCutter, type Transferred } from "./transfer.ts";

export interface Sent extends Transferred {
  /** Bytes of the file that had to be sent again. */
  readonly again: number;
}

/** Sends the file to all, through a server of its own with a store on disk; with `cutEvery`, all connections are reset (ms). */
export const rostrumUpload = async (file: SourceFile, cutEvery?: number): Promise<Sent> => {
  await using target = await Target.start("durable");
  const port = Number(new URL(target.url).port);
  await using cutter = cutEvery === undefined ? undefined : await startCutter(port);
  const url = `http://127.0.0.1:${cutter?.port ?? port}`;
  const { client, session } = await openClient(url, "r", "sender");
  // What carries the bytes is loaded once in a page's life.
  await session.transfers.send(new Uint8Array(1)).done;
  await cutter?.ask({ ask: "cut", every: cutEvery });
  const blob = await openAsBlob(file.path);
  const started = performance.now();
  const sending = session.transfers.send(blob, { name: "file" });
  const { digest } = await sending.done;
  const seconds = (performance.now() - started) / 1_000;
  const stats = (await cutter?.ask({ ask: "stop" })) as CutterStats | undefined;
  client.close();
  if (digest !== file.sha256) throw new Error(`the server has ${digest} of ${file.sha256}`);
  return { seconds, cuts: 0, again: sending.progress.get().resent, ...stats };
};

export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

const samplesOf = async (rounds: number, once: () => Promise<void>, stop: () => boolean): Promise<Latency> => {
  const samples: number[] = [];
  for (let round = 0; round < rounds && !stop(); round += 1) {
    const started = performance.now();
    await once();
    if (round >= 20) samples.push(performance.now() - started);
    await sleep(2);
  }
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99) };
};

/**
 * Milliseconds from emit to another member's handler, and from a floor's request to its grant: in quiet, and while a third
 * member, in a process of its own, transfers at full speed.
 */
export const besideTransfer = async (
  what: "message" | "floor",
  file: SourceFile,
): Promise<{ readonly idle: Latency; readonly busy: Latency; readonly rate: number }> => {
  await using target = await Target.start("durable");
  const [a, b] = [await openClient(target.url, "r", "a"), await openClient(target.url, "r", "b")];
  let arrived = (): void => {};
  b.session.on("msg", () => arrived());
  const ask =
    what === "message"
      ? async (): Promise<void> => {
          const done = new Promise<void>((resolve) => (arrived = resolve));
          void a.session.emit("msg", "x".repeat(100));
          await done;
        }
      : async (): Promise<void> => {
          const grant = await a.session.floor("cell:1").request();
          void grant.release();
        };
  const idle = await samplesOf(1_000, ask, () => false);
  await using sender = await senderOf(target.url, file);
  const started = performance.now();
  const busy = await samplesOf(5_000, ask, () => sender.isOver());
  const seconds = (performance.now() - started) / 1_000;
  a.client.close();
  b.client.close();
  return { idle, busy, rate: file.size / 1e6 / seconds };
};

/**
 * By how many bytes each side has grown at most while the file goes from one process through the server to this one, which
 * reads it as it comes and keeps nothing.
 */
export const transferMemory = async (
  file: SourceFile,
): Promise<{ readonly sender: number; readonly server: number; readonly receiver: number }> => {
  await using target = await Target.start("durable");
  const { client, session } = await openClient(target.url, "r", "receiver");
  const coming = new Promise<IncomingTransfer>((resolve) => {
    session.on("transfer", (incoming) => {
      if (incoming.name === "file") resolve(incoming);
    });
  });
  await using sender = await senderOf(target.url, file);
  const incoming = await coming;
  globalThis.gc?.();
  const before = { server: await target.ask({ ask: "memory" }), receiver: process.memoryUsage().rss };
  const most = { ...before };
  let bytes = 0;
  let looked = performance.now();
  for await (const piece of incoming.stream()) {
    bytes += piece.length;
    most.receiver = Math.max(most.receiver, process.memoryUsage().rss);
    if (performance.now() - looked < 200) continue;
    most.server = Math.max(most.server, await target.ask({ ask: "rss" }));
    looked = performance.now();
  }
  if (bytes !== file.size) throw new Error(`${bytes} of ${file.size} came`);
  const grown = await sender.grown;
  client.close();
  return { sender: grown, server: most.server - before.server, receiver: most.receiver - before.receiver };
};

interface Sender extends AsyncDisposable {
  readonly isOver: () => boolean;
  /** Bytes by which it had grown at most, when it is done. */
  readonly grown: Promise<number>;
}

const senderOf = async (url: string, file: SourceFile): Promise<Sender> => {
  const child = fork(fileURLToPath(new URL("./sender.ts", import.meta.url)), [url, file.path], {
    execArgv: ["--expose-gc", "--import", "tsx"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await reply(child);
  let over = false;
  const grown = reply(child).then(Number);
  grown.catch(() => {}).finally(() => (over = true));
  return {
    isOver: () => over,
    grown,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      const gone = once(child, "exit");
      child.kill();
      await gone;
    },
  };
};
