/** The page of the shared notes in its panes: typing, reading, and what its lines say. */

import type { Frame, FrameLocator, Locator, Page } from "playwright-core";
import { expect } from "vitest";

export type Writer = "Ada" | "Bob";
const writers: readonly Writer[] = ["Ada", "Bob"];
const within = { timeout: 30_000, interval: 50 };

export class Desk {
  constructor(private readonly page: Page) {}

  /** Both are there, and in step. */
  async ready(): Promise<void> {
    for (const name of writers) await this.phase(name, "live");
    for (const name of writers) await this.settled(name);
  }

  pane(name: Writer): FrameLocator {
    return this.page.frameLocator(`iframe[name="${name}"]`);
  }

  frame(name: Writer): Frame {
    const found = this.page.frame({ name });
    if (found === null) throw new Error(`there is no pane of ${name}`);
    return found;
  }

  editor(name: Writer): Locator {
    return this.pane(name).locator(".paper:not([hidden]) .cm-content");
  }

  async focus(name: Writer): Promise<void> {
    await this.editor(name).focus();
    await this.page.keyboard.press("Control+End");
  }

  /** At the end of the sheet that is shown. */
  async type(name: Writer, words: string): Promise<void> {
    await this.focus(name);
    await this.page.keyboard.type(words);
  }

  /** At once, as a paste or an input method does, and until it is on this device's disk: a reload may come then. */
  async keep(name: Writer, words: string): Promise<void> {
    await this.focus(name);
    await this.page.keyboard.insertText(words);
    const isKept = (): Promise<boolean> =>
      this.frame(name).evaluate(async (wanted) => {
        const holds = (value: unknown): boolean => {
          if (value instanceof Uint8Array) return new TextDecoder("latin1").decode(value).includes(wanted);
          return typeof value === "object" && value !== null && Object.values(value).some(holds);
        };
        const answer = <T>(request: IDBRequest<T>): Promise<T> =>
          new Promise((resolve, reject) => {
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
          });
        for (const { name: database } of await indexedDB.databases()) {
          const open = await answer(indexedDB.open(database ?? ""));
          try {
            for (const store of open.objectStoreNames)
              if (holds(await answer(open.transaction(store).objectStore(store).getAll()))) return true;
          } finally {
            open.close();
          }
        }
        return false;
      }, words);
    await expect.poll(isKept, within).toBe(true);
  }

  isFocused(name: Writer): Promise<boolean> {
    return this.editor(name).evaluate((element) => element === element.ownerDocument.activeElement);
  }

  sheet(name: Writer, sheet: string): Promise<string> {
    return this.frame(name).evaluate(
      (wanted) =>
        (globalThis as { rostrumPad?: { readonly text: (sheet: string) => string } }).rostrumPad?.text(wanted) ?? "",
      sheet,
    );
  }

  async same(sheet: string, words: string): Promise<void> {
    for (const name of writers) await expect.poll(() => this.sheet(name, sheet).catch(() => ""), within).toBe(words);
  }

  text(name: Writer, id: string): Promise<string> {
    return this.pane(name).getByTestId(id).innerText();
  }

  phase(name: Writer, phase: string): Promise<void> {
    return expect.poll(() => this.data(name, "status", "phase"), within).toBe(phase);
  }

  /** The connection is gone, and the page knows it. */
  away(name: Writer): Promise<void> {
    return expect.poll(() => this.data(name, "status", "phase"), within).toMatch(/resuming|lost|connecting/);
  }

  saving(name: Writer, what: "loaded" | "saved" | "synced" | "pending", value: string): Promise<void> {
    return expect.poll(() => this.data(name, "saving", what), within).toBe(value);
  }

  says(name: Writer, id: string, words: string): Promise<void> {
    return expect.poll(() => this.text(name, id), within).toContain(words);
  }

  /** Everything is on the server, and everything of the server's is here. */
  async settled(name: Writer): Promise<void> {
    await this.phase(name, "live");
    await this.saving(name, "saved", "true");
    await this.saving(name, "synced", "true");
    await this.saving(name, "pending", "0");
  }

  /** Whose carets are drawn. */
  carets(name: Writer, names: readonly string[]): Promise<void> {
    const drawn = async (): Promise<readonly string[]> =>
      (await this.pane(name).locator(".paper:not([hidden]) .cm-ySelectionInfo").allInnerTexts()).sort();
    return expect.poll(drawn, within).toEqual(names);
  }

  /** The versions by their titles. */
  stops(name: Writer, titles: readonly string[]): Promise<void> {
    return expect.poll(() => this.pane(name).locator(".stop .title").allInnerTexts(), within).toEqual(titles);
  }

  stop(name: Writer, title: string): Locator {
    return this.pane(name).locator(".stop", { has: this.pane(name).locator(".title", { hasText: title }) });
  }

  async turn(name: Writer, sheet: string): Promise<void> {
    await this.pane(name).getByTestId(`sheet-${sheet}`).check({ force: true });
  }

  network(name: Writer, mode: string): Promise<void> {
    return this.page.getByTestId(`${name}-${mode}`).evaluate((radio: HTMLElement) => radio.click());
  }

  private data(name: Writer, id: string, what: string): Promise<string | null> {
    return this.pane(name)
      .getByTestId(id)
      .getAttribute(`data-${what}`, { timeout: 1_000 })
      .catch(() => null);
  }
}
