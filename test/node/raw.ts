/** Members and lanes that speak in raw frames, put away after each test. */

import { createHash, randomUUID } from "node:crypto";
import {
  type ClientFrame,
  type Entry,
  fromPacket,
  type MemberCommand,
  type Offset,
  type ServerFrame,
  seqSpan,
  toPacket,
} from "@rostrum/protocol";
import { io as connect, type Socket } from "socket.io-client";
import { expect } from "vitest";
import { closing } from "./place.ts";

type Of<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;
export type Opened = Of<"opened">;

export const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const until = <T>(look: () => T | undefined): Promise<T> =>
  expect
    .poll(look, { timeout: 60_000, interval: 2 })
    .toBeDefined()
    .then(() => look() as T);

/** A socket, and everything it has heard. */
class Raw {
  readonly heard: ServerFrame[] = [];
  protected constructor(readonly socket: Socket) {
    socket.on("rostrum", (...packet: [unknown, unknown, unknown]) =>
      this.heard.push(...(fromPacket(...packet) as readonly ServerFrame[])),
    );
  }

  protected static async connect(url: string): Promise<Socket> {
    const socket = connect(url, { transports: ["websocket"], forceNew: true, reconnection: false });
    closing.push(() => void socket.disconnect());
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    return socket;
  }

  all<T extends ServerFrame["type"]>(type: T): readonly Of<T>[] {
    return this.heard.filter((frame): frame is Of<T> => frame.type === type);
  }

  cut(): void {
    this.socket.disconnect();
  }

  send(...frames: readonly (ClientFrame | object)[]): void {
    this.socket.emit("rostrum", ...toPacket(frames));
  }

  until<T>(look: () => T | undefined): Promise<T> {
    return until(look);
  }
}

export class RawMember extends Raw {
  private seq = 0;

  private constructor(
    socket: Socket,
    readonly url: string,
    private readonly instance: string,
  ) {
    super(socket);
  }

  static async join(url: string, more: object = {}, instance: string = randomUUID()): Promise<RawMember> {
    const member = new RawMember(await Raw.connect(url), url, instance);
    const features = ["activities", "sync"];
    member.send({ type: "open", session: "s", versions: [1], features, required: [], instance, ...more });
    await member.until(() => member.all("opened")[0] ?? member.all("closed")[0]);
    member.seq = member.opened.seq;
    return member;
  }

  get opened(): Opened {
    const [opened] = this.all("opened");
    if (opened === undefined) throw new Error(JSON.stringify(this.heard));
    return opened;
  }

  get id(): string {
    return this.opened.member;
  }

  /** As the same member, over another connection. */
  resume(url = this.url, more: object = {}): Promise<RawMember> {
    const { birth, member, token } = this.opened;
    const offset = this.all("entries").at(-1)?.upTo ?? this.opened.head;
    return RawMember.join(url, { cursor: { birth, offset }, resume: { member, token }, ...more }, this.instance);
  }

  entries<T extends Entry["type"]>(type: T): readonly Extract<Entry, { type: T }>[] {
    return this.all("entries")
      .flatMap(({ entries }) => entries)
      .filter((entry): entry is Extract<Entry, { type: T }> => entry.type === type);
  }

  entry<T extends Entry["type"]>(type: T): Promise<Extract<Entry, { type: T }>> {
    return this.until(() => this.entries(type)[0]);
  }

  /** What came of a command: its entry's offset, or the code of its refusal. */
  async command(command: MemberCommand): Promise<Offset | string> {
    const seq = this.seq + 1;
    this.seq += seqSpan(command);
    this.send({ type: "commands", session: "s", seq, commands: [command] });
    return this.until<Offset | string>(
      () =>
        this.all("entries")
          .flatMap(({ entries }) => entries)
          .find((entry) => "by" in entry && entry.by === this.id && "seq" in entry && entry.seq === seq)?.offset ??
        this.all("stored")
          .flatMap(({ stored }) => stored)
          .find((stored) => stored.seq === seq)?.offset ??
        this.all("refused").find((refused) => refused.seq === seq)?.error.code,
    );
  }

