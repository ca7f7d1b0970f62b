/** Floors under measurement: how soon one is granted, how they are shared out under contention, what they weigh. */

import type { Entry, FloorConfig, MemberCommand, ServerFrame } from "@rostrum/protocol";
import { io, type Socket } from "socket.io-client";
import { openClient, openFrame, percentile, sleep, Target } from "./load.ts";
import type { Mode } from "./server.ts";

const connect = async (url: string): Promise<Socket> => {
  const socket = io(url, { transports: ["websocket"], forceNew: true, reconnection: false });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  return socket;
};

/** One idle floor, asked for again and again: milliseconds from the request to the grant, against an emit with acknowledgement. */
export const grantLatency = async (mode: Mode): Promise<{ readonly p50: number; readonly p99: number }> => {
  await using target = await Target.start(mode);
  const samples: number[] = [];
  const rounds = async (ask: () => Promise<void>, settle: () => Promise<void>): Promise<void> => {
    for (let round = 0; round < 2_500; round += 1) {
      const started = performance.now();
      await ask();
      if (round >= 500) samples.push(performance.now() - started);
      await settle();
      await sleep(2);
    }
  };
  if (mode === "plain") {
    const socket = await connect(target.url);
    await rounds(
      async () => void (await socket.emitWithAck("ask", "mic")),
      async () => void (await socket.emitWithAck("ask", "mic")),
    );
    socket.disconnect();
  } else {
    const { client, session } = await openClient(target.url, "r", "asker");
    const floor = session.floor("mic");
    let release = (): Promise<void> => Promise.resolve();
    await rounds(
      async () => {
        const grant = await floor.request();
        release = () => grant.release();
      },
      () => release(),
    );
    client.close();
  }
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99) };
};

/** A member without a client, that speaks the protocol: a thousand real ones in one process would measure that process. */
class Contender {
  private member = "";
  private seq = 0;
  private received = 0;
  private asked = 0;
  readonly waits: { readonly at: number; readonly wait: number }[] = [];

  constructor(
    private readonly socket: Socket,
    private readonly session: string,
    private readonly hold: number,
    private readonly priority: number,
  ) {}

  open(instance: string): Promise<void> {
    return new Promise((resolve) => {
      this.socket.on("rostrum", (frames: readonly ServerFrame[]) => {
        for (const frame of frames) {
          if (frame.type === "opened") {
            this.member = frame.member;
            this.received = frame.start;
            resolve();
          } else if (frame.type === "entries") this.take(frame.entries, frame.upTo);
        }
      });
      this.socket.emit("rostrum", [openFrame(this.session, instance)]);
    });
  }

  private take(entries: readonly Entry[], upTo: number): void {
    for (const entry of entries) {
      if (entry.offset <= this.received || entry.type !== "floor-granted" || entry.member !== this.member) continue;
      const now = performance.now();
      this.waits.push({ at: now, wait: now - this.asked });
      setTimeout(() => this.say({ type: "floor-release", floor: "mic", fence: entry.offset }), this.hold);
      setTimeout(() => this.ask(), this.hold);
    }
    this.received = Math.max(this.received, upTo);
    // What is owed is paid now and then, or the server would stop telling.
    if (this.received - this.paid > 400) {
      this.paid = this.received;
      this.socket.emit("rostrum", [{ type: "processed", session: this.session, offset: this.received }]);
    }
  }

  private paid = 0;

  ask(): void {
    this.asked = performance.now();
    this.say({
      type: "floor-request",
      floor: "mic",
      ...(this.priority === 0 ? {} : { priority: this.priority as -1 }),
    });
  }

  private say(command: MemberCommand): void {
    this.seq += 1;
    if (this.socket.connected)
      this.socket.emit("rostrum", [{ type: "commands", session: this.session, seq: this.seq, commands: [command] }]);
  }
}

export interface Contention {
  /** Grants a second. */
  readonly rate: number;
  /** Milliseconds waited by those granted in the second half: 5th, 50th and 95th of a hundred. */
  readonly waits: readonly [number, number, number];
  /** Milliseconds of server CPU for each grant, with all members told of it. */
  readonly cpu: number;
}

/** So many members who all want one floor for `hold` milliseconds at a time, again and again. */
export const contention = async (
  order: FloorConfig["order"],
  count = 1_000,
  hold = 20,
  seconds = 44,
): Promise<Contention> => {
  await using target = await Target.start("memory", order);
  const session = `contended-${order}`;
  const sockets: Socket[] = [];
  const members: Contender[] = [];
  for (let at = 0; at < count; at += 50) {
    const group = await Promise.all(
      Array.from({ length: Math.min(50, count - at) }, async (_, index) => {
        const socket = await connect(target.url);
        sockets.push(socket);
        const member = new Contender(socket, session, hold, order === "priority" ? -(index % 3) : 0);
        await member.open(`c${at + index}`);
        return member;
      }),
    );
    members.push(...group);
  }
  const cpu = await target.ask({ ask: "cpu" });
  const began = performance.now();
  for (const member of members) member.ask();
  await sleep(seconds * 1_000);
  const spent = (await target.ask({ ask: "cpu" })) - cpu;
  const waits = members.flatMap((member) => member.waits);
  const late = waits.filter(({ at }) => at - began > seconds * 500).map(({ wait }) => wait);
  for (const socket of sockets) socket.disconnect();
  return {
    rate: waits.length / seconds,
    waits: [percentile(late, 0.05), percentile(late, 0.5), percentile(late, 0.95)],
    cpu: spent / waits.length,
  };
};

/** Resident bytes of the server for each of so many floors that one member holds, against a hand-made table of locks. */
export const floorMemory = async (mode: Mode, floors = 10_000): Promise<number> => {
  await using target = await Target.start(mode);
  const idle = await target.ask({ ask: "memory" });
  if (mode === "plain") {
    const socket = await connect(target.url);
    for (let each = 0; each < floors; each += 1) await socket.emitWithAck("ask", `cell:${each}`);
    const full = await target.ask({ ask: "memory" });
    socket.disconnect();
    return (full - idle) / floors;
  }
  const { client, session } = await openClient(target.url, "r", "holder");
  for (let each = 0; each < floors; each += 100)
    await Promise.all(Array.from({ length: 100 }, (_, index) => session.floor(`cell:${each + index}`).request()));
  const full = await target.ask({ ask: "memory" });
  client.close();
  return (full - idle) / floors;
};
