/** A process of a case: takes orders, reports, and dies as it is told to. */

import { fork } from "node:child_process";
import { once } from "node:events";
import type { Report } from "./orders.ts";

export interface Child<Order> {
  /** Resolves when the order has been carried out. */
  ask(order: Order): Promise<void>;
  /** SIGTERM for an orderly end, SIGKILL for a crash. Resolves when the process is gone. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

const patienceMs = 15_000;

export function startChild<Order>(entry: URL, setup: unknown, onReport: (report: Report) => void): Child<Order> {
  const child = fork(entry, [JSON.stringify(setup)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const waiting = new Map<number, { readonly resolve: () => void; readonly reject: (error: Error) => void }>();
  let orders = 0;
  child.on("message", (message: Report | { readonly answered: number }) => {
    if ("said" in message) return onReport(message);
    waiting.get(message.answered)?.resolve();
    waiting.delete(message.answered);
  });
  child.on("exit", () => {
    for (const { reject } of waiting.values()) reject(new Error(`${entry.pathname} died over an order`));
  });
  return {
    async ask(order) {
      if (!child.connected) throw new Error(`${entry.pathname} is gone and takes no orders`);
      const id = (orders += 1);
      const answered = new Promise<void>((resolve, reject) => waiting.set(id, { resolve, reject }));
      child.send({ id, order });
      await within(patienceMs, answered, () => `${entry.pathname} has not answered ${JSON.stringify(order)}`);
    },
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill(signal);
      await within(patienceMs, gone, () => `${entry.pathname} has not ended on ${signal}`).catch((error: unknown) => {
        child.kill("SIGKILL");
        throw error;
      });
    },
  };
}

async function within<T>(ms: number, work: Promise<T>, complaint: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(complaint())), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
