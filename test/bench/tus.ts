/** The peer of a transfer: tus, with the configuration that is best for it. */

import { createReadStream } from "node:fs";
import { Upload } from "tus-js-client";
import { type CutterStats, Part, type SourceFile, startCutter, type Transferred } from "./transfer.ts";

/** Longest that one upload may take. */
const limit = 120_000;

interface TusSettings {
  readonly chunkSize: number;
  readonly retryDelays: number[];
}

/**
 * One request for the whole file, and the first retry at once. Of 8 MB, 64 MB, 256 MB and all, tried in turn on files of
 * 256 MB and 1 GB: 8 MB costs a fifth of the speed of a clean link, 1 MB half; 64 MB and more lie within noise of each
 * other, with cuts too, because a server with a file store goes on from what its file has, not from whole chunks.
 * `parallelUploads` would need the concatenation extension, which `@tus/file-store` does not have.
 */
const bestForTus: TusSettings = {
  chunkSize: Number.POSITIVE_INFINITY,
  retryDelays: [0, 100, 500, 1_000, 3_000, 5_000],
};

/** Uploads the file through a tus server of its own; with `cutEvery`, all connections are reset in that rhythm (ms). */
export const tusUpload = async (
  file: SourceFile,
  cutEvery?: number,
  settings: TusSettings = bestForTus,
): Promise<Transferred> => {
  await using server = await Part.start(new URL("./tus-server.ts", import.meta.url));
  await using cutter = cutEvery === undefined ? undefined : await startCutter(server.port);
  await cutter?.ask({ ask: "cut", every: cutEvery });
  const started = performance.now();
  const url = await upload(file, `http://127.0.0.1:${(cutter ?? server).port}/files`, settings);
  const seconds = (performance.now() - started) / 1_000;
  const stats = (await cutter?.ask({ ask: "stop" })) as CutterStats | undefined;
  const arrived = await server.ask({ id: new URL(url).pathname.split("/").at(-1) });
  if (arrived !== file.sha256) throw new Error(`tus stored ${String(arrived)} of ${file.sha256}`);
  return { seconds, cuts: 0, ...stats };
};

const upload = (file: SourceFile, endpoint: string, settings: TusSettings): Promise<string> =>
  new Promise((resolve, reject) => {
    const transfer = new Upload(createReadStream(file.path), {
      endpoint,
      ...settings,
      storeFingerprintForResuming: false,
      onError: (error) => {
        clearTimeout(timer);
        reject(error);
      },
      onSuccess: () => {
        clearTimeout(timer);
        if (transfer.url === null) reject(new Error("tus named no place"));
        else resolve(transfer.url);
      },
    });
    const timer = setTimeout(() => {
      void transfer.abort();
      reject(new Error(`tus took longer than ${limit} ms`));
    }, limit);
    transfer.start();
  });
