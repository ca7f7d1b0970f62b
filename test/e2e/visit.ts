/** A visit to the demo: its own processes and data, and a browser's context for each test. */

import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";

const supervisor = fileURLToPath(new URL("../../demo/dist/server/supervisor.js", import.meta.url));
const images = fileURLToPath(new URL("../../docs/images/", import.meta.url));

export class Visit {
  private constructor(
    private readonly demo: ChildProcess,
    private readonly data: string,
    readonly url: string,
    readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  static async begin(browser: Browser, width: number, height: number): Promise<Visit> {
    const data = await mkdtemp(join(tmpdir(), "rostrum-demo-"));
    const demo = fork(supervisor, {
      env: { ...process.env, PORT: "0", DEMO_DATA: data },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const url = await new Promise<string>((resolve, reject) => {
      demo.once("message", (message: { readonly url: string }) => resolve(message.url));
      demo.once("exit", (code) => reject(new Error(`the demo ended with ${code}`)));
    });
    const context = await browser.newContext({ viewport: { width, height } });
    const page = await context.newPage();
    await page.goto(url);
    return new Visit(demo, data, url, context, page);
  }

  async end(): Promise<void> {
    await this.context.close();
    const gone = new Promise((resolve) => this.demo.once("exit", resolve));
    this.demo.kill();
    await gone;
    await rm(this.data, { recursive: true });
  }
}

/** Takes a picture for the docs, if pictures are wanted. */
export const shoot = async (subject: Pick<Page, "screenshot">, name: string): Promise<void> => {
  if (process.env["SHOTS"] === "1")
    await subject.screenshot({ path: join(images, `${name}.png`), animations: "disabled" });
};

/** What axe has to say of all frames of a page. */
export const complaints = async (page: Page): Promise<readonly string[]> => {
  const all: string[] = [];
  for (const frame of page.frames()) {
    await frame.evaluate(axe.source);
    all.push(
      ...(await frame.evaluate(async () => {
        const { axe: here } = window as unknown as { axe: typeof axe };
        const { violations } = await here.run(document, { iframes: false });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
      })),
    );
  }
  return all;
};
