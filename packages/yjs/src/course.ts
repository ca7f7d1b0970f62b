/**
 * The course of a document on this client: what is confirmed, open and refused, and what that means for the copy that the app
 * has. Knows nothing of Yjs; all that takes time is in its effects.
 */

import type { ExtensionHost } from "@rostrum/client";
import {
  documentEvent,
  type Epoch,
  forkOf,
  type Offset,
  RostrumError,
  toldEpochs,
  type UpdateItem,
} from "@rostrum/protocol";
import type { Answered } from "./answer.ts";
import { Disk, format, readRecord } from "./disk.ts";
import { type DraftReason, Drafts } from "./drafts.ts";
import { Following, type Numbered } from "./following.ts";
import { Ledger } from "./ledger.ts";
import { Outgoing, overError } from "./outgoing.ts";
import type { Effects, Piece, Update } from "./terms.ts";

/** The copy that the app has. */
export interface Copy {
  /** Confirmed updates come in, as one change. */
  readonly apply: (pieces: readonly Piece[]) => void;
  /** An own update comes in, if all that it builds on is there. */
  readonly include: (bytes: Uint8Array) => boolean;
  /** Another copy takes its place, which asks for its content by `fill`. */
  readonly replace: (reason: DraftReason, draft: string | undefined) => void;
  /** What was edited and not yet handed over. */
  readonly takeUnsent: () => readonly Update[];
  /** Whether nothing waits in it for what has not come. */
  readonly isWhole: () => boolean;
  /** Updates as one. */
  readonly merged: (updates: readonly Uint8Array[]) => Uint8Array;
  readonly vector: () => Uint8Array;
  /** What is confirmed as one piece in format 2; `fromCopy`: the copy holds just that. */
  readonly compacted: (pieces: readonly Piece[], fromCopy: boolean) => Uint8Array | undefined;
}

/** Vectors that are no larger go with every question. */
const smallVector = 1_024;

export class Course {
  readonly ledger: Ledger = new Ledger();
  readonly drafts: Drafts;
  private readonly disk: Disk;
  readonly following: Following;
  readonly own: Outgoing;
  /** Whether the copy shows a content, and where it is from. */
  loaded: "device" | "server" | false = false;
  /** What keeps it from being synced. */
  error: RostrumError | undefined;
  /** What has come before the disk was read. */
  private early: (() => void)[] | undefined = [];
  /** The server has lost what is confirmed here, or some of it. */
  private isAnew = false;
  private incoming: Piece[] = [];
  /** It was asked once for what is lacking. */
  private isPatched = false;
  private isOver = false;
  private isForgotten = false;
  /** On which content something is stored that the copy showed before it had any. */
  private stray: Offset | undefined;
  /** What the disk had is of the present log; or nothing was there. */
  private isVerified = false;
  private epochs: readonly Epoch[] = [];

  constructor(
    private readonly document: string,
    private readonly session: ExtensionHost,
    private readonly effects: Effects,
    private readonly copy: Copy,
    private readonly changed: () => void,
  ) {
    this.disk = new Disk(
      effects,
      document,
      this.ledger,
      () => this.compact(),
      () =>
        session
          .state()
          .epochs.filter(({ from }) => from <= this.ledger.offset)
          .slice(-toldEpochs),
    );
    this.drafts = new Drafts({
      document,
      now: effects.now,
      commit: (transaction) => this.disk.commit(transaction),
      warn: effects.warn,
      content: () => this.ledger.content,
      pieces: () => this.ledger.pieces,
    });
    this.own = new Outgoing({
      document,
      session,
      effects,
      copy,
      ledger: this.ledger,
      drafts: this.drafts,
      disk: this.disk,
      isSendable: () => this.isSendable,
      isSettled: () => this.following.isFollowing && !this.following.isAsking,
      takeIncoming: () => this.takeIncoming(),
      changed,
    });
    this.following = new Following(document, session, effects, {
      position: (withVector) => this.position(withVector),
      answered: (answered, rest) => this.answered(answered, rest),
      refused: (error) => {
        this.error = error;
        this.changed();
      },
    });
  }

  /** Reads the device; only then is anything asked or sent. */
  load(): void {
    this.disk.open((values) => {
      if (!this.isOver) return this.begin(values);
      if (this.isForgotten) return;
      // It was let go of before it could be kept.
      this.drafts.load(new Map());
      for (const open of this.ledger.open) this.disk.hold(open);
      this.disk.stop();
    });
  }

