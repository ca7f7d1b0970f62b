/** npm run simulate -- --seeds 10000 [--from N] | --seed N | --sabotage; [--with sabotage] [--world sync|loss|activity|document] */

import { parseArgs } from "node:util";
import { type Sabotage, sabotages, type WorldKind, worldOf } from "./sabotage.ts";
import { play } from "./world.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    sabotage: { type: "boolean", default: false },
    with: { type: "string" },
    world: { type: "string" },
  },
});

const kind = values.world as WorldKind | undefined;

/** Runs until `most` seeds are played or one shows a violation. */
const hunt = (
  sabotage: Sabotage,
  from: number,
  most: number,
): { readonly played: number; readonly caught: string | undefined; readonly seed: number } => {
  for (let seed = from; seed < from + most; seed += 1) {
    const { violations } = play(seed, sabotage);
    // What shows without the sabotage as well does not count.
    const counts = violations.length > 0 && play(seed, "none", false, worldOf[sabotage]).violations.length === 0;
    if (counts) return { played: seed - from + 1, caught: violations[0], seed };
  }
  return { played: most, caught: undefined, seed: 0 };
};

if (values.seed !== undefined) {
  const report = play(Number(values.seed), (values.with ?? "none") as Sabotage, true, kind);
  console.log(report.history.join("\n"));
  for (const violation of report.violations) console.log(`VIOLATION  ${violation}`);
  console.log(`seed ${report.seed}: ${report.events} events, ${report.violations.length} violations`);
  process.exitCode = report.violations.length > 0 ? 1 : 0;
} else if (values.sabotage) {
  for (const [name, what] of Object.entries(sabotages)) {
    const { played, caught, seed } = hunt(name as Sabotage, Number(values.from), Number(values.seeds));
    console.log(
      `${caught === undefined ? "MISSED" : "caught"}  ${name} (${what}) ${caught === undefined ? `in ${played} seeds` : `by seed ${seed}: ${caught.split("\n")[0] ?? ""}`}`,
    );
    if (caught === undefined) process.exitCode = 1;
  }
} else {
  const from = Number(values.from);
  const count = Number(values.seeds);
  const started = performance.now();
  let failed = 0;
  let events = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    const { violations, events: ran } = play(seed, "none", false, kind);
    events += ran;
    if (violations.length === 0) continue;
    failed += 1;
    console.log(
      `seed ${seed}: ${violations[0] ?? ""}${violations.length > 1 ? ` (and ${violations.length - 1} more)` : ""}`,
    );
    if (failed >= 20) break;
  }
  const seconds = (performance.now() - started) / 1_000;
  console.log(
    `${count} histories, ${events} events, ${(count / seconds).toFixed(0)} histories/s, ${failed} with violations`,
  );
  process.exitCode = failed > 0 ? 1 : 0;
}
