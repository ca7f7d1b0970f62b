/** Bytes over a lane that is played by hand. */

import {
  type Activity,
  type ClientFrame,
  defaultLimits,
  type ErrorCode,
  type Limits,
  memberId,
  type Offset,
  RostrumError,
  type ServerFrame,
  sessionId,
  userId,
} from "@rostrum/protocol";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Link, LinkEvents } from "../link.ts";
import { download } from "./download.ts";
import { Feed } from "./feed.ts";
import { sha256 } from "./hash.ts";
import { Lane } from "./lane.ts";
import { sourceOf } from "./source.ts";
import { Track } from "./track.ts";
import { type UploadHost, upload } from "./upload.ts";

const session = sessionId("s");
const me = memberId("me");
const limits: Limits = { ...defaultLimits, chunkBytes: 10, laneBytes: 40 };
const content = Uint8Array.from({ length: 100 }, (_, n) => (n * 31) & 255);
const digestOf = (bytes: Uint8Array): string => {
  const hash = sha256();
  hash.update(bytes);
  return hash.digest();
};
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "nothing",
    (error: unknown) => (error instanceof RostrumError ? error.code : String(error)),
  );

/** A connection whose other end is the test. */
class Hand {
  readonly sent: ClientFrame[] = [];
  dials = 0;
  up = false;
  private events: LinkEvents | undefined;

  readonly link = (events: LinkEvents): Link => {
    this.events = events;
    return {
      send: (frames: readonly ClientFrame[]) => void this.sent.push(...frames),
      connect: () => this.connect(),
      probe: () => {},
      reconnect: () => {
        this.cut();
        this.connect();
      },
      close: () => this.cut(),
      isThere: () => this.up,
      get connected(): boolean {
        return (this as unknown as { isThere: () => boolean }).isThere();
      },
    } as unknown as Link;
  };

  connect(): void {
    this.dials += 1;
    this.up = true;
    this.events?.connected();
  }

  cut(): void {
    if (!this.up) return;
    this.up = false;
    this.events?.disconnected();
  }

  says(...frames: readonly object[]): void {
    this.events?.frames(frames.map((frame) => ({ session, ...frame }) as unknown as ServerFrame));
  }

  refuses(activity: Offset, code: ErrorCode): void {
    this.says({ type: "lane-refused", activity, error: { code, message: "by hand" } });
  }

  of<T extends ClientFrame["type"]>(type: T): readonly Extract<ClientFrame, { type: T }>[] {
    return this.sent.filter((frame): frame is Extract<ClientFrame, { type: T }> => frame.type === type);
  }

  /** The bytes that came as chunks, each at its place. */
  get bytes(): Uint8Array {
    const bytes = new Uint8Array(
      this.of("chunk").reduce((most, chunk) => Math.max(most, chunk.at + chunk.bytes.length), 0),
    );
    for (const chunk of this.of("chunk")) bytes.set(chunk.bytes, chunk.at);
    return bytes;
  }
}

const activity = (more: Partial<Activity> = {}): Activity => ({
  id: 7,
  name: "file",
  kind: "transfer",
  status: "running",
  by: me,
  starter: userId("u"),
  user: userId("u"),
  holder: me,
  run: 7,
  next: 1,
  open: 1,
  confirmed: null,
  points: [],
  since: 0,
  ...more,
});
const ended = (bytes = content.length, digest = digestOf(content)): Activity =>
  activity({ status: "ended", result: { bytes, digest } });

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const set = (): {
  hand: Hand;
  host: UploadHost;
  lane: Lane;
  track: Track;
  token: (token: string | undefined) => void;
} => {
  const hand = new Hand();
  let token: string | undefined = "one";
  const pass = (): { birth: string; member: typeof me; token: string } | undefined =>
    token === undefined ? undefined : { birth: "b", member: me, token };
  const lane = new Lane({ session, link: hand.link, pass, silence: 60_000 });
  const track = new Track(7);
  track.update(activity());
  closing.push(() => lane.close());
  return {
    hand,
    lane,
    track,
    host: { session, lane, self: () => me, interval: () => 1_000, track: () => track },
    token: (news) => {
      token = news;
      lane.refresh();
    },
  };
};
const never = new AbortController().signal;
const opened = { type: "lane-opened", limits };

