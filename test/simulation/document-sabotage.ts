/** Rules of documents broken on purpose, one at a time. */

import {
  type DocumentOpenFrame,
  documentOf,
  type Inspect,
  type Item,
  type MemberCommand,
  type Offset,
  type RostrumError,
  type UpdateItem,
} from "@rostrum/protocol";
import type { DocumentEffects } from "@rostrum/server/internal";
import type { Scheduler } from "@rostrum/testing";
import * as Y from "yjs";
import type { DocBinding } from "../../packages/yjs/src/binding.ts";
import type { Course } from "../../packages/yjs/src/course.ts";
import type { Documents } from "../../packages/yjs/src/documents.ts";
import type { Place, Transaction } from "../../packages/yjs/src/terms.ts";
import type { Page } from "./device.ts";
import type { PageEffects } from "./document-page.ts";
import type { SimHost } from "./node.ts";

export const documentSabotages = {
  "doc-no-number-check": "an update is stored whatever its number",
  "doc-no-chain-check": "an update is stored though its clocks do not go on where the document ends",
  "doc-no-needs-check": "an update is stored though it builds on what the document does not hold",
  "doc-no-ownership": "an update is stored in whoever's name it is",
  "doc-no-lineage": "an update is stored though it was made on another content",
  "doc-overlay-kept": "what an append that failed was to store counts as stored",
  "doc-overlay-dropped": "what was stored does not count for what comes next",
  "doc-trim-above": "the log is cut above what documents need of it",
  "doc-skip-point": "a compaction passes a sync point without keeping a version",
  "doc-freeze-pending": "a compaction keeps a state with a hole in it",
  "doc-old-record": "after a restore the record is that of the former content",
  "doc-record-ahead": "a record claims to reach further than it does",
  "doc-record-forgets-writers": "a record does not say who wrote how much",
  "doc-restore-now": "a document is restored from what another has now, and not from what it had at the point",
  "doc-tail-too-late": "an opening is answered from too late an offset",
  "doc-follow-after": "a connection follows a document only some time after it was answered",
  "doc-tell-all": "updates go to everybody, whatever they follow",
  "doc-heads-forever": "what is known of documents is never let go of",
  "doc-offset-first": "on the device the offset is written before the updates up to it",
  "doc-no-echo": "a page does not know its own updates when they come back",
  "doc-keep-refused": "what was refused stays in the document",
  "doc-same-client": "the document that replaces another goes on under its number",
  "doc-lose-drafts": "drafts are not on the disk",
  "doc-lose-held": "what waits in a document to be sent is not on the disk",
  "doc-forget-pending": "a reloaded page does not show what it has still to send",
  "doc-begun-ignored": "a page goes on as before when a document is begun anew",
  "doc-loss-ignored": "a page goes on as before when the log is another one",
  "doc-saved-early": "a document counts as saved when its updates are sent",
  "doc-drop-between": "what comes between a question and its answer is lost",
  // These were faults once.
  "doc-known-unsaid": "who may write no more does not hear that its update is stored already",
  "doc-below-the-record": "what there is now is looked for below a record that is ahead",
  "doc-no-epochs": "what the device has of a document is of this log whenever the birth is the same",
  "doc-drop-unread": "what is edited before the disk was read is dropped if the document is let go of",
} as const;

export type DocumentSabotage = keyof typeof documentSabotages;

const getter = (object: object, key: string, get: () => unknown): void => {
  Object.defineProperty(object, key, { get, set: () => {}, configurable: true });
};

type Error = RostrumError | undefined;

/** Lets some refusals pass. */
const forgiving =
  (inspect: Inspect, forgives: (error: RostrumError, item: UpdateItem) => boolean): Inspect =>
  (document, item, by, state): Error => {
    const error = inspect(document, item, by, state);
    return error !== undefined && forgives(error, item) ? undefined : error;
  };

