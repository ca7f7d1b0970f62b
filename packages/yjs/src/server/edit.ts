/** Documents for the app's own server: read as of now or of a sync point, and edited. */

import type { Offset } from "@rostrum/protocol";
import type { SessionHandle, Stored } from "@rostrum/server";
import * as Y from "yjs";

const docOf = (parts: Awaited<ReturnType<SessionHandle["readDocument"]>>["parts"]): Y.Doc => {
  const doc = new Y.Doc();
  doc.transact(() => {
    for (const { format, bytes } of parts) {
      if (format === 2) Y.applyUpdateV2(doc, bytes);
      else Y.applyUpdate(doc, bytes);
    }
  });
  return doc;
};

/**
 * A document as a `Y.Doc` of its own: as of now, or as it was at a sync point. Nothing that is done to it goes anywhere.
 *
 * @throws RostrumError DOCUMENT_UNKNOWN, SYNC_UNKNOWN, FEATURE_MISSING
 * @example
 * const text = (await readDoc(sessions.get("standup-42"), "notes")).getText("text").toString()
 */
export const readDoc = async (
  session: SessionHandle,
  document: string,
  options: { readonly point?: Offset } = {},
): Promise<Y.Doc> => docOf((await session.readDocument(document, options)).parts);

/**
 * Edits a document from the server: what `edit` does to it in one transaction is stored as one update. Nothing is stored if it
 * changes nothing, or throws. A document that is not there yet is begun.
 *
 * @returns Where it was stored; `undefined` if nothing changed.
 * @throws RostrumError DOCUMENT_FULL, DOCUMENT_LIMIT, DOCUMENT_RESTORED if it was restored meanwhile, SESSION_ENDED, FEATURE_MISSING
 * @example
 * await editDoc(sessions.get("standup-42"), "notes", (doc) => doc.getText("text").insert(0, "Agenda\n"))
 */
export const editDoc = async (
  session: SessionHandle,
  document: string,
  edit: (doc: Y.Doc) => void,
): Promise<Stored | undefined> => {
  const { parts, lineage } = await session.readDocument(document, { begin: true });
  const doc = docOf(parts);
  const made: Uint8Array[] = [];
  doc.on("update", (update: Uint8Array) => void made.push(update));
  try {
    doc.transact(() => edit(doc));
    if (made.length === 0) return undefined;
    const [only] = made;
    // A handler of the document's own may add more.
    const update = made.length === 1 && only !== undefined ? only : Y.mergeUpdates(made);
    return await session.updateDocument(document, { replica: doc.clientID, n: 0, lineage, update });
  } finally {
    doc.destroy();
  }
};
