/** Each package as npm would publish it: its manifest against its files (publint), its types under every way of importing it (are-the-types-wrong). */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

const attw = "node_modules/@arethetypeswrong/cli/dist/index.js";

export async function published() {
  const folders = readdirSync("packages").map((name) => `packages/${name}`);
  const problems = await Promise.all(folders.filter((folder) => existsSync(`${folder}/src/index.ts`)).map(problemsOf));
  return problems.flat();
}

async function problemsOf(folder) {
  const manifest = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const { messages } = await publint({ pkgDir: folder, strict: true });
  // "node10" cannot know `exports` at all, so it is not among the ways.
  const types = spawnSync(
    process.execPath,
    [attw, "--pack", folder, "--profile", "node16", "--format", "ascii", "--no-color"],
    { encoding: "utf8" },
  );
  return [
    ...messages.map((message) => `${manifest.name}: ${formatMessage(message, manifest)}`),
    ...(types.status === 0 ? [] : [`${types.stdout}${types.stderr}`.trim()]),
  ];
}
