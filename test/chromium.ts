/** The browser of our tests: found on this machine, or unpacked from an npm package, never downloaded. */

import { execFile } from "node:child_process";
import { accessSync, constants, createReadStream, createWriteStream, existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createBrotliDecompress } from "node:zlib";
import { type Browser, chromium, type LaunchOptions } from "playwright-core";

const run = promisify(execFile);
const cache = fileURLToPath(new URL("../node_modules/.cache/rostrum-chromium", import.meta.url));

type Source = "CHROMIUM_PATH" | "playwright" | "bundled" | "system";

export interface FoundChromium {
  readonly path: string;
  readonly source: Source;
  /** What the process needs in its environment beside ours: the bundled one may need the libraries it came with. */
  readonly env: Readonly<Record<string, string>>;
}

let found: Promise<FoundChromium> | undefined;

/**
 * CHROMIUM_PATH, else Playwright's cache, else (Linux x64) the bundled one, else an installed one. The bundled one comes before the
 * installed one because it is the same on every machine. SKIP_BROWSERS=playwright,bundled,system leaves some of them out.
 */
function findChromium(): Promise<FoundChromium> {
  found ??= detect();
  return found;
}

async function detect(): Promise<FoundChromium> {
  const given = process.env["CHROMIUM_PATH"];
  if (given !== undefined && given !== "") {
    if (!isExecutable(given)) throw new Error(`CHROMIUM_PATH is ${given}, and there is no executable file there.`);
    return { path: given, source: "CHROMIUM_PATH", env: {} };
  }
  const skipped = (process.env["SKIP_BROWSERS"] ?? "").split(",");
  const finders = {
    playwright: () => asFound("playwright", chromium.executablePath()),
    bundled,
    system: () => asFound("system", systemPath()),
  };
  const tried: string[] = [];
  for (const [name, find] of Object.entries(finders)) {
    if (skipped.includes(name)) continue;
    try {
      const answer = await find();
      if (answer !== undefined) return answer;
      tried.push(name);
    } catch (error) {
      tried.push(`${name} (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  throw new Error(
    `No Chromium for the browser tests; looked at: ${tried.join(", ") || "nothing, SKIP_BROWSERS leaves all out"}. Install Chromium or Chrome, ` +
      "or run `npx playwright-core install chromium`, or set CHROMIUM_PATH to an executable.",
  );
}

/** A launched browser; `options` go to Playwright over our defaults. */
export async function launchChromium(options: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch(await launchOptions(options));
}

async function launchOptions(options: LaunchOptions): Promise<LaunchOptions> {
  const { path, env } = await findChromium();
  return {
    ...options,
    executablePath: path,
    args: [...launchArgs(), ...(options.args ?? [])],
    env: { ...inherited(), ...env, ...options.env },
  };
}

function launchArgs(): string[] {
  const args = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
  ];
  return process.getuid?.() === 0 ? ["--no-sandbox", ...args] : args; // as root Chromium refuses to start with its sandbox
}

const inherited = (): Record<string, string> =>
  Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const asFound = (source: Source, path: string | undefined): FoundChromium | undefined =>
  path !== undefined && path !== "" && isExecutable(path) ? { path, source, env: {} } : undefined;

function systemPath(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chromium-headless-shell"];
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const programs = [process.env["PROGRAMFILES"], process.env["PROGRAMFILES(X86)"]].filter(
    (folder) => folder !== undefined,
  );
  const fixed = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ...programs.flatMap((folder) => [
      join(folder, "Google/Chrome/Application/chrome.exe"),
      join(folder, "Microsoft/Edge/Application/msedge.exe"),
    ]),
  ];
  return [...names.flatMap((name) => folders.map((folder) => join(folder, name))), ...fixed].find(isExecutable);
}

/** @sparticuz/chromium carries the binary in its npm tarball. Its own unpacking and arguments are made for AWS Lambda, so neither is used. */
async function bundled(): Promise<FoundChromium | undefined> {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  const root = packageRoot("@sparticuz/chromium");
  if (root === undefined) return undefined;
  const { version } = createRequire(import.meta.url)(join(root, "package.json")) as { version: string };
  const folder = join(cache, version);
  const path = join(folder, "chromium");
  if (!existsSync(path))
    await put(folder, path, (partial) =>
      decompress(join(root, "bin/chromium.br"), join(partial, "it")).then(() => join(partial, "it")),
    );
  const answer: FoundChromium = { path, source: "bundled", env: {} };
  if (await starts(answer)) return answer;
  const libraries = join(folder, "libraries");
  if (!existsSync(libraries))
    await put(folder, libraries, (partial) => untar(join(root, "bin/al2023.tar.br"), partial));
  const withLibraries = { ...answer, env: { LD_LIBRARY_PATH: join(libraries, "lib") } };
  if (await starts(withLibraries)) return withLibraries;
  throw new Error("the bundled one does not start here; it needs glibc 2.25 or newer");
}

const starts = ({ path, env }: FoundChromium): Promise<boolean> =>
  run(path, ["--version"], { env: { ...process.env, ...env }, timeout: 20_000 }).then(
    () => true,
    () => false,
  );

/** Makes something in a folder of its own and moves it to its place, so that nobody ever sees it half made. */
async function put(folder: string, target: string, make: (partial: string) => Promise<string>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const partial = await mkdtemp(join(folder, "partial-"));
  try {
    await rename(await make(partial), target).catch((error: unknown) => {
      if (!existsSync(target)) throw error; // another process was quicker
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function decompress(from: string, to: string): Promise<void> {
  await pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to));
  await chmod(to, 0o755);
}

async function untar(from: string, partial: string): Promise<string> {
  const archive = join(partial, "it.tar");
  const content = join(partial, "content");
  await decompress(from, archive);
  await mkdir(content);
  await run("tar", ["-xf", archive, "-C", content]);
  return content;
}

/** Found by looking upward, since its `exports` hide package.json. */
function packageRoot(name: string): string | undefined {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}
