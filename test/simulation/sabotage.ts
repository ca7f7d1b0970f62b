/** Rules broken on purpose, one at a time, to see whether the simulated world notices. */

import type { Checkpoint, Engine, Outgoing } from "@rostrum/client/internal";
import type { Entry, Offset, Sync, SyncPoint } from "@rostrum/protocol";
import { documentSabotages } from "./document-sabotage.ts";

export const sabotages = {
  "ack-before-durable": "the store acknowledges an append before it is on the disk",
  "skip-control-check": "an append is not conditional on the control head",
  "skip-head-check": "a batch with control entries is appended wherever the head is",
  "forget-seqs-at-snapshot": "members' last seqs are not in the snapshot",
  "release-without-fence": "a release frees whatever grant is there",
  "cursor-before-handlers": "the cursor moves before the handlers have run",
  "share-identity": "a duplicated tab keeps the identity it was copied with",
  "trim-above-snapshot": "the log is trimmed above the snapshot",
  "number-again": "the server numbers what is sent again as if it were new",
  "no-rewind": "a client does not send again what the server does not have",
  "forget-the-outbox": "the outbox is not on the disk",
  "half-transactions": "a transaction on the client's disk is not whole",
  "leak-private": "broadcasts hold private entries",
  "cover-too-much": "a frame claims to cover more than it holds",
  "hide-the-gap": "a client is not told what the log no longer had",
  "forget-the-log": "a restarted server begins an empty log without saying so",
  "forget-the-reserve": "a reloaded page uses seqs again that it may have used before",
  "replay-what-is-in-the-checkpoint": "a reload replays entries that the app's state already holds",
  "no-alarm": "nothing happens by time: no drop, no grace, no hold limit",
  "no-guard": "guarded events are accepted from anybody",
  "time-runs-back": "the log's time runs backwards",
  "commit-before-disk": "the client's storage says done before it is",
  "forget-what-was-refused": "a reloaded page sends again what was refused",
  "lease-from-the-answer":
    "a client counts its leases from the arrival of an answer, not from the sending of its question",
  "lease-by-the-wall": "the server watches leases by a clock that jumps",
  "impatient-leases": "the server gives a place away before its lease is over",
  "renew-for-nothing": "a lease is renewed whether or not the member was told what has happened",
  "ignore-the-fence": "a guarded message is accepted under a later grant than it was sent under",
  "wrong-order": "a floor grants in another order than its policy says",
  "deliver-void": "an app is given what was taken back before it came to it",
  "forget-point-states": "the app's states at sync points are not kept",
  "forget-the-base": "the state at the last confirmed major point is let go",
  "forget-ahead-of-the-app": "states are let go to which the app has still to go back",
  "restore-the-wrong-point": "the app goes back to the point before",
  "forget-what-was-missed": "an app that missed a resynchronization does not go back",
  "restore-under-a-handler": "the app goes back while a handler is at work on the state before",
  "old-steps-in-a-new-log": "what waited for the handlers is given to them in another log",
  "keep-the-lost-state": "an app keeps its state of a log that was lost",
  "confirm-before-disk": "a point is confirmed before the app's state is on the disk",
  "confirm-once": "a confirmation that a resynchronization has overtaken is not sent again",
  "confirm-another-log": "what the disk had of a lost log counts as confirmed in the next",
  "no-generation-check": "what was made before a resynchronization is accepted after it",
  "collision-by-arrival": "of two resynchronizations the later one counts, whatever it is",
  "restart-behind-major": "a restart goes behind a confirmed major point",
  "settle-without-confirmations": "a major point is settled before those who have to have confirmed it",
  "secure-nothing": "own messages are let go when they are stored",
  "forget-what-was-let-go": "nobody is told of what may be lost",
  "resend-with-new-seqs": "what may be lost is sent again as if it were new",
  "lost-ack-notes": "a reloaded page does not know what was stored",
  "no-epochs": "a client does not tell which log it knows",
  "forget-how-far-it-was": "a client that went back alone does not tell how far it had been",
  "two-runs": "who ran an activity before may still act on it",
  "view-of-everything": "newcomers see private activities",
  "nothing-is-taken-up": "a newcomer does not take up the state that is shared",
  "take-up-what-is-void": "a shared state is taken up although the session went back behind it meanwhile",
  "go-on-under-the-state": "what a state that was taken up holds is given once more",
  "ahead-of-the-log": "a state counts, though it leaves out what only a lost log had taken back",
  "state-of-another-point": "the shared state is that of another point",
  ...documentSabotages,
} as const;

const getter = (object: object, key: string, get: () => unknown): void => {
  Object.defineProperty(object, key, { get, set: () => {}, configurable: true });
};

