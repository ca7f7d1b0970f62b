/** npm run bench [-- --only NAME[,NAME]] [--rounds N] [--json FILE]: ours against plain Socket.IO, in one run, in turn. */

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { size } from "../house/size.mjs";
import { fanout, latency, loaded, memory, mesh, openLong, storm } from "./cases.ts";
import { documentRows } from "./documents/rows.ts";
import { contention, floorMemory, grantLatency } from "./floors.ts";
import { median } from "./load.ts";
import { RestoreScene } from "./restore.ts";
import { syncCost } from "./sync.ts";
import { SourceFile, type Transferred } from "./transfer.ts";
import { besideTransfer, rostrumUpload, transferMemory } from "./transfers.ts";
import { tusUpload } from "./tus.ts";

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  /** Ours divided by the peer's. */
  readonly ratio: number;
  readonly goal: string;
}

const { values } = parseArgs({
  options: { only: { type: "string" }, json: { type: "string" }, rounds: { type: "string", default: "3" } },
});
const rounds = Number(values.rounds);
const only = values.only?.split(",");
const rows: Row[] = [];

const wanted = (...names: string[]): boolean => only === undefined || names.some((name) => only.includes(name));
const add = (name: string, unit: string, ours: number, peer: number, goal: string): void => {
  const parts = name.split("-");
  if (!parts.some((_, index) => wanted(parts.slice(0, index + 1).join("-")))) return;
  const row = { name, unit, ours, peer, ratio: ours / peer, goal };
  rows.push(row);
  const show = (figure: number): string => (figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3));
  console.log(
    `${name.padEnd(22)} ${unit.padEnd(30)} ours ${show(ours).padStart(9)}  peer ${show(peer).padStart(9)}  ratio ${row.ratio.toFixed(2).padStart(7)}  goal ${goal}`,
  );
};

