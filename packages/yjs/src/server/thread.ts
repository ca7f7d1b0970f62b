/**
 * A worker thread for what takes long, started when there is something to do. Its code is text, as Node 20 runs no TypeScript in
 * a worker and a bundle has no file for it; Yjs it takes from where the app has it.
 */

import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { RostrumError } from "@rostrum/protocol";
import * as Y from "yjs";
import { type Job, type Outcome, work } from "./heavy.ts";

/** Milliseconds without work after which the thread is stopped. */
const idle = 30_000;
/** Milliseconds that a job may take: what somebody has made to take for ever must not hold up all other documents. */
const longest = 60_000;

const code = `
const { parentPort, workerData } = require("node:worker_threads");
const Y = require(workerData);
const work = ${work.toString()};
// A text that does not run as it should ends the thread at once, and the work is done without it.
work(Y, { kind: "compact", updates: [] });
parentPort.on("message", (job) => {
  try {
    const outcome = work(Y, job);
    const bytes = outcome.bytes.slice();
    parentPort.postMessage({ ...outcome, bytes }, [bytes.buffer]);
  } catch (cause) {
    parentPort.postMessage({ failed: cause instanceof Error ? cause.message : String(cause) });
  }
});
`;

interface Waiting {
  readonly job: Job;
  readonly done: (outcome: Outcome) => void;
  readonly failed: (cause: Error) => void;
}

/** A copy that has its memory to itself: of a part of a larger one, all would be copied into the thread. */
const alone = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);

const packed = (job: Job): Job => {
  if (job.kind === "diff" || job.kind === "convert") return { ...job, state: alone(job.state) };
  return { ...job, updates: job.updates.map(alone), ...(job.state === undefined ? {} : { state: alone(job.state) }) };
};

export class Thread {
  private worker: Worker | undefined;
  /** One after the other: each has its document in memory. */
  private readonly waiting: Waiting[] = [];
  private atWork: Waiting | undefined;
  private timer: NodeJS.Timeout | undefined;
  private limit: NodeJS.Timeout | undefined;
  private warned = false;

  constructor(private readonly within: number = longest) {}

  /** @throws Error what the work threw; RostrumError SERVER_DRAINING if the thread was stopped meanwhile */
  do(job: Job): Promise<Outcome> {
    return new Promise((done, failed) => {
      this.waiting.push({ job, done, failed });
      this.proceed();
    });
  }

  async stop(): Promise<void> {
    const gone = new RostrumError("SERVER_DRAINING", "The server is going away; come back in a moment.");
    for (const { failed } of this.waiting.splice(0)) failed(gone);
    this.atWork?.failed(gone);
    this.atWork = undefined;
    await this.let();
  }

  private async let(): Promise<void> {
    clearTimeout(this.timer);
    clearTimeout(this.limit);
    const { worker } = this;
    this.worker = undefined;
    await worker?.terminate();
  }

  private proceed(): void {
    if (this.atWork !== undefined) return;
    const next = this.waiting.shift();
    clearTimeout(this.timer);
    if (next === undefined) {
      this.worker?.unref();
      if (this.worker !== undefined) this.timer = setTimeout(() => void this.let(), idle).unref();
      return;
    }
    const worker = this.start();
    if (worker === undefined) return this.here(next);
    this.atWork = next;
    // While there is work it keeps the process: who waits for it may have nothing else.
    worker.ref();
    this.limit = setTimeout(() => this.giveUp(next), this.within);
    worker.postMessage(packed(next.job));
  }

  /** The thread goes with it: nothing else stops it. */
  private giveUp(job: Waiting): void {
    if (this.atWork !== job) return;
    this.atWork = undefined;
    void this.let();
    job.failed(new Error(`it took longer than ${this.within} ms`));
    this.proceed();
  }

  /** Without a thread. In a turn of its own, so that what waits comes in between. */
  private here(next: Waiting): void {
    this.atWork = next;
    setImmediate(() => {
      if (this.atWork !== next) return;
      this.atWork = undefined;
      try {
        next.done(work(Y, next.job));
      } catch (cause) {
        next.failed(cause as Error);
      }
      this.proceed();
    });
  }

  private start(): Worker | undefined {
    if (this.worker !== undefined || this.warned) return this.worker;
    let worker: Worker;
    try {
      const path = createRequire(import.meta.url).resolve("yjs");
      worker = new Worker(code, { eval: true, workerData: path, execArgv: [] });
    } catch (cause) {
      this.doHere(cause);
      return undefined;
    }
    const ended = (cause: unknown): void => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      clearTimeout(this.limit);
      const { atWork } = this;
      this.atWork = undefined;
      // It never did anything: there can be none. Else it is that job's fault.
      if (!answered) {
        this.doHere(cause);
        if (atWork !== undefined) this.waiting.unshift(atWork);
      } else atWork?.failed(cause instanceof Error ? cause : new Error(String(cause)));
      this.proceed();
    };
    let answered = false;
    worker.on("message", (answer: Outcome | { readonly failed: string }) => {
      // Of one that was given up, and answered in that moment.
      if (this.worker !== worker) return;
      answered = true;
      clearTimeout(this.limit);
      const { atWork } = this;
      this.atWork = undefined;
      if ("failed" in answer) atWork?.failed(new Error(answer.failed));
      else atWork?.done(answer);
      this.proceed();
    });
    worker.on("error", ended);
    worker.on("exit", (status) => ended(new Error(`the thread ended with ${status}`)));
    worker.unref();
    this.worker = worker;
    return worker;
  }

  private doHere(cause: unknown): void {
    if (this.warned) return;
    this.warned = true;
    console.warn(
      "rostrum: no worker thread could be started for documents; large ones are compacted in this thread, which holds up everything else.",
      cause,
    );
  }
}
