/**
 * How long a page takes to its first usable state: a session of 10,000 entries whose app keeps a megabyte. From this device's
 * IndexedDB, from the server's shared state, and, as the peer, what an app without a session layer does: the same state as JSON
 * over HTTP. Real Chromium, a server process of its own, both on loopback.
 */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { launchChromium } from "../chromium.ts";
import { openClient, Target } from "./load.ts";

const entries = 10_000;
/** With its number, 100 bytes: all of them are the megabyte. */
const note = (index: number): string => `${index}`.padEnd(94, "n");

const script = `
  import { createClient } from "@rostrum/client";
  const query = new URL(location.href).searchParams;
  let notes = [];
  const usable = () => { window.usable ??= performance.now(); };
  if (query.has("plain")) {
    fetch("/state.json").then((response) => response.json()).then((state) => { notes = state; usable(); });
  } else {
    const client = createClient({ url: query.get("socket"), auth: () => "page", io: { transports: ["websocket"] } });
    const session = client.session("r", {
      checkpoint: () => notes,
      restore: (state) => { notes = state; if (notes.length >= ${entries}) usable(); },
    });
    session.on("msg", (text) => { notes.push(text); });
    Object.assign(window, { client, session });
  }
  window.count = () => notes.length;
`;

interface Here {
  readonly usable?: number;
  readonly count: () => number;
  readonly session: {
    readonly status: { get(): { readonly phase: string } };
    checkpoint(): void;
    emit(event: string): { readonly queued: Promise<void> };
  };
}

export class RestoreScene implements AsyncDisposable {
  private constructor(
    private readonly target: Target,
    private readonly browser: Browser,
    private readonly http: Server,
    private readonly url: string,
    private readonly kept: BrowserContext,
  ) {}

  static async start(): Promise<RestoreScene> {
    const target = await Target.start("durable");
    const state = Array.from({ length: entries }, (_, index) => note(index));
    let notes: unknown[] = [];
    const { client, session } = await openClient(target.url, "r", "writer", undefined, {
      checkpoint: () => notes,
      restore: (kept: unknown[]) => {
        notes = kept;
      },
    });
    session.on("msg", (text: unknown) => void notes.push(text));
    await Promise.all(state.map((text) => session.emit("msg", text)));
    const { outcome } = await session.sync.major({ name: "all" });
    if (outcome !== "confirmed") throw new Error(`the point is ${outcome}`);
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (session.sync.points.get()[0]?.state !== undefined) resolve();
      };
      session.sync.points.subscribe(look);
      look();
    });
    client.close();
    const { outputFiles } = await build({
      stdin: { contents: script, resolveDir: decodeURIComponent(new URL(".", import.meta.url).pathname) },
      bundle: true,
      splitting: true,
      outdir: "/out",
      write: false,
      format: "esm",
      platform: "browser",
      target: "es2022",
    });
    const files = new Map(outputFiles.map(({ path, text }) => [path.slice("/out".length), text]));
    const json = JSON.stringify(state);
    const http = createServer((request, response) => {
      const path = new URL(request.url ?? "/", "http://x").pathname;
      const found = path === "/state.json" ? json : files.get(path);
      response.setHeader(
        "content-type",
        path.endsWith(".js") ? "text/javascript" : path.endsWith(".json") ? "application/json" : "text/html",
      );
      response.end(
        found ?? '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/stdin.js"></script>',
      );
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const { port } = http.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/?socket=${encodeURIComponent(target.url)}`;
    const browser = await launchChromium();
    const scene = new RestoreScene(target, browser, http, url, await browser.newContext());
    // Once, so that the device has it all.
    await scene.visit(scene.kept, url, async (page) => {
      await page.waitForFunction((count) => (globalThis as unknown as Here).count() === count, entries);
      // What is queued after the checkpoint is on the disk after it.
      await page.evaluate(() => {
        const { session } = globalThis as unknown as Here;
        session.checkpoint();
        return session.emit("kept").queued;
      });
    });
    return scene;
  }

  /** Milliseconds from the beginning of the page's life. */
  async restore(where: "local" | "server" | "plain"): Promise<number> {
    const context = where === "local" ? this.kept : await this.browser.newContext();
    // The device alone: at this port nobody answers.
    const alone = `${new URL(this.url).origin}/?socket=${encodeURIComponent("http://127.0.0.1:9")}`;
    const url = { local: alone, server: this.url, plain: `${this.url}&plain` }[where];
    try {
      return await this.visit(context, url, async (page) => {
        await page.waitForFunction(() => (globalThis as unknown as Here).usable !== undefined);
        return page.evaluate(() => (globalThis as unknown as Here).usable ?? Number.NaN);
      });
    } finally {
      if (context !== this.kept) await context.close();
    }
  }

  private async visit<T>(context: BrowserContext, url: string, act: (page: Page) => Promise<T>): Promise<T> {
    const page = await context.newPage();
    try {
      await page.goto(url);
      return await act(page);
    } finally {
      await page.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close();
    this.http.close();
    await this.target[Symbol.asyncDispose]();
  }
}
