/**
 * Documents: streams of updates in the session's log, each merged by those who read it. The log does not look into an update; it
 * knows which document it belongs to, who made it, and on which content.
 */

import type { MemberCommand } from "../command.ts";
import type { Entry, Item } from "../entry.ts";
import type { Offset } from "../ids.ts";

const prefix = "@doc/";

/** The event under which a document's updates travel: what a guard or `authorize` names. */
export const documentEvent = (document: string): string => prefix + document;

/** Whose update the event is; `undefined`: it is an event of the app's. */
export const documentOf = (event: string): string | undefined =>
  event.startsWith(prefix) ? event.slice(prefix.length) : undefined;

/**
 * An update as an item. `replica` is one life of the document on one client, and is never used again after that; `n` counts its
 * updates from 0; `lineage` is the content on which it was made (see `DocumentHead`).
 */
export type UpdateItem = readonly [event: string, replica: number, n: number, lineage: Offset, update: Uint8Array];

/** Whether the item is an update in form. What is in it the server looks at before it is stored. */
export const isUpdate = (item: Item): item is UpdateItem => {
  const [event, replica, n, lineage, update] = item;
  return (
    item.length === 5 &&
    documentOf(event) !== undefined &&
    [replica, n, lineage].every((each) => Number.isSafeInteger(each) && (each as number) >= 0) &&
    update instanceof Uint8Array
  );
};

/**
 * The document whose updates an entry holds: the server never stores a run of several. Of a command: that of its first item, and in
 * an outbox each has one.
 */
export const documentIn = (of: Entry | MemberCommand): string | undefined =>
  of.type === "messages" ? documentOf(of.items[0]?.[0] ?? "") : undefined;

/** The document begins anew at an offset, from the state that a document had at another. */
export interface Beginning {
  readonly at: Offset;
  readonly document: string;
  readonly point: Offset;
}

/** What the session's state tells of a document; its content lies in the store. */
export interface DocumentHead {
  /**
   * Where its content was begun: 0 from nothing, else the offset of the entry that restored it. What was made on another
   * content is refused.
   */
  readonly lineage: Offset;
  /** The last entry that changed it. */
  readonly last: Offset;
  /** From here on the log is needed for it, as the store's record does not have it; 0: it has all. */
  readonly since: Offset;
  /** Updates since then and their bytes, at most. */
  readonly updates: number;
  readonly bytes: number;
  /** How it was begun anew since the record, oldest first. */
  readonly begun: readonly Beginning[];
}

export const newDocument: DocumentHead = { lineage: 0, last: 0, since: 0, updates: 0, bytes: 0, begun: [] };