/** Takes the sides in turn, round after round. */
const inTurn = async <T>(
  ours: () => Promise<T>,
  peer: () => Promise<T>,
): Promise<readonly [readonly T[], readonly T[]]> => {
  const [a, b]: [T[], T[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    b.push(await peer());
    a.push(await ours());
  }
  return [a, b];
};

for (const [fan, goal, durableGoal] of [
  [1, 6, 5],
  [10, 15, 10],
  [100, 25, 18],
] as const) {
  const measure = fanout(fan);
  for (const [mode, suffix, least] of [
    ["memory", "", goal],
    ["durable", "-durable", durableGoal],
  ] as const) {
    const name = `fanout-${fan}${suffix}`;
    if (!wanted(name)) continue;
    const [ours, peer] = await inTurn(
      () => measure(mode),
      () => measure("plain"),
    );
    add(name, "delivered per server CPU s", median(ours), median(peer), `>= ${least}`);
  }
}

for (const [rate, goal] of [
  [5, 1.5],
  [20, 2],
] as const) {
  if (!wanted(`mesh-${rate}`)) continue;
  const measure = mesh(rate);
  const [ours, peer] = await inTurn(
    () => measure("memory"),
    () => measure("plain"),
  );
  add(`mesh-${rate}`, "delivered per server CPU s", median(ours), median(peer), `>= ${goal}`);
}

if (wanted("latency-p50", "latency-p99")) {
  const [ours, peer] = await inTurn(
    () => latency("memory"),
    () => latency("plain"),
  );
  for (const part of ["p50", "p99"] as const) {
    add(
      `latency-${part}`,
      "ms, emit to handler",
      median(ours.map((each) => each[part])),
      median(peer.map((each) => each[part])),
      "<= 1.15",
    );
  }
}

for (const rate of [4_000, 100, 1_000, 10_000, 50_000]) {
  const name = rate === 4_000 ? "durable-p50" : `durable-p50-at-${rate}`;
  if (!wanted(name)) continue;
  const measure = loaded(rate);
  const [ours, peer] = await inTurn(
    () => measure("durable"),
    () => measure("plain"),
  );
  add(name, `ms, p50 at ${rate}/s, fan-out 10`, median(ours), median(peer), rate === 4_000 ? "peer + 1 ms" : "shown");
}

if (wanted("storm-time", "storm-cpu")) {
  const measure = storm(2_000);
  const [ours, peer] = await inTurn(
    () => measure("memory"),
    () => measure("plain"),
  );
  add(
    "storm-time",
    "ms until the last is live",
    median(ours.map(({ time }) => time)),
    median(peer.map(({ time }) => time)),
    "<= 0.4",
  );
  add(
    "storm-cpu",
    "ms of server CPU",
    median(ours.map(({ cpu }) => cpu)),
    median(peer.map(({ cpu }) => cpu)),
    "<= 0.35",
  );
  const lost = [ours, peer].map((side) => side.reduce((sum, each) => sum + each.lost, 0));
  console.log(`${"".padEnd(22)} of ${rounds * 200_000} missed messages lost: ours ${lost[0]}, peer ${lost[1]}`);
}

if (wanted("memory-member")) {
  const [ours, peer] = await inTurn(
    () => memory("memory"),
    () => memory("plain"),
  );
  add("memory-member", "resident bytes per idle member", median(ours), median(peer), "<= 1.25");
}

if (wanted("open-long")) {
  const [ours, peer] = await inTurn(
    () => openLong(1_000_000),
    () => openLong(100),
  );
  add("open-long", "ms, 1,000,000 against 100 entries", median(ours), median(peer), "<= 1.25");
}

if (wanted("floor-grant-p50", "floor-grant-p99")) {
  const [ours, peer] = await inTurn(
    () => grantLatency("memory"),
    () => grantLatency("plain"),
  );
  for (const part of ["p50", "p99"] as const) {
    add(
      `floor-grant-${part}`,
      "ms, request to grant",
      median(ours.map((each) => each[part])),
      median(peer.map((each) => each[part])),
      "<= 1.25",
    );
  }
}

if (wanted("floor-contention")) {
  for (const order of ["fifo", "priority", "least-spoken"] as const) {
    const { rate, waits, cpu } = await contention(order);
    // The peer is what holds of 20 ms leave room for.
    add(
      order === "fifo" ? "floor-contention" : `floor-contention-${order}`,
      "grants/s of 1,000 members",
      rate,
      50,
      "shown",
    );
    const [low, middle, high] = waits.map((wait) => (wait / 1_000).toFixed(1));
    console.log(
      `${"".padEnd(22)} waited ${low} / ${middle} / ${high} s (5th, 50th, 95th of a hundred), ${cpu.toFixed(2)} ms of server CPU a grant`,
    );
  }
}

if (wanted("floor-memory")) {
  const [ours, peer] = await inTurn(
    () => floorMemory("memory"),
    () => floorMemory("plain"),
  );
  add("floor-memory", "resident bytes per held floor", median(ours), median(peer), "shown");
}

if (wanted("sync-cost")) {
  for (const what of ["minor", "confirmed"] as const) {
    const [ours, peer] = await inTurn(
      () => syncCost(what),
      () => syncCost("message"),
    );
    const name = what === "minor" ? "sync-cost" : "sync-cost-confirmed";
    const bytes = (side: typeof ours): number => median(side.map((cost) => cost.bytes));
    const cpu = (side: typeof ours): number => median(side.map((cost) => cost.cpu));
    add(`${name}-bytes`, "bytes down per member", bytes(ours), bytes(peer), "shown");
    add(`${name}-cpu`, "us of server CPU per member", cpu(ours), cpu(peer), "shown");
  }
}

if (wanted("transfer-clean", "transfer-cuts")) {
  for (const [name, cutEvery, goal] of [
    ["transfer-clean", undefined, ">= 0.8"],
    ["transfer-cuts", 1_000, ">= 1.5"],
  ] as const) {
    if (!wanted(name)) continue;
    // Large enough that there are several cuts.
    await using file = await SourceFile.make(cutEvery === undefined ? 268_435_456 : 1_073_741_824);
    const again: number[] = [];
    const [ours, peer] = await inTurn<Transferred>(
      async () => {
        const sent = await rostrumUpload(file, cutEvery);
        if (sent.cuts > 0) again.push(sent.again / sent.cuts);
        return sent;
      },
      () => tusUpload(file, cutEvery),
    );
    const rate = (side: readonly Transferred[]): number => file.size / 1e6 / median(side.map(({ seconds }) => seconds));
    add(name, "MB/s, against tus", rate(ours), rate(peer), goal);
    if (again.length > 0)
      console.log(`${"".padEnd(22)} ${(median(again) / 1e6).toFixed(2)} MB sent again for each cut`);
  }
}

if (wanted("transfer-latency")) {
  await using file = await SourceFile.make(536_870_912);
  for (const what of ["message", "floor"] as const) {
    const runs = [];
    for (let round = 0; round < rounds; round += 1) runs.push(await besideTransfer(what, file));
    for (const part of ["p50", "p99"] as const) {
      add(
        `transfer-latency-${what}-${part}`,
        "ms, beside a transfer and in quiet",
        median(runs.map(({ busy }) => busy[part])),
        median(runs.map(({ idle }) => idle[part])),
        "<= 2",
      );
    }
    console.log(`${"".padEnd(22)} the transfer beside it: ${median(runs.map(({ rate }) => rate)).toFixed(0)} MB/s`);
  }
}

if (wanted("transfer-memory")) {
  await using file = await SourceFile.make(2_147_483_648);
  const { sender, server, receiver } = await transferMemory(file);
  for (const [side, grown] of Object.entries({ sender, server, receiver }))
    add(`transfer-memory-${side}`, "bytes grown at most, for 2 GiB", grown, file.size, "shown");
}

if (wanted("restore-local", "restore-server")) {
  await using scene = await RestoreScene.start();
  for (const where of ["local", "server"] as const) {
    if (!wanted(`restore-${where}`)) continue;
    const [ours, peer] = await inTurn(
      () => scene.restore(where),
      () => scene.restore("plain"),
    );
    add(`restore-${where}`, "ms to the app's state", median(ours), median(peer), "shown");
  }
}

await documentRows({ rounds, wanted, add });

if (wanted("client-size")) {
  const { bytes, budget } = await size();
  add("client-size", "bytes gzipped against the budget", bytes, budget, "<= 1");
}

if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, null, 2)}\n`);
process.exit();
