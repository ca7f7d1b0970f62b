/** A sheet that only whoever has the pen writes, and the versions of sheets, in real Chromium against the real server. */

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launchChromium } from "../chromium.ts";
import { Desk } from "./desk.ts";
import { complaints, shoot, Visit } from "./visit.ts";

const within = { timeout: 30_000, interval: 50 };
let browser: Browser;
let page: Page;
let visit: Visit;
let desk: Desk;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  visit = await Visit.begin(browser, 1280, 1180);
  ({ page } = visit);
  await page.getByTestId("stage-notes").click();
  desk = new Desk(page);
  await desk.ready();
});
afterEach(() => visit.end());

const shot = (name: string): Promise<void> => shoot(page, name);
const why = (name: "Ada" | "Bob") => expect.poll(() => desk.text(name, "why"), within);
const isReadOnly = (name: "Ada" | "Bob") => expect.poll(() => desk.editor(name).getAttribute("aria-readonly"), within);

describe("the sheet with a pen", () => {
  beforeEach(async () => {
    for (const name of ["Ada", "Bob"] as const) await desk.turn(name, "minutes");
  });

  it("is written by whoever has the pen, which is asked for, handed over and put down", async () => {
    await isReadOnly("Ada").toBe("true");
    await why("Ada").toBe("Read only. Nobody has the pen.");
    await desk.type("Ada", "nobody reads this");
    await desk.pane("Ada").getByTestId("pen-ask").click();
    await isReadOnly("Ada").toBe("false");
    await why("Bob").toBe("Read only. Ada has the pen.");
    await desk.type("Ada", "Present: Ada. ");
    await desk.same("minutes", "Present: Ada. ");
    await desk.type("Bob", "or this");
    await page.keyboard.press("Control+z");
    await desk.pane("Bob").getByTestId("pen-ask").click();
    await why("Bob").toBe("Read only. Ada has the pen; you are number 1 in the queue.");
    await why("Ada").toBe("You have the pen. Bob waits for it.");
    await desk.pane("Ada").getByTestId("pen-hand").click();
    await isReadOnly("Bob").toBe("false");
    await isReadOnly("Ada").toBe("true");
    await desk.type("Bob", "And Bob.");
    await desk.same("minutes", "Present: Ada. And Bob.");
    await desk.pane("Bob").getByTestId("pen-ask").click();
    await why("Ada").toBe("Read only. Nobody has the pen.");
    await desk.same("minutes", "Present: Ada. And Bob.");
    expect(await desk.pane("Ada").getByTestId("draft").count()).toBe(0);
  });

  it("keeps what was accepted and gives back what was not, when the pen is lost in the middle of typing", async () => {
    const stored = "Decided: the cake is chocolate. ";
    const late = "xyzzy, 42";
    await desk.pane("Ada").getByTestId("pen-ask").click();
    await isReadOnly("Ada").toBe("false");
    await desk.type("Ada", stored);
    await desk.same("minutes", stored);
    await desk.pane("Bob").getByTestId("pen-ask").click();
    await why("Ada").toContain("Bob waits");
    await desk.network("Ada", "off");
    await desk.type("Ada", late);
    await isReadOnly("Ada").toBe("true");
    expect(await desk.sheet("Ada", "minutes")).toContain(late);
    await isReadOnly("Bob").toBe("false");
    await desk.type("Bob", "And Bob has seconded. ");
    await desk.network("Ada", "ok");
    await expect.poll(() => desk.pane("Ada").getByTestId("draft").count(), within).toBe(1);
    await desk.same("minutes", `${stored}And Bob has seconded. `);
    expect(await desk.isFocused("Bob")).toBe(true);
    expect(await desk.text("Ada", "draft")).toContain("you did not have the pen any more");
    expect((await desk.pane("Ada").locator(".draft ins").allInnerTexts()).join("")).toBe(late);
    await desk.carets("Ada", ["Bob"]);
    await desk.settled("Ada");
    expect(await complaints(page)).toEqual([]);
    await shot("notes-draft");

    // By hand, when the pen is there again.
    expect(await desk.pane("Ada").getByTestId("draft-again").isDisabled()).toBe(true);
    await desk.pane("Ada").getByTestId("pen-ask").click();
    await why("Bob").toContain("Ada waits");
    await desk.pane("Bob").getByTestId("pen-hand").click();
    await isReadOnly("Ada").toBe("false");
    await desk.pane("Ada").getByTestId("draft-again").click();
    await expect.poll(() => desk.pane("Ada").getByTestId("draft").count(), within).toBe(0);
    await expect.poll(() => desk.sheet("Bob", "minutes"), within).toContain(late);
    const whole = await desk.sheet("Ada", "minutes");
    expect(whole.replace(late, "")).toBe(`${stored}And Bob has seconded. `);
    await desk.same("minutes", whole);
  });

  it("keeps a draft through a reload, to be copied, until it is thrown away", async () => {
    await desk.pane("Ada").getByTestId("pen-ask").click();
    await isReadOnly("Ada").toBe("false");
    await desk.pane("Bob").getByTestId("pen-ask").click();
    await why("Ada").toContain("Bob waits");
    await desk.network("Ada", "off");
    await desk.type("Ada", "too late");
    await isReadOnly("Bob").toBe("false");
    await desk.network("Ada", "ok");
    await expect.poll(() => desk.pane("Ada").getByTestId("draft").count(), within).toBe(1);
    await page.getByTestId("Ada-reload").click();
    await desk.turn("Ada", "minutes");
    await expect.poll(() => desk.pane("Ada").getByTestId("draft").count(), within).toBe(1);
    await visit.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await desk.pane("Ada").getByTestId("draft-copy").click();
    await desk.says("Ada", "notice", "on the clipboard");
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("too late");
    await desk.pane("Ada").getByTestId("draft-drop").click();
    await expect.poll(() => desk.pane("Ada").getByTestId("draft").count(), within).toBe(0);
    await desk.same("minutes", "");
  });
});

