/** What an update says of itself, read without a document: what it adds, on what it builds, what it deletes. */

import { RostrumError } from "@rostrum/protocol";
import * as Y from "yjs";

/** Clients as Yjs counts them, each with the clock up to which (excluded) something reaches. */
export type Clocks = ReadonlyMap<number, number>;

export interface UpdateFacts {
  /** Runs of structs that it adds. */
  readonly adds: readonly { readonly client: number; readonly from: number; readonly to: number }[];
  /** What has to be there before it can be taken up: origins, parents and what it deletes, its own additions left out. */
  readonly needs: Clocks;
  /** Whether it deletes anything. */
  readonly deletes: boolean;
}

/** Far above what a document can hold, and far below what a number can. */
const highestClock = 2 ** 40;

const malformed = (what: string, cause?: unknown): RostrumError =>
  new RostrumError(
    "DOCUMENT_INVALID",
    `An update of a document is not one (${what}); it was not taken.`,
    { what },
    cause === undefined ? {} : { cause },
  );

/** What nests deeper can be read here and perhaps written nowhere else: all who do either go down into it on their stack. */
const deepest = 256;

const nests = (value: unknown, levels: number): boolean => {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  return levels === 0 || Object.values(value).some((each) => nests(each, levels - 1));
};

const values = (content: unknown): readonly unknown[] => {
  if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) return content.arr;
  if (content instanceof Y.ContentEmbed) return [content.embed];
  if (content instanceof Y.ContentFormat) return [content.value];
  return content instanceof Y.ContentDoc ? [content.doc.meta] : [];
};

/** A sub-document is made of what the update says of it, whatever that is; another guid than a text shifts all texts behind it. */
const isSound = ({ doc }: Y.ContentDoc): boolean => typeof doc.guid === "string" && typeof doc.gcFilter === "function";

/**
 * Reads an update in format 1.
 * @throws RostrumError DOCUMENT_INVALID for bytes that are no update, one with holes, or one that Yjs reads and cannot take up.
 */
export const readFacts = (update: Uint8Array): UpdateFacts => {
  let decoded: ReturnType<typeof Y.decodeUpdate>;
  try {
    decoded = Y.decodeUpdate(update);
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message : String(cause), cause);
  }
  const runs = new Map<number, { client: number; from: number; to: number }>();
  const needs = new Map<number, number>();
  const need = (client: number, upTo: number): void => {
    const own = runs.get(client);
    if (own !== undefined && own.from <= upTo && upTo <= own.to) upTo = own.from;
    if (upTo > (needs.get(client) ?? 0)) needs.set(client, upTo);
  };
  for (const struct of decoded.structs) {
    const { id, length } = struct;
    if (struct instanceof Y.Skip) throw malformed("a hole in it");
    const run = runs.get(id.client);
    const to = id.clock + length;
    if (!(to <= highestClock && length > 0)) throw malformed("a clock out of range");
    if (run === undefined) runs.set(id.client, { client: id.client, from: id.clock, to });
    else if (run.to === id.clock) run.to = to;
    else throw malformed("a hole in it");
  }
  for (const struct of decoded.structs) {
    if (!(struct instanceof Y.Item)) continue;
    const { id, origin, rightOrigin, parent, content } = struct;
    for (const place of [origin, rightOrigin, parent]) {
      if (!(place instanceof Y.ID)) continue;
      // Yjs takes it for granted that a client builds on what it made before, and throws where it does not.
      if (place.client === id.client && place.clock >= id.clock) throw malformed("something that builds on itself");
      need(place.client, place.clock + 1);
    }
    if (values(content).some((value) => nests(value, deepest)))
      throw malformed(`more than ${deepest} levels of nesting`);
    if (content instanceof Y.ContentDoc && !isSound(content)) throw malformed("a sub-document that is none");
  }
  let deletes = false;
  for (const [client, ranges] of decoded.ds.clients) {
    for (const { clock, len } of ranges) {
      // Yjs looks for what is to be deleted also if it is nothing, and throws if there is nothing.
      if (len === 0) throw malformed("a deletion of nothing");
      deletes = true;
      need(client, clock + len);
    }
  }
  return { adds: [...runs.values()], needs, deletes };
};
