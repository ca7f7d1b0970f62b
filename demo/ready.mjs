// Makes a clone ready: installs what the lock file says if that has not been done, builds if a source is newer than the
// last build. Plain Node, no dependency: it runs before anything is installed. `--serve` then starts the demo.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
process.chdir(root);

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 15)) {
  console.error(
    `rostrum: this is Node ${process.versions.node}; 20.15 or newer is needed. Install it from https://nodejs.org.`,
  );
  process.exit(1);
}

const run = (what, command, args) => {
  console.log(`rostrum: ${what} (${[command, ...args].join(" ")})`);
  const { status, error } = spawnSync(command, args, { stdio: "inherit", shell: process.platform === "win32" });
  if (status === 0) return;
  console.error(
    `rostrum: ${what} failed${error ? `: ${error.message}` : ` with exit code ${status}`}. What it printed is above.`,
  );
  process.exit(status ?? 1);
};

const hash = (files) => {
  const sum = createHash("sha256");
  for (const file of files) sum.update(file).update(readFileSync(file));
  return sum.digest("hex");
};

/** Runs `act` unless the stamp says that it was done for this state of the files. */
const once = (stamp, state, act) => {
  const path = join("node_modules", ".cache", "rostrum", stamp);
  if (existsSync(path) && readFileSync(path, "utf8") === state) return;
  act();
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, state);
};

const sources = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((item) => {
    const path = join(folder, item.name);
    if (item.isDirectory()) return ["node_modules", "dist", ".data"].includes(item.name) ? [] : sources(path);
    return /\.(ts|mjs|json|html|css)$/.test(item.name) ? [path] : [];
  });

const locked = hash(["package-lock.json"]);
once("installed", `${locked} ${process.version}`, () =>
  run("installing what the lock file names", "npm", ["ci", "--no-audit", "--no-fund"]),
);
const inputs = [
  "package.json",
  "tsconfig.json",
  "rollup.config.mjs",
  ...sources("packages"),
  ...sources("demo"),
].sort();
const built = existsSync("packages/server/dist/index.js") && existsSync("demo/dist/server/supervisor.js");
once("built", `${locked} ${hash(inputs)} ${built}`, () => run("building", "npm", ["run", "build"]));
if (!built) writeFileSync(join("node_modules", ".cache", "rostrum", "built"), `${locked} ${hash(inputs)} true`);

if (process.argv.includes("--serve")) await import("./dist/server/supervisor.js");