describe("versions", () => {
  const save = async (name: "Ada" | "Bob", title: string): Promise<void> => {
    await desk.pane(name).getByTestId("version-name").fill(title);
    await desk.pane(name).getByTestId("version-keep").click();
  };

  it("are saved, looked at beside what is there now, restored for all, and as a copy", async () => {
    expect(await desk.text("Ada", "stops")).toBe("");
    expect(await desk.pane("Ada").getByTestId("versions-empty").innerText()).toContain("No versions yet");
    await desk.type("Ada", "The cake is chocolate.");
    await desk.same("notes", "The cake is chocolate.");
    await save("Ada", "chocolate");
    await desk.stops("Bob", ["chocolate"]);
    await desk.focus("Bob");
    for (let each = 0; each < "chocolate.".length; each += 1) await page.keyboard.press("Backspace");
    await page.keyboard.type("carrot, and nobody likes it.");
    await desk.same("notes", "The cake is carrot, and nobody likes it.");

    await desk.stop("Ada", "chocolate").click();
    const preview = desk.pane("Ada").getByTestId("preview");
    await expect.poll(() => preview.locator("ins").allInnerTexts(), within).toContain("chocolate");
    expect((await preview.locator("del").allInnerTexts()).join("")).toContain("carrot");
    expect(await desk.text("Ada", "version")).toContain("chocolate, by Ada");
    expect(await complaints(page)).toEqual([]);
    await shot("notes-version");

    // Bob is in the middle of a word, and stays there.
    await desk.focus("Bob");
    await page.keyboard.press("Control+Home");
    await page.keyboard.press("ArrowRight");
    await desk
      .pane("Ada")
      .getByTestId("restore")
      .evaluate((button: HTMLElement) => button.click());
    await desk.same("notes", "The cake is chocolate.");
    await desk.stops("Bob", ["chocolate", "Before chocolate"]);
    expect(await desk.isFocused("Bob")).toBe(true);
    await page.keyboard.type("-");
    await desk.same("notes", "T-he cake is chocolate.");

    await desk.stop("Bob", "Before chocolate").click();
    await desk.pane("Bob").getByTestId("copy").click();
    const copy = desk.pane("Ada").getByLabel("Notes: Before chocolate");
    await expect.poll(() => copy.count(), within).toBe(1);
    await copy.check({ force: true });
    await expect
      .poll(() => desk.editor("Ada").innerText(), within)
      .toContain("The cake is carrot, and nobody likes it.");
    await expect
      .poll(() => desk.editor("Bob").innerText(), within)
      .toContain("The cake is carrot, and nobody likes it.");
    await desk.same("notes", "T-he cake is chocolate.");
    await desk.type("Ada", " But I do.");
    await expect.poll(() => desk.editor("Bob").innerText(), within).toContain("nobody likes it. But I do.");
  });

  it("can be asked for without a network, and come when it is back", async () => {
    await desk.type("Ada", "first");
    await desk.same("notes", "first");
    await desk.network("Ada", "off");
    await desk.away("Ada");
    await desk.type("Ada", ", and offline");
    await save("Ada", "offline");
    expect(await desk.text("Ada", "versions-said")).toContain("when the connection is back");
    await desk.network("Ada", "ok");
    await desk.stops("Bob", ["offline"]);
    await desk.stop("Bob", "offline").click();
    await expect
      .poll(() => desk.pane("Bob").getByTestId("preview").innerText(), within)
      .toContain("first, and offline");
  });
});
