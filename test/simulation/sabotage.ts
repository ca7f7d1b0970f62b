/** Rules broken on purpose, one at a time, to see whether the simulated world notices. */

import type { Engine } from "@rostrum/client/internal";

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
} as const;

/** Breaks a rule of the client's engine. */
export const sabotageEngine = (_engine: Engine, _sabotage: Sabotage): void => {};

/** Worlds with much of one thing. In each there is much of sync points. */
export type WorldKind = "sync" | "loss" | "activity";

/** Sabotages that show only in a certain world. */
export const worldOf: { readonly [S in Sabotage]?: WorldKind } = {};

export type Sabotage = keyof typeof sabotages | "none";
