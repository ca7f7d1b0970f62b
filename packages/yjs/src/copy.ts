/** What is done to a `Y.Doc` as a copy of what the log says, never as an edit. */

import * as Y from "yjs";
import { readFacts } from "./facts.ts";
import type { Piece } from "./terms.ts";

/** Yjs sorts all that it merges with each that it adds: many are merged in steps. */
const mostInputs = 50;

/** Merges updates in format 1, never many in one go. */
export const merge = (updates: readonly Uint8Array[]): Uint8Array => {
  let level = [...updates];
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += mostInputs) {
      const some = level.slice(at, at + mostInputs);
      next.push(some.length === 1 ? (some[0] as Uint8Array) : Y.mergeUpdates(some));
    }
    level = next;
  }
  return level[0] ?? new Uint8Array([0, 0]);
};

/**
 * Runs changes as one transaction that is not local. `origin` says whose it is. What an observer of the app throws comes back
 * as the answer: the changes are made all the same.
 */
export const changing = (doc: Y.Doc, origin: unknown, change: () => void): unknown => {
  doc.on("afterTransaction", leaveFormatting);
  try {
    Y.transact(doc, change, origin, false);
    return undefined;
  } catch (error) {
    return error ?? new Error("an observer threw");
  } finally {
    doc.off("afterTransaction", leaveFormatting);
  }
};

/**
 * After a change from elsewhere Yjs deletes formatting that has become superfluous, as an edit of whoever gets the change: each
 * page would send the same deletions, and a reader would edit what it may only read. Edits tidy up behind themselves.
 */
const leaveFormatting = (transaction: Y.Transaction): void => {
  if (!transaction.local) transaction._needFormattingCleanup = false;
};

/** @throws what Yjs throws for bytes that are no update. */
export const apply = (doc: Y.Doc, { format, bytes }: Piece, origin?: unknown): void => {
  if (format === 2) Y.applyUpdateV2(doc, bytes, origin);
  else Y.applyUpdate(doc, bytes, origin);
};

/** Whether the document has all on which an update builds. */
export const fits = (doc: Y.Doc, update: Uint8Array): boolean => {
  const { adds, needs } = readFacts(update);
  const has = (client: number): number => Y.getState(doc.store, client);
  return (
    adds.every(({ client, from }) => from <= has(client)) && [...needs].every(([client, upTo]) => upTo <= has(client))
  );
};

/** Whether nothing waits in it for something that has not come. */
export const isWhole = ({ store }: Y.Doc): boolean => store.pendingStructs === null && store.pendingDs === null;

/** A document of its own that holds the pieces; to be destroyed by who asked for it. */
export const docOf = (pieces: readonly Piece[], gc = true): Y.Doc => {
  const doc = new Y.Doc({ gc });
  changing(doc, undefined, () => {
    for (const piece of pieces) apply(doc, piece);
  });
  return doc;
};

/** The pieces as one, in format 2; `undefined` if they do not make a whole. */
export const compacted = (pieces: readonly Piece[]): Uint8Array | undefined => {
  const doc = docOf(pieces);
  const state = isWhole(doc) ? Y.encodeStateAsUpdateV2(doc) : undefined;
  doc.destroy();
  return state;
};
