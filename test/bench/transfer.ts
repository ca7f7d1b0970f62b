/** What a transfer of a file is measured with, whoever transfers: the file, and a link that is cut in a rhythm. */

import { type ChildProcess, fork } from "node:child_process";
import { createHash, randomFillSync } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { reply } from "./load.ts";

/** How one transfer went. */
export interface Transferred {
  /** From the first call to the file being whole on the server's side. */
  readonly seconds: number;
  /** Bytes that went up the link, headers and what had to go again included; of a link without a proxy nobody knows. */
  readonly sent?: number;
  /** Times that all connections were cut. */
  readonly cuts: number;
}

/** A process of its own that answers with a port first, and with one value to each order afterwards. */
export class Part implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(file: URL, ...more: readonly string[]): Promise<Part> {
    const child = fork(fileURLToPath(file), more, {
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    return new Part(child, Number(await reply(child)));
  }

  async ask(order: object): Promise<unknown> {
    const answer = reply(this.child);
    this.child.send(order);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null) return;
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill();
    await gone;
  }
}

export type CutterOrder = { readonly ask: "cut"; readonly every: number } | { readonly ask: "stop" };

/** What a cutter tells when it stops. */
export interface CutterStats {
  readonly cuts: number;
  readonly sent: number;
}

/** A proxy before `port`, in a process of its own so that neither end pays for it. */
export const startCutter = (port: number): Promise<Part> =>
  Part.start(new URL("./cutter.ts", import.meta.url), String(port));

/** A file of so many random bytes: read once by who made it, so that no side finds it cold. */
export class SourceFile implements AsyncDisposable {
  private constructor(
    private readonly folder: string,
    readonly path: string,
    readonly size: number,
    readonly sha256: string,
  ) {}

  static async make(size: number): Promise<SourceFile> {
    const folder = await mkdtemp(join(tmpdir(), "rostrum-bench-"));
    const path = join(folder, "source");
    const file = await open(path, "w");
    const block = Buffer.allocUnsafe(1 << 20);
    for (let written = 0; written < size; written += block.length) {
      randomFillSync(block);
      await file.write(block, 0, Math.min(block.length, size - written));
    }
    // What it left to be written back is not to be paid for during the first transfer.
    await file.sync();
    await file.close();
    return new SourceFile(folder, path, size, await fileHash(path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

export const fileHash = async (path: string): Promise<string> => {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
};
