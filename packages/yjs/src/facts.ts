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

/**
 * Reads an update in format 1.
 * @throws RostrumError DOCUMENT_INVALID for bytes that are no update, or one with holes.
 */
export const readFacts = (update: Uint8Array): UpdateFacts => {
  let decoded: ReturnType<typeof Y.decodeUpdate>;
  try {
    decoded = Y.decodeUpdate(update);
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message : String(cause), cause);
  }
  const adds: { client: number; from: number; to: number }[] = [];
  const needs = new Map<number, number>();
  const need = (client: number, upTo: number): void => {
    const own = adds.find((run) => run.client === client);
    if (own !== undefined && own.from <= upTo && upTo <= own.to) upTo = own.from;
    if (upTo > (needs.get(client) ?? 0)) needs.set(client, upTo);
  };
  for (const struct of decoded.structs) {
    const { id, length } = struct;
    if (struct instanceof Y.Skip) throw malformed("a hole in it");
    const run = adds.at(-1);
    const to = id.clock + length;
    if (!(to <= highestClock && length > 0)) throw malformed("a clock out of range");
    if (run?.client === id.client && run.to === id.clock) run.to = to;
    else if (adds.some(({ client }) => client === id.client)) throw malformed("a hole in it");
    else adds.push({ client: id.client, from: id.clock, to });
  }
  for (const struct of decoded.structs) {
    if (!(struct instanceof Y.Item)) continue;
    const { origin, rightOrigin, parent } = struct;
    if (origin !== null) need(origin.client, origin.clock + 1);
    if (rightOrigin !== null) need(rightOrigin.client, rightOrigin.clock + 1);
    if (parent instanceof Y.ID) need(parent.client, parent.clock + 1);
  }
  let deletes = false;
  for (const [client, ranges] of decoded.ds.clients) {
    for (const { clock, len } of ranges) {
      deletes ||= len > 0;
      need(client, clock + len);
    }
  }
  return { adds, needs, deletes };
};
