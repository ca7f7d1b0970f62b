/**
 * Three real browsers on a real SFU, all sending all the time: what is heard is decided by who holds the floor, because
 * the SFU is told so by the server. None of the pages uses `gate`.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  attachSessions,
  embeddedStore,
  type MediaAdapter,
  type MediaOptions,
  mediaFollowsFloor,
  memoryStore,
  type Store,
} from "@rostrum/server";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { Server } from "socket.io";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launchChromium } from "../chromium.ts";
import { sfuAdapter } from "./adapter.ts";
import { type Joined, Sfu } from "./sfu.ts";

const script = `
  import { createClient } from "@rostrum/client";
  import { io } from "socket.io-client";

  const query = new URL(location.href).searchParams;
  const user = query.get("user");
  const client = createClient({ url: query.get("rostrum"), auth: () => ({ user }) });
  const session = client.session("room");

  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  const peer = new RTCPeerConnection();
  peer.addTransceiver(microphone.getAudioTracks()[0], { direction: "sendonly" });
  for (let line = 1; line <= 3; line += 1) peer.addTransceiver("audio", { direction: "recvonly" });
  peer.addEventListener("track", ({ track }) => {
    const speaker = new Audio();
    speaker.srcObject = new MediaStream([track]);
    void speaker.play();
  });
  // The SFU has an address that we can reach, so it needs no candidates of ours.
  const { sdp: offer } = await peer.createOffer();
  await peer.setLocalDescription({ type: "offer", sdp: offer });
  const { answer, line } = await io({ auth: { user } }).emitWithAck("join", offer);
  await peer.setRemoteDescription({ type: "answer", sdp: answer });

  /** How much sound has come in on each line so far. */
  const energy = async () => {
    const lines = [...(await peer.getStats()).values()].filter(({ type }) => type === "inbound-rtp");
    return Object.fromEntries(lines.map(({ mid, totalAudioEnergy }) => [mid, totalAudioEnergy]));
  };
  Object.assign(window, { session, peer, line, energy });
