/** Documents in memory. */

import type { Offset, SessionId } from "@rostrum/protocol";
import type { DocumentRecord, DocumentStore, DocumentVersion } from "../store.ts";

interface Kept {
  record: DocumentRecord | undefined;
  state: Uint8Array;
  readonly versions: Map<Offset, DocumentVersion>;
}

/** `check` throws if the store was closed. */
export const memoryDocuments = (check: () => void): DocumentStore & { removeAll(session: SessionId): void } => {
  const sessions = new Map<SessionId, Map<string, Kept>>();
  const kept = (session: SessionId, document: string): Kept | undefined => {
    check();
    return sessions.get(session)?.get(document);
  };
  const keep = (session: SessionId, document: string): Kept => {
    const known = kept(session, document);
    if (known !== undefined) return known;
    const made: Kept = { record: undefined, state: new Uint8Array(), versions: new Map() };
    const documents = sessions.get(session) ?? new Map<string, Kept>();
    sessions.set(session, documents.set(document, made));
    return made;
  };
  return {
    load: async (session, document) => kept(session, document)?.record,
    state: async (session, document, offset) => {
      const known = kept(session, document);
      return known?.record?.offset === offset ? known.state : undefined;
    },
    save: async (session, document, record, state) => {
      const known = keep(session, document);
      if (known.record?.birth === record.birth && known.record.offset >= record.offset) return;
      known.record = record;
      known.state = state.slice();
    },
    versions: async (session, document) => [...(kept(session, document)?.versions.keys() ?? [])].sort((a, b) => a - b),
    version: async (session, document, point) => kept(session, document)?.versions.get(point),
    saveVersion: async (session, document, point, { lineage, state }) =>
      void keep(session, document).versions.set(point, { lineage, state: state.slice() }),
    removeVersion: async (session, document, point) => void kept(session, document)?.versions.delete(point),
    remove: async (session, document) => {
      check();
      sessions.get(session)?.delete(document);
    },
    removeAll: (session) => void sessions.delete(session),
  };
};
