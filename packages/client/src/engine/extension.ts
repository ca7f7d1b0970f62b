/**
 * What lives in a session besides messages and floors, in a package of its own: documents. The session tells it what comes, in
 * order and at once, without waiting for the app's handlers.
 */

import type {
  DocumentCloseFrame,
  DocumentOpenFrame,
  DocumentRefusedFrame,
  DocumentStateFrame,
  Entry,
  Limits,
  MemberCommand,
  MemberId,
  Offset,
  Outcome,
  RostrumError,
  SessionState,
  UpdateItem,
} from "@rostrum/protocol";
import type { Sending } from "../events.ts";
import type { Beside } from "../session-options.ts";

export interface Extension {
  /** Documents that are known here up to the session's cursor: what was missed of them comes with the ordinary catch-up. */
  follows(): readonly string[];
  /**
   * The server has taken us up. Unless it `resumed`, nothing of any document comes that is not asked for; and nothing up to `thinned`
   * (0: the log has all).
   */
  opened(outcome: Outcome, thinned: Offset): void;
  /** An entry has come: one that changes the state, or updates of a document, own ones included. */
  entry(entry: Entry): void;
  /** Told up to here, whether or not it concerned us. */
  told(upTo: Offset): void;
  frame(frame: DocumentStateFrame | DocumentRefusedFrame): void;
  /**
   * An update will not be stored. Told before the outbox on the disk is rid of it, so that who keeps it at once has it whenever
   * the page dies.
   */
  refused(item: UpdateItem, error: RostrumError): void;
  /** Updates that the server had stored and has lost, oldest first. They are nowhere else any more. */
  lost(items: readonly UpdateItem[]): void;
  /** A command is about to be taken, or the session to be closed: what is gathered here goes before it. */
  gathered(): void;
  /** The session came live, lost its connection, changed its state. */
  changed(): void;
  /** The session is over here. `forget`: nothing of it is kept on the device. */
  closed(error: RostrumError, forget: boolean): void;
}

/** What an extension has of the session. */
export interface ExtensionHost {
  state(): SessionState;
  self(): MemberId | undefined;
  limits(): Limits;
  features(): readonly string[];
  /** Whether frames and commands go out now. */
  isLive(): boolean;
  /** Told by the server up to here. */
  received(): Offset;
  /** Whether this member may act on the floor now, by a grant that it can trust. */
  holds(floor: string): boolean;
  /**
   * Takes an update into the outbox. `asks`: it may be stored already; it goes without a grant, and the server says which it is.
   * @throws RostrumError FLOOR_NOT_HELD, CLOSED, OUTBOX_FULL; then nothing was taken.
   */
  update(item: UpdateItem, asks?: boolean): void;
  /** Takes back the last update that was taken, if no connection was ever given it. Answers whether it was taken back. */
  withdraw(item: UpdateItem): boolean;
  /** Own updates that the server has not decided, oldest first; those of earlier lives of the page included. */
  undecided(): readonly UpdateItem[];
  command(command: MemberCommand): Sending;
  /** Not stored, to those who are here now or to some of them. Answers whether it was sent at all. */
  volatile(event: string, args: readonly unknown[], to?: readonly MemberId[]): boolean;
  send(frame: Omit<DocumentOpenFrame, "session"> | Omit<DocumentCloseFrame, "session">): void;
  /** Where this page keeps what belongs to the session, under a name. Rejects if the session could not be opened here. */
  keep(name: string): Promise<Beside>;
  warn(error: RostrumError): void;
}
