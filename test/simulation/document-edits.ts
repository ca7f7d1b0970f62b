/** What people do to a document in the simulated world: all kinds of content by chance, each edit with a mark of its own. */

import type { Scheduler } from "@rostrum/testing";
import * as Y from "yjs";

/** Characters that mean nothing: one of them cannot be split, so that it is found wherever its edit is. */
const firstMark = 0xe000;
const lastMark = 0xf8ff;

export class Marks {
  private last = firstMark - 1;

  /** @throws Error when there are no more: then a history is too long. */
  next(): string {
    this.last += 1;
    if (this.last > lastMark) throw new Error("No marks are left.");
    return String.fromCharCode(this.last);
  }
}

export const marksIn = (text: string): readonly string[] => text.match(/[\ue000-\uf8ff]/g) ?? [];

/** A mark as it can be read. */
export const nameOf = (mark: string): string => `e${mark.charCodeAt(0) - firstMark}`;

type Nested = Y.Text | Y.Map<unknown> | Y.Array<unknown> | Y.XmlFragment | Y.XmlText;

const roots = (doc: Y.Doc): readonly Nested[] => [
  doc.getText("text"),
  doc.getMap("map"),
  doc.getArray("list"),
  doc.getXmlFragment("tree"),
];

export const undoOf = (doc: Y.Doc): Y.UndoManager =>
  // By the clock on the wall nothing may be decided here.
  new Y.UndoManager([...roots(doc)], { captureTimeout: 0 });

/** One transaction of a person. Answers the marks it put in. */
export const editAtRandom = (
  doc: Y.Doc,
  undo: Y.UndoManager | undefined,
  scheduler: Scheduler,
  marks: Marks,
): string[] => {
  const put: string[] = [];
  const mark = (): string => {
    const made = marks.next();
    put.push(made);
    return made;
  };
  const dice = scheduler.random();
  if (undo !== undefined && dice < 0.08) undo.undo();
  else if (undo !== undefined && dice < 0.13) undo.redo();
  else {
    doc.transact(() => {
      for (let count = scheduler.chance(0.15) ? scheduler.between(2, 6) : 1; count > 0; count -= 1)
        editOne(doc, scheduler, mark);
    });
  }
  return put;
};

const editOne = (doc: Y.Doc, scheduler: Scheduler, mark: () => string): void => {
  let type: Nested = scheduler.chance(0.3) ? doc.getText("text") : (scheduler.pick(roots(doc)) as Nested);
  // Down into what is nested, some of the way.
  for (let depth = 0; depth < 3 && scheduler.chance(0.6); depth += 1) {
    const below = scheduler.pick(nestedIn(type));
    if (below === undefined) break;
    type = below;
  }
  if (type instanceof Y.Text) editText(type, scheduler, mark);
  else if (type instanceof Y.Map) editMap(type, scheduler, mark);
  else if (type instanceof Y.Array) editList(type, scheduler, mark);
  else editTree(type, scheduler, mark);
};

const isNested = (value: unknown): value is Nested =>
  value instanceof Y.Text || value instanceof Y.Map || value instanceof Y.Array || value instanceof Y.XmlFragment;

const nestedIn = (type: Nested): readonly Nested[] => {
  if (type instanceof Y.Text) return [];
  if (type instanceof Y.Map) return [...type.values()].filter(isNested);
  return (type.toArray() as unknown[]).filter(isNested);
};

const range = (length: number, scheduler: Scheduler): readonly [at: number, count: number] => {
  const at = scheduler.between(0, length - 1);
  return [at, scheduler.between(1, Math.min(length - at, scheduler.chance(0.1) ? length : 6))];
};

