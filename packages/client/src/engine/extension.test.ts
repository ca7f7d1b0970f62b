/** What lives in a session beside its messages is told in order, and what is its own stays apart. */

import type { Entry, Item, MemberId, UpdateItem } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import type { Extension } from "./extension.ts";
import { beginning, me, other, Page } from "./page.fixture.ts";

const update = (n: number, bytes = 3): UpdateItem => ["@doc/notes", 7, n, 0, new Uint8Array(bytes).fill(n)];

/** Writes down what it is told. */
class Told implements Extension {
  readonly notes: string[] = [];
  readonly lostItems: UpdateItem[] = [];

  follows(): readonly string[] {
    return ["notes"];
  }
  opened({ kind }: { readonly kind: string }): void {
    this.notes.push(kind);
  }
  entry({ type, offset }: Entry): void {
    this.notes.push(`${type} ${offset}`);
  }
  told(upTo: number): void {
    this.notes.push(`told ${upTo}`);
  }
  frame(): void {}
  refused(): void {}
  lost(items: readonly UpdateItem[]): void {
    this.lostItems.push(...items);
  }
  gathered(): void {}
  changed(): void {}
  closed(): void {}
}

const messages = (offset: number, by: MemberId, seq: number, ...items: readonly Item[]): Entry => ({
  type: "messages",
  offset,
  at: 0,
  by,
  seq,
  items,
});

const begun = (page: Page = new Page()): { page: Page; told: Told } => {
  const told = new Told();
  page.engine.extension = told;
  page.load().open(beginning, 0);
  return { page, told };
};

const sentItems = (page: Page): readonly Item[] =>
  page
    .sentOf("commands")
    .flatMap(({ commands }) => commands as readonly { readonly items?: readonly Item[] }[])
    .flatMap(({ items = [] }) => items);

describe("an extension", () => {
  it("is told of updates and of what changes the state, in order, and follows by name", () => {
    const { page, told } = begun();
    const restored: Entry = {
      type: "document-restored",
      document: "notes",
      from: "notes",
      point: 2,
      by: other,
      seq: 2,
      offset: 5,
      at: 0,
    };
    page.tell([messages(4, other, 1, update(0)), restored, messages(6, other, 3, ["note", 1])]);
    expect(told.notes[0]).toBe("joined");
    expect(told.notes.slice(-3)).toEqual(["messages 4", "document-restored 5", "told 6"]);
    expect(page.sentOf("open")[0]).toMatchObject({ documents: ["notes"] });
  });

  it("keeps its updates out of the app's tail", () => {
    const { page } = begun(new Page(new Map(), { keepsState: true }));
    page.tell([messages(4, other, 1, update(0)), messages(5, other, 2, ["note", 1])]);
    const tail = [...page.disk].filter(([key]) => key.startsWith("tail/")).flatMap(([, list]) => list as Entry[]);
    expect(tail.map(({ offset }) => offset)).toEqual([5]);
  });

  it("takes back what nobody was sent, and nothing else", () => {
    const { page } = begun();
    page.engine.disconnect();
    page.engine.update(update(0));
    const second = update(1);
    page.engine.update(second);
    expect(page.engine.withdraw(update(1))).toBe(false);
    expect(page.engine.withdraw(second)).toBe(true);
    const both = update(1, 9);
    page.engine.update(both);
    page.turn();
    const again = new Page(page.disk).load();
    expect(again.engine.outbox.all().map(({ command }) => command)).toMatchObject([
      { items: [update(0)] },
      { items: [both] },
    ]);
    page.open(beginning, 0);
    expect(sentItems(page)).toEqual([update(0), both]);
    expect(page.engine.withdraw(both)).toBe(false);
  });

  it("gets its updates back if the log has lost them, and messages are sent again", () => {
    const { page, told } = begun();
    const kept: Entry = { type: "sync-point", kind: "minor", serial: 1, by: other, offset: 4, at: 0 };
    page.tell([kept]);
    page.engine.update(update(0));
    page.submit({ type: "messages", items: [["note", 1]] });
    page.turn();
    page.tell([messages(5, me, 1, update(0)), messages(6, me, 2, ["note", 1])]);
    page.engine.disconnect();
    const sent = sentItems(page).length;
    page.opened([...beginning, kept], { kind: "reset", why: "fork", fork: 4 }, 4, 0);
    expect(told.lostItems).toEqual([update(0)]);
    expect(sentItems(page).slice(sent)).toEqual([["note", 1]]);
  });

  it("does not displace messages by what is typed", () => {
    const { page, told } = begun(new Page(new Map(), { secureMessages: 3 }));
    page.submit({ type: "messages", items: [["note", 1]] });
    page.tell([messages(4, me, 1, ["note", 1])]);
    for (let n = 0; n < 10; n += 1) page.engine.update(update(n));
    page.turn();
    page.tell([messages(5, me, 2, ...Array.from({ length: 10 }, (_, n) => update(n)))]);
    page.engine.disconnect();
    const sent = sentItems(page).length;
    page.opened(beginning, { kind: "reset", why: "fork", fork: 3 }, 3, 0);
    expect(sentItems(page).slice(sent)).toEqual([["note", 1]]);
    expect(told.lostItems).toEqual([update(7), update(8), update(9)]);
  });
});