  // ---- what the session tells ----

  /** Whether it is known what an earlier life of the page has left. */
  get isRead(): boolean {
    return this.early === undefined;
  }

  /** It has everything up to there, in the present log. */
  standsAt(offset: Offset): boolean {
    const { content } = this.ledger;
    // What the disk had is as good as the session's own cursor only where the two are at one.
    if (!this.isVerified && (this.ledger.offset !== offset || this.isForked(offset))) return false;
    return (
      this.early === undefined &&
      content !== undefined &&
      !this.isAnew &&
      content.birth === this.session.state().birth &&
      this.ledger.offset >= offset
    );
  }

  /** What comes from there on continues it. */
  reaches(offset: Offset): boolean {
    return this.ledger.offset >= offset;
  }

  /** `anew`: the log is another one, or lost its end. */
  opened(continued: boolean, anew: boolean): void {
    this.error = undefined;
    this.isPatched = false;
    if (anew) this.becomeAnew();
    this.following.opened(continued && !this.isAnew, anew);
    this.changed();
  }

  entry(offset: Offset, item: UpdateItem): void {
    if (this.isEarly(() => this.entry(offset, item))) return;
    const [, replica, n, lineage, bytes] = item;
    const open = this.ledger.settle({ replica, n });
    const piece: Piece = { format: 1, bytes };
    if (open !== undefined) {
      if (this.ledger.content === undefined && open.included) this.stray = lineage;
      // It is stored wherever we stand: perhaps an answer has told of it already, or left it out as we had it.
      this.own.stored({ replica, n }, open);
      if (!this.isAnew && this.ledger.content?.lineage === lineage) {
        this.ledger.add(piece);
        if (!open.included) this.incoming.push(piece);
      }
      this.following.takes({ offset, item });
      return;
    }
    this.drafts.remove({ replica, n });
    if (offset <= this.ledger.offset && !this.isAnew) return;
    if (!this.following.takes({ offset, item }) || this.ledger.content?.lineage !== lineage) return;
    this.ledger.add(piece);
    this.incoming.push(piece);
  }

  begunAnew(offset: Offset): void {
    if (this.isEarly(() => this.begunAnew(offset))) return;
    this.takeIncoming();
    if (this.ledger.content !== undefined && !this.isAnew && offset <= this.ledger.offset) return;
    this.following.begunAnew(offset);
    this.changed();
  }

  told(upTo: Offset): void {
    if (this.isEarly(() => this.told(upTo))) return;
    this.takeIncoming();
    const { following, ledger } = this;
    if (following.isFollowing && !following.isAsking && !following.isInDoubt && upTo > ledger.offset)
      ledger.offset = upTo;
    this.disk.touch();
  }

  refused(item: UpdateItem, error: RostrumError): void {
    if (this.isEarly(() => this.refused(item, error))) return;
    const [, replica, n, lineage, bytes] = item;
    const update: Update = { replica, n, bytes };
    const open = this.ledger.settle(update);
    const { content } = this.ledger;
    const isFormer = this.drafts.reasonOf(update) === "restored";
    const { code, details } = error;
    if (code === "DOCUMENT_GAP" && details["known"] === true) {
      this.ledger.add({ format: 1, bytes });
      if (open?.included !== true) this.copy.apply([{ format: 1, bytes }]);
      return this.own.stored(update, open);
    }
    // Nobody knows whether it is stored, or it came too late for another reason than what it says: it can be sent again, as its
    // number keeps it single. What builds on one that waits here waits as well.
    const isHeldBack = code === "DOCUMENT_GAP" && this.ledger.isHeldBack(update);
    if (!isFormer && (isPutBack(error) || isHeldBack)) {
      const birth = content?.birth ?? this.session.state().birth;
      this.own.hold({ ...update, madeOn: { birth, lineage } }, open?.included ?? false);
      if (error.retryable) this.own.rest();
      else this.effects.defer(() => this.own.sendHeld());
      return this.changed();
    }
    // What was made on a content that is over does not go into another one, though it might fit.
    const restored = code === "DOCUMENT_RESTORED" || isFormer;
    const why = isFormer ? overError(this.document, content?.lineage ?? 0, lineage) : error;
    const behind = this.ledger.behind(update);
    const draft = this.own.setAside(restored ? "restored" : "refused", why, [update, ...behind]);
    if (open !== undefined) this.own.forget(open);
    const current = details["lineage"];
    if (restored && typeof current === "number" && content?.lineage !== current) {
      // The answer brings the copy that takes its place.
      this.following.begunAnew(current);
    } else if (open?.included === true || behind.some(({ included }) => included)) this.own.condemn(error, draft);
    this.changed();
  }

