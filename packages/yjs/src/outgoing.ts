/**
 * Own updates on their way: held here until they can be sent, sent until they are decided, and set aside as drafts if they are
 * refused. Knows nothing of Yjs.
 */

import type { ExtensionHost } from "@rostrum/client";
import { documentEvent, type Offset, RostrumError, type UpdateItem } from "@rostrum/protocol";
import type { Copy } from "./course.ts";
import type { Disk } from "./disk.ts";
import type { DraftReason, Drafts } from "./drafts.ts";
import type { Ledger, Open } from "./ledger.ts";
import { type Content, type Effects, keyOf, type Piece, type Update } from "./terms.ts";
import { Flushes } from "./waiting.ts";

/** So many repairs within so many milliseconds are made at once. */
const mostRepairs = 8;
const calmAfter = 10_000;
/** Milliseconds after which what the server could not take is sent again. */
const restFor = 500;
/** Bytes up to which an update grows while nobody can be sent it. */
const mostGrown = 65_536;

export interface OutgoingHost {
  readonly document: string;
  readonly session: Pick<ExtensionHost, "isLive" | "update" | "withdraw">;
  readonly effects: Pick<Effects, "after" | "defer">;
  readonly copy: Copy;
  readonly ledger: Ledger;
  readonly drafts: Drafts;
  readonly disk: Disk;
  /** Whether it is known on which content updates are made. */
  readonly isSendable: () => boolean;
  /** Whether all is here that the server has. */
  readonly isSettled: () => boolean;
  /** What has come is taken into the copy. */
  readonly takeIncoming: () => void;
  readonly changed: () => void;
}

export class Outgoing {
  readonly flushes: Flushes = new Flushes();
  /** The copy holds what will never be stored; it is about to be replaced. */
  condemned: { readonly error: RostrumError; readonly draft: string } | undefined;
  /** While another content takes its place: the one before. */
  former: { readonly content: Content; readonly pieces: readonly Piece[] } | undefined;
  private isOver = false;

  constructor(private readonly host: OutgoingHost) {}

  stop(error: RostrumError): void {
    this.isOver = true;
    this.calm?.();
    this.resting?.();
    this.pause?.();
    this.flushes.stop(error);
  }

  /** It was edited here. Answers the number of the update that it has become, or has become part of. */
  edited(update: Update): number {
    const open = this.host.ledger.take(this.grown(update) ?? update, undefined, true);
    if (!this.host.isSendable() || this.host.ledger.isHeldBack(open) || !this.send(open)) this.keep(open);
    return open.n;
  }

  /** What was handed over last. */
  private last: { readonly item: UpdateItem; readonly open: Open } | undefined;

  /**
   * The update before this one with this one in it, if nobody was ever sent it: who types for hours without a connection must not
   * fill the outbox.
   */
  private grown({ replica, n, bytes }: Update): Update | undefined {
    const { last } = this;
    const { ledger, session, copy } = this.host;
    if (last === undefined || session.isLive() || ledger.get(last.open) !== last.open) return undefined;
    const { open, item } = last;
    const isNext = open.replica === replica && open.n + 1 === n && open.lineage === ledger.content?.lineage;
    if (!isNext || open.bytes.length + bytes.length > mostGrown || !session.withdraw(item)) return undefined;
    ledger.settle(open);
    return { replica, n: open.n, bytes: copy.merged([open.bytes, bytes]) };
  }

  /** It was edited in a way that cannot be sent. */
  editedInVain(error: RostrumError, update: Update): void {
    const draft = this.setAside("refused", error, [update], this.condemned?.draft);
    this.condemn(error, draft);
  }

  /** Own updates that are neither decided nor given up. */
  get pending(): readonly Open[] {
    return this.host.ledger.open.filter((open) => open.lineage !== undefined || !this.host.drafts.has(open));
  }

  /** What was made on a content that is over does not go into another one, though it might fit. */
  private shed(): void {
    const { ledger, document } = this.host;
    const { content } = ledger;
    if (content === undefined) return;
    const over = ledger.open.filter(
      ({ lineage, madeOn }) =>
        lineage === undefined && madeOn?.birth === content.birth && madeOn.lineage !== content.lineage,
    );
    const [first] = over;
    if (first === undefined) return;
    const error = overError(document, content.lineage, first.madeOn?.lineage ?? 0);
    const draft = this.setAside("restored", error, over);
    for (const open of over) {
      ledger.settle(open);
      this.forget(open);
    }
    if (over.some(({ included }) => included)) this.condemn(error, draft);
  }

  /** Of a copy that is empty: what of them is in it from now on. */
  refill(): void {
    this.shed();
    const { condemned } = this;
    const { ledger, drafts } = this.host;
    this.condemned = undefined;
    this.includeOpen();
    // What another replica of ours built on what is refused goes the same way.
    const orphans = ledger.open.filter((open) => !open.included && !drafts.has(open));
    if (condemned !== undefined && orphans.length > 0)
      this.setAside("refused", condemned.error, orphans, condemned.draft);
    else this.setHeldAside();
  }

  stored(update: Pick<Update, "replica" | "n">, open: Open | undefined): void {
    this.host.drafts.remove(update);
    if (open !== undefined) this.forget(open);
    this.flushes.settled(keyOf(update));
    this.host.disk.touch();
    this.host.changed();
  }

