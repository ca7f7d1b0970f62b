/** Transfers as apps see them: what there is to see, and what can be done with one on its way out or in. */

import {
  type Activity as ActivityState,
  fromPayload,
  type MemberId,
  type Offset,
  storedBytes,
  type TransferInfo,
  type TransferPoint,
  type UserId,
} from "@rostrum/protocol";
import { isHere, isMine, type Sight } from "./activity-view.ts";
import type { Observable } from "./observable.ts";

/** What an app may send. A `Uint8Array` must not be changed while it is sent. */
export type TransferSource = Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Uint8Array;

export interface TransferView {
  readonly id: Offset;
  readonly name: string;
  /** Media type. */
  readonly type?: string;
  /** Bytes in all, if that was said. */
  readonly size?: number;
  /** What else its sender says of it. */
  readonly data?: unknown;
  /** `ended`: all of it is on the server. */
  readonly status: "running" | "interrupted" | "ended";
  /** Who began it; `null`: the server. */
  readonly from: MemberId | null;
  readonly user: UserId | null;
  /** Who sends, or was last to. */
  readonly holder: MemberId | null;
  /** It is this member's user's: it may be taken up here. */
  readonly mine: boolean;
  /** This member sends it. */
  readonly here: boolean;
  /** Bytes that are durable on the server, as of the last sync point. */
  readonly bytes: number;
  /** SHA-256 of all of it, in hex, once it has ended. */
  readonly digest?: string;
  /** Absent: everybody. */
  readonly to?: readonly MemberId[];
  /** Of those, who does not have all of it yet, and who wants none of it or has left. */
  readonly waiting?: readonly MemberId[];
  readonly declined?: readonly MemberId[];
  /** When it is given up or removed, milliseconds since 1970 by this device's clock. */
  readonly expiresAt?: number;
}

export interface SendOptions {
  /** Member ids; absent: everybody, also who joins later. */
  readonly to?: readonly string[];
  /** 1 to 128 characters; default: the file's name, else "transfer". */
  readonly name?: string;
  /** Media type; default: the blob's. */
  readonly type?: string;
  /** Bytes in all, if the source does not tell. */
  readonly size?: number;
  /** What else is to be said of it; small, it stands in the log. */
  readonly data?: unknown;
  /** Aborts the transfer. */
  readonly signal?: AbortSignal;
}

export interface SendingProgress {
  /** `waiting`: for a connection, or for the server to take more. */
  readonly state: "starting" | "running" | "paused" | "waiting" | "done" | "failed";
  /** Bytes that were handed to a connection. */
  readonly sent: number;
  /** Bytes that are durable on the server: what an interruption cannot take back. */
  readonly confirmed: number;
  readonly size?: number;
  /** Bytes that had to be sent again. */
  readonly resent: number;
}

/** A transfer of this member. It goes on by itself after drops, and says here how far it is. */
export interface OutgoingTransfer {
  /** Resolves when the transfer stands in the log. @throws RostrumError FORBIDDEN, TRANSFER_TOO_LARGE, TRANSFER_QUOTA … */
  readonly id: Promise<Offset>;
  readonly progress: Observable<SendingProgress>;
  /**
   * Resolves when all of it is durable on the server, whichever device of the user sent the rest.
   * @throws RostrumError TRANSFER_ABORTED (`details.why`), TRANSFER_REFUSED (all declined), TRANSFER_SOURCE (cannot be read, or
   * another size than announced), TRANSFER_DIGEST, ACTIVITY_NOT_HELD (another device has taken it up)
   */
  readonly done: Promise<{ readonly id: Offset; readonly bytes: number; readonly digest: string }>;
  /** Who has all of it, of those to whom it was addressed. */
  readonly receivedBy: Observable<readonly MemberId[]>;
  /** Interrupts it, until `resume` here, or `transfers.resume` on another device of the user. */
  pause(): void;
  resume(): void;
  /** Gives it up: what was sent is removed. */
  abort(reason?: string): void;
}

export interface ReceivingProgress {
  /** `idle`: nobody has asked for it. `waiting`: for a connection, or for the sender. */
  readonly state: "idle" | "running" | "waiting" | "done" | "failed";
  /** Bytes that have come here. */
  readonly received: number;
  /** Bytes that are there to be fetched. */
  readonly available: number;
  readonly size?: number;
}

/**
 * A transfer of somebody else that is addressed to this member or to everybody. `name`, `type` and `data` are what its sender
 * says: make no path of the name, and open nothing as what the type says without a look at who sent it.
 */
export interface IncomingTransfer {
  readonly id: Offset;
  readonly from: MemberId | null;
  readonly name: string;
  readonly type?: string;
  readonly size?: number;
  readonly data?: unknown;
  readonly progress: Observable<ReceivingProgress>;
  /**
   * The bytes, from the first, while they are still being sent; not more than `laneBytes` ahead of the reader. It goes on
   * after drops. Once all has come and its SHA-256 is right, the sender is told that it was received. One reader at a time.
   * @throws RostrumError (by erroring the stream) TRANSFER_DIGEST, TRANSFER_ABORTED, USAGE (it is being read already)
   * @example
   * for await (const piece of incoming.stream()) await file.write(piece)
   */
  stream(options?: { readonly signal?: AbortSignal }): ReadableStream<Uint8Array>;
  /** All of it, in memory. @throws as `stream` does */
  blob(options?: { readonly signal?: AbortSignal }): Promise<Blob>;
  /** Wants none of it. If all do so, the transfer is void. */
  decline(reason?: string): Promise<void>;
}

/** What was said of it at its start. */
export const infoOf = ({ data }: ActivityState): TransferInfo => (data ?? {}) as TransferInfo;

/** The same, as an app sees it. */
export const saidOf = (activity: ActivityState): Pick<TransferView, "type" | "size" | "data"> => {
  const { type, size, data } = infoOf(activity);
  return {
    ...(type === undefined ? {} : { type }),
    ...(size === undefined ? {} : { size }),
    ...(data === undefined ? {} : { data: fromPayload(data) }),
  };
};

export const transferView = (activity: ActivityState, sight: Sight): TransferView => {
  const { id, name, status, by, user, holder, to, waiting, declined, expiresAt } = activity;
  const digest = (activity.result as TransferPoint | undefined)?.digest;
  return {
    id,
    name,
    ...saidOf(activity),
    status,
    from: by,
    user,
    holder,
    mine: isMine(activity, sight),
    here: isHere(activity, sight),
    bytes: storedBytes(activity),
    ...(digest === undefined ? {} : { digest }),
    ...(to === undefined ? {} : { to }),
    ...(waiting === undefined ? {} : { waiting }),
    ...(declined === undefined ? {} : { declined }),
    ...(expiresAt === undefined ? {} : { expiresAt: sight.local(expiresAt) }),
  };
};