`;

interface Grant {
  release(): Promise<void>;
  pass(member: string): Promise<void>;
}
/** What the script leaves in its window. */
interface Here {
  readonly session: {
    readonly member: string;
    readonly status: { get(): { readonly phase: string } };
    floor(name: string): { get(): { readonly mine: string }; request(): Promise<Grant> };
  };
  readonly peer: RTCPeerConnection;
  readonly line: number;
  readonly energy: () => Promise<Readonly<Record<string, number>>>;
}
const ask = <T>(page: Page, what: (here: Here, argument: string) => T | Promise<T>, argument = ""): Promise<T> =>
  page.evaluate(`(${what})(window, ${JSON.stringify(argument)})`) as Promise<T>;

interface Serving extends Partial<Pick<MediaOptions, "adapter" | "onError">> {
  readonly store?: Store;
  readonly port?: number;
}

const users = ["ann", "bob", "cem"] as const;
type User = (typeof users)[number];

const listen = async (server: ReturnType<typeof createServer>, port = 0): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
};

describe("media that follow the floor through an SFU", { timeout: 120_000 }, () => {
  let bundle: string;
  let browser: Browser;
  let sfu: Sfu;
  let pages: Readonly<Record<User, Page>>;
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    const { outputFiles } = await build({
      stdin: { contents: script, resolveDir: import.meta.dirname },
      bundle: true,
      write: false,
      format: "esm",
      platform: "browser",
      target: "es2022",
    });
    bundle = outputFiles[0]?.text ?? "";
    browser = await launchChromium({
      args: [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
        // Also on a machine without any network.
        "--allow-loopback-in-peer-connection",
      ],
    });
  });
  afterAll(() => browser.close());

  beforeEach(() => {
    sfu = new Sfu();
    closing.push(() => sfu.close());
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** Rostrum's server, with its media at the SFU. */
  const serve = async ({ store = memoryStore(), port = 0, ...media }: Serving = {}) => {
    const http = createServer();
    const io = new Server(http, { cors: { origin: true } });
    const sessions = attachSessions(io, {
      store,
      // A name stands for the token of somebody who has logged in.
      authenticate: ({ auth }) => ({ user: (auth as { readonly user: string }).user }),
      floors: { mic: { capacity: 1, grace: 60_000 } },
    });
    const undo = mediaFollowsFloor(sessions, { floors: ["mic"], adapter: sfuAdapter(sfu), ...media });
    const own = await listen(http, port);
    let closed = false;
    const close = async (): Promise<void> => {
      if (closed) return;
      closed = true;
      undo();
      await sessions.close();
      await io.close();
    };
    closing.push(close);
    return { sessions, port: own, close };
  };

  /** The SFU's own server, which outlives Rostrum's: the page, and the exchange of descriptions. */
  const serveSfu = async (): Promise<number> => {
    const http = createServer((request, response) => {
      const isScript = request.url === "/page.js";
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
      response.end(
        isScript
          ? bundle
          : '<!doctype html><title>page</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
      );
    });
    const io = new Server(http);
    io.on("connection", (socket) => {
      const { user } = socket.handshake.auth as { readonly user: string };
      socket.on("join", async (offer: string, answer: (joined: Omit<Joined, "leave">) => void) => {
        const { leave, ...joined } = await sfu.join("room", user, offer);
        socket.on("disconnect", () => void leave());
        answer(joined);
      });
    });
    closing.push(() => io.close());
    return listen(http);
  };

  /** Three people, each in a browser of its own, connected to both servers. */
  const gather = async (rostrum: number): Promise<void> => {
    const port = await serveSfu();
    const enter = async (user: User): Promise<[User, Page]> => {
      const context = await browser.newContext({ permissions: ["microphone"] });
      closing.push(() => context.close());
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${port}/?user=${user}&rostrum=http://127.0.0.1:${rostrum}`);
      await expect
        .poll(() => ask(page, ({ session, peer }) => [session?.status.get().phase, peer?.connectionState]), {
          timeout: 30_000,
        })
        .toEqual(["live", "connected"]);
      return [user, page];
    };
    pages = Object.fromEntries(await Promise.all(users.map(enter))) as Record<User, Page>;
  };

  const request = (user: User): Promise<void> =>
    ask(pages[user], async ({ session }) => void (await session.floor("mic").request()));
  /** A request of one who holds already answers the grant that it has. */
  const release = (user: User): Promise<void> =>
    ask(pages[user], async ({ session }) => (await session.floor("mic").request()).release());
  const pass = async (from: User, to: User): Promise<void> =>
    ask(
      pages[from],
      async ({ session }, other) => (await session.floor("mic").request()).pass(other),
      await member(to),
    );
  const member = (user: User): Promise<string> => ask(pages[user], ({ session }) => session.member);

  /** Whom each hears while each of the three sends another second of sound, which is at least one beep of the fake device. */
  const heard = async (): Promise<Readonly<Record<User, string>>> => {
    const measure = async () => Promise.all(users.map((user) => ask(pages[user], ({ energy }) => energy())));
    const lines = await Promise.all(users.map((user) => ask(pages[user], ({ line }) => line)));
    const [sent, before] = [sfu.arrived("room"), await measure()];
    await expect
      .poll(() => users.map((user) => (sfu.arrived("room")[user] ?? 0) - (sent[user] ?? 0) >= 55), { timeout: 20_000 })
      .toEqual([true, true, true]);
    const after = await measure();
    const grew = (listener: number, line = 0): boolean =>
      (after[listener]?.[line] ?? 0) > (before[listener]?.[line] ?? 0);
    return Object.fromEntries(
      users.map((user, listener) => [user, users.filter((_, speaker) => grew(listener, lines[speaker])).join()]),
    ) as Record<User, string>;
  };
  /** Nobody but this one is heard, by both of the others. */
  const becomesHeard = (speaker: User | undefined): Promise<void> =>
    expect
      .poll(heard, { timeout: 60_000, interval: 1 })
      .toEqual(Object.fromEntries(users.map((user) => [user, user === speaker ? "" : (speaker ?? "")])));

  it("lets exactly the holder be heard, though all send all the time", async () => {
    const { sessions, port } = await serve();
    await gather(port);
    await becomesHeard(undefined);
    await request("ann");
    await becomesHeard("ann");
    await pass("ann", "bob");
    await becomesHeard("bob");
    const waiting = request("cem");
    await expect.poll(() => ask(pages.cem, ({ session }) => session.floor("mic").get().mine)).toBe("waiting");
    await sessions
      .get("room")
      .floor("mic")
      .revoke(await member("bob"));
    await waiting;
    await becomesHeard("cem");
    await release("cem");
    await becomesHeard(undefined);
  });

  it("silences a page that is gone from the session and goes on sending", async () => {
    const { sessions, port } = await serve();
    await gather(port);
    await request("ann");
    await becomesHeard("ann");
    await sessions.get("room").remove(await member("ann"));
    await becomesHeard(undefined);
  });

  it("comes to the right end with an SFU whose API fails for a while", async () => {
    const right = sfuAdapter(sfu);
    const failures: unknown[] = [];
    let down = true;
    const adapter: MediaAdapter = {
      async setPublishers(publishers, about) {
        if (down) throw new Error("503");
        return right.setPublishers(publishers, about);
      },
    };
    const { port } = await serve({ adapter, onError: (error) => failures.push(error) });
    await gather(port);
    await request("ann");
    await expect.poll(() => failures.length).toBeGreaterThanOrEqual(2);
    // Meanwhile the floor goes on; nobody is heard who was never permitted.
    await pass("ann", "bob");
    await becomesHeard(undefined);
    down = false;
    await becomesHeard("bob");
    // What cannot be withdrawn goes on, and ends as soon as it can.
    down = true;
    await release("bob");
    const before = failures.length;
    await expect.poll(() => failures.length).toBeGreaterThan(before);
    await becomesHeard("bob");
    down = false;
    await becomesHeard(undefined);
  });

  it("is told again after a restart of the server, whatever it believes by then", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rostrum-media-"));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    const first = await serve({ store: embeddedStore(folder) });
    await gather(first.port);
    await request("ann");
    await becomesHeard("ann");
    await first.close();
    // Nobody tells the SFU anything now, so it goes on as it was.
    await becomesHeard("ann");
    // And it loses its memory, or has one that is older than the floor.
    await sfu.withdraw("room", "ann");
    await sfu.permit("room", "bob");
    await becomesHeard("bob");
    await serve({ store: embeddedStore(folder), port: first.port });
    await becomesHeard("ann");
    expect(await ask(pages.ann, ({ session }) => session.floor("mic").get().mine)).toBe("held");
  });
});
