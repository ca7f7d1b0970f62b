/** One case on one column, set up and running: servers, proxy, pages, and the books of what was sent and handled. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFaultProxy, type FaultProxy } from "@rostrum/testing";
import type { Browser } from "playwright-core";
import { type Child, startChild } from "./child.ts";
import type { Receiver } from "./ledger.ts";
import type { PageOrder, PageSetup, Report, ServerOrder, ServerSetup } from "./orders.ts";
import { openProcess, openTab, type Page } from "./pages.ts";

export interface SceneOptions {
  readonly serverEntry: URL;
  readonly nodes: 1 | 2;
  readonly redisUrl?: string;
  readonly retries?: number;
  readonly resend: boolean;
  readonly page:
    | { readonly in: "process"; readonly entry: URL }
    | { readonly in: "browser"; readonly browser: Browser; readonly address: string };
}

/** One page and what the runner knows of it. */
interface Cast {
  readonly page: Page;
  readonly received: Receiver;
  /** Marks of the probes that it has sent. */
  readonly marks: Set<number>;
  linkUp: boolean;
  /** The highest mark that has reached it. */
  probed: number;
}

/** One server process and what the runner knows of it. */
interface Node {
  readonly setup: ServerSetup;
  process: Child<ServerOrder>;
  pages: number;
}

/** How many messages one `send` step hands over. */
export const batch = 5;

export class Scene {
  readonly proxy: FaultProxy;
  /** The server's app: one receiver, through all its processes. */
  readonly server: Receiver = { owed: [], lives: [[]] };
  /** How pages came back, as the SDK told them. */
  readonly outcomes = new Set<string>();
  readonly #options: SceneOptions;
  readonly #folder: string;
  readonly #nodes: Node[] = [];
  readonly #cast: Cast[] = [];
  #current = 0;
  #numbers = 0;
  #marks = 0;
  #probedServer = new Set<number>();
  #lastBatchStart = 0;
  /** When the last number was handled anywhere. */
  #lastNews = performance.now();

  private constructor(options: SceneOptions, folder: string, proxy: FaultProxy) {
    this.#options = options;
    this.#folder = folder;
    this.proxy = proxy;
  }

