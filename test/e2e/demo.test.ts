/** The demo as a visitor has it: the built page in real Chromium, the real server behind real proxies, killed for real. */

import type { Browser, BrowserContext, FrameLocator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launchChromium } from "../chromium.ts";
import { complaints, shoot, Visit } from "./visit.ts";

describe("the demo", () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let visit: Visit;

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  beforeEach(async () => {
    visit = await Visit.begin(browser, 1280, 900);
    ({ context, page } = visit);
    await live("Ada");
    await live("Bob");
  });
  afterEach(() => visit.end());

  const pane = (name: string): FrameLocator => page.frameLocator(`iframe[name="${name}"]`);
  const within = { timeout: 20_000, interval: 50 };
  const text = (name: string, id: string): Promise<string> => pane(name).getByTestId(id).innerText();
  const count = async (name: string, id: string): Promise<number> => Number(await text(name, id));
  const live = (name: string): Promise<void> =>
    expect
      .poll(
        () =>
          pane(name)
            .getByTestId("status")
            .getAttribute("data-phase")
            .catch(() => ""),
        within,
      )
      .toBe("live");
  const synced = async (name: string): Promise<void> => {
    await live(name);
    await expect.poll(() => pane(name).getByTestId("status").getAttribute("data-sync"), within).toBe("synced");
  };
  const say = async (name: string, words: string): Promise<void> => {
    await pane(name).getByTestId("text").fill(words);
    await pane(name).getByTestId("text").press("Enter");
  };
  const network = (name: string, mode: string): Promise<void> =>
    page.getByTestId(`${name}-${mode}`).check({ force: true });
  const received = (name: string, number: number): Promise<void> =>
    expect.poll(() => count(name, "received"), within).toBe(number);
  const whole = async (number: number, ...names: readonly string[]): Promise<void> => {
    for (const name of names.length > 0 ? names : ["Ada", "Bob"]) {
      await received(name, number);
      expect(await count(name, "lost")).toBe(0);
      expect(await count(name, "doubled")).toBe(0);
    }
  };
  const shot = (name: string): Promise<void> => shoot(page, name);

  it("shows two people one chat, and a sync point on both timelines", async () => {
    await say("Ada", "hello Bob");
    await say("Bob", "hello Ada");
    await whole(2);
    await pane("Ada").getByTestId("mark").click();
    await expect.poll(() => text("Bob", "happened"), within).toContain("sync point 1");
    await shot("live");
  });

  it("keeps what is written without a network, and sends it once", async () => {
    await say("Ada", "before");
    await whole(1);
    await network("Ada", "off");
    await expect.poll(() => pane("Ada").getByTestId("status").getAttribute("data-phase"), within).not.toBe("live");
    await say("Ada", "while away");
    await say("Bob", "she is away");
    await expect.poll(() => text("Ada", "messages"), within).toContain("kept here");
    await expect.poll(() => pane("Ada").getByTestId("status").getAttribute("data-phase"), within).toBe("lost");
    await shot("cut");
    await network("Ada", "ok");
    await synced("Ada");
    await whole(3);
    expect(await text("Ada", "badge")).toMatch(
      /resumed from #\d+, 1 entries replayed, 1 sent again|resumed from #\d+, 1 entries replayed, 0 sent again/,
    );
    await shot("resumed");
  });

  it("notices a half-open link by itself and takes the old connection over", async () => {
    await network("Ada", "half-open");
    await say("Ada", "into the void");
    await expect.poll(() => pane("Ada").getByTestId("status").getAttribute("data-phase"), within).not.toBe("live");
    await network("Ada", "ok");
    await synced("Ada");
    await whole(1);
  });

  it("loses nothing on a lossy and a slow link", async () => {
    await network("Ada", "lossy");
    await network("Bob", "slow");
    for (let each = 0; each < 3; each += 1) await pane("Ada").getByTestId("burst").click();
    await pane("Bob").getByTestId("burst").click();
    await network("Ada", "ok");
    await network("Bob", "ok");
    await whole(40);
  });

  it("survives the server's SIGKILL in the middle of a burst, and plain Socket.IO is seen not to", async () => {
    await page.getByTestId("compare").check();
    await expect.poll(() => text("Bob", "plain-note"), within).toContain("connected");
    await pane("Ada").getByTestId("burst").click();
    await page.getByTestId("kill").click();
    await pane("Ada").getByTestId("burst").click();
    await pane("Bob").getByTestId("burst").click();
    await expect.poll(() => page.getByTestId("server").getAttribute("data-up"), within).toBe("true");
    await synced("Ada");
    await synced("Bob");
    await whole(30);
    for (const name of ["Ada", "Bob"])
      await expect.poll(() => text(name, "plain-note"), within).toContain("recovered: false");
    await shot("killed");
  });

  it("has its state before the network answers after a reload, and each entry once", async () => {
    await pane("Ada").getByTestId("burst").click();
    await whole(10);
    await network("Ada", "off");
    await page.getByTestId("Ada-reload").click();
    await received("Ada", 10);
    expect(await pane("Ada").getByTestId("status").getAttribute("data-phase")).not.toBe("live");
    await say("Ada", "written after the reload, without a network");
    await pane("Bob").getByTestId("burst").click();
    await network("Ada", "ok");
    await synced("Ada");
    await whole(21);
    await shot("reloaded");
  });

  it("sends what a crashed tab had kept, when the person comes back", async () => {
    const [own] = await Promise.all([context.waitForEvent("page"), page.getByTestId("another").click()]);
    const status = own.getByTestId("status");
    await expect.poll(() => status.getAttribute("data-phase"), within).toBe("live");
    const address = own.url();
    await page.getByTestId("kill").click();
    await expect.poll(() => status.getAttribute("data-phase"), within).not.toBe("live");
    await own.getByTestId("burst").click();
    await expect.poll(() => own.getByTestId("messages").innerText(), within).toContain("kept here");
    const session = await context.newCDPSession(own);
    void session.send("Page.crash").catch(() => {});
    await new Promise((resolve) => own.once("crash", resolve));
    const back = await context.newPage();
    await back.goto(address);
    await expect.poll(() => back.getByTestId("received").innerText(), within).toBe("10");
    await whole(10);
  });

  it("gives the floor to one, queues the next, and hands it on", async () => {
    const press = (name: string): Promise<void> =>
      pane(name).getByTestId("talk").dispatchEvent("keydown", { key: " " });
    const release = (name: string): Promise<void> =>
      pane(name).getByTestId("talk").dispatchEvent("keyup", { key: " " });
    await press("Ada");
    await expect.poll(() => text("Bob", "floor"), within).toContain("Ada has the floor");
    await press("Bob");
    await expect.poll(() => text("Bob", "talk"), within).toBe("Waiting, number 1");
    await shot("floor");
    await release("Ada");
    await expect.poll(() => text("Ada", "floor"), within).toContain("Bob has the floor");
    await release("Bob");
    await expect.poll(() => text("Ada", "floor"), within).toContain("Nobody has the floor");
  });

  it("can be used by keyboard alone, keeps the focus through a drop, and has nothing for axe to say", async () => {
    const field = pane("Ada").getByTestId("text");
    await field.focus();
    await page.keyboard.type("by keyboard");
    await page.getByTestId("kill").evaluate((button: HTMLElement) => button.click());
    await expect.poll(() => pane("Ada").getByTestId("status").getAttribute("data-phase"), within).not.toBe("live");
    await live("Ada");
    expect(await field.evaluate((element) => element === element.ownerDocument.activeElement)).toBe(true);
    await page.keyboard.press("Enter");
    await whole(1);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await complaints(page)).toEqual([]);
      await shot(colorScheme);
    }
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await shot("phone");
  });
});
