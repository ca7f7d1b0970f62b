/** Plays operations into a Yjs document, and compares one with what was expected. */

import { Doc, encodeStateAsUpdate } from "yjs";
import { type Expected, type Operation, sorted, type Value } from "./operations.ts";
import { seeded } from "./random.ts";

export const textOf = (doc: Doc): string => doc.getText("text").toString();

/** One operation, one transaction. */
export const apply = (doc: Doc, operation: Operation): void => {
  switch (operation.kind) {
    case "insert":
      doc.getText("text").insert(operation.at, operation.text);
      break;
    case "remove":
      doc.getText("text").delete(operation.at, operation.length);
      break;
    case "list-insert":
      doc.getArray<Value>("list").insert(operation.at, [...operation.values]);
      break;
    case "list-remove":
      doc.getArray<Value>("list").delete(operation.at, operation.length);
      break;
    case "set":
      doc.getMap<Value>("map").set(operation.key, operation.value);
  }
};

/** In what the document is not as expected; undefined if it is. */
export const difference = (doc: Doc, expected: Expected): string | undefined => {
  const text = textOf(doc);
  const list = doc.getArray<Value>("list").toArray();
  if (expected.text !== undefined && text !== expected.text) return `a text of ${text.length} characters`;
  if (expected.letters !== undefined && sorted(text) !== expected.letters) return `a text of ${text.length} characters`;
  if (expected.list !== undefined && JSON.stringify(list) !== JSON.stringify(expected.list))
    return `a list of ${list.length} values`;
  const values = list.map((value) => JSON.stringify(value)).sort();
  if (expected.values !== undefined && values.join() !== expected.values.join())
    return `a list of ${list.length} values`;
  for (const [key, allowed] of expected.map ?? []) {
    const value = JSON.stringify(doc.getMap<Value>("map").get(key));
    if (!allowed.some((each) => JSON.stringify(each) === value)) return `${key} is ${value}`;
  }
  return undefined;
};

/**
 * The state of a document that many have edited for long: about `bytes`, by some hundreds of replicas (each visit of
 * somebody is a new one), with a third of what was written deleted again.
 */
export const agedState = (bytes: number, replicas = 600, seed = 5): Uint8Array => {
  const random = seeded(seed);
  const doc = new Doc();
  const text = doc.getText("text");
  // Measured: a letter typed in this history leaves 2.1 bytes of state, with what surrounds it and what is deleted.
  const letters = bytes / 2.1 / replicas;
  for (let visit = 0; visit < replicas; visit += 1) {
    doc.clientID = 1 + random.below(2 ** 31);
    let cursor = random.below(text.length + 1);
    for (let typed = 0; typed < letters; ) {
      if (random() < 0.08) cursor = random.below(text.length + 1);
      if (text.length > 40 && random() < 0.25) {
        const length = Math.min(cursor, random.skewed(3, 1.2));
        cursor -= length;
        text.delete(cursor, length);
        continue;
      }
      const word = `${random.word(2 + random.below(8))} `;
      text.insert(cursor, word);
      cursor += word.length;
      typed += word.length;
    }
  }
  const state = encodeStateAsUpdate(doc);
  doc.destroy();
  return state;
};
