/** A process whose clients are closed has nothing left to wait for. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { serve } from "./place.ts";

it.each(["close", "abort", "release", "midst"])(
  "in the middle of transfers it ends by itself (%s)",
  { timeout: 60_000 },
  async (how) => {
    const { url, sessions } = await serve({ activities: { interval: 100_000 } });
    const script = fileURLToPath(new URL("./leaver.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", "--conditions=source", script, url, how]);
    let said = "";
    let closedAt = 0;
    for (const output of [child.stdout, child.stderr])
      output.on("data", (data) => {
        said += String(data);
        if (said.includes("closed")) closedAt ||= performance.now();
      });
    const [code] = (await once(child, "exit")) as [number];
    expect([said.trim(), code]).toEqual(["closed", 0]);
    expect(performance.now() - closedAt).toBeLessThan(5_000);
    await expect.poll(() => sessions.health().transfers).toMatchObject({ lanes: 0, uploads: 0, fetches: 0 });
  },
);
