/** How entries change what is known of a document. */

import type { DocumentSaved, Messages, Resynchronized } from "../entry.ts";
import type { Offset } from "../ids.ts";
import { type Beginning, type DocumentHead, newDocument } from "./document.ts";

/** Updates were stored. `last`: the last offset of their entry. */
export const withUpdates = (
  known: DocumentHead | undefined,
  { offset, items }: Messages,
  last: Offset,
): DocumentHead => {
  const head = known ?? newDocument;
  let { bytes } = head;
  for (const item of items) bytes += item[4] instanceof Uint8Array ? item[4].byteLength : 0;
  return { ...head, last, since: head.since || offset, updates: head.updates + items.length, bytes };
};

/** It goes on from another content. */
export const begunAnew = (known: DocumentHead | undefined, beginning: Beginning): DocumentHead => {
  const head = known ?? newDocument;
  const { at } = beginning;
  return { ...head, lineage: at, last: at, since: head.since || at, begun: [...head.begun, beginning] };
};

/** The store's record holds it as of an offset. */
export const withRecord = (head: DocumentHead, { upTo, updates, bytes }: DocumentSaved): DocumentHead => ({
  ...head,
  // With nothing behind the record there is nothing to count, whatever a record that was not told of has had.
  ...(head.last > upTo
    ? {
        since: Math.max(head.since, upTo + 1),
        updates: Math.max(0, head.updates - updates),
        bytes: Math.max(0, head.bytes - bytes),
      }
    : { since: 0, updates: 0, bytes: 0 }),
  begun: head.begun.filter(({ at }) => at > upTo),
});

/** The session goes back: so does each document that has changed since. `undefined`: none has. */
export const documentsBack = (
  documents: ReadonlyMap<string, DocumentHead>,
  { kind, to, offset: at }: Resynchronized,
): Map<string, DocumentHead> | undefined => {
  if (kind === "set") return undefined;
  let back: Map<string, DocumentHead> | undefined;
  for (const [document, head] of documents) {
    if (head.last <= to) continue;
    back ??= new Map(documents);
    back.set(document, begunAnew(head, { at, document, point: to }));
  }
  return back;
};
