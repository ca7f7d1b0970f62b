/** Writers with clients of their own, in a process of their own, so that what they cost is nobody else's. */

import { createHash } from "node:crypto";
import { sleep, turn } from "../load.ts";
import type { Connection, Replica } from "./contender.ts";
import { contenderNamed } from "./contenders.ts";
import { note } from "./paper.ts";
import { seeded } from "./random.ts";
import { apply, textOf } from "./replay.ts";

export type WritersOrder =
  /** So many clients, each with the document. */
  | { readonly ask: "open"; readonly document: string; readonly count: number }
  /** Each makes so many edits, without a pause. */
  | { readonly ask: "flat"; readonly edits: number; readonly seed: number }
  /** Each makes so many edits a second, like somebody who types fast. */
  | { readonly ask: "type"; readonly perSecond: number; readonly seconds: number; readonly seed: number }
  /** Waits until every replica has so many characters, and answers with the digest of what they have, if it is one. */
  | { readonly ask: "converge"; readonly length: number }
  /** One client with so many documents, each of which gets a note. */
  | { readonly ask: "notes"; readonly count: number };

/** The longest that any wait may take. */
const patience = 180_000;

process.setMaxListeners(0);
const [, , name, url = ""] = process.argv;
const contender = contenderNamed(name);
const connections: Connection[] = [];
const replicas: Replica[] = [];

const flat = async (edits: number, seed: number): Promise<void> => {
  const random = seeded(seed);
  // Who writes without a pause does not wait for others' words after each letter.
  const burst = 10;
  for (let made = 0; made < edits; made += burst) {
    for (const { doc } of replicas) {
      const text = doc.getText("text");
      for (let each = 0; each < burst; each += 1) text.insert(random.below(text.length + 1), random.word(1));
      await turn();
    }
  }
};

const type = async (perSecond: number, seconds: number, seed: number): Promise<number> => {
  const random = seeded(seed);
  // People do not type in step.
  const typists = replicas.map(() => ({ late: random() / perSecond, typed: 0, cursor: 0 }));
  const started = performance.now();
  for (let passed = 0; passed < seconds; ) {
    passed = Math.min(seconds, (performance.now() - started) / 1_000);
    for (const [index, typist] of typists.entries()) {
      const text = replicas[index]?.doc.getText("text");
      if (text === undefined) continue;
      for (; typist.typed < (passed - typist.late) * perSecond; typist.typed += 1) {
        const moved = random() < 0.03 ? random.below(text.length + 1) : typist.cursor;
        const at = Math.min(moved, text.length);
        text.insert(at, random.word(1));
        typist.cursor = at + 1;
      }
    }
    await sleep(1);
  }
  return typists.reduce((sum, { typed }) => sum + typed, 0);
};

const converge = async (length: number): Promise<string> => {
  const until = performance.now() + patience;
  const behind = (): number => replicas.filter(({ doc }) => doc.getText("text").length !== length).length;
  while (behind() > 0 && performance.now() < until) await sleep(2);
  if (behind() > 0) throw new Error(`${contender.name}: ${behind()} of ${replicas.length} replicas lack something`);
  const digests = new Set(replicas.map(({ doc }) => createHash("sha256").update(textOf(doc)).digest("hex")));
  return [...digests].join();
};

const notes = async (count: number): Promise<void> => {
  const connection = await contender.connect(url, "many");
  connections.push(connection);
  const group = 20;
  for (let from = 0; from < count; from += group) {
    const opened = await Promise.all(
      Array.from({ length: Math.min(group, count - from) }, (_, index) => connection.open(`note-${from + index}`)),
    );
    for (const [index, replica] of opened.entries()) {
      replicas.push(replica);
      for (const operation of note(from + index)) apply(replica.doc, operation);
      await turn();
    }
  }
};

const answer = async (order: WritersOrder): Promise<unknown> => {
  switch (order.ask) {
    case "open":
      for (let each = 0; each < order.count; each += 1) {
        const connection = await contender.connect(url);
        connections.push(connection);
        replicas.push(await connection.open(order.document));
      }
      return true;
    case "flat":
      await flat(order.edits, order.seed);
      return true;
    case "type":
      return type(order.perSecond, order.seconds, order.seed);
    case "converge":
      return converge(order.length);
    case "notes":
      await notes(order.count);
      return true;
  }
};

process.on("message", (order: WritersOrder) => {
  void answer(order).then((value) => process.send?.({ value }));
});
process.once("disconnect", () => process.exit());
process.send?.({ value: 0 });