describe("a lane", () => {
  it("is asked for with the present token, and again when there is another", async () => {
    const { hand, host, token } = set();
    token(undefined);
    const sending = upload(host, 7, 7, new Feed(sourceOf(content), 100), {}, never);
    expect(hand.sent).toEqual([]);
    token("two");
    expect(hand.of("lane")).toMatchObject([{ member: "me", birth: "b", token: "two" }]);
    token("three");
    hand.refuses(0, "REPLACED");
    expect(hand.of("lane").map((frame) => frame.token)).toEqual(["two", "three"]);
    hand.says(opened);
    expect(hand.of("upload")).toHaveLength(1);
    hand.cut();
    hand.connect();
    hand.says(opened);
    expect(hand.of("upload")).toHaveLength(2);
    hand.refuses(0, "SERVER_DRAINING");
    await expect.poll(() => hand.of("lane").length).toBe(4);
    host.track(7).fail(new RostrumError("CLOSED", "by hand"));
    expect(await codeOf(sending)).toBe("CLOSED");
  });

  it("that is refused for good is given up after some tries", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    closing.push(() => vi.useRealTimers());
    const { hand, host } = set();
    const sending = codeOf(upload(host, 7, 7, new Feed(sourceOf(content), 100), {}, never));
    for (let n = 0; n < 7; n += 1) {
      hand.refuses(0, "FEATURE_MISSING");
      await vi.advanceTimersByTimeAsync(10_000);
    }
    expect(await sending).toBe("FEATURE_MISSING");
    expect(hand.of("lane").length).toBe(7);
  });
});

describe("an upload", () => {
  it("sends what the server asks for, and goes on where it says", async () => {
    const { hand, host, track } = set();
    const sent: number[] = [];
    const sending = upload(
      host,
      7,
      7,
      new Feed(sourceOf(content), 100),
      { sent: (_, bytes) => void sent.push(bytes) },
      never,
    );
    hand.says(opened, { type: "continue", activity: 7, at: 0, upTo: 25 });
    await expect.poll(() => hand.bytes.length).toBe(25);
    expect(sent).toEqual([10, 10, 5]);
    hand.says({ type: "continue", activity: 7, at: 20, upTo: 35 });
    await expect.poll(() => hand.bytes.length).toBe(35);
    hand.refuses(7, "SERVER_BUSY");
    await expect.poll(() => hand.of("upload").length).toBe(2);
    hand.says({ type: "continue", activity: 7, at: 15, upTo: 100 });
    await expect.poll(() => hand.of("finish")).toMatchObject([{ bytes: 100, digest: digestOf(content) }]);
    expect(hand.bytes).toEqual(content);
    // The server lost its place once more.
    hand.cut();
    hand.connect();
    hand.says(opened, { type: "continue", activity: 7, at: 90, upTo: 100 });
    await expect.poll(() => hand.of("finish").length).toBe(2);
    track.update(ended());
    expect(await sending).toEqual({ bytes: 100, digest: digestOf(content) });
  });

  it("is not further ahead of the points than an interval and what may be under way", async () => {
    const { hand, host, track } = set();
    const sending = upload({ ...host, interval: () => 15 }, 7, 7, new Feed(sourceOf(content), 100), {}, never);
    hand.says(opened, { type: "continue", activity: 7, at: 0, upTo: 100 });
    await expect.poll(() => hand.bytes.length).toBe(55);
    track.update(activity({ confirmed: { serial: 1, at: 0, data: { bytes: 20, digest: "" } } }));
    await expect.poll(() => hand.bytes.length).toBe(75);
    track.update(ended());
    await sending;
  });

  it("ends with its run, with a refusal that time does not mend, and with its signal", async () => {
    const { hand, host, track } = set();
    const start = (signal = never): Promise<string> =>
      codeOf(upload(host, 7, 7, new Feed(sourceOf(content), 100), {}, signal));
    const over = start();
    track.update(activity({ run: 9 }));
    expect(await over).toBe("ACTIVITY_INTERRUPTED");
    track.update(activity());
    hand.says(opened);
    const refused = start();
    hand.refuses(7, "TRANSFER_TOO_LARGE");
    expect(await refused).toBe("TRANSFER_TOO_LARGE");
    const stop = new AbortController();
    const stopped = start(stop.signal);
    stop.abort(new Error("enough"));
    expect(await stopped).toBe("Error: enough");
  });
});

