/** Yjs for the server: what updates say, and documents made small, without ever keeping one. */

import { RostrumError, type SessionId } from "@rostrum/protocol";
import type { DocumentCodec } from "@rostrum/server";
import * as Y from "yjs";
import { readFacts } from "../facts.ts";
import type { Outcome } from "./heavy.ts";
import { Latest } from "./latest.ts";
import { Thread } from "./thread.ts";

/** A document of a session. */
export interface DocumentName {
  readonly session: SessionId;
  readonly document: string;
}

export interface YjsOptions {
  /** Most documents of a session; default 10,000. */
  readonly most?: number;
  /** Most bytes of one, as it is stored; default 64 MiB. */
  readonly bytes?: number;
  /**
   * What the app has of a document that a session does not know yet, as an update (`Y.encodeStateAsUpdate`); `undefined`: nothing.
   * Runs once for each; what it throws refuses the opening, and nothing is begun in its place.
   */
  readonly load?: (document: DocumentName) => Promise<Uint8Array | undefined> | Uint8Array | undefined;
  /**
   * The app's own copy: runs now and then while a document is edited, and when it no longer is, with its whole state as an update
   * and the offset up to which that goes. What it throws is warned of; the next one has everything anyhow.
   */
  readonly store?: (
    document: DocumentName & { readonly state: Uint8Array; readonly offset: number },
  ) => Promise<void> | void;
}

/** Milliseconds that the app may take to load a document: who edits it waits, with all that it says, as long. */
const loadWithin = 30_000;

const within = async <T>(milliseconds: number, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took longer than ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

const isPending = (cause: unknown): boolean => cause instanceof Error && cause.message === "pending";

/**
 * Shared documents for `attachSessions`.
 *
 * @example
 * attachSessions(io, { store: embeddedStore("./data"), documents: yjsDocuments() })
 */
export const yjsDocuments = ({ most, bytes, load, store }: YjsOptions = {}): DocumentCodec => {
  const thread = new Thread();
  const latest = new Latest();
  const compacted = (cause: unknown): never => {
    if (cause instanceof RostrumError) throw cause;
    throw new RostrumError(
      "DOCUMENT_INVALID",
      isPending(cause)
        ? "Something in the document waits for what is not there; it was left as it is in the log."
        : `The document could not be compacted: ${String(cause)}. It was left as it is in the log.`,
      { what: isPending(cause) ? "pending" : "bytes" },
      { cause },
    );
  };
  return {
    ...(most === undefined ? {} : { most }),
    ...(bytes === undefined ? {} : { bytes }),
    read: readFacts,
    merge: (updates) => Y.mergeUpdates([...updates]),
    diff: async (state, vector) => {
      const outcome = await thread.do({ kind: "diff", state, vector }).catch((cause: unknown): Outcome => {
        if (cause instanceof RostrumError) throw cause;
        throw new RostrumError(
          "DOCUMENT_INVALID",
          "A state vector is none; the document was not compared.",
          { what: "vector" },
          { cause },
        );
      });
      return outcome.bytes;
    },
    compact: async (content) => {
      const { bytes: state, clocks } = await thread
        .do({ kind: "compact", ...content })
        .catch((cause: unknown) => {
          if (cause instanceof RostrumError || isPending(cause)) throw cause;
          // Whatever is wrong with it concerns those who open it. The log must not grow for ever because of it.
          return thread.do({ kind: "merge", ...content });
        })
        .catch(compacted);
      return { state, clocks: new Map(clocks) };
    },
    ...(load === undefined ? {} : { load: async (document) => within(loadWithin, (async () => load(document))()) }),
    ...(store === undefined
      ? {}
      : {
          store: ({ state, session, document, offset }) =>
            latest.run(`${session}\u0000${document}`, async () => {
              const converted = await thread.do({ kind: "convert", state });
              await store({ session, document, offset, state: converted.bytes });
            }),
        }),
    close: () => thread.stop(),
  };
};
