/**
 * How a document comes from the server: what was asked, what has been answered, and which entries continue it. Between a question
 * and its answer entries are put by; after it, those that it does not cover.
 */

import type { ExtensionHost } from "@rostrum/client";
import {
  type DocumentOpenFrame,
  type DocumentRefusedFrame,
  type DocumentStateFrame,
  fromWire,
  type Offset,
  RostrumError,
  type UpdateItem,
} from "@rostrum/protocol";
import { Answer, type Answered } from "./answer.ts";
import type { Effects } from "./terms.ts";

export interface Numbered {
  readonly offset: Offset;
  readonly item: UpdateItem;
}

export interface FollowingHost {
  /** What to say that we have; nothing, to get all. */
  readonly position: (withVector: boolean) => Pick<DocumentOpenFrame, "lineage" | "after" | "vector">;
  /** All up to `upTo` is in it; `rest` came after. */
  readonly answered: (answered: Answered, rest: readonly Numbered[]) => void;
  readonly refused: (error: RostrumError) => void;
}

const retryAfter = 2_000;
const mostRetries = 5;

export class Following {
  /** What comes continues what is here, without a hole. */
  isFollowing = false;
  private asking: Answer | undefined;
  private early: Numbered[] = [];
  /** An answer that reaches less far than this is about a content that is over. */
  private least: Offset = 0;
  private isDue = true;
  private withVector = false;
  private retries = 0;
  private undo: (() => void) | undefined;

  constructor(
    private readonly document: string,
    private readonly session: Pick<ExtensionHost, "isLive" | "send" | "features">,
    private readonly effects: Pick<Effects, "after">,
    private readonly host: FollowingHost,
  ) {}

  get isAsking(): boolean {
    return this.asking !== undefined;
  }

  /** What is here may be of a content that is over: what is edited meanwhile may be in vain. */
  get isInDoubt(): boolean {
    return this.least > 0;
  }

  /** Taken up by the server; `continued`: with us as we said we were; `anew`: its offsets are others. */
  opened(continued: boolean, anew: boolean): void {
    if (anew) this.least = 0;
    this.asking = undefined;
    this.early = [];
    this.retries = 0;
    this.isFollowing = continued && this.least === 0;
    this.isDue = !this.isFollowing;
  }

  /** The document was, or may have been, begun anew at an offset. */
  begunAnew(offset: Offset): void {
    this.least = offset;
    this.isDue = true;
    this.ask();
  }

  /** Asks, if there is something to ask and somebody to ask. */
  ask(): void {
    if (!this.isDue || this.asking !== undefined || this.undo !== undefined || !this.session.isLive()) return;
    if (!this.session.features().includes("documents")) {
      this.isDue = false;
      return this.host.refused(
        new RostrumError(
          "FEATURE_MISSING",
          `The server keeps no documents; "${this.document}" is on this device only. Give attachSessions the documents option.`,
          { feature: "documents" },
        ),
      );
    }
    this.isDue = false;
    this.asking = new Answer();
    this.session.send({ type: "document-open", document: this.document, ...this.host.position(this.withVector) });
    this.withVector = false;
  }

  /** Something is lacking in spite of the answer: asks for just that. */
  askForMore(): void {
    this.isDue = this.withVector = true;
    this.ask();
  }

  frame(frame: DocumentStateFrame | DocumentRefusedFrame): void {
    const { asking } = this;
    if (frame.type === "document-refused") {
      const error = fromWire(frame.error);
      this.asking = undefined;
      this.early = [];
      this.isFollowing = false;
      this.host.refused(error);
      if (error.retryable && this.retries < mostRetries) this.again();
      return;
    }
    if (asking === undefined) return;
    const answered = asking.take(frame);
    if (answered === undefined) return;
    this.asking = undefined;
    if (asking.isBroken) return this.again();
    if (answered.upTo < this.least) {
      this.retries += 1;
      if (this.retries > 1) return this.again();
      this.isDue = true;
      return this.ask();
    }
    this.least = this.retries = 0;
    this.isFollowing = true;
    const rest = this.early.filter(({ offset }) => offset > answered.upTo);
    this.early = [];
    this.host.answered(answered, rest);
  }

  /** Whether an update is to be taken now. */
  takes(numbered: Numbered): boolean {
    if (this.isFollowing && this.asking === undefined && this.least === 0) return true;
    // What comes while nothing is followed or asked the next answer covers.
    if (this.isFollowing || this.asking !== undefined) this.early.push(numbered);
    return false;
  }

  stop(): void {
    this.undo?.();
    this.asking = undefined;
    this.isFollowing = this.isDue = false;
    this.early = [];
  }

  private again(): void {
    this.retries += 1;
    this.isDue = true;
    this.undo ??= this.effects.after(retryAfter * this.retries, () => {
      this.undo = undefined;
      this.ask();
    });
  }
}
