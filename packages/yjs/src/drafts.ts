/**
 * Drafts: edits that the session did not take, kept for the app. On the disk each has `d/id` (what it is) and
 * `d/id/replica/n` (its updates), so that one can grow without being read; `b/birth/lineage` is a content that is over.
 */

import { type ErrorCode, RostrumError } from "@rostrum/protocol";
import * as Y from "yjs";
import { apply, changing, docOf, merge } from "./copy.ts";
import { observable, type Source } from "./observing.ts";
import { type Content, keyOf, type Piece, type Transaction, type Update } from "./terms.ts";

/** `refused`: the server, or this client ahead of it, did not take them. `restored`: the document was begun anew. `lost`: the server lost what they build on. */
export type DraftReason = "refused" | "restored" | "lost";

/** Edits that are in no document any more. It stays, over reloads, until it is discarded. */
export interface Draft {
  readonly id: string;
  readonly reason: DraftReason;
  /** Why, as errors say it: FLOOR_NOT_HELD, FORBIDDEN, DOCUMENT_RESTORED … */
  readonly code: ErrorCode;
  readonly message: string;
  /** When, by this device's clock. */
  readonly at: number;
  readonly bytes: number;
  /** The edits as one Yjs update in format 1. It cannot be sent as it is: its replica is over. */
  readonly update: Uint8Array;
  /** A document of its own with what the edits were made on and the edits. Destroy it when done. */
  view(): Y.Doc;
  /** Removes it here and from the device. */
  discard(): void;
}

interface DraftHead extends Content {
  readonly reason: DraftReason;
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: number;
}

interface Kept {
  readonly id: string;
  readonly head: DraftHead;
  readonly updates: Map<string, Update>;
}

export interface DraftsHost {
  readonly document: string;
  readonly now: () => number;
  readonly commit: (transaction: Transaction) => void;
  readonly warn: (error: RostrumError) => void;
  /** What is confirmed now. */
  readonly content: () => Content | undefined;
  readonly pieces: () => readonly Piece[];
}

const most = 100;
const baseKey = ({ birth, lineage }: Content): string => `b/${birth}/${lineage}`;

/** What a draft's first updates become on the disk, without reading it. */
export const drafting = (head: DraftHead, updates: readonly Update[]): Transaction => {
  const id = idOf(updates);
  return {
    set: [[`d/${id}`, head], ...updates.map((update) => [`d/${id}/${keyOf(update)}`, { ...plain(update) }] as const)],
    remove: [],
  };
};

const idOf = ([first]: readonly Update[]): string => (first === undefined ? "" : `${first.replica}-${first.n}`);
const plain = ({ replica, n, bytes }: Update): Update => ({ replica, n, bytes });

export class Drafts {
  private readonly drafts = new Map<string, Kept>();
  private readonly where = new Map<string, Kept>();
  private readonly bases = new Map<string, Uint8Array>();
  private readonly source: Source<readonly Draft[]> = observable<readonly Draft[]>([]);
  readonly list: { readonly get: () => readonly Draft[]; readonly subscribe: Source<readonly Draft[]>["subscribe"] };

  constructor(private readonly host: DraftsHost) {
    this.list = { get: this.source.get, subscribe: this.source.subscribe };
  }

  load(values: ReadonlyMap<string, unknown>): void {
    const early = [...this.drafts.values()];
    for (const [key, value] of values) {
      const [kind, id = "", replica] = key.split("/");
      if (kind === "d" && replica === undefined)
        this.drafts.set(id, { id, head: value as DraftHead, updates: new Map() });
      else if (kind === "b") this.bases.set(key, value as Uint8Array);
    }
    for (const [key, value] of values) {
      const [kind, id = "", replica] = key.split("/");
      const draft = this.drafts.get(id);
      if (kind !== "d" || replica === undefined || draft === undefined) continue;
      const update = value as Update;
      draft.updates.set(keyOf(update), update);
      this.where.set(keyOf(update), draft);
    }
    // Before the disk was read nothing could be written to it.
    for (const { id, head, updates } of early) {
      const kept = [...updates.values()].map((update) => [`d/${id}/${keyOf(update)}`, plain(update)] as const);
      this.host.commit({ set: [[`d/${id}`, head], ...kept], remove: [] });
    }
    this.show();
  }

  has(update: Pick<Update, "replica" | "n">): boolean {
    return this.where.has(keyOf(update));
  }

  reasonOf(update: Pick<Update, "replica" | "n">): DraftReason | undefined {
    return this.where.get(keyOf(update))?.head.reason;
  }

