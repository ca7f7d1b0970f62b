/** Files between the demo's panes, broken off in all the ways that a visitor has, in real Chromium against the real server. */

import { createHash } from "node:crypto";
import type { Browser, FrameLocator, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launchChromium } from "../chromium.ts";
import { complaints, shoot, Visit } from "./visit.ts";

describe("a file", () => {
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
    for (const name of ["Ada", "Bob"]) await expect.poll(() => text(name, "company"), within).toContain("Here: you, ");
  });
  afterEach(() => visit.end());

  const within = { timeout: 40_000, interval: 50 };
  const pane = (name: string): FrameLocator => page.frameLocator(`iframe[name="${name}"]`);
  const text = (name: string, id: string): Promise<string> =>
    pane(name)
      .getByTestId(id)
      .innerText({ timeout: 1_000 })
      .catch(() => "");
  const phase = (name: string) =>
    expect.poll(
      () =>
        pane(name)
          .getByTestId("status")
          .getAttribute("data-phase")
          .catch(() => ""),
      within,
    );
  const network = (name: string, mode: string): Promise<void> =>
    page.getByTestId(`${name}-${mode}`).check({ force: true });
  const sending = (): Locator => pane("Ada").getByTestId("sending").last();
  const arrival = (): Locator => pane("Bob").getByTestId("arrival").last();
  const state = (row: Locator) => expect.poll(() => row.getAttribute("data-state").catch(() => ""), within);
  /** A figure of a row, in MB. */
  const figure = async (row: Locator, what: string): Promise<number> => {
    const found = await row
      .locator(".figures")
      .innerText({ timeout: 1_000 })
      .catch(() => "");
    return Number(new RegExp(`${what} ([0-9.]+)`).exec(found)?.[1] ?? 0);
  };
  const reaches = (row: Locator, what: string, bytes: number): Promise<void> =>
    expect.poll(() => figure(row, what), within).toBeGreaterThanOrEqual(bytes);
  const sendSample = async (): Promise<void> => {
    await pane("Ada").getByTestId("file-size").selectOption({ label: "16 MB" });
    await pane("Ada").getByTestId("file-sample").click();
    await state(sending()).toBe("running");
  };
  const lineOf = (row: Locator): Promise<string> => row.locator(".line").innerText();
  /** It is at both ends, and what the receiving page has is what was sent, by the browser's own SHA-256. */
  const whole = async (): Promise<void> => {
    await state(sending()).toBe("done");
    await state(arrival()).toBe("whole");
    const digest = (await arrival().getAttribute("data-digest")) ?? "";
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(await lineOf(sending())).toContain(`SHA-256 ${digest.slice(0, 12)}`);
    await expect.poll(() => lineOf(sending()), within).toContain("Bob ✓ whole");
    expect(await arrival().getByTestId("save").getAttribute("href")).toMatch(/^blob:/);
  };
  const content = (fill: number, size: number): Buffer => {
    const bytes = Buffer.alloc(size, "the same bytes each time, but for the first ones ");
    bytes.writeUInt32LE(fill, 0);
    return bytes;
  };
  const file = (name: string, buffer: Buffer) => ({ name, mimeType: "application/octet-stream", buffer });
  const shot = async (name: string): Promise<void> => {
    await sending().scrollIntoViewIfNeeded();
    await shoot(page, name);
  };

  it("arrives whole and can be saved", async () => {
    expect(await text("Ada", "files-empty")).toContain("Nothing is under way");
    const bytes = content(1, 3_000_000);
    await pane("Ada").getByTestId("file-slow").uncheck();
    await pane("Ada").getByTestId("file-choose").setInputFiles(file("notes.txt", bytes));
    await whole();
    expect(await arrival().getAttribute("data-digest")).toBe(createHash("sha256").update(bytes).digest("hex"));
    const [download] = await Promise.all([page.waitForEvent("download"), arrival().getByTestId("save").click()]);
    expect(download.suggestedFilename()).toBe("notes.txt");
    await sending().getByTestId("remove").click();
    expect(await pane("Ada").getByTestId("sending").count()).toBe(0);
  });

  it("goes on where it was after the sender's network was cut", async () => {
    await sendSample();
    await reaches(sending(), "confirmed", 4);
    await network("Ada", "off");
    await state(sending()).toBe("waiting");
    await phase("Ada").toBe("lost");
    await network("Ada", "ok");
    await state(sending()).toBe("running");
    await expect.poll(() => lineOf(sending()), within).toMatch(/Went on at [0-9.]+ of 16.0 MB/);
    await shot("transfer-on");
    await whole();
    // No more than what was under way, and what follows the last sync point.
    expect(await figure(sending(), "sent again")).toBeLessThanOrEqual(7);
  });

  it("goes on after the server was killed, at both ends", async () => {
    await sendSample();
    await reaches(arrival(), "received", 4);
    await page.getByTestId("kill").click();
    await phase("Ada").not.toBe("live");
    await state(sending()).toBe("waiting");
    await shot("transfer-killed");
    await whole();
    expect(await lineOf(sending())).toMatch(/Went on at [0-9.]+ of 16.0 MB/);
    expect(await figure(sending(), "sent again")).toBeLessThanOrEqual(7);
  });

  it("goes on by itself after the sending page was loaded anew", async () => {
    await sendSample();
    await reaches(sending(), "confirmed", 6);
    await page.getByTestId("Ada-reload").click();
    await state(sending()).toBe("running");
    expect(await figure(sending(), "confirmed")).toBeGreaterThanOrEqual(6);
    await expect.poll(() => lineOf(sending()), within).toMatch(/Went on at ([6-9]|1[0-6])\.[0-9] of 16.0 MB/);
    await shot("transfer-reloaded");
    await whole();
    expect(await figure(sending(), "sent again")).toBeLessThanOrEqual(7);
  });

  it("is fetched anew by a receiving page that was loaded anew, and sent only once", async () => {
    await sendSample();
    await reaches(arrival(), "received", 4);
    await page.getByTestId("Bob-reload").click();
    await whole();
    expect(await figure(sending(), "sent again")).toBe(0);
  });

  it("is asked for after a reload if it was chosen, and another one is refused", async () => {
    const bytes = content(1, 12_000_000);
    await pane("Ada").getByTestId("file-choose").setInputFiles(file("a film with quite a long name.mkv", bytes));
    await reaches(sending(), "confirmed", 4);
    await page.getByTestId("Ada-reload").click();
    await state(sending()).toBe("orphan");
    expect(await sending().innerText()).toContain("Choose it again: it goes on at");
    await sending()
      .getByTestId("choose-again")
      .setInputFiles(file("another.mkv", content(2, 12_000_000)));
    await expect.poll(() => lineOf(sending()), within).toContain("That is another file");
    await state(sending()).toBe("orphan");
    await shot("transfer-wrong");
    await sending()
      .getByTestId("choose-again")
      .setInputFiles(file("shorter.mkv", content(1, 2_000_000)));
    await expect.poll(() => lineOf(sending()), within).toContain("That is another file");
    await sending().getByTestId("choose-again").setInputFiles(file("the same.mkv", bytes));
    await state(sending()).toBe("running");
    await whole();
    expect(await arrival().getAttribute("data-digest")).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(await figure(sending(), "sent again")).toBeLessThanOrEqual(7);
  });

  it("can be paused, given up and declined", async () => {
    await sendSample();
    await sending().getByTestId("pause").click();
    await state(sending()).toBe("paused");
    await state(arrival()).toBe("waiting");
    await sending().getByTestId("resume").click();
    await state(sending()).toBe("running");
    await state(arrival()).toBe("coming");
    await sending().getByTestId("give-up").click();
    await state(sending()).toBe("failed");
    await state(arrival()).toBe("failed");
    expect(await lineOf(arrival())).toContain("It was given up");
    await sendSample();
    await state(arrival()).toBe("coming");
    await arrival().getByTestId("decline").click();
    await state(arrival()).toBe("declined");
    await state(sending()).toBe("failed");
    expect(await lineOf(sending())).toContain("declined");
  });

  it("can be given up after a reload without the file", async () => {
    await pane("Ada")
      .getByTestId("file-choose")
      .setInputFiles(file("film.mkv", content(1, 12_000_000)));
    await reaches(sending(), "confirmed", 2);
    await page.getByTestId("Ada-reload").click();
    await state(sending()).toBe("orphan");
    await sending().getByTestId("give-up").click();
    await state(sending()).toBe("failed");
    await state(arrival()).toBe("failed");
  });

  it("shows on a phone and in the dark, several at once, and axe has nothing to say", async () => {
    await sendSample();
    await sendSample();
    await pane("Bob").getByTestId("file-sample").click();
    await reaches(arrival(), "received", 2);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await complaints(page)).toEqual([]);
    }
    await page.setViewportSize({ width: 400, height: 860 });
    const widths = await Promise.all(
      page.frames().map((frame) => frame.evaluate(() => document.documentElement.scrollWidth)),
    );
    for (const width of widths) expect(width).toBeLessThanOrEqual(400);
    await shot("transfer-phone");
  });
});