  /** Own updates that the server had stored, and has lost. */
  lost(items: readonly UpdateItem[]): void {
    if (this.isEarly(() => this.lost(items))) return;
    // After a reload the copy need not have them.
    for (const [, replica, n, , bytes] of items) this.own.hold({ replica, n, bytes }, false);
    this.becomeAnew();
  }

  /** Something about the session is otherwise. */
  update(): void {
    if (this.early !== undefined) return;
    if (!this.isVerified && this.session.isLive()) {
      this.isVerified = true;
      if (this.isForked(this.session.received())) {
        this.becomeAnew();
        this.following.opened(false, true);
      }
    }
    this.following.ask();
    // It has gone on from where this device had it.
    if (this.loaded === "device" && this.following.isFollowing && this.session.isLive()) this.loaded = "server";
    this.own.sendHeld();
  }

  closed(error: RostrumError, forget: boolean): void {
    if (!forget) this.disk.write();
    this.isForgotten = forget;
    this.isOver = true;
    this.following.stop();
    this.disk.stop();
    this.own.stop(error);
  }

  // ---- what the copy tells ----

  /** The content for a copy that is empty. */
  fill(): void {
    const { ledger } = this;
    for (const open of ledger.open) open.included = false;
    this.incoming = [];
    // A record of another log is kept until there is something better, and not shown.
    if (this.loaded !== false) this.copy.apply(ledger.pieces);
    this.own.refill();
  }

  /** Writes now what is put off: the page may be gone soon. */
  write(): void {
    this.disk.write();
  }

  // ---- inside ----

  private isEarly(then: () => void): boolean {
    this.early?.push(then);
    return this.early !== undefined;
  }

  private begin(values: ReadonlyMap<string, unknown>): void {
    const { head, pieces, held } = readRecord(values);
    this.drafts.load(values);
    const { birth } = this.session.state();
    if (head !== undefined) {
      this.ledger.restore({ birth: head.birth, lineage: head.lineage }, head.offset, pieces);
      this.epochs = head.epochs ?? [];
      // Of another log: what it says means nothing in this one.
      if (head.birth === "" || (birth !== "" && head.birth !== birth)) this.isAnew = true;
    } else this.isVerified = true;
    const unkept = this.ledger.open;
    const event = documentEvent(this.document);
    for (const [name, replica, n, lineage, bytes] of this.session.undecided())
      if (name === event) this.ledger.take({ replica, n, bytes }, lineage, false);
    for (const update of held) {
      const open = this.ledger.get(update) ?? this.ledger.take(update, undefined, false);
      open.isKept = true;
    }
    for (const open of unkept) this.own.keep(open);
    if (head !== undefined && !this.isAnew) {
      this.copy.apply(this.ledger.pieces);
      this.loaded = "device";
    }
    this.own.includeOpen();
    const early = this.early ?? [];
    this.early = undefined;
    for (const run of early) run();
    this.update();
    this.changed();
  }

  private position(withVector: boolean): ReturnType<ConstructorParameters<typeof Following>[3]["position"]> {
    const { content, offset } = this.ledger;
    if (content === undefined || this.isAnew || content.birth !== this.session.state().birth) return {};
    const vector = this.copy.vector();
    return {
      lineage: content.lineage,
      ...(withVector ? {} : { after: offset }),
      ...(withVector || vector.byteLength <= smallVector ? { vector } : {}),
    };
  }

