/** A server and clients over real sockets, put away after each test. */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join as pathOf } from "node:path";
import {
  type Client,
  type ClientOptions,
  createClient,
  memoryStorage,
  RostrumError,
  type Session,
} from "@rostrum/client";
import { attachSessions, memoryStore, type Sessions, type SessionsOptions } from "@rostrum/server";
import { createFaultProxy, type FaultProxy } from "@rostrum/testing";
import { Server } from "socket.io";
import { afterEach } from "vitest";

export interface Place {
  readonly url: string;
  readonly sessions: Sessions;
  readonly close: () => Promise<void>;
}

export const closing: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A folder for one test. */
export const folderOf = async (): Promise<string> => {
  const folder = await mkdtemp(pathOf(tmpdir(), "rostrum-"));
  closing.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

export const serve = async (options: Partial<SessionsOptions> = {}, port = 0): Promise<Place> => {
  const http = createServer();
  const io = new Server(http);
  const sessions = attachSessions(io, { store: memoryStore(), flicker: 50, ...options });
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await sessions.close();
    await io.close();
  };
  closing.push(close);
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, sessions, close };
};

export const join = (url: string, options: ClientOptions = {}): Client => {
  const client = createClient({ url, storage: memoryStorage(), ...options });
  closing.push(() => client.close());
  return client;
};

export const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "nothing",
    (error: unknown) => (error instanceof RostrumError ? error.code : String(error)),
  );

export const heard = (session: Session, event = "note"): unknown[] => {
  const list: unknown[] = [];
  session.on(event, (value: unknown) => void list.push(value));
  return list;
};

/** Transfers have as much while people speak as in quiet: for tests that count what was asked for. */
export const unmannered: Pick<SessionsOptions, "transferBeside"> = {
  transferBeside: { chunkBytes: Number.POSITIVE_INFINITY, laneBytes: Number.POSITIVE_INFINITY },
};

/** A fault proxy before the place. */
export const behind = async (place: Place): Promise<FaultProxy> => {
  const proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: Number(new URL(place.url).port) } });
  closing.push(() => proxy.close());
  return proxy;
};

/** A server in a process of its own, over a folder, to be killed. */
export interface Victim {
  readonly url: string;
  /** Without a word, as if the machine had lost its power. */
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
}

/** Starts `script` (a server that sends its address) with a folder, a port (the same each time) and what else it wants. */
export const victim = async (script: URL, folder: string, ...more: readonly string[]): Promise<Victim> => {
  let child: ChildProcess | undefined;
  let port = 0;
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  const start = async (): Promise<void> => {
    child = fork(script, [folder, String(port), ...more], { execArgv: ["--import", "tsx", "--conditions=source"] });
    const [address] = (await once(child, "message")) as [{ readonly port: number }];
    port = address.port;
  };
  closing.push(kill);
  await start();
  return { url: `http://127.0.0.1:${port}`, kill, start };
};

/** Heartbeats for tests of links that die. */
export const quick = { every: 200, within: 200 };
