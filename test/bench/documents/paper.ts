/**
 * `b4-like`: a paper as one person types it. Not the recorded trace that is known as B4, which no package ships, but
 * made to its measure: 182,315 characters inserted and 77,463 deleted one by one, 104,852 in the end. Recorded are runs
 * of typing (half of them below 10 characters, a tenth above 80) and of deleting (3 and 16; three fifths with the key
 * that goes back), with the cursor going elsewhere before half of them (half of the times by less than 47). In Yjs the
 * recorded one comes to 10,971 items and 311,035 bytes, this one to 10,886 and 306,027.
 */

import type { Operation, Workload } from "./operations.ts";
import { type Random, seeded } from "./random.ts";

const paperInserts = 182_315;
const paperDeletes = 77_463;

/** One in every seven characters is a space, and some lines end. */
const letter = (random: Random): string => {
  const kind = random();
  return kind < 0.14 ? " " : kind < 0.16 ? "\n" : random.word(1);
};

function* paperOperations(random: Random, inserts: number, deletes: number): Iterable<Operation> {
  let [inserted, deleted, cursor] = [0, 0, 0];
  const length = (): number => inserted - deleted;
  while (inserted < inserts || deleted < deletes) {
    if (random() < 0.5) {
      const far = random.skewed(46, 2.2);
      cursor = Math.min(length(), Math.max(0, cursor + (random() < 0.5 ? -far : far)));
    }
    // Whoever is ahead of the shares of the whole deletes less, or the end would be one long run of either.
    const ahead = deleted / deletes > inserted / inserts;
    const removes = inserted >= inserts || (deleted < deletes && length() > 0 && random() < (ahead ? 0.25 : 0.55));
    if (!removes) {
      const run = Math.min(inserts - inserted, random.skewed(9, 1.5));
      for (let each = 0; each < run; each += 1, cursor += 1) yield { kind: "insert", at: cursor, text: letter(random) };
      inserted += run;
      continue;
    }
    const backwards = random() < 0.62;
    const room = backwards ? cursor : length() - cursor;
    const run = Math.min(deletes - deleted, room, random.skewed(2, 2));
    if (room === 0) cursor = random.below(length() + 1);
    for (let each = 0; each < run; each += 1) {
      if (backwards) cursor -= 1;
      yield { kind: "remove", at: cursor, length: 1 };
    }
    deleted += run;
  }
}

/** `part` of the whole, in hundredths: 100 is the size of the recorded one. */
export const paper = (part = 100, seed = 4): Workload => {
  const share = (whole: number): number => Math.round((whole * part) / 100);
  const operations = (): Iterable<Operation> => paperOperations(seeded(seed), share(paperInserts), share(paperDeletes));
  return {
    name: "b4-like",
    writers: 1,
    opening: [],
    operations,
    expected: () => {
      const letters: string[] = [];
      for (const operation of operations()) {
        if (operation.kind === "insert") letters.splice(operation.at, 0, operation.text);
        else if (operation.kind === "remove") letters.splice(operation.at, operation.length);
      }
      return { text: letters.join("") };
    },
  };
};

/** A note of about ten kilobytes: phrases, most of them behind what is there, and some that are deleted again. */
export function* note(seed: number, phrases = 230): Iterable<Operation> {
  const random = seeded(seed);
  for (let each = 0, length = 0; each < phrases; each += 1) {
    const text = `${random.word(15 + random.below(30))} `;
    const at = random() < 0.7 ? length : random.below(length + 1);
    yield { kind: "insert", at, text };
    length += text.length;
    if (random() < 0.2) {
      const slip = Math.min(length - 1, 1 + random.below(20));
      yield { kind: "remove", at: random.below(length - slip), length: slip };
      length -= slip;
    }
  }
}
