/** What an engine is told when it is made, what it does to the world, and where it stands. */

import type {
  ClientFrame,
  Entry,
  History,
  MemberCommand,
  MemberId,
  Offset,
  OpenedFrame,
  Outcome,
  ResetReason,
  RostrumError,
  SessionId,
} from "@rostrum/protocol";
import type { DeliveryEffects } from "./delivery.ts";
import type { HoldingNews } from "./holdings.ts";
import type { Checkpoint, Gap, Transaction } from "./record.ts";

/** How a session came (back) to life. */
export interface Resumption {
  readonly outcome: Outcome["kind"];
  /** The cursor it went on from. */
  readonly from: Offset;
  /** Messages that came before it was live. */
  readonly replayed: number;
  /** Commands that were sent again because the server did not have them. */
  readonly resent: number;
  /** What the log no longer had; those entries are missing here. */
  readonly gap?: Gap;
  readonly why?: ResetReason;
  /** The log was restored from an older copy: behind this offset it is another one. */
  readonly fork?: Offset;
  /** Own messages that the server had stored and lost: they were sent again. */
  readonly reclaimed: number;
  /** Own messages at these offsets, as they were, may be lost: they are no longer kept here. */
  readonly unsaved?: Gap;
}

export interface EngineEffects extends DeliveryEffects {
  /** Milliseconds of a clock that never runs backwards. */
  now(): number;
  /** Sends on the present connection, if there is one. */
  send(frames: readonly ClientFrame[]): void;
  /** Stores a transaction. At most one is under way at a time. */
  commit(transaction: Transaction, done: (error: RostrumError | undefined) => void): void;
  /** Runs `then` when this turn is over: what an app emits in one turn goes in one frame. */
  defer(then: () => void): void;
  /** The engine's only alarm; `Infinity` clears it. `wake` is due then. */
  alarm(at: number): void;
  /** The handlers have come to a sync point, and the app's state as of it is kept. */
  reached(point: Offset): void;
  /** Something that can be seen from outside has changed. */
  changed(): void;
  resumed(resumption: Resumption): void;
  /** A floor was got, is about to be taken, or is lost. */
  holding(news: HoldingNews): void;
  /** A control entry was folded into the state, whether or not the handlers are that far. */
  folded(entry: Entry): void;
  /** A command will not be stored. Told when this is on the disk, so that no later life of the page sends it after all. */
  refused(error: RostrumError, command: MemberCommand): void;
  volatile(from: MemberId | null, event: string, args: readonly unknown[]): void;
  /** Something is wrong that stops nothing. */
  warn(error: RostrumError): void;
  /** A fresh auth is wanted, for `open` or because the present one runs out. */
  auth(reason: "open" | "expiring", done: (auth: unknown) => void): void;
  /** Gives the connection up and makes another. */
  reconnect(): void;
  /** A question was not answered in time: is the connection still there? */
  doubt(): void;
  newInstance(): string;
}

export interface EngineOptions {
  readonly session: SessionId;
  readonly history: History | undefined;
  readonly required: readonly string[];
  /** Most commands and bytes that may wait here. */
  readonly outboxCommands: number;
  readonly outboxBytes: number;
  /** Whether the app gives its state to be kept here; then entries since then are kept as well. */
  readonly keepsState: boolean;
  /** After so many entries, bytes or milliseconds the app's state is asked for. */
  readonly checkpointEntries: number;
  readonly checkpointBytes: number;
  readonly checkpointTime: number;
  /** How many of the app's states are kept at sync points. */
  readonly pointStates: number;
  /** Most own messages and bytes that are kept until a major point secures them. */
  readonly secureMessages: number;
  readonly secureBytes: number;
  /** Confirms sync points by itself when the handlers have come as far and the app's state is kept. */
  readonly confirms: boolean;
}

/** Where the engine stands. The phases exclude one another, so they are one value. */
export type Phase =
  | { readonly kind: "loading" }
  /** No connection, or none that has the session; `retryAt` if a closed one will be tried again on this connection. */
  | { readonly kind: "apart"; readonly retryAt?: number }
  | { readonly kind: "opening"; readonly since: number }
  /** Opened, but the state has still to come. Until then nothing of the new life counts, here or on the disk. */
  | { readonly kind: "viewing"; readonly opened: OpenedFrame }
  | {
      readonly kind: "catching-up";
      readonly opened: OpenedFrame;
      readonly from: Offset;
      readonly resent: number;
      readonly reclaimed: number;
      /** The checkpoint from which the app goes on, in a log that was restored. */
      readonly back: Checkpoint | undefined;
      replayed: number;
    }
  | { readonly kind: "live" }
  | { readonly kind: "closed"; readonly error: RostrumError };