/** Breaks a rule of the client's engine. */
export const sabotageEngine = (engine: Engine, sabotage: Sabotage): void => {
  const [delivery, secured, shelf] = [engine["delivery"], engine["secured"], engine["shelf"]];
  const { checkpoints } = delivery;
  const breaking: { readonly [S in Sabotage]?: () => void } = {
    "deliver-void": () => {
      const state = delivery["state"];
      getter(delivery, "state", () => () => ({ ...state(), sync: { ...state().sync, voids: [] } }));
    },
    "forget-point-states": () => {
      checkpoints.at = (offset: Offset) => (checkpoints.latest?.offset === offset ? checkpoints.latest : undefined);
    },
    "forget-the-base": () => {
      const tidy = checkpoints.tidy.bind(checkpoints);
      checkpoints.tidy = (sync: Sync) =>
        tidy({ ...sync, base: { serial: 0, offset: sync.base.offset + 1 } }, new Set());
    },
    "forget-ahead-of-the-app": () => {
      const tidy = checkpoints.tidy.bind(checkpoints);
      checkpoints.tidy = (sync: Sync) => tidy(sync, new Set());
    },
    "restore-the-wrong-point": () => {
      const at = checkpoints.at.bind(checkpoints);
      checkpoints.at = (offset: Offset) => checkpoints.upTo(offset - 1) ?? at(offset);
    },
    "forget-what-was-missed": () => {
      delivery.missed = () => undefined;
    },
    "restore-under-a-handler": () => {
      delivery["restore"] = (state: unknown) => delivery["effects"].restore(state);
    },
    "old-steps-in-a-new-log": () => {
      delivery["drop"] = (at: Offset) => {
        delivery.processed = at;
      };
    },
    "keep-the-lost-state": () => {
      delivery.startAnew = (at: Offset) => delivery["drop"](at);
    },
    "confirm-before-disk": () => getter(engine, "checkpointOnDisk", () => engine.processed),
    "confirm-once": () => {
      let last = engine["confirmed"];
      Object.defineProperty(engine, "confirmed", {
        get: () => ({ ...last, generation: engine.state.sync.generation }),
        set: (value: typeof last) => {
          last = value;
        },
      });
    },
    "confirm-another-log": () => getter(engine, "checkpointOnDisk", () => engine["written"].offset),
    "secure-nothing": () => {
      secured.keep = ({ seq }: { readonly seq: number }) => void shelf.decided(seq);
    },
    "forget-what-was-let-go": () => {
      secured.forked = () => undefined;
    },
    "resend-with-new-seqs": () => {
      const lost = secured.lost.bind(secured);
      secured.lost = () => lost(() => true);
      engine.outbox.takeBack = (again: readonly Outgoing[]) => {
        for (const { command, bytes } of again) engine["enqueue"](command, bytes, undefined);
      };
    },
    "lost-ack-notes": () => {
      shelf.stored = () => {};
    },
    "nothing-is-taken-up": () => {
      delivery.takeUp = () => {};
    },
    "take-up-what-is-void": () => {
      delivery["fetch"] = (point: SyncPoint, done: () => void) => {
        const { life } = delivery;
        delivery["effects"].fetchState(point, (state: { readonly value: unknown } | undefined) => {
          if (life === delivery.life && state !== undefined) {
            delivery["effects"].restore(state.value);
            delivery.generation = engine.state.sync.generation;
            delivery["goOnFrom"](point.offset, true);
          }
          done();
        });
      };
    },
    "go-on-under-the-state": () => {
      delivery.push = (entry: Entry) => {
        delivery["steps"].push({ kind: "entry", entry, life: delivery.life, replayed: false });
      };
    },
    "ahead-of-the-log": () => {
      const save = checkpoints.save.bind(checkpoints);
      checkpoints.save = ({ ahead: _, ...kept }: Checkpoint, atPoint: boolean) => save(kept, atPoint);
    },
    "no-epochs": () => getter(engine, "epochs", () => []),
    "forget-how-far-it-was": () => getter(engine, "seen", () => engine.received),
  };
  breaking[sabotage]?.();
};

/** Worlds with much of one thing. In each but that of documents there is much of sync points. */
export type WorldKind = "sync" | "loss" | "activity" | "document";

/** Sabotages that show only in a certain world. */
export const worldOf: { readonly [S in Sabotage]?: WorldKind } = {
  "deliver-void": "sync",
  "forget-point-states": "sync",
  "forget-the-base": "sync",
  "forget-ahead-of-the-app": "sync",
  "restore-the-wrong-point": "sync",
  "forget-what-was-missed": "sync",
  "restore-under-a-handler": "loss",
  "old-steps-in-a-new-log": "loss",
  "keep-the-lost-state": "loss",
  "confirm-before-disk": "sync",
  "confirm-once": "sync",
  "confirm-another-log": "loss",
  "no-generation-check": "sync",
  "collision-by-arrival": "sync",
  "restart-behind-major": "sync",
  "settle-without-confirmations": "sync",
  "secure-nothing": "loss",
  "forget-what-was-let-go": "loss",
  "resend-with-new-seqs": "loss",
  "lost-ack-notes": "sync",
  "no-epochs": "loss",
  "forget-how-far-it-was": "loss",
  "two-runs": "activity",
  "view-of-everything": "activity",
  "nothing-is-taken-up": "sync",
  "take-up-what-is-void": "sync",
  "go-on-under-the-state": "sync",
  "ahead-of-the-log": "loss",
  "state-of-another-point": "sync",
  ...(Object.fromEntries(Object.keys(documentSabotages).map((name) => [name, "document"])) as Record<
    keyof typeof documentSabotages,
    "document"
  >),
};

export type Sabotage = keyof typeof sabotages | "none";
