/** What is known of one transfer as its entries come, for who follows it: how it stands, and how it ended. */

import {
  type ActivityEntry,
  type Activity as ActivityState,
  type ErrorCode,
  type MemberId,
  type Offset,
  RostrumError,
  retryable,
  storedBytes,
  type TransferPoint,
} from "@rostrum/protocol";

/** Why it does not run. */
export interface Interruption {
  readonly reason: "asked" | "handed" | "dropped" | "left";
  readonly by: MemberId | null;
}

export class Track {
  state: ActivityState | undefined;
  /** It has ended: these are its bytes, as the server counted and hashed them. */
  result: TransferPoint | undefined;
  /** It came to nothing. */
  failure: RostrumError | undefined;
  interruption: Interruption | undefined;
  /** Who has said that it has all of it. */
  readonly receivers: Set<MemberId> = new Set();
  private readonly listeners = new Set<() => void>();

  constructor(readonly id: Offset) {}

  /** Bytes that are durable on the server. */
  get stored(): number {
    return this.result?.bytes ?? (this.state === undefined ? 0 : storedBytes(this.state));
  }

  /** Nothing more will be heard of it. */
  get isOver(): boolean {
    return this.failure !== undefined || (this.result !== undefined && this.state === undefined);
  }

  watch(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  happened(entry: ActivityEntry, now: ActivityState | undefined): void {
    this.state = now;
    switch (entry.type) {
      case "activity-interrupted":
        this.interruption = { reason: entry.reason, by: entry.by };
        break;
      case "activity-resumed":
        this.interruption = undefined;
        break;
      case "activity-ended":
        this.result = entry.result as TransferPoint | undefined;
        break;
      case "activity-discarded":
        this.failure = failureOf(entry, this.id);
        break;
      case "activity-confirmed":
        if (entry.member !== null && this.result !== undefined) this.receivers.add(entry.member);
        break;
      default:
    }
    this.tell();
  }

  /** As the state has it; `undefined`: it is not there (any more). */
  update(state: ActivityState | undefined): void {
    this.state = state;
    if (state?.status === "ended") {
      this.result ??= state.result as TransferPoint | undefined;
      const { to = [], waiting = to, declined = [] } = state;
      for (const id of to) if (!waiting.includes(id) && !declined.includes(id)) this.receivers.add(id);
    }
    if (state === undefined && this.result === undefined) this.failure ??= goneOf(this.id);
    this.tell();
  }

  /** It is another log, or the session is over here. */
  fail(error: RostrumError): void {
    if (this.result === undefined) this.failure ??= error;
    this.state = undefined;
    this.tell();
  }

  tell(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

const goneOf = (id: Offset): RostrumError =>
  new RostrumError("OUTCOME_UNKNOWN", `The transfer ${id} is no longer there; what came of it is not known here.`, {
    activity: id,
  });

const failureOf = (
  { why, reason, by }: Extract<ActivityEntry, { type: "activity-discarded" }>,
  activity: Offset,
): RostrumError => {
  const details = { activity, why, reason: reason ?? null, by };
  if (why === "declined")
    return new RostrumError(
      "TRANSFER_REFUSED",
      `All to whom the transfer was addressed declined it: ${reason ?? "no reason given"}.`,
      details,
    );
  // The server says with a code of its own why the bytes came to nothing.
  const [code = "", ...words] = why === "failed" && reason !== undefined ? reason.split(": ") : [];
  if (Object.hasOwn(retryable, code)) return new RostrumError(code as ErrorCode, words.join(": "), details);
  return new RostrumError(
    "TRANSFER_ABORTED",
    `The transfer was given up (${why}): ${reason ?? "no reason given"}.`,
    details,
  );
};