  /** Updates that wait for what they build on are shown as a draft until it comes, if it ever does. */
  setHeldAside(): void {
    const waiting = this.host.ledger.open.filter((open) => !open.included && !this.host.drafts.has(open));
    const held = waiting.filter(({ lineage }) => lineage === undefined);
    const { former } = this;
    if (held.length > 0) this.setAside("lost", this.builtOnLost(held.length), held);
    if (former !== undefined) this.host.drafts.outlive(former.content, () => former.pieces);
  }

  private builtOnLost(updates: number): RostrumError {
    return new RostrumError(
      "DOCUMENT_GAP",
      `What ${updates} edits of "${this.host.document}" build on was lost by the server; they are sent when it is there again, and kept as a draft until then.`,
      { document: this.host.document, updates },
    );
  }

  /** Takes own updates into the copy that are not in it and can be now. */
  includeOpen(): void {
    const waiting = this.host.ledger.open.filter(({ included }) => !included).sort(inOrder);
    for (let more = waiting.length > 0; more; ) {
      more = false;
      const stuck = new Set<number>();
      for (const open of waiting) {
        if (open.included) continue;
        const isRefused = open.lineage !== undefined && this.host.drafts.has(open);
        if (stuck.has(open.replica) || isRefused || !this.host.copy.include(open.bytes)) {
          stuck.add(open.replica);
          continue;
        }
        open.included = more = true;
        this.host.drafts.remove(open);
      }
    }
  }

  private resting: (() => void) | undefined;

  /** The server could not take it just now. */
  rest(): void {
    this.resting ??= this.host.effects.after(restFor, () => {
      this.resting = undefined;
      this.sendHeld();
    });
  }

  /** Sends what waits here, as far as it is in the copy. */
  sendHeld(): void {
    if (this.isOver || this.resting !== undefined || !this.host.isSendable()) return;
    this.shed();
    const held = this.host.ledger.open.filter(({ lineage }) => lineage === undefined);
    if (held.length === 0) return;
    const stuck = new Set<number>();
    for (const open of held.sort(inOrder)) {
      if (!open.included || stuck.has(open.replica) || !this.send(open, true)) stuck.add(open.replica);
    }
    if (this.host.isSettled()) this.setHeldAside();
  }

  /** Hands it over to the session; `asks`: it may be stored already, which the server says whoever holds the floor. Answers whether it is done with here. */
  private send(open: Open, asks = false): boolean {
    const { content } = this.host.ledger;
    if (content === undefined) return false;
    try {
      const { replica, n, bytes } = open;
      const item: UpdateItem = [documentEvent(this.host.document), replica, n, content.lineage, bytes];
      this.host.session.update(item, asks);
      open.lineage = content.lineage;
      open.madeOn = content;
      // A page that finds it on the disk, and does not know that it was sent, must not put it into another content.
      if (open.isKept) this.host.disk.hold(open);
      this.last = { item, open };
      return true;
    } catch (cause) {
      const error = cause instanceof RostrumError ? cause : new RostrumError("USAGE", String(cause), {}, { cause });
      // The outbox is full, or the session is stopped by an error that somebody may mend: it waits here.
      if (error.code !== "FLOOR_NOT_HELD") return false;
      const draft = this.setAside("refused", error, [open, ...this.host.ledger.behind(open)], this.condemned?.draft);
      this.host.ledger.settle(open);
      this.forget(open);
      if (open.included) this.condemn(error, draft);
      return true;
    }
  }

  hold(update: Update, included: boolean): void {
    this.keep(this.host.ledger.take(update, undefined, included));
  }

  keep(open: Open): void {
    open.isKept = true;
    this.host.disk.hold(open);
  }

  /** It is decided, or a draft. */
  forget(open: Open): void {
    if (open.isKept) this.host.disk.letGo(open);
    open.isKept = false;
  }

  /** Keeps them as a draft, and tells who waits for them. */
  setAside(reason: DraftReason, error: RostrumError, updates: readonly Update[], into?: string): string {
    const draft = this.host.drafts.put(reason, error, updates, into, this.former?.content);
    for (const update of updates) this.flushes.settled(keyOf(update), error);
    return draft;
  }

  /** The copy cannot stay: what else is refused in this turn goes with it. */
  condemn(error: RostrumError, draft: string): void {
    if (this.condemned !== undefined) return;
    this.condemned = { error, draft };
    this.host.changed();
    this.repairs += 1;
    this.calm ??= this.host.effects.after(calmAfter, () => {
      this.calm = undefined;
      this.repairs = 0;
    });
    // An editor that writes into each new copy by itself must not take all there is of the machine.
    const excess = this.repairs - mostRepairs;
    if (excess <= 0) this.host.effects.defer(() => this.repair());
    else this.pause = this.host.effects.after(Math.min(5_000, 50 * 2 ** Math.min(excess, 10)), () => this.repair());
  }

  private repairs = 0;
  private calm: (() => void) | undefined;
  private pause: (() => void) | undefined;

  private repair(): void {
    const { condemned } = this;
    if (condemned === undefined || this.isOver) return;
    const unsent = this.host.copy.takeUnsent();
    this.setAside("refused", condemned.error, unsent, condemned.draft);
    this.host.takeIncoming();
    this.host.copy.replace("refused", condemned.draft);
    this.host.changed();
  }
}

export const overError = (document: string, lineage: Offset, madeOn: Offset): RostrumError =>
  new RostrumError(
    "DOCUMENT_RESTORED",
    `The document "${document}" was begun anew; edits of its former content were not stored, and are kept as a draft.`,
    { document, lineage, madeOn },
  );

const inOrder = (a: Open, b: Open): number => a.replica - b.replica || a.n - b.n;
