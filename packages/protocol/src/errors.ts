/** Every error a user can meet is a `RostrumError` with one of these codes; docs/errors.md has a section for each. */

/** `true`: the same call may succeed later without anybody changing anything. */
export const retryable = {
  ABORTED: false,
  ACTIVITY_INTERRUPTED: false,
  ACTIVITY_LIMIT: true,
  ACTIVITY_NOT_HELD: false,
  ACTIVITY_RUNNING: true,
  ACTIVITY_UNKNOWN: false,
  AUTH_EXPIRED: false,
  AUTH_FAILED: true,
  AUTH_REFUSED: false,
  BLOB_FAILED: true,
  BLOB_FULL: true,
  BLOB_UNKNOWN: false,
  CLOSED: false,
  DOCUMENT_FULL: false,
  DOCUMENT_GAP: false,
  DOCUMENT_INVALID: false,
  DOCUMENT_LIMIT: false,
  DOCUMENT_RESTORED: false,
  DOCUMENT_UNKNOWN: false,
  FEATURE_MISSING: false,
  FLOOR_BUSY: true,
  FLOOR_CANCELLED: false,
  FLOOR_CONFIG_INVALID: false,
  FLOOR_DENIED: false,
  FLOOR_ENDING: false,
  FLOOR_LIMIT: true,
  FLOOR_NOT_HELD: false,
  FLOOR_NOT_REQUESTED: false,
  FLOOR_QUEUE_FULL: true,
  FLOOR_REVOKED: false,
  FLOOR_TIMEOUT: true,
  FLOOR_UNKNOWN: false,
  FORBIDDEN: false,
  FRAME_INVALID: false,
  MEMBER_UNKNOWN: false,
  MESSAGE_INVALID: false,
  MESSAGE_TOO_LARGE: false,
  OUTBOX_FULL: true,
  OUTCOME_UNKNOWN: false,
  PROPOSAL_IDLE: false,
  PROPOSAL_PENDING: true,
  PROPOSAL_UNKNOWN: false,
  RECIPIENT_UNKNOWN: false,
  REFUSED: false,
  REPLACED: false,
  RESYNCHRONIZED: false,
  SERVER_BUSY: true,
  SERVER_DRAINING: true,
  SESSION_ENDED: false,
  SESSION_FULL: true,
  STATE_MISSING: false,
  STORAGE_CORRUPT: false,
  STORAGE_FAILED: true,
  STORAGE_NEWER: false,
  STORAGE_UNAVAILABLE: false,
  STORE_CORRUPT: false,
  STORE_FAILED: true,
  STORE_LOCKED: true,
  STORE_NEWER: false,
  SYNC_COLLISION: false,
  SYNC_LIMIT: true,
  SYNC_NOT_ASKED: false,
  SYNC_PENDING: true,
  SYNC_SECURED: false,
  SYNC_UNKNOWN: false,
  TOKEN_REUSED: false,
  TRANSFER_ABORTED: false,
  TRANSFER_DIGEST: false,
  TRANSFER_QUOTA: true,
  TRANSFER_REFUSED: false,
  TRANSFER_SOURCE: false,
  TRANSFER_TOO_LARGE: false,
  USAGE: false,
  USER_LIMIT: true,
  VERSION_MISMATCH: false,
  WINDOW_EXCEEDED: false,
  YJS_TWICE: false,
} as const;

export type ErrorCode = keyof typeof retryable;

/** Numbers and names that belong to an error; what they are is said with each code in docs/errors.md. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>;

/** How an error travels. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: ErrorDetails;
}

/**
 * The one error class. `message` says what happened with numbers, what Rostrum did, and what to change.
 *
 * @example
 * try { await session.emit("slide", 4) } catch (error) {
 *   if (error instanceof RostrumError && error.code === "FLOOR_NOT_HELD") askForTheFloor()
 * }
 */
export class RostrumError extends Error {
  override readonly name = "RostrumError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  /** Whether the same call may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return retryable[this.code];
  }

  /** The section that says what to do. */
  get docs(): string {
    return `docs/errors.md#${this.code.toLowerCase()}`;
  }
}

export const toWire = (error: RostrumError): WireError => ({
  code: error.code,
  message: error.message,
  details: error.details,
});

/** A code that this version does not know comes from a newer peer: it becomes `REFUSED`, with the code in the details. */
export const fromWire = (error: WireError): RostrumError =>
  Object.hasOwn(retryable, error.code)
    ? new RostrumError(error.code, error.message, error.details)
    : new RostrumError("REFUSED", error.message, { ...error.details, code: error.code });