/** Breaks a rule of a server's documents. */
export const sabotageHost = (host: SimHost, sabotage: string, scheduler: Scheduler): void => {
  const { documents, audience } = host;
  if (documents === undefined) return;
  const effects = documents.effects as { -readonly [K in keyof DocumentEffects<never>]: DocumentEffects<never>[K] };
  const begin = documents.begin.bind(documents);
  const forgive = (forgives: (error: RostrumError, item: UpdateItem) => boolean): void => {
    documents.begin = () => forgiving(begin(), forgives);
  };
  const tamper = (change: (item: Item) => Item): void => {
    const commands = host.commands.bind(host);
    host.commands = (seat, seq, given, answered) =>
      commands(
        seat,
        seq,
        given.map((command) =>
          command.type === "messages" ? ({ ...command, items: command.items.map(change) } as MemberCommand) : command,
        ),
        answered,
      );
  };
  const breaking: { readonly [S in DocumentSabotage]?: () => void } = {
    "doc-no-number-check": () => forgive(({ details }) => "expected" in details),
    "doc-no-chain-check": () =>
      forgive(({ details }, [, replica]) => "clock" in details && details["client"] === replica),
    "doc-no-needs-check": () => {
      const { read } = effects;
      effects.read = (update) => ({ ...read(update), needs: new Map() });
    },
    "doc-no-ownership": () => forgive(({ details }) => details["what"] === "replica" || details["what"] === "client"),
    "doc-no-lineage": () =>
      tamper((item) => {
        const document = documentOf(item[0]);
        if (document === undefined) return item;
        const [event, replica, n, , update] = item;
        return [event, replica, n, host.current.documents.get(document)?.lineage ?? 0, update];
      }),
    "doc-overlay-kept": () => {
      let kept: Inspect | undefined;
      documents.begin = () => (kept ??= begin());
    },
    "doc-overlay-dropped": () => {
      documents["take"] = () => {};
    },
    "doc-trim-above": () => {
      documents.keep = (line: Offset) => line;
    },
    "doc-skip-point": () => {
      effects.saveVersion = (_document, _point, _version, done) => void scheduler.later(1, () => done(undefined));
    },
    "doc-freeze-pending": () => {
      effects.compact = (state, updates, done) => {
        const doc = new Y.Doc();
        doc.transact(() => {
          if (state !== undefined) Y.applyUpdateV2(doc, state);
          for (const update of updates.slice(1)) Y.applyUpdate(doc, update);
        });
        const clocks = Y.decodeStateVector(Y.encodeStateVector(doc));
        done({ state: Y.encodeStateAsUpdateV2(doc), clocks });
      };
    },
    "doc-old-record": () => {
      const { save } = effects;
      const before = new Map<string, { readonly lineage: Offset; readonly state: Uint8Array }>();
      effects.save = (document, record, state, done) => {
        const kept = before.get(document);
        const isRestored = kept !== undefined && kept.lineage !== record.lineage;
        before.set(document, { lineage: record.lineage, state });
        save(document, record, isRestored ? kept.state : state, done);
      };
    },
    "doc-record-ahead": () => {
      const { save } = effects;
      effects.save = (document, record, state, done) =>
        save(document, { ...record, offset: record.offset + 2 }, state, done);
    },
    "doc-record-forgets-writers": () => {
      const { save } = effects;
      effects.save = (document, record, state, done) =>
        save(document, { ...record, writers: record.writers.map((each) => ({ ...each, n: 0 })) }, state, done);
    },
    "doc-restore-now": () => {
      const { contents } = documents;
      const whole = contents.whole.bind(contents);
      contents.whole = (document) => whole(document, host.current.head);
    },
    "doc-tail-too-late": () => {
      const open = host.openDocument.bind(host);
      host.openDocument = (seat, frame: DocumentOpenFrame) =>
        open(seat, frame.after === undefined ? frame : { ...frame, after: frame.after + 2 });
    },
    "doc-follow-after": () => {
      const follow = audience.follow.bind(audience);
      audience.follow = (seat, document) => void scheduler.later(60, () => follow(seat, document));
    },
    "doc-tell-all": () => {
      const follow = audience.follow.bind(audience);
      const admit = audience.admit.bind(audience);
      audience.admit = (arrival, ...rest) => {
        admit(arrival, ...rest);
        for (const document of ["notes", "plan", "guarded"]) follow(arrival.connection, document);
      };
    },
    "doc-known-unsaid": () => {
      documents.begin = () => {
        const inspect = begin();
        return (document, item, by, state) => inspect(document, item, by, state);
      };
    },
    "doc-below-the-record": () => {
      const { contents } = documents;
      const base = contents.base.bind(contents);
      contents.base = (document, upTo) => base(document, upTo, true);
    },
    "doc-heads-forever": () => {
      documents.tick = () => {};
      getter(documents, "next", () => Infinity);
    },
  };
  breaking[sabotage as DocumentSabotage]?.();
};

