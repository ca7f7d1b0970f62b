/** Pages of a case: a Node process that stands for one, or a real tab of Chromium. */

import type { Browser, Page as Tab } from "playwright-core";
import { startChild } from "./child.ts";
import type { PageOrder, PageSetup, Report } from "./orders.ts";

type OnReport = (report: Report) => void;

export interface Page {
  ask(order: PageOrder): Promise<void>;
  /** Goes elsewhere in an orderly way; `enter` comes back with what a browser keeps of the same tab. */
  leave(): Promise<void>;
  /** The process behind the tab dies; `enter` opens another tab of the same browser. */
  crash(): Promise<void>;
  enter(): Promise<void>;
  /** A second tab that begins with a copy of this one's sessionStorage. */
  duplicate(onReport: OnReport): Promise<Page>;
  close(): Promise<void>;
}

export async function openProcess(entry: URL, setup: PageSetup, onReport: OnReport): Promise<Page> {
  const child = startChild<PageOrder>(entry, setup, onReport);
  const notATab = (): Promise<never> =>
    Promise.reject(new Error("a process keeps nothing that a tab would keep; play this in a browser"));
  return {
    ask: (order) => child.ask(order),
    leave: notATab,
    crash: notATab,
    enter: notATab,
    duplicate: notATab,
    close: () => child.end("SIGKILL"),
  };
}

export async function openTab(browser: Browser, address: string, setup: PageSetup, onReport: OnReport): Promise<Page> {
  const context = await browser.newContext();
  const url = `${address}#${encodeURIComponent(JSON.stringify(setup))}`;
  const reporters = new Map<Tab, OnReport>();
  let newcomer = onReport; // whose reports those of a tab not yet known are
  await context.exposeBinding("reportToRunner", ({ page: tab }, report: Report) => {
    const reporter = reporters.get(tab) ?? newcomer;
    reporters.set(tab, reporter);
    reporter(report);
  });

  const asPage = (opened: Tab, own: OnReport): Page => {
    let tab = opened;
    let crashed = false;
    return {
      ask: (order) => tab.evaluate((given) => globalThis.obeyRunner?.(given as never), order),
      async leave() {
        await tab.goto("about:blank");
      },
      async crash() {
        const gone = tab.waitForEvent("crash");
        const devtools = await context.newCDPSession(tab);
        devtools.send("Page.crash").catch(() => {}); // has nobody left to answer
        await gone;
        crashed = true;
      },
      async enter() {
        if (crashed) {
          newcomer = own;
          tab = await context.newPage();
          crashed = false;
        }
        await tab.goto(url);
      },
      async duplicate(onCopyReport) {
        newcomer = onCopyReport;
        const copy = context.waitForEvent("page");
        await tab.evaluate((same) => void window.open(same), url);
        const copied = await copy;
        await copied.waitForLoadState();
        return asPage(copied, onCopyReport);
      },
      close: () => context.close(),
    };
  };

  const page = asPage(await context.newPage(), onReport);
  await page.enter();
  return page;
}
