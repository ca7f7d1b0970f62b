/** What a page pays for the client: our own code with the protocol in it, minified and gzipped, without Socket.IO and idb-keyval. */

import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** What we want it to be; `npm run bench` shows how far we are. */
const budget = 10 * 1024;
/** What it may be: it must not grow unseen. */
const limit = 22_500;

/** Bytes gzipped, the budget, and what there is to say against it. */
export async function size() {
  const { outputFiles } = await build({
    entryPoints: ["packages/client/src/index.ts"],
    bundle: true,
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
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`        @rostrum/client: ${bytes} bytes gzipped, of at most ${limit} (wanted: ${budget})`);
  return { bytes, budget, faults: bytes <= limit ? [] : [`${bytes - limit} bytes over the limit`] };
}