  /** Begins a transfer. Answers its id, which is its first run. */
  async transfer(data: object = {}, more: object = {}): Promise<Offset> {
    const id = await this.command({ type: "activity-start", kind: "transfer", name: "file", data, ...more });
    if (typeof id !== "number") throw new Error(id);
    return id;
  }

  lane(url = this.url): Promise<RawLane> {
    return RawLane.open(url, this);
  }
}

export class RawLane extends Raw {
  static async dial(url: string): Promise<RawLane> {
    return new RawLane(await Raw.connect(url));
  }

  static async open(url: string, { opened }: RawMember): Promise<RawLane> {
    const lane = await RawLane.dial(url);
    const { birth, member, token } = opened;
    lane.send({ type: "lane", session: "s", birth, member, token });
    await lane.until(() => lane.all("lane-opened")[0] ?? lane.all("lane-refused")[0]);
    return lane;
  }

  /** Resolves when the server has taken everything that was sent before. */
  async taken(): Promise<void> {
    const n = this.all("pong").length + 1;
    this.send({ type: "ping", n });
    await this.until(() => this.all("pong").find((pong) => pong.n === n));
  }

  refusal(activity: Offset): Of<"lane-refused"> | undefined {
    return this.all("lane-refused").findLast((frame) => frame.activity === activity);
  }

  /** The code under which the lane (0), an upload or a fetch was refused. */
  async refused(activity: Offset): Promise<string> {
    const { error } = await this.until(() => this.refusal(activity));
    return error.code;
  }

  /** Asks to upload. Answers where to go on. */
  async upload(activity: Offset, run = activity): Promise<Of<"continue">> {
    const before = this.all("continue").length;
    this.send({ type: "upload", session: "s", activity, run });
    return this.until(() =>
      this.all("continue")
        .slice(before)
        .find((frame) => frame.activity === activity),
    );
  }

  chunk(activity: Offset, at: number, bytes: Uint8Array): void {
    this.send({ type: "chunk", session: "s", activity, at, bytes });
  }

  /** Sends `[at, to)` of the content, as far and as fast as it is asked for. */
  async push(activity: Offset, content: Uint8Array, at = 0, to = content.length, piece = 262_144): Promise<void> {
    for (let from = at; from < to; ) {
      const upTo = await this.until(() => {
        const refusal = this.refusal(activity) ?? this.refusal(0);
        if (refusal !== undefined) throw new Error(JSON.stringify(refusal));
        const asked = Math.max(...this.all("continue").map((frame) => (frame.activity === activity ? frame.upTo : 0)));
        return asked > from ? asked : undefined;
      });
      const end = Math.min(upTo, to, from + piece);
      this.chunk(activity, from, content.subarray(from, end));
      from = end;
    }
  }

  finish(activity: Offset, content: Uint8Array): void {
    this.send({ type: "finish", session: "s", activity, bytes: content.length, digest: digestOf(content) });
  }

  /** What has come of a transfer, in order and without holes from `from` on. */
  fetched(activity: Offset, from = 0): Uint8Array {
    let at = from;
    const pieces = this.all("bytes").filter((frame) => frame.activity === activity);
    for (const piece of pieces) {
      if (piece.at !== at) throw new Error(`a piece came for ${piece.at}, and ${at} is next`);
      at += piece.bytes.length;
    }
    return Buffer.concat(pieces.map(({ bytes }) => bytes));
  }

  /** Fetches to the end, with room for `window` bytes. */
  async fetch(activity: Offset, from = 0, window = 1_048_576): Promise<Uint8Array> {
    this.send({ type: "fetch", session: "s", activity, at: from, upTo: from + window });
    for (let upTo = from + window; ; ) {
      const { at, over } = await this.until(() => {
        const refusal = this.refusal(activity) ?? this.refusal(0);
        if (refusal !== undefined) throw new Error(JSON.stringify(refusal));
        const last = this.all("bytes").findLast((frame) => frame.activity === activity);
        if (last === undefined) return undefined;
        const end = last.at + last.bytes.length;
        return last.end === true || end > upTo - window / 2 ? { at: end, over: last.end === true } : undefined;
      });
      if (over) return this.fetched(activity, from);
      upTo = at + window;
      this.send({ type: "fetch", session: "s", activity, at, upTo });
    }
  }
}
