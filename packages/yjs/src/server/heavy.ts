/** What takes long with a large document, as plain code: it runs in a worker, or here where there can be none. */

import type * as Yjs from "yjs";

export interface Content {
  /** In format 2. */
  readonly state?: Uint8Array;
  /** In format 1, in order. */
  readonly updates: readonly Uint8Array[];
}

/** What is asked for. */
export type Job =
  | ({ readonly kind: "compact" } & Content)
  /** As one, without being taken up: for what cannot be, or not in time. Nothing that was deleted goes. */
  | ({ readonly kind: "merge" } & Content)
  | { readonly kind: "diff"; readonly state: Uint8Array; readonly vector: Uint8Array }
  | { readonly kind: "convert"; readonly state: Uint8Array };

export interface Outcome {
  readonly bytes: Uint8Array;
  /** Of a compaction or a merging. */
  readonly clocks: readonly (readonly [client: number, clock: number])[];
}

/**
 * Does a job. It is given to the worker as text, so that it names nothing but its parameters.
 * @throws Error "pending" if something in a document waits for what is not there
 */
export const work = (Y: typeof Yjs, job: Job): Outcome => {
  if (job.kind === "diff") return { bytes: Y.diffUpdateV2(job.state, job.vector), clocks: [] };
  if (job.kind === "convert") return { bytes: Y.convertUpdateFormatV2ToV1(job.state), clocks: [] };
  if (job.kind === "merge") {
    let parts: Uint8Array[] = job.updates.map((update) => Y.convertUpdateFormatV1ToV2(update));
    if (job.state !== undefined) parts.unshift(job.state);
    // Yjs sorts all that it merges with each that it adds: many are merged in steps.
    while (parts.length > 1) {
      const next: Uint8Array[] = [];
      for (let at = 0; at < parts.length; at += 50) next.push(Y.mergeUpdatesV2(parts.slice(at, at + 50)));
      parts = next;
    }
    const [bytes = Y.encodeStateAsUpdateV2(new Y.Doc())] = parts;
    return { bytes, clocks: [...Y.decodeStateVector(Y.encodeStateVectorFromUpdateV2(bytes))] };
  }
  const doc = new Y.Doc({ gc: true });
  try {
    doc.transact(() => {
      if (job.state !== undefined) Y.applyUpdateV2(doc, job.state);
      for (const update of job.updates) Y.applyUpdate(doc, update);
    });
    if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) throw new Error("pending");
    const clocks = [...Y.decodeStateVector(Y.encodeStateVector(doc))];
    return { bytes: Y.encodeStateAsUpdateV2(doc), clocks };
  } finally {
    doc.destroy();
  }
};
