/**
 * Shared notes as two people have them: CodeMirror in real Chromium, the real server behind real proxies, killed for real. What a
 * sheet says is read from the page's document, not from what is drawn of it.
 */

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launchChromium } from "../chromium.ts";
import { Desk } from "./desk.ts";
import { complaints, shoot, Visit } from "./visit.ts";

describe("shared notes", () => {
  let browser: Browser;
  let page: Page;
  let visit: Visit;
  let desk: Desk;

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  beforeEach(async () => {
    visit = await Visit.begin(browser, 1280, 1080);
    ({ page } = visit);
    await page.getByTestId("stage-notes").click();
    desk = new Desk(page);
    await desk.ready();
  });
  afterEach(() => visit.end());

  const within = { timeout: 30_000, interval: 50 };
  const shot = (name: string): Promise<void> => shoot(page, name);

  it("shows who writes where, through a short drop, and nobody who has gone", async () => {
    expect(await desk.pane("Ada").locator(".cm-placeholder").first().innerText()).toContain(
      "Nothing is written here yet",
    );
    await desk.type("Ada", "Agenda for Thursday\n1. What broke last week\n2. ");
    await desk.same("notes", "Agenda for Thursday\n1. What broke last week\n2. ");
    await desk.type("Bob", "Who brings the cake");
    await desk.same("notes", "Agenda for Thursday\n1. What broke last week\n2. Who brings the cake");
    await desk.carets("Ada", ["Bob"]);
    await desk.carets("Bob", ["Ada"]);
    await desk.settled("Ada");
    await shot("notes");

    await desk.network("Bob", "off");
    await desk.away("Bob");
    await desk.carets("Ada", ["Bob"]);
    await desk.network("Bob", "ok");
    await desk.phase("Bob", "live");
    await desk.carets("Ada", ["Bob"]);
    await desk.carets("Bob", ["Ada"]);

    const [other] = await Promise.all([visit.context.waitForEvent("page"), page.getByTestId("another").click()]);
    await expect.poll(() => other.getByTestId("status").getAttribute("data-phase"), within).toBe("live");
    await other.locator(".paper:not([hidden]) .cm-content").click();
    await other.keyboard.type("!");
    await desk.carets("Ada", ["Bob", "Cy"]);
    await other.close();
    await desk.carets("Ada", ["Bob"]);
    await desk.carets("Bob", ["Ada"]);
  });

  it("brings together what both wrote without a network, and loses nothing of it", async () => {
    await desk.type("Ada", "one\n");
    await desk.same("notes", "one\n");
    for (const name of ["Ada", "Bob"] as const) {
      await desk.network(name, "off");
      await desk.away(name);
    }
    await desk.type("Ada", "from Ada, offline\n");
    await desk.type("Bob", "from Bob, offline\n");
    for (const name of ["Ada", "Bob"] as const) {
      await desk.saving(name, "saved", "false");
      expect(await desk.text(name, "pending")).toMatch(/\d+ edits? waits? here/);
    }
    await desk.phase("Ada", "lost");
    expect(await desk.text("Ada", "status")).toContain("You can go on writing");
    expect(await desk.text("Ada", "why")).toContain("Offline, too");
    await shot("notes-cut");
    for (const name of ["Ada", "Bob"] as const) await desk.network(name, "ok");
    await expect.poll(() => desk.sheet("Bob", "notes"), within).toContain("from Ada, offline\n");
    await expect.poll(() => desk.sheet("Ada", "notes"), within).toContain("from Bob, offline\n");
    for (const name of ["Ada", "Bob"] as const) await desk.settled(name);
    const merged = await desk.sheet("Ada", "notes");
    expect(await desk.sheet("Bob", "notes")).toBe(merged);
    expect(merged.split("\n").sort()).toEqual(["", "from Ada, offline", "from Bob, offline", "one"]);
  });

  it("has the text before the network answers after a reload, what was written offline too", async () => {
    await desk.type("Ada", "durable, ");
    await desk.settled("Ada");
    await desk.network("Ada", "off");
    await desk.away("Ada");
    await desk.keep("Ada", "and kept on the device");
    await desk.says("Ada", "pending", "here");
    await page.getByTestId("Ada-reload").click();
    await expect.poll(() => desk.sheet("Ada", "notes"), within).toBe("durable, and kept on the device");
    await desk.away("Ada");
    await desk.saving("Ada", "loaded", "device");
    await desk.type("Ada", ", and after the reload");
    await desk.network("Ada", "ok");
    await desk.settled("Ada");
    await desk.same("notes", "durable, and kept on the device, and after the reload");
  });

  it("loses no keystroke to a SIGKILL of the server in the middle of typing", async () => {
    const words = "Every word of this sentence was typed while the server was killed and came back. ";
    await desk.focus("Ada");
    const typing = page.keyboard.type(words.repeat(3), { delay: 15 });
    await expect.poll(() => desk.sheet("Bob", "notes"), within).not.toBe("");
    await page.getByTestId("kill").evaluate((button: HTMLElement) => button.click());
    await typing;
    await expect.poll(() => page.getByTestId("server").getAttribute("data-up"), within).toBe("true");
    for (const name of ["Ada", "Bob"] as const) await desk.settled(name);
    await desk.same("notes", words.repeat(3));
  });

  it("undoes what this member did, and nothing of the other's", async () => {
    await desk.type("Ada", "Ada's. ");
    await desk.same("notes", "Ada's. ");
    await desk.type("Bob", "Bob's. ");
    await desk.same("notes", "Ada's. Bob's. ");
    await desk.focus("Ada");
    await page.keyboard.press("Control+z");
    await desk.same("notes", "Bob's. ");
    await page.keyboard.press("Control+y");
    await desk.same("notes", "Ada's. Bob's. ");
  });

  it("works by keyboard and on a phone, shifts nothing, and axe has nothing to say", async () => {
    const frame = desk.frame("Ada");
    await frame.getByTestId("sheet-notes").focus();
    await page.keyboard.press("Tab");
    await page.keyboard.type("by keyboard");
    await desk.same("notes", "by keyboard");
    const places = (): Promise<readonly number[]> =>
      frame.evaluate(() =>
        ["papers", "saving", "notice", "rail", "happened"].map(
          (id) => document.getElementById(id)?.getBoundingClientRect().top ?? 0,
        ),
      );
    const before = await places();
    await desk.network("Ada", "off");
    await desk.phase("Ada", "lost");
    expect(await places()).toEqual(before);
    await page.keyboard.type(", and offline");
    await desk.network("Ada", "ok");
    await desk.settled("Ada");
    expect(await desk.isFocused("Ada")).toBe(true);
    expect(await places()).toEqual(before);
    // Out of the editor by the key that leads everywhere else.
    await page.keyboard.press("Tab");
    expect(await desk.isFocused("Ada")).toBe(false);
    await frame.getByTestId("version-name").focus();
    await page.keyboard.type("a name");
    await page.keyboard.press("Enter");
    await desk.stops("Bob", ["a name"]);
    await frame.locator(".stop").focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => desk.text("Ada", "version-text"), within).toContain("no difference");
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await complaints(page)).toEqual([]);
    }
    await shot("notes-dark");
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 390, height: 844 });
    for (const each of page.frames())
      expect(await each.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    await shot("notes-phone");
  });

  it("says so when the session is closed", async () => {
    const address = new URL(desk.frame("Ada").url());
    address.searchParams.set("name", "N".repeat(60));
    const own = await visit.context.newPage();
    await own.goto(address.href);
    await expect.poll(() => own.getByTestId("status").getAttribute("data-phase"), within).toBe("closed");
    await expect.poll(() => own.getByTestId("why").innerText(), within).toContain("closed: read only");
    await expect.poll(() => own.locator(".cm-content").first().getAttribute("aria-readonly"), within).toBe("true");
  });
});
