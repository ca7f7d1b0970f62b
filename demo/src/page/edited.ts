/** What a draft did to the text it was written in, piece by piece, as Yjs knows it: not guessed from two texts. */

import * as Y from "yjs";
import type { Piece } from "./difference.ts";
import { textOf } from "./paper.ts";

interface Range {
  readonly clock: number;
  readonly len: number;
}

const without = (ranges: readonly Range[], taken: readonly Range[]): Range[] =>
  taken.reduce<Range[]>(
    (left, { clock, len }) =>
      left.flatMap((range) => {
        const [end, until] = [range.clock + range.len, clock + len];
        if (end <= clock || until <= range.clock) return [range];
        return [
          { clock: range.clock, len: clock - range.clock },
          { clock: until, len: end - until },
        ].filter((part) => part.len > 0);
      }),
    [...ranges],
  );

/** The document before the update that is in it. */
const before = (view: Y.Doc, update: Uint8Array): Y.Snapshot => {
  const { structs, ds } = Y.decodeUpdate(update);
  const { sv } = Y.snapshot(view);
  const vector = new Map(sv);
  for (const { id } of structs) vector.set(id.client, Math.min(vector.get(id.client) ?? id.clock, id.clock));
  const deleted = Y.createDeleteSetFromStructStore(view.store);
  for (const [client, ranges] of deleted.clients)
    deleted.clients.set(client, without(ranges, ds.clients.get(client) ?? []));
  return Y.createSnapshot(deleted, vector);
};

/** `view` is the text with the draft in it. */
export const edited = (view: Y.Doc, update: Uint8Array): readonly Piece[] => {
  const delta: readonly {
    readonly insert: string;
    readonly attributes?: { readonly ychange?: { readonly type: string } };
  }[] = textOf(view).toDelta(Y.snapshot(view), before(view, update));
  return delta.map(({ insert, attributes }) => {
    const type = attributes?.ychange?.type;
    return { value: insert, added: type === "added", removed: type === "removed" };
  });
};
