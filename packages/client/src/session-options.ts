/** What an app says when it opens a session, and what a session needs of its client. */

import type { History, RostrumError } from "@rostrum/protocol";
import type { Kept, Transaction } from "./engine/record.ts";
import type { Link, LinkEvents } from "./link.ts";
import type { Session } from "./session.ts";
import type { TransferSource, TransferView } from "./transfer-view.ts";

export interface SessionOptions {
  /** The app's state, so that a page that comes back has it before the network answers. Plain data, copied at once. */
  readonly checkpoint?: () => unknown;
  readonly restore?: (state: never) => void;
  /**
   * When `checkpoint` is asked: after so many entries (default 100), bytes of messages (262,144) or, with the next entry,
   * milliseconds (30,000). A number counts entries. Sync points ask as well.
   */
  readonly checkpointEvery?: number | { readonly entries?: number; readonly bytes?: number; readonly time?: number };
  /** How many of the app's states are kept on this device at sync points; default 8. */
  readonly pointStates?: number;
  /**
   * Sync points that ask for it are confirmed when the handlers have come as far, and the app's state is kept on the device;
   * `explicit`: only by `session.sync.confirm`.
   */
  readonly confirm?: "processed" | "explicit";
  /**
   * Most own messages (default 2,000) and bytes of them (2 MiB) that are kept after they were stored, until a confirmed major
   * point secures them: should the server lose them, they are sent again. 0: none.
   */
  readonly secureMessages?: number;
  readonly secureBytes?: number;
  /** What to get as a newcomer, within what the server offers. */
  readonly history?: History;
  /** Features without which not to go on. */
  readonly required?: readonly string[];
  /** Most commands that may wait here; default 10,000. */
  readonly outboxCommands?: number;
  /** Most bytes that may wait here; default 8 MiB. */
  readonly outboxBytes?: number;
  /**
   * Asked when this member comes live and a transfer of its user is interrupted: what it is to be sent from, if the app has it
   * (a file handle that it kept, say). Then it goes on by itself; see `transfers.outgoing`.
   */
  readonly transferSource?: (interrupted: TransferView) => Promise<TransferSource | undefined>;
}

/** What a session needs of its client. */
export interface SessionHost {
  readonly link: Link;
  /** Makes another connection, for bytes. */
  readonly lane: (events: LinkEvents) => Link;
  /** Milliseconds without a sign of life after which such a connection is given up. */
  readonly silence: number;
  readonly auth: (reason: "open" | "expiring") => Promise<unknown>;
  /** Opens the device's record of the session. */
  readonly keep: (session: Session<never>) => Promise<Keeping>;
  readonly gone: (session: Session<never>) => void;
}

/** One scope of a storage, claimed by this page. */
export interface Keeping {
  readonly kept: Kept | undefined;
  readonly warnings: readonly RostrumError[];
  readonly commit: (transaction: Transaction) => Promise<void>;
  readonly release: () => void;
  /** What belongs to the session besides its record, under a name; without one, all of it. */
  readonly beside: (name?: string) => Beside;
}

export interface Beside {
  readonly durable: boolean;
  readonly load: () => Promise<ReadonlyMap<string, unknown>>;
  readonly commit: (transaction: Transaction<string>) => Promise<void>;
  /** Removes this, and what lies under it. */
  readonly wipe: () => Promise<void>;
}
