/** A Redis of our own: empty, on a free port, without disk, gone with the case. Needs `redis-server` on the PATH. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

export interface Redis {
  readonly url: string;
  end(): Promise<void>;
}

/** Nothing when there is no `redis-server` here. */
export async function startRedis(): Promise<Redis | undefined> {
  const port = await freePort();
  const server = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const ready = new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.once("exit", () => resolve(false));
    server.stdout.on("data", (text: Buffer) => text.includes("Ready to accept connections") && resolve(true));
  });
  if (!(await ready)) return undefined;
  return {
    url: `redis://127.0.0.1:${port}`,
    async end() {
      const gone = once(server, "exit");
      server.kill("SIGKILL");
      await gone;
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
