/** What a page pays for the client: our own code with the protocol in it, minified and gzipped, without Socket.IO and idb-keyval. */

import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** What we want it to be; `npm run bench` shows how far we are. */
const budget = 10 * 1024;
/** What it may be: it must not grow unseen. */
const limit = 38_000;

/** What is loaded at once: the entry, and what it imports without waiting. The rest comes when it is needed. */
const atOnce = (outputs, entry, found = new Set()) => {
  found.add(entry);
  for (const { path, kind } of outputs[entry].imports)
    if (kind === "import-statement" && path in outputs && !found.has(path)) atOnce(outputs, path, found);
  return found;
};

/** Bytes gzipped, the budget, and what there is to say against it. */
export async function size() {
  const { outputFiles, metafile } = await build({
    entryPoints: ["packages/client/src/index.ts"],
    bundle: true,
    splitting: true,
    outdir: "size",
    metafile: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: ["source"],
    external: ["socket.io-client", "idb-keyval"],
    legalComments: "none",
    logLevel: "silent",
  });
  const { outputs } = metafile;
  const entry = Object.keys(outputs).find((path) => outputs[path].entryPoint === "packages/client/src/index.ts");
  const first = atOnce(outputs, entry);
  const sum = (wanted) =>
    outputFiles
      .filter(({ path }) => wanted(Object.keys(outputs).find((each) => path.endsWith(each))))
      .reduce((bytes, { contents }) => bytes + gzipSync(contents, { level: 9 }).length, 0);
  const bytes = sum((path) => first.has(path));
  const later = sum((path) => !first.has(path));
  console.log(
    `        @rostrum/client: ${bytes} bytes gzipped, of at most ${limit} (wanted: ${budget}); ${later} more where there are transfers`,
  );
  return { bytes, budget, faults: bytes <= limit ? [] : [`${bytes - limit} bytes over the limit`] };
}
