/** What must be true of documents in the store, held against the log. */

import type { Offset } from "@rostrum/protocol";
import * as Y from "yjs";
import type { DocumentContent } from "../../packages/server/src/documents/documents.ts";
import { differenceOf, type Oracle, pristine } from "./document-oracle.ts";
import type { KeptDocument } from "./document-store.ts";

/** A state in format 2 as a document. */
const docOf = (state: Uint8Array | undefined): Y.Doc => {
  const doc = pristine();
  if (state !== undefined && state.length > 0) Y.applyUpdateV2(doc, state);
  return doc;
};

/** What was read of a document, as one. */
export const assembled = ({ parts }: DocumentContent): Y.Doc => {
  const doc = pristine();
  for (const { format, bytes } of parts) {
    if (format === 2) Y.applyUpdateV2(doc, bytes);
    else Y.applyUpdate(doc, bytes);
  }
  return doc;
};

const short = (text: string): string => (text.length > 600 ? `${text.slice(0, 600)} …` : text);

const stateFault = (what: string, state: Uint8Array | undefined, truth: Y.Doc): readonly string[] => {
  const doc = docOf(state);
  const difference = differenceOf(doc, truth);
  doc.destroy();
  if (difference !== undefined) return [`${what}: ${short(difference)}`];
  const live = Y.encodeStateAsUpdateV2(truth).length;
  const size = state?.length ?? 0;
  return size > 1.5 * live + 200 ? [`${what}: ${size} bytes are kept for ${live}`] : [];
};

/** What is wrong with what the store has of a document. */
export const storeFaults = (
  oracle: Oracle,
  document: string,
  { record, state, versions }: KeptDocument,
  birth: string,
  head: Offset,
): readonly string[] => {
  const faults: string[] = [];
  if (record !== undefined && record.birth === birth) {
    const what = `document: the record of ${document} at #${record.offset}`;
    if (record.offset > head) faults.push(`${what} is ahead of the log, which has #${head}`);
    if (record.lineage !== oracle.lineageAt(document, record.offset)) faults.push(`${what} is of ${record.lineage}`);
    faults.push(...stateFault(what, state, oracle.at(document, record.offset)));
  }
  for (const [point, version] of versions) {
    if (point > head) continue;
    const what = `document: the version of ${document} at #${point}`;
    if (version.lineage !== oracle.lineageAt(document, point)) faults.push(`${what} is of ${version.lineage}`);
    faults.push(...stateFault(what, version.state, oracle.at(document, point)));
  }
  return faults;
};

/** Updates of a document's present content that are in the log alone may not be cut off. */
export const trimFaults = (
  oracle: Oracle,
  kept: ReadonlyMap<string, KeptDocument>,
  birth: string,
  first: Offset,
): readonly string[] =>
  oracle.documents.flatMap((document) => {
    const { record } = kept.get(document) ?? {};
    const saved = record?.birth === birth ? record.offset : 0;
    const lost = oracle.firstUpdate(document, saved);
    return lost !== undefined && lost < first
      ? [
          `document: the log is cut at #${first}, and #${lost} of ${document} is nowhere else (the record has #${saved})`,
        ]
      : [];
  });
