/** Anything may happen, in any order; in the end all have the same, and nothing that was edited is lost without a word. */

import { defaultConfig, documentIn } from "@rostrum/protocol";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { docOf } from "./copy.ts";
import { Hall } from "./hall.fixture.ts";
import { Page, run, textOf, typeInto } from "./world.fixture.ts";

const generator = (seed: number): ((below: number) => number) => {
  let state = seed * 2654435761 + 1;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 1 | state) + 0x6d2b79f5) | 0;
    const mixed = state ^ (state + Math.imul(state ^ (state >>> 7), 61 | state));
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
};

interface Options {
  /** Pages die with some of what they wrote not done. */
  readonly crashes: boolean;
  readonly losses: boolean;
  readonly restores: boolean;
  /** Now and then the log is rid of all updates. */
  readonly thins?: boolean;
}

interface Life {
  page: Page;
  /** What was typed here since the disk last had all. */
  readonly typed: Set<string>;
}

const play = (seed: number, { crashes, losses, restores, thins = false }: Options): void => {
  const random = generator(seed);
  const hall = new Hall();
  /** Everything that was ever in the log. */
  const ever = new Set<string>();
  const note = (): void => {
    for (const entry of hall.log)
      if (entry.type === "messages" && documentIn(entry) !== undefined)
        for (const item of entry.items)
          for (const word of Buffer.from(item[4] as Uint8Array)
            .toString("latin1")
            .match(/<\d+>/g) ?? [])
            ever.add(word);
  };
  const begin = (name: string, before?: Page): Page => {
    const page = new Page(hall, name, before?.die());
    page.user = name;
    page.joins = before?.joins ?? 0;
    page.bind("notes", {
      create: () => {
        const doc = new Y.Doc();
        // The same each time for a seed.
        doc.clientID = 1 + random(2 ** 31);
        return doc;
      },
    });
    return page;
  };
  const lives: Life[] = ["ada", "bob", "eve"].map((name) => ({ page: begin(name), typed: new Set() }));
  let count = 0;
  const pages = (): readonly Page[] => lives.map(({ page }) => page);
  for (let round = 0; round < 120; round += 1) {
    const life = lives[random(lives.length)];
    if (life === undefined) continue;
    const { page } = life;
    const notes = page.bind();
    const length = notes.doc.getText("t").length;
    const what = random(100);
    if (what < 40) {
      count += 1;
      life.typed.add(`<${count}>`);
      typeInto(notes, `<${count}>`, random(length + 1));
    } else if (what < 48 && length > 0) {
      // Whole words go, so that each can be looked for.
      const words = [...textOf(notes).matchAll(/<\d+>/g)];
      const word = words[random(Math.max(1, words.length))];
      if (word?.index !== undefined) notes.doc.getText("t").delete(word.index, word[0].length);
    } else if (what < 54) page.drop();
    else if (what < 62) page.drop().connect();
    else if (what < 65) page.deafen();
    else if (what < 70) {
      const may = random(2) === 0;
      hall.server({
        type: "configure",
        config: { ...defaultConfig, roles: { member: may ? ["*"] : ["read", "volatile", "sync", "document-restore"] } },
      });
    } else if (what < 73) hall.holdsAnswers = true;
    else if (what < 77) hall.answerHeld();
    else if (what < 80) {
      if (restores) hall.server({ type: "sync-minor", name: `v${round}` });
    } else if (what < 82) {
      const point = hall.state.sync.points.findLast(({ status }) => status !== "void");
      if (restores && point !== undefined && hall.state.documents.has("notes"))
        hall.server({ type: "document-restore", document: "notes", point: point.offset });
    } else if (what < 86) {
      page.drive.isSlow = false;
      page.drive.step();
      page.hide();
      life.typed.clear();
      life.page = begin(page.name, page);
      if (random(2) === 0) life.page.connect();
    } else if (what < 88 && crashes) {
      page.drive.step(random(page.drive.waiting + 1));
      for (const word of life.typed) lost.add(word);
      life.typed.clear();
      life.page = begin(page.name, page);
    } else if (what < 90 && crashes) page.drive.isSlow = true;
    else if (what < 91 && losses) {
      note();
      hall.lose(Math.max(4, hall.state.head - random(12)));
    } else if (what < 95) page.wait(random(300));
    else run(...pages());
    // Some of what could happen does.
    if (thins && random(8) === 0) hall.thin();
    for (let steps = random(6); steps > 0; steps -= 1) page.step();
    note();
  }
  hall.answerHeld();
  hall.server({ type: "configure", config: defaultConfig });
  for (let more = 0; more < 3; more += 1) {
    for (const { page } of lives) {
      page.drive.step();
      page.drive.isSlow = false;
      page.drop().connect().wait(3_000);
    }
    run(...pages());
  }
  for (const { page } of lives) page.wait(10_000);
  run(...pages());
  note();
  for (const { page } of lives) {
    const notes = page.bind();
    expect(textOf(notes), `${page.name} after ${seed}`).toBe(hall.textOf());
    expect(notes.status.get(), `${page.name} after ${seed}`).toMatchObject({ synced: true, saved: true, pending: 0 });
    const { store } = notes.doc;
    expect([store.pendingStructs, store.pendingDs]).toEqual([null, null]);
    const server = docOf(hall.piecesAt("notes", hall.state.head));
    expect(Y.equalSnapshots(Y.snapshot(notes.doc), Y.snapshot(server)), `${page.name} after ${seed}`).toBe(true);
  }
  const drafted = lives.flatMap(({ page }) =>
    page
      .bind()
      .drafts.get()
      .flatMap((draft) => Buffer.from(draft.update).toString("latin1").match(/<\d+>/g) ?? []),
  );
  const kept = new Set([...ever, ...drafted]);
  for (let word = 1; word <= count; word += 1)
    if (!lost.has(`<${word}>`)) expect(kept.has(`<${word}>`), `<${word}> after ${seed}`).toBe(true);
};

/** What a page may have taken with it when it died. */
const lost = new Set<string>();

const each = (seeds: number, options: Options): void => {
  const first = Number(process.env["SEED"] ?? 1);
  for (let seed = first; seed < first + Number(process.env["SEEDS"] ?? seeds); seed += 1) {
    lost.clear();
    try {
      play(seed, options);
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
};

describe("whatever happens", () => {
  it("all have the same in the end", () => each(25, { crashes: false, losses: false, restores: false }));
  it("with restores", () => each(25, { crashes: false, losses: false, restores: true }));
  it("with pages that die", () => each(25, { crashes: true, losses: false, restores: true }));
  it("with logs that are lost", () => each(25, { crashes: false, losses: true, restores: false }));
  it("with a log that is thinned", () => each(25, { crashes: true, losses: false, restores: true, thins: true }));
  it("with all of it", () => each(25, { crashes: true, losses: true, restores: true }));
});