/** Breaks a rule of a page's documents. */
export const sabotagePage = (page: Page, documents: Documents, effects: PageEffects, sabotage: string): void => {
  const { scheduler } = page.device;
  const onDisk = (change: (place: Place) => Place): void => {
    const keep = effects.keep;
    (effects as { keep: typeof keep }).keep = (name, done) =>
      keep(name, (place, error) => done(place === undefined ? undefined : change(place), error));
  };
  const without = (prefix: string): void =>
    onDisk((place) => ({
      ...place,
      commit: ({ set, remove }: Transaction, done) =>
        place.commit({ set: set.filter(([key]) => !key.startsWith(prefix)), remove }, done),
    }));
  const onBinding = (change: (course: Course, binding: DocBinding) => void): void => {
    const bind = documents.bind.bind(documents);
    documents.bind = (name, options) => {
      const isKnown = documents["bindings"].has(name);
      const binding = bind(name, options);
      if (!isKnown) change(binding.course, binding);
      return binding;
    };
  };
  const breaking: { readonly [S in DocumentSabotage]?: () => void } = {
    "doc-offset-first": () =>
      onDisk((place) => ({
        ...place,
        commit: ({ set, remove }, done) => {
          const head = set.filter(([key]) => key === "head");
          if (head.length === 0) return place.commit({ set, remove }, done);
          place.commit({ set: head, remove: [] }, () => {});
          scheduler.later(300, () => page.alive && place.commit({ set, remove }, done));
        },
      })),
    "doc-no-echo": () =>
      onBinding(({ ledger }) => {
        const settle = ledger.settle.bind(ledger);
        ledger.settle = (update) => (scheduler.chance(0.1) ? undefined : settle(update));
      }),
    "doc-keep-refused": () =>
      onBinding((course) => {
        course.own.condemn = () => {};
      }),
    "doc-same-client": () =>
      onBinding((_, binding) => {
        const make = binding["make"].bind(binding);
        binding["make"] = () => {
          const next = make();
          next.clientID = binding.doc.clientID;
          return next;
        };
      }),
    "doc-lose-drafts": () => without("d/"),
    "doc-lose-held": () => without("h/"),
    "doc-forget-pending": () => {
      const host = documents["session"] as { undecided: () => readonly UpdateItem[] };
      host.undecided = () => [];
    },
    "doc-begun-ignored": () =>
      onBinding(({ following }) => {
        following.begunAnew = () => {};
      }),
    "doc-loss-ignored": () =>
      onBinding((course) => {
        course["becomeAnew"] = () => {};
      }),
    "doc-saved-early": () =>
      onBinding((course) => {
        getter(course.own, "pending", () => course.ledger.open.filter(({ lineage }) => lineage === undefined));
      }),
    "doc-no-epochs": () =>
      onBinding((course) => {
        course["isForked"] = () => false;
      }),
    "doc-drop-unread": () =>
      onBinding((course) => {
        const closed = course.closed.bind(course);
        course.closed = (error) => closed(error, true);
      }),
    "doc-drop-between": () =>
      onBinding(({ following }) => {
        const takes = following.takes.bind(following);
        following.takes = (numbered) => {
          const isTaken = takes(numbered);
          if (!isTaken) following["early"] = [];
          return isTaken;
        };
      }),
  };
  breaking[sabotage as DocumentSabotage]?.();
};