  private answered({ lineage, upTo, whole, pieces }: Answered, rest: readonly Numbered[]): void {
    this.takeIncoming();
    const { ledger } = this;
    const { birth } = this.session.state();
    const { content } = ledger;
    const later = rest
      .filter(({ item }) => item[3] === lineage)
      .map(({ item }): Piece => ({ format: 1, bytes: item[4] }));
    const isSame = content !== undefined && !this.isAnew && content.birth === birth && content.lineage === lineage;
    const why = this.isAnew || content?.birth !== birth ? "lost" : "restored";
    const { stray } = this;
    this.stray = undefined;
    // What the copy shows before any content was known may have been stored on one that is over.
    const isStray =
      (stray !== undefined && stray !== lineage) ||
      ledger.open.some((open) => open.included && open.lineage !== undefined && open.lineage !== lineage);
    const reason = isSame || (this.loaded === false && !isStray) ? undefined : why;
    // In another log they may go on; a restored document is another one.
    if (!isSame && why === "lost") for (const update of this.copy.takeUnsent()) this.own.edited(update);
    if (!isSame && content !== undefined) this.own.former = { content, pieces: ledger.pieces };
    const draft = isSame ? undefined : this.giveUp(why, lineage, reason !== undefined);
    if (isSame && !whole) for (const piece of pieces) ledger.add(piece);
    else ledger.begin({ birth, lineage }, pieces);
    for (const piece of later) ledger.add(piece);
    this.isAnew = false;
    ledger.offset = upTo;
    this.loaded = "server";
    this.error = undefined;
    if (reason === undefined) {
      this.copy.apply([...pieces, ...later]);
      this.own.includeOpen();
      if (!isSame) this.own.setHeldAside();
    } else this.copy.replace(reason, draft);
    this.own.former = undefined;
    this.requireWhole();
    this.told(Math.max(upTo, this.session.received()));
    this.own.sendHeld();
    this.changed();
  }

  /** The content is over. What was made on it and cannot be stored any more becomes a draft. */
  private giveUp(reason: DraftReason, lineage: Offset, isShown: boolean): string | undefined {
    const { ledger } = this;
    const { content } = ledger;
    const old = ledger.open.filter((open) =>
      open.lineage === undefined ? reason === "restored" && isShown : open.lineage !== lineage,
    );
    const unsent = isShown && reason === "restored" ? this.copy.takeUnsent() : [];
    const updates = [...old, ...unsent];
    let draft: string | undefined;
    if (updates.length > 0) {
      const error = overError(this.document, lineage, content?.lineage ?? 0);
      draft = this.own.setAside(reason, error, updates);
      for (const open of old) {
        if (open.lineage === undefined) ledger.settle(open);
        this.own.forget(open);
      }
    }
    return draft;
  }

  private requireWhole(): void {
    if (this.copy.isWhole()) return void (this.isPatched = false);
    if (!this.isPatched) {
      this.isPatched = true;
      return this.following.askForMore();
    }
    this.error = new RostrumError(
      "DOCUMENT_GAP",
      `The document "${this.document}" is not complete, and the server could not say what is lacking; what depends on it is not shown.`,
      { document: this.document },
    );
    this.effects.warn(this.error);
  }

  private takeIncoming(): void {
    const { incoming } = this;
    if (incoming.length === 0) return;
    this.incoming = [];
    this.copy.apply(incoming);
    this.own.includeOpen();
    this.own.sendHeld();
  }

  private get isSendable(): boolean {
    const { content } = this.ledger;
    const { birth } = this.session.state();
    return (
      this.early === undefined &&
      content !== undefined &&
      !this.isAnew &&
      !this.following.isInDoubt &&
      (birth === "" || content.birth === birth)
    );
  }

  /** Whether the log, as it is known up to `head`, is another than that of which the disk had this. */
  private isForked(head: Offset): boolean {
    const { content, offset } = this.ledger;
    const { birth, epochs } = this.session.state();
    return content?.birth === birth && forkOf(epochs, head, offset, this.epochs) !== undefined;
  }

  private becomeAnew(): void {
    this.isAnew = true;
    const { content, offset } = this.ledger;
    // A page that comes after this one must not take it for what the server has.
    if (content !== undefined)
      this.disk.commit({ set: [["head", { format, birth: "", lineage: content.lineage, offset }]], remove: [] });
  }

  private compact(): boolean {
    const { ledger } = this;
    if (this.isAnew) return false;
    if (!ledger.isLong) return true;
    const fromCopy =
      this.own.condemned === undefined &&
      this.incoming.length === 0 &&
      ledger.open.length === 0 &&
      this.loaded !== false;
    const state = this.copy.compacted(ledger.pieces, fromCopy);
    if (state !== undefined) ledger.compact(state);
    return true;
  }
}

/** After these it is open whether the update is stored, or it may be stored all the same. */
const putBack: ReadonlySet<string> = new Set(["OUTCOME_UNKNOWN", "RESYNCHRONIZED", "REFUSED"]);

/** Whether what was refused so is to be sent again. */
export const isPutBack = ({ code, retryable }: RostrumError): boolean => putBack.has(code) || retryable;