describe("a download", () => {
  const read = async (host: UploadHost, signal = never): Promise<Uint8Array> => {
    const parts: number[] = [];
    for await (const bytes of download(host, 7, {}, signal)) parts.push(...bytes);
    return Uint8Array.from(parts);
  };
  const part = (at: number, to: number, end = false): object => ({
    type: "bytes",
    activity: 7,
    at,
    bytes: content.slice(at, to),
    ...(end ? { end } : {}),
  });

  it("takes each byte once, whatever comes again", async () => {
    const { hand, host, track } = set();
    const reading = read(host);
    hand.says(opened, part(0, 20), part(10, 30), part(50, 60));
    expect(hand.of("fetch")).toMatchObject([{ at: 0, upTo: 40 }]);
    await expect.poll(() => hand.of("fetch").at(-1)).toMatchObject({ upTo: 60 });
    hand.cut();
    hand.connect();
    hand.says(opened);
    expect(hand.of("fetch").at(-1)).toMatchObject({ at: 30, upTo: 70 });
    hand.says(part(30, 70), part(70, 100, true));
    track.update(ended());
    expect(await reading).toEqual(content);
  });

  it("is refused if it is not what was sent", async () => {
    for (const result of [ended(100, digestOf(content.slice(1))), ended(99)]) {
      const { hand, host, track } = set();
      const reading = codeOf(read(host));
      hand.says(opened, part(0, 100, true));
      track.update(result);
      expect(await reading).toBe("TRANSFER_DIGEST");
    }
  });

  it("asks again after a refusal that may pass, and not after one that does not", async () => {
    const { hand, host, track } = set();
    const reading = read(host);
    hand.says(opened);
    hand.refuses(7, "SERVER_BUSY");
    await expect.poll(() => hand.of("fetch").length).toBe(2);
    hand.says(part(0, 100, true));
    track.update(ended());
    await reading;
    const refused = codeOf(read(host));
    hand.refuses(7, "FORBIDDEN");
    expect(await refused).toBe("FORBIDDEN");
    track.state = undefined;
    const gone = codeOf(read(host));
    hand.refuses(7, "TRANSFER_ABORTED");
    expect(await gone).toBe("TRANSFER_ABORTED");
  });

  it("tells the server when nobody reads any more", async () => {
    const { hand, host } = set();
    const stop = new AbortController();
    const reading = codeOf(read(host, stop.signal));
    hand.says(opened, part(0, 20));
    stop.abort(new Error("enough"));
    expect(await reading).toBe("Error: enough");
    expect(hand.of("fetch").at(-1)).toMatchObject({ at: 20, upTo: 20 });
  });
});

describe("a source", () => {
  it("that flows by keeps what it was not told to forget", async () => {
    const stream = new Blob([content]).stream();
    const source = sourceOf(stream);
    expect(await source.read(0, 60)).toEqual(content.subarray(0, 60));
    expect(await source.read(30, 10)).toEqual(content.subarray(30, 40));
    source.forget(100);
    expect(await codeOf(source.read(30, 10))).toBe("TRANSFER_SOURCE");
    expect(await source.read(100, 10)).toBeUndefined();
    source.close();
  });

  it("that gives something else is refused", async () => {
    const words = (async function* (): AsyncGenerator<Uint8Array> {
      yield "words" as unknown as Uint8Array;
    })();
    expect(await codeOf(sourceOf(words).read(0, 1))).toBe("TRANSFER_SOURCE");
  });
});

it("hashes the same with Node's help and without", async () => {
  const { process } = globalThis as unknown as { readonly process: { getBuiltinModule: unknown } };
  const { getBuiltinModule } = process;
  const wanted: string[] = [];
  for (const to of [33, 66, 99, 100]) {
    const digest = await crypto.subtle.digest("SHA-256", content.slice(0, to));
    wanted.push(Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join(""));
  }
  for (const help of [getBuiltinModule, undefined]) {
    process.getBuiltinModule = help;
    const hash = sha256();
    const seen: string[] = [];
    for (let at = 0; at < content.length; at += 33) {
      hash.update(content.subarray(at, at + 33));
      seen.push(hash.digest());
    }
    expect(seen).toEqual(wanted);
  }
  process.getBuiltinModule = getBuiltinModule;
});
