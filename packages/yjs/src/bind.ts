/** Binds documents to a session: the rim, with the page's timers, storage and events. */

import type { AnyEvents, ExtensionHost, Session } from "@rostrum/client";
import { type MemberId, RostrumError } from "@rostrum/protocol";
import { Awareness } from "y-protocols/awareness";
import type { DocBinding, DocOptions } from "./binding.ts";
import { Documents } from "./documents.ts";
import { isName } from "./subdocuments.ts";
import type { Effects } from "./terms.ts";

const documentsOf = new WeakMap<object, Documents>();

/**
 * Binds a document of the session: the same binding each time for a name, until it is destroyed. Its `Y.Doc` is usable at once,
 * is filled from this device and then from the server, and what is edited in it is sent, stored once, and kept on this device
 * until it is.
 * @throws RostrumError USAGE, YJS_TWICE, CLOSED
 *
 * @example
 * const notes = bindDoc(session, "notes", { create: () => new Y.Doc() })
 * notes.doc.getText("body").insert(0, "hello")
 * await notes.flush()
 */
export const bindDoc = <Events extends object = AnyEvents>(
  session: Session<Events>,
  name: string,
  options: DocOptions = {},
): DocBinding => {
  let documents = documentsOf.get(session);
  if (documents === undefined) {
    const save = (point: string | undefined): ReturnType<Session["sync"]["minor"]> =>
      session.sync.minor(point === undefined ? {} : { name: point });
    documents = session.extend((host) => {
      const made = new Documents(host, pageEffects(session, host), save);
      return made;
    });
    documentsOf.set(session, documents);
  }
  if (!isName(name))
    throw new RostrumError(
      "USAGE",
      `A document's name has 1 to 100 characters, all of them whole; this has ${name.length}.`,
    );
  try {
    return documents.bind(name, options);
  } catch (error) {
    if (error instanceof RostrumError && error.code === "YJS_TWICE") documents.effects.warn(error);
    throw error;
  }
};

const pageEffects = <Events extends object>(session: Session<Events>, host: ExtensionHost): Effects => ({
  defer: (run) => queueMicrotask(run),
  after: (milliseconds, run) => {
    const timer = setTimeout(run, milliseconds);
    // What is put off by a moment must not keep a process alive.
    (timer as { unref?: () => void }).unref?.();
    return () => clearTimeout(timer);
  },
  now: () => Date.now(),
  keep: (name, done) => {
    host.keep(`doc/${name}`).then(
      (beside) =>
        done({
          load: (loaded) =>
            void beside.load().then(
              (values) => loaded(values),
              (error: unknown) => loaded(undefined, error),
            ),
          commit: (transaction, committed) =>
            void beside.commit(transaction).then(
              () => committed(),
              (error: unknown) => committed(error ?? new Error("the storage failed")),
            ),
        }),
      (error: unknown) => done(undefined, error),
    );
  },
  awareness: (doc) => new Awareness(doc),
  away: (listener) => {
    if (typeof document === "undefined" || typeof addEventListener === "undefined") return () => {};
    const hidden = (): void => {
      if (document.visibilityState === "hidden") listener();
    };
    addEventListener("pagehide", listener);
    document.addEventListener("visibilitychange", hidden);
    return () => {
      removeEventListener("pagehide", listener);
      document.removeEventListener("visibilitychange", hidden);
    };
  },
  left: (gone, back) => {
    if (typeof document === "undefined" || typeof addEventListener === "undefined") return () => {};
    const shown = ({ persisted }: PageTransitionEvent): void => {
      if (persisted) back();
    };
    addEventListener("pagehide", gone);
    addEventListener("pageshow", shown);
    return () => {
      removeEventListener("pagehide", gone);
      removeEventListener("pageshow", shown);
    };
  },
  hear: (event, listener) => {
    const hear = session.on as unknown as (
      this: Session<Events>,
      event: string,
      handler: (...args: unknown[]) => void,
    ) => () => void;
    return hear.call(session, event, (...args) => {
      const meta = args.at(-1) as { readonly from: MemberId | null };
      listener(meta.from, args.slice(0, -1));
    });
  },
  warn: (error) => host.warn(error),
});