  /** Keeps updates, in the draft `into` if it is still there. Answers the draft's id. */
  put(
    reason: DraftReason,
    error: RostrumError,
    updates: readonly Update[],
    into?: string,
    made: Content | undefined = this.host.content(),
  ): string {
    const news = updates.filter((update) => !this.has(update));
    const known = into === undefined ? undefined : this.drafts.get(into);
    if (news.length === 0) return known?.id ?? this.where.get(keyOf(updates[0] ?? { replica: 0, n: 0 }))?.id ?? "";
    const id = known?.id ?? this.freeId(idOf(news));
    const draft = known ?? {
      id,
      head: { ...(made ?? nowhere), reason, code: error.code, message: error.message, at: this.host.now() },
      updates: new Map<string, Update>(),
    };
    const set: [string, unknown][] = known === undefined ? [[`d/${id}`, draft.head]] : [];
    for (const update of news) {
      draft.updates.set(keyOf(update), update);
      this.where.set(keyOf(update), draft);
      set.push([`d/${id}/${keyOf(update)}`, plain(update)]);
    }
    this.drafts.set(id, draft);
    this.host.commit({ set, remove: [] });
    this.bound();
    this.show();
    return id;
  }

  /** A draft may have lost the update that it was named after. */
  private freeId(wanted: string): string {
    let id = wanted;
    for (let count = 2; this.drafts.has(id); count += 1) id = `${wanted}-${count}`;
    return id;
  }

  /** It was taken after all. */
  remove(update: Pick<Update, "replica" | "n">): void {
    const draft = this.where.get(keyOf(update));
    if (draft === undefined) return;
    this.where.delete(keyOf(update));
    draft.updates.delete(keyOf(update));
    if (draft.updates.size === 0) return this.discard(draft.id);
    this.host.commit({ set: [], remove: [`d/${draft.id}/${keyOf(update)}`] });
    this.show();
  }

  /** The content is over: what was made on it needs it to be shown. */
  outlive(content: Content, pieces: () => readonly Piece[]): void {
    const key = baseKey(content);
    if (this.bases.has(key) || ![...this.drafts.values()].some(({ head }) => baseKey(head) === key)) return;
    const doc = docOf(pieces());
    const base = Y.encodeStateAsUpdateV2(doc);
    doc.destroy();
    this.bases.set(key, base);
    this.host.commit({ set: [[key, base]], remove: [] });
  }

  find(id: string): Draft | undefined {
    return this.source.get().find((draft) => draft.id === id);
  }

  private discard(id: string): void {
    const draft = this.drafts.get(id);
    if (draft === undefined) return;
    this.drafts.delete(id);
    const remove = [`d/${id}`];
    for (const key of draft.updates.keys()) {
      this.where.delete(key);
      remove.push(`d/${id}/${key}`);
    }
    const base = baseKey(draft.head);
    const isNeeded = [...this.drafts.values()].some(({ head }) => baseKey(head) === base);
    if (!isNeeded && this.bases.delete(base)) remove.push(base);
    this.host.commit({ set: [], remove });
    this.show();
  }

  private bound(): void {
    const [oldest] = this.drafts.keys();
    if (this.drafts.size <= most || oldest === undefined) return;
    this.host.warn(
      new RostrumError(
        "DOCUMENT_LIMIT",
        `The document "${this.host.document}" has more than ${most} drafts on this device; the oldest was discarded. Offer them to the user, and discard what is not wanted.`,
        { document: this.host.document, limit: most },
      ),
    );
    this.discard(oldest);
  }

  private view({ head, updates }: Kept): Y.Doc {
    const now = this.host.content();
    const base = this.bases.get(baseKey(head));
    const isPresent = now !== undefined && now.birth === head.birth && now.lineage === head.lineage;
    const doc = docOf(isPresent ? this.host.pieces() : base === undefined ? [] : [{ format: 2, bytes: base }], false);
    changing(doc, undefined, () => {
      for (const { bytes } of updates.values()) apply(doc, { format: 1, bytes });
    });
    return doc;
  }

  private show(): void {
    this.source.set(
      [...this.drafts.values()].map(
        (draft) =>
          new ShownDraft(
            draft,
            () => this.view(draft),
            () => this.discard(draft.id),
          ),
      ),
    );
  }
}

const nowhere: Content = { birth: "", lineage: 0 };

/** Compares by what it says, so that its list is another one only if something has changed. */
class ShownDraft implements Draft {
  readonly id: string;
  readonly reason: DraftReason;
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: number;
  readonly bytes: number;
  readonly #updates: readonly Uint8Array[];
  readonly #view: () => Y.Doc;
  readonly #discard: () => void;

  constructor({ id, head, updates }: Kept, view: () => Y.Doc, discard: () => void) {
    this.id = id;
    this.reason = head.reason;
    this.code = head.code;
    this.message = head.message;
    this.at = head.at;
    this.#updates = [...updates.values()].map(({ bytes }) => bytes);
    this.bytes = this.#updates.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#view = view;
    this.#discard = discard;
  }

  get update(): Uint8Array {
    return merge(this.#updates);
  }

  view(): Y.Doc {
    return this.#view();
  }

  discard(): void {
    this.#discard();
  }
}
