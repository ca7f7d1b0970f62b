/** What the linter cannot see: the lock, the arrows between packages, the packages as published, the client's size. */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { arrows } from "./arrows.mjs";
import { lock } from "./lock.mjs";
import { published } from "./published.mjs";
import { size } from "./size.mjs";

const unused = () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["node_modules/knip/bin/knip.js", "--no-progress"], {
    encoding: "utf8",
  });
  return status === 0 ? [] : [`${stdout}${stderr}`.trim()];
};

/** Each answers with its problems, in words. */
const checks = {
  "package-lock.json is complete": lock,
  "packages depend one way": arrows,
  "nothing is unused (knip)": unused,
  "packages are sound as published (publint, are-the-types-wrong)": published,
  "the client is small": async () => (await size()).faults,
};

const unbuilt = readdirSync("packages").filter(
  (name) => existsSync(`packages/${name}/src/index.ts`) && !existsSync(`packages/${name}/dist/index.cjs`),
);
if (unbuilt.length > 0) {
  console.error(`Not built: ${unbuilt.join(", ")}. Run npm run build first.`);
  process.exit(1);
}
for (const [name, check] of Object.entries(checks)) {
  const problems = await check();
  console.log(`${problems.length === 0 ? "ok    " : "FAILED"}  ${name}`);
  for (const problem of problems) console.log(`        ${problem.replaceAll("\n", "\n        ")}`);
  if (problems.length > 0) process.exitCode = 1;
}
