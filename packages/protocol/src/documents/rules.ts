/** The rules of documents that need no look into an update. What needs one the host brings along: see `Deciding.inspect`. */

import type { DocumentCommand } from "../command.ts";
import { type Deciding, record, refuse } from "../deciding.ts";
import { guardOf } from "../dialog/rules.ts";
import type { Item } from "../entry.ts";
import { RostrumError } from "../errors.ts";
import type { Origin } from "../floors/grants.ts";
import { grantOf } from "../floors/sight.ts";
import type { MemberId, Offset } from "../ids.ts";
import type { Member, SessionState } from "../state.ts";
import { pointAt } from "../sync/sync.ts";
import { documentEvent, isUpdate } from "./document.ts";

const limitReached = (state: SessionState, document: string): RostrumError | undefined => {
  const { most } = state.config.documents;
  if (state.documents.has(document) || state.documents.size < most) return undefined;
  return new RostrumError(
    "DOCUMENT_LIMIT",
    `The session has ${state.documents.size} documents, the limit is ${most}; "${document}" was not begun. Raise documents.most, or use another session.`,
    { documents: state.documents.size, limit: most },
  );
};

/** Why an update is not stored; the host's own look at it comes last. */
export const updateFault = (
  to: Deciding,
  document: string,
  item: Item,
  by: MemberId | null,
): RostrumError | undefined => {
  const { inspect, state } = to;
  if (inspect === undefined) {
    return new RostrumError(
      "FEATURE_MISSING",
      `The server keeps no documents, so that the update of "${document}" was not stored. Give attachSessions the documents option.`,
      { feature: "documents" },
    );
  }
  if (!isUpdate(item)) {
    return new RostrumError("DOCUMENT_INVALID", `An update of "${document}" is none; it was not stored.`, {
      document,
      what: "form",
    });
  }
  const lineage = state.documents.get(document)?.lineage ?? 0;
  if (item[3] !== lineage) {
    return new RostrumError(
      "DOCUMENT_RESTORED",
      `The document "${document}" was restored at ${lineage}; the update was made on its content of ${item[3]} and was not stored.`,
      { document, lineage, madeOn: item[3] },
    );
  }
  return limitReached(state, document) ?? inspect(document, item, by, state);
};

/** A document begins anew with the state that it, or another one, had at a sync point. */
export const restoreDocument = (
  to: Deciding,
  { document, point, from = document }: Extract<DocumentCommand, { type: "document-restore" }>,
  self: Member | undefined,
  origin: Origin,
): void => {
  const { state } = to;
  if (pointAt(state.sync, point) === undefined) {
    refuse("SYNC_UNKNOWN", `There is no valid sync point at ${point}; the document "${document}" stays as it is.`, {
      offset: point,
    });
  }
  if (!state.documents.has(from)) {
    refuse("DOCUMENT_UNKNOWN", `The session has no document "${from}"; nothing was restored.`, { document: from });
  }
  const guard = guardOf(state, documentEvent(document));
  if (self !== undefined && guard !== undefined && grantOf(state, guard, self.id) === undefined) {
    refuse(
      "FLOOR_NOT_HELD",
      `"${document}" is only changed by a holder of the floor "${guard}"; it was not restored.`,
      { floor: guard, event: documentEvent(document), fence: null },
    );
  }
  const full = limitReached(state, document);
  if (full !== undefined) throw full;
  record(to, { type: "document-restored", document, from, point, ...origin });
};

/** Up to here the store's records have all that there is of the documents. */
export const recordedUpTo = ({ documents, head }: SessionState): Offset => {
  let upTo = head;
  for (const { since } of documents.values()) if (since > 0 && since <= upTo) upTo = since - 1;
  return upTo;
};

/** The log is rid of documents' updates, never of what a record lacks: who asked may have looked before something came. */
export const thinDocuments = (to: Deciding, asked: Offset): void => {
  const upTo = Math.min(asked, recordedUpTo(to.state));
  if (upTo > to.state.thinned) record(to, { type: "documents-thinned", upTo });
};
