/**
 * What `npm start` runs. Serves the page, keeps the demo's server running as a child that a visitor may kill, and puts a
 * fault proxy between each pane and that server. Each pane has an origin of its own, as two people's browsers have.
 */

import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFaultProxy, type FaultMode, type FaultProxy } from "@rostrum/testing";

const page = fileURLToPath(new URL("../page/", import.meta.url));
const data = process.env["DEMO_DATA"] ?? fileURLToPath(new URL("../../.data/", import.meta.url));
const wantedPort = Number(process.env["PORT"] ?? 3_000);

/** How the network of a pane may be, by the names on its switch. */
const modes: Readonly<Record<string, FaultMode>> = {
  ok: { kind: "ok" },
  slow: { kind: "slow", delayMs: 400, jitterMs: 200 },
  lossy: { kind: "lossy", resetProbability: 0.08, delayMs: 60 },
  "half-open": { kind: "half-open" },
  off: { kind: "off" },
};
const names = ["Ada", "Bob", "Cy"] as const;

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".map": "application/json",
  ".svg": "image/svg+xml",
};

// ---- the server that may be killed ----

let child: ChildProcess | undefined;
let appPort = 0;
let startedAt = 0;
let kills = 0;
/** Whether a killed server stays away until this is taken back. */
let out = false;
let closing = false;

const startApp = async (): Promise<void> => {
  mkdirSync(data, { recursive: true });
  const app = fork(fileURLToPath(new URL("./app.js", import.meta.url)), [String(appPort), join(data, "store")]);
  child = app;
  app.once("exit", () => {
    child = undefined;
    // Two seconds in which nobody answers: long enough to be seen.
    if (!out) restart(2_000);
  });
  await new Promise<void>((resolve, reject) => {
    app.once("message", (message: { readonly port: number }) => {
      appPort = message.port;
      startedAt = Date.now();
      resolve();
    });
    app.once("exit", (code) => reject(new Error(`the demo's server ended with ${code} before it was up`)));
  });
};

const restart = (after: number): void => {
  setTimeout(() => {
    if (!closing && !out && child === undefined) void startApp().catch(fail);
  }, after);
};

const fail = (error: unknown): void => {
  console.error(`rostrum demo: ${error instanceof Error ? error.message : String(error)}`);
};

// ---- the page ----

const serve = async (request: IncomingMessage, response: ServerResponse, index: string): Promise<void> => {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const name = pathname === "/" ? index : pathname.slice(1);
  const type = types[extname(name)];
  if (type === undefined || name.includes("/") || name.includes("\\"))
    return void response.writeHead(404).end("Not found");
  try {
    const body = await readFile(join(page, name));
    response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(body);
  } catch {
    response.writeHead(404).end("Not found");
  }
};

const listen = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

await startApp();
const proxies = new Map<string, FaultProxy>();
const panes: { readonly name: string; readonly page: string; readonly socket: string }[] = [];
const servers: Server[] = [];
for (const name of names) {
  const proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: appPort } });
  proxies.set(name, proxy);
  const server = createServer((request, response) => void serve(request, response, "pane.html"));
  servers.push(server);
  panes.push({ name, page: `http://127.0.0.1:${await listen(server, 0)}/`, socket: `http://127.0.0.1:${proxy.port}` });
}

const control = (request: IncomingMessage, response: ServerResponse, pathname: string): void => {
  const answer = (status: number, body: unknown): void =>
    void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  if (request.method === "GET" && pathname === "/api/state") {
    return answer(200, {
      panes,
      direct: `http://127.0.0.1:${appPort}`,
      up: child !== undefined,
      out,
      startedAt,
      kills,
      network: Object.fromEntries(
        [...proxies].map(([name, { mode }]) => [
          name,
          Object.keys(modes).find((key) => modes[key]?.kind === mode.kind),
        ]),
      ),
    });
  }
  // Other sites' pages cannot send this header without being asked first, and they are refused when they ask.
  if (request.method !== "POST" || request.headers["x-demo"] !== "1")
    return answer(405, { error: "POST from the demo's own page is due" });
  const [, , what = "", who = "", mode = ""] = pathname.split("/").map(decodeURIComponent);
  if (what === "kill") {
    kills += 1;
    child?.kill("SIGKILL");
    return answer(200, { kills });
  }
  if (what === "out") {
    const before = out;
    out = who === "true";
    if (before && !out && child === undefined) restart(0);
    return answer(200, { out });
  }
  const proxy = proxies.get(who);
  const wanted = Object.hasOwn(modes, mode) ? modes[mode] : undefined;
  if (what !== "network" || proxy === undefined || wanted === undefined)
    return answer(404, { error: "no such pane or mode" });
  proxy.set(wanted);
  return answer(200, { mode });
};

const main = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  if (pathname.startsWith("/api/")) control(request, response, pathname);
  else void serve(request, response, "index.html");
});
servers.push(main);

try {
  const port = await listen(main, wantedPort);
  console.log(`rostrum demo: http://127.0.0.1:${port}`);
  process.send?.({ url: `http://127.0.0.1:${port}` });
} catch (error) {
  console.error(
    `rostrum demo: port ${wantedPort} cannot be had (${error instanceof Error ? error.message : String(error)}). Choose another: PORT=3001 npm start`,
  );
  closing = true;
  child?.kill();
  process.exit(1);
}

const stop = (): void => {
  if (closing) return;
  closing = true;
  const gone = child === undefined ? Promise.resolve() : new Promise((resolve) => child?.once("exit", resolve));
  child?.kill();
  void gone.then(async () => {
    for (const server of servers) server.closeAllConnections();
    await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
    process.exit();
  });
};
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
process.once("disconnect", stop);