const editText = (text: Y.Text, scheduler: Scheduler, mark: () => string): void => {
  const dice = scheduler.random();
  if (text.length > 0 && dice < 0.25) return text.delete(...range(text.length, scheduler));
  if (text.length > 0 && dice < 0.45) {
    const value = scheduler.pick([true, true, null, null, mark()]) ?? null;
    return text.format(...range(text.length, scheduler), { [scheduler.pick(["bold", "colour"]) ?? "bold"]: value });
  }
  // Often where it ended last, as people type.
  const at = scheduler.chance(0.4) ? text.length : scheduler.between(0, text.length);
  if (dice < 0.52) return text.insertEmbed(at, { image: mark() });
  const typed = "abcdefgh".slice(0, scheduler.between(0, scheduler.chance(0.05) ? 8 : 2));
  const words = scheduler.chance(0.03) ? typed + "pasted ".repeat(scheduler.between(10, 100)) : typed;
  if (dice < 0.65) text.insert(at, words + mark(), { bold: scheduler.pick([true, null, mark()]) ?? null });
  else text.insert(at, words + mark());
};

const made = (scheduler: Scheduler, mark: () => string): Nested | string | object => {
  const dice = scheduler.random();
  if (dice < 0.12) return new Y.Text(mark());
  if (dice < 0.24) return new Y.Map([["made", mark()]]);
  if (dice < 0.34) return Y.Array.from<string | number>([mark(), 1]);
  return dice < 0.5 ? { deep: [mark()] } : mark();
};

const editMap = (map: Y.Map<unknown>, scheduler: Scheduler, mark: () => string): void => {
  const key = `k${scheduler.between(0, 4)}`;
  if (map.has(key) && scheduler.chance(0.3)) map.delete(key);
  else map.set(key, made(scheduler, mark));
};

const editList = (list: Y.Array<unknown>, scheduler: Scheduler, mark: () => string): void => {
  if (list.length > 0 && scheduler.chance(0.35)) return list.delete(...range(list.length, scheduler));
  const items = Array.from({ length: scheduler.between(1, 3) }, () => made(scheduler, mark));
  list.insert(scheduler.between(0, list.length), items);
};

const editTree = (tree: Y.XmlFragment, scheduler: Scheduler, mark: () => string): void => {
  const dice = scheduler.random();
  if (tree instanceof Y.XmlElement && dice < 0.25) {
    const key = scheduler.pick(["id", "class"]) ?? "id";
    if (dice < 0.06) tree.removeAttribute(key);
    else tree.setAttribute(key, mark());
    return;
  }
  if (tree.length > 0 && dice < 0.45) return tree.delete(...range(tree.length, scheduler));
  const node = dice < 0.75 ? new Y.XmlText(mark()) : new Y.XmlElement(scheduler.pick(["p", "li"]) ?? "p");
  tree.insert(scheduler.between(0, tree.length), [node]);
};

/** Everything that can be read of a document, whatever it is made of: equal exactly if the contents are. */
export const contentOf = (doc: Y.Doc): unknown => roots(doc).map(described);

const described = (value: unknown): unknown => {
  if (value instanceof Y.Text)
    return { text: (value.toDelta() as unknown[]).map(sortedDelta), of: attributesOf(value) };
  if (value instanceof Y.Map)
    return {
      map: [...value].map(([key, each]) => [key, described(each)]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    };
  if (value instanceof Y.Array) return { list: value.toArray().map(described) };
  if (value instanceof Y.XmlElement)
    return { name: value.nodeName, of: attributesOf(value), nodes: value.toArray().map(described) };
  if (value instanceof Y.XmlFragment) return { nodes: value.toArray().map(described) };
  return value;
};

/** The order in which attributes came about is no part of a content. */
const sorted = (attributes: object): unknown => Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1));

const sortedDelta = (op: unknown): unknown => {
  const { insert, attributes = {} } = op as { readonly insert: unknown; readonly attributes?: object };
  return [described(insert), sorted(attributes)];
};

const attributesOf = (value: Y.Text | Y.XmlElement): unknown =>
  value instanceof Y.XmlElement || value instanceof Y.XmlText ? sorted(value.getAttributes()) : [];
