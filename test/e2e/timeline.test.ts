/** Sync points in the demo's chat: marked, secured, gone back to by everybody, in real Chromium against the real server. */

import type { Browser, FrameLocator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launchChromium } from "../chromium.ts";
import { complaints, shoot, Visit } from "./visit.ts";

describe("the timeline", () => {
  let browser: Browser;
  let page: Page;
  let visit: Visit;

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  beforeEach(async () => {
    visit = await Visit.begin(browser, 1280, 1000);
    ({ page } = visit);
    await phase("Ada").toBe("live");
    await phase("Bob").toBe("live");
  });
  afterEach(() => visit.end());

  const within = { timeout: 20_000, interval: 50 };
  const pane = (name: string): FrameLocator => page.frameLocator(`iframe[name="${name}"]`);
  const phase = (name: string) =>
    expect.poll(
      () =>
        pane(name)
          .getByTestId("status")
          .getAttribute("data-phase")
          .catch(() => ""),
      within,
    );
  const text = (name: string, id: string): Promise<string> => pane(name).getByTestId(id).innerText();
  const network = (name: string, mode: string): Promise<void> =>
    page.getByTestId(`${name}-${mode}`).check({ force: true });
  const say = async (name: string, words: string): Promise<void> => {
    await pane(name).getByTestId("text").fill(words);
    await pane(name).getByTestId("text").press("Enter");
  };
  const set = async (name: string, kind: "mark" | "secure", label: string): Promise<void> => {
    await pane(name).getByTestId("stop-name").fill(label);
    await pane(name).getByTestId(kind).click();
  };
  const messages = (name: string): Promise<readonly string[]> => pane(name).locator("#messages .what").allInnerTexts();
  const says = async (...words: readonly string[]): Promise<void> => {
    for (const name of ["Ada", "Bob"]) await expect.poll(() => messages(name), within).toEqual(words);
  };
  /** Titles and statuses of the points, the beginning left out. */
  const stops = async (name: string): Promise<readonly string[]> =>
    (await pane(name).locator(".stop").all()).length === 0
      ? []
      : pane(name)
          .locator(".stop:not([data-kind='beginning'])")
          .evaluateAll((all) =>
            all.map((each) => `${each.querySelector(".title")?.textContent}: ${each.getAttribute("data-status")}`),
          );
  const shows = async (...wanted: readonly string[]): Promise<void> => {
    for (const name of ["Ada", "Bob"]) await expect.poll(() => stops(name), within).toEqual(wanted);
  };
  const stop = (name: string, title: string) =>
    pane(name).locator(".stop", { has: pane(name).locator(".title", { hasText: title }) });
  const shot = (name: string): Promise<void> => shoot(page, name);

  it("takes everybody back to where one had marked, and both see the same", async () => {
    expect(await text("Ada", "stops-empty")).toContain("No points yet");
    await say("Ada", "one");
    await says("one");
    await set("Ada", "mark", "before the vote");
    await shows("before the vote: set");
    await say("Bob", "two");
    await set("Bob", "mark", "");
    await say("Ada", "three");
    await says("one", "two", "three");
    await shows("before the vote: set", "Point 2: set");
    await expect.poll(() => text("Ada", "stops-now"), within).toBe("now, 1 message on");
    await stop("Bob", "before the vote").click();
    expect(await text("Bob", "stop")).toContain("before the vote, by Ada");
    expect(await text("Bob", "stop")).toContain("2 messages void");
    await shot("timeline-chosen");
    await pane("Bob").getByTestId("back-all").click();
    await says("one");
    await shows("before the vote: set", "Point 2: void");
    await expect.poll(() => text("Ada", "stops-said"), within).toContain("Bob took everybody back");
    await say("Ada", "another second");
    await set("Ada", "mark", "again");
    await shows("before the vote: set", "Point 2: void", "again: set");
    await shot("timeline-back");
    for (const name of ["Ada", "Bob"]) {
      expect(await text(name, "lost")).toBe("0");
      expect(await text(name, "doubled")).toBe("0");
    }
    await page.getByTestId("Ada-reload").click();
    await page.getByTestId("Bob-reload").click();
    await says("one", "another second");
    await shows("before the vote: set", "Point 2: void", "again: set");
    await say("Bob", "third");
    await says("one", "another second", "third");
    expect([await text("Ada", "lost"), await text("Bob", "lost")]).toEqual(["0", "0"]);
  });

  it("hands back what was written before everybody went back, also after a reload, and sends it again if wanted", async () => {
    await say("Ada", "one");
    await set("Ada", "mark", "draft");
    await shows("draft: set");
    await network("Bob", "off");
    await phase("Bob").not.toBe("live");
    await say("Bob", "late");
    await say("Bob", "later");
    await say("Ada", "two");
    await expect.poll(() => messages("Ada"), within).toEqual(["one", "two"]);
    await stop("Ada", "draft").click();
    await pane("Ada").getByTestId("back-all").click();
    await expect.poll(() => messages("Ada"), within).toEqual(["one"]);
    await network("Bob", "ok");
    const back = pane("Bob").getByTestId("returned");
    await expect.poll(() => back.locator(".what").allInnerTexts(), within).toEqual(["late", "later"]);
    await says("one");
    await shot("timeline-returned");
    await page.getByTestId("Bob-reload").click();
    await phase("Bob").toBe("live");
    await expect.poll(() => back.locator(".what").allInnerTexts(), within).toEqual(["late", "later"]);
    await back.getByTestId("again").first().click();
    await says("one", "late");
    await back.getByTestId("drop").first().click();
    await expect.poll(() => back.isHidden(), within).toBe(true);
    await page.getByTestId("Bob-reload").click();
    await says("one", "late");
    expect(await back.isHidden()).toBe(true);
    expect([await text("Ada", "lost"), await text("Bob", "lost")]).toEqual(["0", "0"]);
  });

  it("does not go back behind what is secured, and says so", async () => {
    await say("Ada", "one");
    await set("Ada", "mark", "early");
    await shows("early: set");
    await network("Bob", "off");
    await phase("Bob").not.toBe("live");
    // Bob asks for it while it is still possible for all he knows.
    await stop("Bob", "early").click();
    await pane("Bob").getByTestId("back-all").click();
    await expect.poll(() => text("Bob", "stops-said"), within).toContain("when the connection is back");
    await expect.poll(() => text("Ada", "company"), within).toContain("Away: Bob");
    await set("Ada", "secure", "chapter 1");
    await expect.poll(() => text("Ada", "stops-said"), within).toContain("Secured: from now on");
    await network("Bob", "ok");
    await expect.poll(() => text("Bob", "stops-said"), within).toContain("nobody goes back before that");
    await shows("early: confirmed", "chapter 1: confirmed");
    await stop("Bob", "early").click();
    expect(await text("Bob", "stop")).toContain("the session does not go back here any more");
    expect(await pane("Bob").getByTestId("back-all").isHidden()).toBe(true);
    await pane("Bob").locator(".stop[data-kind='beginning']").click();
    expect(await pane("Bob").getByTestId("back-all").isHidden()).toBe(true);
    // To the secured one itself it does.
    await say("Bob", "two");
    await says("one", "two");
    await stop("Ada", "chapter 1").click();
    await pane("Ada").getByTestId("back-all").click();
    await says("one");
    await shot("timeline-secured");
  });

  it("waits for who has not come so far, and says who in the end had not", async () => {
    await network("Bob", "half-open");
    await set("Ada", "secure", "with Bob");
    await expect.poll(() => stops("Ada"), within).toEqual(["with Bob: open"]);
    expect(await stop("Ada", "with Bob").innerText()).toContain("open, 1 missing");
    await stop("Ada", "with Bob").click();
    expect(await text("Ada", "stop")).toContain("waits until Bob has come so far");
    await pane("Ada").getByTestId("secure").click();
    await expect.poll(() => text("Ada", "stops-said"), within).toContain("one at a time");
    await network("Bob", "ok");
    await shows("with Bob: confirmed");
    await network("Bob", "half-open");
    await set("Ada", "secure", "without Bob");
    await expect.poll(() => stops("Ada"), within).toEqual(["with Bob: confirmed", "without Bob: unconfirmed"]);
    expect(await text("Ada", "stops-said")).toContain("secures nothing: Bob had not come so far in time");
    await network("Bob", "ok");
    await shows("with Bob: confirmed", "without Bob: unconfirmed");
    // It secured nothing, so it is gone back behind.
    await stop("Bob", "with Bob").click();
    await pane("Bob").getByTestId("back-all").click();
    await shows("with Bob: confirmed", "without Bob: void");
  });

  it("takes a newcomer back to a moment before it came, and everybody to the beginning", async () => {
    await say("Ada", "one");
    await set("Ada", "mark", "early");
    await shows("early: set");
    await expect.poll(() => text("Ada", "stops-said"), within).toContain("is marked");
    await say("Bob", "two");
    await says("one", "two");
    const [own] = await Promise.all([visit.context.waitForEvent("page"), page.getByTestId("another").click()]);
    const saidThere = (): Promise<readonly string[]> => own.locator("#messages .what").allInnerTexts();
    await expect.poll(saidThere, within).toEqual(["one", "two"]);
    expect(await own.locator(".stop .title").allInnerTexts()).toEqual(["Beginning", "early"]);
    await stop("Bob", "early").click();
    await pane("Bob").getByTestId("back-all").click();
    await says("one");
    await expect.poll(saidThere, within).toEqual(["one"]);
    await own.locator(".stop[data-kind='beginning']").click();
    await own.getByTestId("back-all").click();
    await says();
    await expect.poll(saidThere, within).toEqual([]);
    await shows("early: void");
  });

  it("tells who was second of two that took everybody back", async () => {
    await set("Ada", "mark", "first");
    await set("Ada", "mark", "second");
    await shows("first: set", "second: set");
    await network("Bob", "off");
    await phase("Bob").not.toBe("live");
    await stop("Bob", "second").click();
    await pane("Bob").getByTestId("back-all").click();
    await set("Ada", "mark", "third");
    await expect.poll(() => stops("Ada"), within).toEqual(["first: set", "second: set", "third: set"]);
    await stop("Ada", "second").click();
    await pane("Ada").getByTestId("back-all").click();
    await expect.poll(() => stops("Ada"), within).toEqual(["first: set", "second: set", "third: void"]);
    await network("Bob", "ok");
    await expect.poll(() => text("Bob", "stops-said"), within).toContain("that stands. Yours was not done");
    await shows("first: set", "second: set", "third: void");
  });

  it("plays again on one page only, and nobody else notices", async () => {
    await say("Ada", "one");
    await set("Ada", "mark", "here");
    await shows("here: set");
    await say("Bob", "two");
    await says("one", "two");
    await stop("Bob", "here").click();
    await pane("Bob").getByTestId("back-alone").click();
    await expect.poll(() => text("Bob", "stops-said"), within).toContain("This page alone went back to here");
    await says("one", "two");
    await shows("here: set");
    expect(await text("Ada", "happened")).not.toContain("back");
    expect([await text("Bob", "lost"), await text("Bob", "doubled"), await text("Bob", "sent")]).toEqual([
      "0",
      "0",
      "1",
    ]);
  });

  it("holds many points and long names, on a phone, by keyboard, and axe has nothing to say", async () => {
    await set(
      "Ada",
      "mark",
      "a name that is much longer than anybody would ever think of giving to a point in the log",
    );
    for (let each = 1; each <= 12; each += 1) await pane("Ada").getByTestId("mark").click();
    await set("Ada", "secure", "half way");
    await expect.poll(() => text("Ada", "stops-said"), within).toContain("Secured");
    for (let each = 1; each <= 3; each += 1) await pane("Bob").getByTestId("mark").click();
    await expect.poll(async () => (await stops("Ada")).length, within).toBe(17);
    await stop("Ada", "Point 17").click();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    expect(await text("Ada", "stop")).toContain("much longer than anybody");
    await page.keyboard.press("Escape");
    expect(await pane("Ada").getByTestId("stop").isHidden()).toBe(true);
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    expect(await text("Ada", "stop")).toContain("Point 17, by Bob");
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await complaints(page)).toEqual([]);
    }
    await page.setViewportSize({ width: 400, height: 860 });
    const widths = await Promise.all(
      page.frames().map((frame) => frame.evaluate(() => document.documentElement.scrollWidth)),
    );
    for (const width of widths) expect(width).toBeLessThanOrEqual(400);
    await stop("Ada", "Point 17").scrollIntoViewIfNeeded();
    await shot("timeline-phone");
  });
});