  static async open(options: SceneOptions): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), "rostrum-faults-"));
    const proxy = await createFaultProxy({ target: { host: "127.0.0.1", port: 0 } });
    const scene = new Scene(options, folder, proxy);
    try {
      for (let node = 0; node < options.nodes; node += 1) scene.#nodes.push(await scene.#startNode(node, 0));
      scene.#target();
      await scene.#openPage();
      await scene.until(() => scene.#cast.every((each) => each.linkUp), "the page is live");
      return scene;
    } catch (error) {
      await scene.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const each of this.#cast) await each.page.close();
    for (const node of this.#nodes) await node.process.end("SIGKILL");
    await this.proxy.close();
    await rm(this.#folder, { recursive: true });
  }

  get receivers(): readonly Receiver[] {
    return [this.server, ...this.pageReceivers];
  }

  get pageReceivers(): readonly Receiver[] {
    return this.#cast.map((each) => each.received);
  }

  get pagesOffline(): boolean {
    return this.#cast.every((each) => !each.linkUp);
  }

  get serverAlone(): boolean {
    return this.#node.pages === 0;
  }

  /** How many of the pages' last batch the server has handled. */
  get arrivals(): number {
    return this.server.owed.slice(this.#lastBatchStart).filter((number) => this.server.lives.flat().includes(number))
      .length;
  }

  get quietMs(): number {
    return performance.now() - this.#lastNews;
  }

  // Sending.

  async sendDown(as: "event" | "event-with-ack" = "event"): Promise<void> {
    const numbers = this.#take();
    for (const each of this.#cast) each.received.owed.push(...numbers);
    await this.#node.process.ask({ do: "send", numbers, as });
  }

  async sendUp(): Promise<void> {
    this.#lastBatchStart = this.server.owed.length;
    for (const each of this.#cast) {
      const numbers = this.#take();
      this.server.owed.push(...numbers);
      await each.page.ask({ do: "send", numbers });
    }
  }

  orderServer(order: ServerOrder): Promise<void> {
    return this.#node.process.ask(order);
  }

  async orderPages(order: PageOrder): Promise<void> {
    for (const each of this.#cast) await each.page.ask(order);
  }

  /** Sends one probe each way. */
  async probe(): Promise<void> {
    await this.#node.process.ask({ do: "probe", mark: (this.#marks += 1) });
    for (const each of this.#cast) {
      const mark = (this.#marks += 1);
      each.marks.add(mark);
      await each.page.ask({ do: "probe", mark });
    }
  }

  /** True when, for each page, a probe sent after `mark` has arrived in each direction. */
  liveSince(mark: number): boolean {
    return this.#cast.every(
      (each) => each.probed > mark && [...each.marks].some((sent) => sent > mark && this.#probedServer.has(sent)),
    );
  }

  get lastMark(): number {
    return this.#marks;
  }

  // Faults of servers.

  endServer(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    return this.#node.process.end(signal);
  }

  async startServer(): Promise<void> {
    this.#nodes[this.#current] = await this.#startNode(this.#current, this.#node.setup.port);
  }

  switchNode(): void {
    this.#current += 1;
    this.#target();
  }

  // Faults of pages.

  async leave(how: "leave" | "crash"): Promise<void> {
    for (const each of this.#cast) {
      await each.page[how]();
      each.linkUp = false;
    }
  }

  async enter(): Promise<void> {
    for (const each of this.#cast) {
      each.received.lives.push([]);
      await each.page.enter();
    }
  }

  async duplicate(): Promise<void> {
    const [first] = this.#cast;
    if (!first) return;
    await this.#admit((onReport) => first.page.duplicate(onReport));
    await this.until(() => this.#cast.every((each) => each.linkUp), "the copy is live");
  }

  async until(condition: () => boolean, what: string, withinMs = 15_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`after ${withinMs} ms still not: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  get #node(): Node {
    const node = this.#nodes[this.#current];
    if (!node) throw new Error(`this case has no node ${this.#current}`);
    return node;
  }

  #take(): number[] {
    return Array.from({ length: batch }, () => (this.#numbers += 1));
  }

  #target(): void {
    this.proxy.retarget({ host: "127.0.0.1", port: this.#node.setup.port });
  }

  async #startNode(index: number, port: number): Promise<Node> {
    const { serverEntry, redisUrl } = this.#options;
    const folder = join(this.#folder, `node-${index}`);
    let listening = 0;
    const setup: ServerSetup = { port, folder, ...(redisUrl !== undefined && { redisUrl }) };
    const node = { pages: 0 };
    const process = startChild<ServerOrder>(serverEntry, setup, (report) => {
      if (report.said === "listening") listening = report.port;
      else if (report.said === "pages") node.pages = report.count;
      else if (report.said === "probed") this.#probedServer.add(report.mark);
      else if (report.said === "handled") this.#handled(this.server, report.number);
    });
    await this.until(() => listening > 0, "the server listens");
    return Object.assign(node, { setup: { ...setup, port: listening }, process });
  }

  async #openPage(): Promise<void> {
    const { retries, resend, page } = this.#options;
    const setup: PageSetup = { url: this.proxy.url, resend, ...(retries !== undefined && { retries }) };
    await this.#admit((onReport) =>
      page.in === "process"
        ? openProcess(page.entry, setup, onReport)
        : openTab(page.browser, page.address, setup, onReport),
    );
  }

  async #admit(open: (onReport: (report: Report) => void) => Promise<Page>): Promise<void> {
    const state = {
      received: { owed: [], lives: [[]] } as Receiver,
      marks: new Set<number>(),
      linkUp: false,
      probed: 0,
    };
    const page = await open((report) => {
      if (report.said === "link") state.linkUp = report.up;
      else if (report.said === "probed") state.probed = Math.max(state.probed, report.mark);
      else if (report.said === "resume") this.outcomes.add(report.outcome);
      else if (report.said === "restored") state.received.lives.splice(-1, 1, [...report.numbers]);
      else if (report.said === "handled") this.#handled(state.received, report.number);
    });
    this.#cast.push(Object.assign(state, { page }));
  }

  #handled(receiver: Receiver, number: number): void {
    receiver.lives.at(-1)?.push(number);
    this.#lastNews = performance.now();
  }
}
