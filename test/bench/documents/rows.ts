/** The rows of documents: Rostrum against the best of its peers, everybody in turn in one run. */

import { median } from "../load.ts";
import { AgedDocument, flat, idle, reconnect, trace, typing } from "./cases.ts";
import type { Contender } from "./contender.ts";
import { contenders } from "./contenders.ts";

interface Runner {
  readonly rounds: number;
  readonly wanted: (...names: string[]) => boolean;
  readonly add: (name: string, unit: string, ours: number, peer: number, goal: string) => void;
}

const ours = "rostrum";

export const documentRows = async ({ rounds, wanted, add }: Runner): Promise<void> => {
  const inTurn = async <T>(
    measure: (contender: Contender) => Promise<T>,
  ): Promise<ReadonlyMap<string, readonly T[]>> => {
    const figures = new Map<string, T[]>(contenders.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round += 1)
      for (const contender of contenders) figures.get(contender.name)?.push(await measure(contender));
    return figures;
  };
  /** A row, and below it what each peer had. */
  const row = <T>(
    name: string,
    unit: string,
    better: "more" | "less",
    goal: string,
    figures: ReadonlyMap<string, readonly T[]>,
    figure: (each: T) => number,
    more?: (each: T) => string,
  ): void => {
    const medians = [...figures].map(([who, all]) => [who, median(all.map(figure)), all.at(-1)] as const);
    const peers = medians.filter(([who]) => who !== ours).map(([, value]) => value);
    const best = better === "more" ? Math.max(...peers) : Math.min(...peers);
    add(name, unit, medians.find(([who]) => who === ours)?.[1] ?? Number.NaN, best, goal);
    const show = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
    const line = medians.map(
      ([who, value, last]) =>
        `${who} ${show(value)}${more === undefined || last === undefined ? "" : ` (${more(last)})`}`,
    );
    console.log(`${"".padEnd(22)} ${line.join(", ")}`);
  };

  for (const [name, measure, goal] of [
    ["yjs-flat", flat, ">= 12"],
    ["yjs-typing", typing, ">= 2.5"],
  ] as const) {
    if (!wanted("yjs", name)) continue;
    const loads = await inTurn((contender) => measure(contender));
    row(
      name,
      "edits per server CPU s",
      "more",
      goal,
      loads,
      ({ rate }) => rate,
      ({ bytes }) => `${bytes.toFixed(0)} bytes an edit`,
    );
  }

  if (wanted("yjs", "yjs-reconnect", "yjs-reconnect-bytes", "yjs-reconnect-ms")) {
    await using aged = await AgedDocument.make();
    const back = await inTurn((contender) => reconnect(contender, aged));
    row("yjs-reconnect-bytes", "bytes both ways, 1 MB document", "less", "<= 0.025", back, ({ bytes }) => bytes);
    row("yjs-reconnect-ms", "ms until it has all", "less", "shown", back, ({ time }) => time);
  }

  if (wanted("yjs", "yjs-idle", "yjs-idle-memory")) {
    const memory = await inTurn((contender) => idle(contender));
    row("yjs-idle-memory", "resident bytes per document", "less", "shown", memory, ({ resident }) => resident);
    row("yjs-idle-memory-held", "held bytes per document", "less", "shown", memory, ({ held }) => held);
  }

  if (wanted("yjs", "yjs-trace", "yjs-stored")) {
    const traced = await inTurn((contender) => trace(contender));
    row("yjs-trace", "s, b4-like, kept and read", "less", "shown", traced, ({ seconds }) => seconds);
    row("yjs-stored", "bytes on the disk, b4-like", "less", "<= 1", traced, ({ stored }) => stored);
  }
};
