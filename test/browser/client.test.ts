/** The built client in real Chromium: IndexedDB, Web Locks, sessionStorage, and the moments at which a page wakes up. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { attachSessions, memoryStore, type Sessions } from "@rostrum/server";
import { createFaultProxy, type FaultProxy } from "@rostrum/testing";
import { build } from "esbuild";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { Server } from "socket.io";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launchChromium } from "../chromium.ts";

const script = `
  import { createClient } from "@rostrum/client";
  const query = new URL(location.href).searchParams;
  const client = createClient({ url: query.get("socket"), heartbeat: { every: 60000, within: 60000 } });
  const session = client.session("s");
  Object.assign(window, { client, session, heard: [], warnings: [] });
  session.on("note", (note) => window.heard.push(note));
  session.on("warning", (warning) => window.warnings.push({ code: warning.code, details: warning.details }));
`;

describe("the client in a browser", () => {
  let browser: Browser;
  let bundle: string;
  let context: BrowserContext;
  let io: Server;
  let sessions: Sessions;
  let proxy: FaultProxy;
  let url: string;

  beforeAll(async () => {
    const resolveDir = new URL(".", import.meta.url).pathname;
    const { outputFiles } = await build({
      stdin: { contents: script, resolveDir: decodeURIComponent(resolveDir) },
      bundle: true,
      write: false,
      format: "esm",
      platform: "browser",
      target: "es2022",
    });
    bundle = outputFiles[0]?.text ?? "";
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  beforeEach(async () => {
    const http = createServer((request, response) => {
      const isScript = request.url?.startsWith("/client.js") === true;
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
      response.end(
        isScript
          ? bundle
          : '<!doctype html><title>page</title><link rel="icon" href="data:,"><script type="module" src="/client.js"></script>',
      );
    });
    io = new Server(http, { cors: { origin: true } });
    sessions = attachSessions(io, { store: memoryStore(), flicker: 50 });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const { port } = http.address() as AddressInfo;
    proxy = await createFaultProxy({ target: { host: "127.0.0.1", port } });
    url = `http://127.0.0.1:${port}/?socket=${encodeURIComponent(proxy.url)}`;
    context = await browser.newContext();
  });
  afterEach(async () => {
    await context.close();
    await sessions.close();
    // First, so that a half-open connection ends: the server would wait half a minute for its goodbye.
    await proxy.close();
    await io.close();
  });

  interface Here {
    readonly session: {
      readonly member: string;
      readonly status: { get(): { readonly phase: string } };
      emit(event: string, value: unknown): Promise<unknown> & { readonly queued: Promise<void> };
    };
    readonly heard: readonly unknown[];
    readonly warnings: readonly { readonly code: string; readonly details: Readonly<Record<string, unknown>> }[];
  }
  const phase = (page: Page): Promise<string> =>
    page.evaluate(() => (window as unknown as Here).session?.status.get().phase ?? "");
  const become = (page: Page, wanted: string): Promise<void> =>
    expect.poll(() => phase(page), { timeout: 15_000 }).toBe(wanted);
  const member = (page: Page): Promise<string> => page.evaluate(() => (window as unknown as Here).session.member);
  const open = async (): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(url);
    await become(page, "live");
    return page;
  };

  it("keeps its member over a reload, and sends what was kept offline once", async () => {
    const page = await open();
    const before = await member(page);
    proxy.set({ kind: "off" });
    await expect.poll(() => phase(page)).not.toBe("live");
    await page.evaluate(() => (window as unknown as Here).session.emit("note", "kept").queued);
    await page.reload();
    proxy.set({ kind: "ok" });
    await become(page, "live");
    expect(await member(page)).toBe(before);
    await expect.poll(() => page.evaluate(() => (window as unknown as Here).heard)).toEqual(["kept"]);
  });

  it("makes a duplicated tab a member of its own", async () => {
    const page = await open();
    const [copy] = await Promise.all([
      context.waitForEvent("page"),
      page.evaluate((address) => void window.open(address), url),
    ]);
    await become(copy, "live");
    // A window that a page opens gets a copy of its sessionStorage, as a duplicated tab does.
    expect(await copy.evaluate(() => sessionStorage.length)).toBe(1);
    expect(await member(copy)).not.toBe(await member(page));
    expect(await sessions.get("s").members()).toHaveLength(2);
  });

  it("sends a dead tab's outbox from the next one, once, under the dead tab's name", async () => {
    const page = await open();
    const dead = await member(page);
    proxy.set({ kind: "off" });
    await expect.poll(() => phase(page)).not.toBe("live");
    await page.evaluate(() => (window as unknown as Here).session.emit("note", "orphan").queued);
    await page.close();
    proxy.set({ kind: "ok" });
    const next = await open();
    expect(await member(next)).toBe(dead);
    await expect.poll(() => next.evaluate(() => (window as unknown as Here).heard)).toEqual(["orphan"]);
  });

  it("sets a corrupt record aside with a warning, and leaves a newer one alone", async () => {
    const page = await open();
    const damage = (format: number): Promise<void> =>
      page.evaluate(async (wanted) => {
        (window as unknown as { client: { close(): void } }).client.close();
        const db = await new Promise<IDBDatabase>((resolve) => {
          const request = indexedDB.open("rostrum");
          request.onsuccess = () => resolve(request.result);
        });
        const store = db.transaction("sessions", "readwrite").objectStore("sessions");
        await new Promise<void>((resolve) => {
          store.openCursor().onsuccess = ({ target }) => {
            const cursor = (target as IDBRequest<IDBCursorWithValue | null>).result;
            if (cursor === null) return resolve();
            const [scope, key] = cursor.key as [string, string];
            if (key === "meta" && !scope.startsWith("aside:"))
              cursor.update(wanted === 0 ? "rubbish" : { ...cursor.value, format: wanted });
            cursor.continue();
          };
        });
        db.close();
      }, format);
    await damage(0);
    await page.reload();
    await become(page, "live");
    const warnings = await page.evaluate(() => (window as unknown as Here).warnings);
    expect(warnings.map(({ code }) => code)).toEqual(["STORAGE_CORRUPT"]);
    expect(String(warnings[0]?.details["aside"])).toMatch(/^aside:/);
    await damage(99);
    await page.reload();
    await become(page, "closed");
  });

  it("carries a file from page to page over a reload of its sender", async () => {
    const [sender, receiver] = [await open(), await open()];
    // Each byte tells its place.
    const make = "new File([Uint8Array.from({ length: 30000000 }, (_, n) => (n * 31 + (n >> 8)) & 255)], 'film.bin')";
    const digest =
      "async (blob) => Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()))).join()";
    await receiver.evaluate(
      `void session.on("transfer", (incoming) => { window.incoming = incoming; window.film = incoming.blob().then(${digest}); })`,
    );
    await sender.evaluate(`void (window.sending = session.transfers.send(${make}))`);
    const id = await sender.evaluate("sending.id");
    const confirmed = (): Promise<unknown> => sender.evaluate("sending.progress.get().confirmed");
    await expect.poll(confirmed, { timeout: 15_000, interval: 2 }).toBeGreaterThan(0);
    proxy.set({ kind: "off" });
    expect(await sender.evaluate("sending.progress.get().state")).not.toBe("done");
    await sender.reload();
    proxy.set({ kind: "ok" });
    await become(sender, "live");
    const first = "session.transfers.get()[0]";
    await expect.poll(() => sender.evaluate(`${first}?.status`)).toBe("interrupted");
    const wrong = `session.transfers.resume(${id}, new Blob(["another"])).done.catch(({ code }) => code)`;
    expect(await sender.evaluate(wrong)).toBe("TRANSFER_SOURCE");
    expect(await sender.evaluate(`session.transfers.resume(${id}, ${make}).done`)).toMatchObject({ bytes: 30_000_000 });
    expect(await receiver.evaluate("film")).toBe(await receiver.evaluate(`(${digest})(${make})`));
    expect(await receiver.evaluate("incoming.progress.get()")).toMatchObject({ state: "done", received: 30_000_000 });
  });

  it.each([
    ["the network is said to be back", "online", "Event"],
    ["the page is shown from the back-forward cache", "pageshow", "PageTransitionEvent"],
  ])("comes back at once when %s", async (_, type, kind) => {
    const page = await open();
    proxy.set({ kind: "off" });
    await expect.poll(() => phase(page)).not.toBe("live");
    // Long enough away that the next attempt is seconds off.
    await become(page, "lost");
    proxy.set({ kind: "ok" });
    await page.evaluate(
      ([name, made]) =>
        void window.dispatchEvent(
          made === "Event" ? new Event(name ?? "") : new PageTransitionEvent(name ?? "", { persisted: true }),
        ),
      [type, kind],
    );
    await expect.poll(() => phase(page), { timeout: 1_500 }).toBe("live");
  });

  it("finds a half-open link at once when it wakes up, though its heartbeat is a minute off", async () => {
    const page = await open();
    proxy.set({ kind: "half-open" });
    await page.evaluate(() => void document.dispatchEvent(new Event("visibilitychange")));
    await expect.poll(() => phase(page), { timeout: 10_000 }).not.toBe("live");
    proxy.set({ kind: "ok" });
    await become(page, "live");
  });
});
