/** The load: a server process to ask, and ends that send and count, alike for plain Socket.IO and for Rostrum. */

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  type Client,
  createClient,
  memoryStorage,
  type Session,
  type SessionOptions,
  type Storage,
  type Tabs,
} from "@rostrum/client";
import type { ServerFrame } from "@rostrum/protocol";
import { io, type Socket } from "socket.io-client";
import type { Mode, Order } from "./server.ts";

export class Target implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
    readonly mode: Mode,
  ) {}

  static async start(mode: Mode, ...more: readonly string[]): Promise<Target> {
    const child = fork(fileURLToPath(new URL("./server.ts", import.meta.url)), [mode, ...more], {
      execArgv: ["--expose-gc", "--import", "tsx"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const port = await reply(child);
    return new Target(child, `http://127.0.0.1:${String(port)}`, mode);
  }

  async ask(order: Order): Promise<number> {
    const answer = reply(this.child);
    this.child.send(order);
    return Number(await answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill();
    await gone;
  }
}

export const reply = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const exit = (code: number | null): void => reject(new Error(`the server ended with ${code}`));
    child.once("exit", exit);
    child.once("message", (message: { readonly value: unknown }) => {
      child.off("exit", exit);
      resolve(message.value);
    });
  });

/** One end of a conversation. */
export interface End {
  readonly send: (text: string) => void;
  /** What was sent and is not confirmed; plain Socket.IO does not know. */
  readonly close: () => void;
  /** Loses the connection without a goodbye; comes back when told. */
  readonly drop: () => void;
  readonly comeBack: (heard: (text: string) => void) => Promise<void>;
}

let ends = 0;

export const connectEnd = async (target: Target, room: string, heard: (text: string) => void): Promise<End> => {
  ends += 1;
  return target.mode === "plain" ? plainEnd(target.url, room, heard) : rostrumEnd(target.url, room, `u${ends}`, heard);
};

const plainEnd = async (url: string, room: string, heard: (text: string) => void): Promise<End> => {
  const socket: Socket = io(url, { transports: ["websocket"], forceNew: true, reconnection: false, auth: { room } });
  socket.on("msg", heard);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  return {
    send: (text) => void socket.emit("msg", room, text),
    close: () => void socket.disconnect(),
    drop: () => void socket.io.engine.close(),
    comeBack: async () => {
      const live = new Promise<void>((resolve) => socket.once("connect", resolve));
      socket.connect();
      await live;
    },
  };
};

/** Every end is a tab of its own that keeps what it has in this process, and claims it once. */
const tabs = (): Tabs => {
  const claimed = new Set<string>();
  return {
    claim: async (scope) => {
      if (claimed.has(scope)) return undefined;
      claimed.add(scope);
      return () => void claimed.delete(scope);
    },
    recall: () => undefined,
    remember: () => {},
  };
};

/** A real client with one session, live. */
export const openClient = async (
  url: string,
  room: string,
  user: string,
  storage: Storage = memoryStorage(),
  options: SessionOptions = {},
): Promise<{ readonly client: Client; readonly session: Session }> => {
  const client = createClient({
    url,
    storage,
    tabs: tabs(),
    auth: () => user,
    io: { transports: ["websocket"] },
    heartbeat: { every: 60_000 },
  });
  const session = client.session(room, { history: { last: 0 }, ...options });
  await session.ready;
  return { client, session };
};

const rostrumEnd = async (url: string, room: string, user: string, heard: (text: string) => void): Promise<End> => {
  const storage: Storage = memoryStorage();
  let client: Client | undefined;
  let session: Session | undefined;
  const open = async (on: (text: string) => void): Promise<void> => {
    ({ client, session } = await openClient(url, room, user, storage));
    session.on("msg", (text) => on(String(text)));
  };
  await open(heard);
  return {
    send: (text) => void session?.emit("msg", text),
    close: () => client?.close(),
    drop: () => client?.close(),
    comeBack: open,
  };
};

/** What a member without a client opens a session with. */
export const openFrame = (session: string, instance: string): object => ({
  type: "open",
  session,
  versions: [1],
  features: [],
  required: [],
  instance,
  auth: instance,
  history: { last: 0 },
});

/**
 * A member without a client: it opens, resumes and counts. Two thousand real clients in one process would measure that
 * process, with two thousand rosters of two thousand members.
 */
export const lightEnd = async (target: Target, room: string, heard: (text: string) => void): Promise<End> => {
  if (target.mode === "plain") return plainEnd(target.url, room, heard);
  ends += 1;
  const instance = `i${ends}`;
  const socket: Socket = io(target.url, { transports: ["websocket"], forceNew: true, reconnection: false });
  let on = heard;
  let opened: Extract<ServerFrame, { type: "opened" }> | undefined;
  let received = 0;
  let live = (): void => {};
  socket.on("rostrum", (frames: readonly ServerFrame[]) => {
    for (const frame of frames) {
      if (frame.type === "opened") {
        opened = frame;
        received = frame.start;
      }
      if (frame.type !== "entries") continue;
      for (const entry of frame.entries) {
        if (entry.type === "messages" && entry.offset > received) for (const [, text] of entry.items) on(String(text));
      }
      received = Math.max(received, frame.upTo);
      if (opened !== undefined && received >= opened.head) live();
    }
  });
  const open = async (): Promise<void> => {
    const done = new Promise<void>((resolve) => (live = resolve));
    if (!socket.connected) await new Promise<void>((resolve) => socket.connect().once("connect", resolve));
    const resume =
      opened === undefined
        ? {}
        : { resume: { member: opened.member, token: opened.token }, cursor: { birth: opened.birth, offset: received } };
    socket.emit("rostrum", [{ ...openFrame(room, instance), ...resume }]);
    await done;
    socket.emit("rostrum", [{ type: "processed", session: room, offset: received }]);
  };
  await open();
  return {
    send: () => {},
    close: () => void socket.disconnect(),
    drop: () => void socket.io.engine.close(),
    comeBack: async (next) => {
      on = next;
      await open();
    },
  };
};

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

export const percentile = (values: readonly number[], part: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
};

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
