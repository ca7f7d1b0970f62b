/** What a simulated server's documents do to the world: the simulated store, and the real codec, which takes its time. */

import { RostrumError } from "@rostrum/protocol";
import type { DocumentEffects } from "@rostrum/server/internal";
import type { Scheduler } from "@rostrum/testing";
import * as Y from "yjs";
import { yjsDocuments } from "../../packages/yjs/src/server/codec.ts";
import { type Job, type Outcome, work } from "../../packages/yjs/src/server/heavy.ts";
import type { SimDocuments } from "./document-store.ts";

const codec = yjsDocuments();

export interface NodeDocuments {
  readonly scheduler: Scheduler;
  readonly documents: SimDocuments;
  readonly alive: () => boolean;
  /** What the app has of a document. */
  readonly initial: (document: string) => Uint8Array | undefined;
  readonly warn: (text: string) => void;
}

export const documentEffects = <C>(node: NodeDocuments): DocumentEffects<C> => {
  const { scheduler, documents, alive, initial, warn } = node;
  const later = (least: number, most: number, then: () => void): void =>
    void scheduler.later(scheduler.between(least, most), () => alive() && then());
  /** As a thread does it: elsewhere, a while later, and what it throws is an answer. */
  const elsewhere = <T>(job: Job, done: (result: T | RostrumError) => void, answer: (outcome: Outcome) => T): void =>
    later(0, scheduler.chance(0.1) ? 1_500 : 30, () => {
      let result: T | RostrumError;
      try {
        result = answer(work(Y, job));
      } catch (cause) {
        result = new RostrumError(
          "DOCUMENT_INVALID",
          `The document could not be read: ${String(cause)}.`,
          {},
          { cause },
        );
      }
      done(result);
    });
  let running = 0;
  const waiting: (() => void)[] = [];
  const proceed = (): void => {
    while (running < 2) {
      const next = waiting.shift();
      if (next === undefined) return;
      running += 1;
      next();
    }
  };
  return {
    load: (document, done) => documents.load(alive, document, done),
    state: (document, offset, done) => documents.state(alive, document, offset, done),
    save: (document, record, state, done) => documents.save(alive, document, record, state, done),
    versions: (document, done) => documents.versions(alive, document, done),
    version: (document, point, done) => documents.version(alive, document, point, done),
    saveVersion: (document, point, version, done) => documents.saveVersion(alive, document, point, version, done),
    removeVersion: (document, point, done) => documents.removeVersion(alive, document, point, done),
    read: codec.read,
    merge: codec.merge,
    diff: (state, vector, done) => elsewhere({ kind: "diff", state, vector }, done, ({ bytes }) => bytes),
    compact: (state, updates, done) =>
      elsewhere({ kind: "compact", updates, ...(state === undefined ? {} : { state }) }, done, ({ bytes, clocks }) => ({
        state: bytes,
        clocks: new Map(clocks),
      })),
    initial: (document, done) => later(0, 40, () => done(initial(document))),
    saved: () => {},
    enter: (then) => {
      waiting.push(() => {
        let left = false;
        then(() => {
          if (left) return;
          left = true;
          running -= 1;
          proceed();
        });
      });
      later(0, 5, proceed);
    },
    clear: (_, then) => later(0, 10, then),
    newReplica: () => scheduler.between(2 ** 20, 2 ** 32 - 1),
    warn: (message, cause) => warn(`${message}: ${String(cause)}`),
  };
};
