/**
 * Plays every fault on plain Socket.IO and on Rostrum and prints what each lost and doubled:
 *
 *     npm run faults -- [--json FILE] [--only NAME]... [--column plain|rostrum]
 */

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Browser } from "playwright-core";
import { launchChromium } from "../chromium.ts";
import { cases, type FaultCase } from "./cases.ts";
import { hostPages, type PageHost } from "./page-host.ts";
import { play } from "./play.ts";
import { startRedis } from "./redis.ts";
import type { SceneOptions } from "./scene.ts";
import { type Cell, json, type Row, table } from "./table.ts";

type Column = "plain" | "rostrum";

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string", multiple: true },
    column: { type: "string" },
  },
});
const columns = (["plain", "rostrum"] as const).filter(
  (column) => values.column === undefined || values.column === column,
);
const chosen = cases.filter((fault) => values.only === undefined || values.only.includes(fault.name));
if (chosen.length === 0 || columns.length === 0) {
  console.error(`No such case or column. Cases: ${cases.map((fault) => fault.name).join(", ")}`);
  process.exit(2);
}

const needsBrowser = chosen.some((fault) => fault.page === "browser");
const browser: Browser | undefined = needsBrowser ? await launchChromium().catch(complain) : undefined;
const host = await hostPages();
const rows: Row[] = [];
try {
  for (const fault of chosen) {
    let row: Row = { fault };
    for (const column of columns) {
      const cell = await playCell(fault, column, host).catch(
        (error: unknown): Cell => ({ kind: "failed", why: String(error) }),
      );
      console.error(`${fault.name} on ${column}: ${cell.kind === "played" ? JSON.stringify(cell.numbers) : cell.why}`);
      row = { ...row, [column]: cell };
    }
    rows.push(row);
  }
} finally {
  await host.close();
  await browser?.close();
}

console.log(table(rows));
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(json(rows), null, 2)}\n`);
const broken = json(rows).some(({ rostrum }) => rostrum && rostrum.lost + rostrum.doubled > 0);
const failed = rows.some(({ plain, rostrum }) => plain?.kind === "failed" || rostrum?.kind === "failed");
process.exitCode = broken || failed ? 1 : 0;

async function playCell(fault: FaultCase, column: Column, pages: PageHost): Promise<Cell> {
  if (fault.page === "browser" && !browser) return { kind: "skipped", why: "no Chromium here" };
  const wantsRedis = column === "plain" && fault.plain.adapter === "redis-streams";
  const redis = wantsRedis ? await startRedis() : undefined;
  if (wantsRedis && !redis) return { kind: "skipped", why: "no redis-server here" };
  const options: SceneOptions = {
    serverEntry: new URL(`${column}-server.ts`, import.meta.url),
    page:
      fault.page === "browser" && browser
        ? { in: "browser", browser, address: pages.address(column) }
        : { in: "process", entry: new URL(`${column}-client.ts`, import.meta.url) },
    nodes: column === "plain" ? fault.plain.nodes : 1,
    resend: column === "plain" && fault.plain.resend === true,
    ...(redis && { redisUrl: redis.url }),
    ...(column === "plain" && fault.plain.retries !== undefined && { retries: fault.plain.retries }),
  };
  try {
    return { kind: "played", numbers: await play(fault, fault[column], options) };
  } finally {
    await redis?.end();
  }
}

function complain(error: unknown): undefined {
  console.error(`Cases with a browser are skipped: ${String(error)}`);
}
