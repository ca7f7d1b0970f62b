/** A page's documents: bound when they are wanted, edited, and held against what is said of them. */

import { readRecord } from "@rostrum/client/internal";
import { documentOf } from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import * as Y from "yjs";
import type { DocBinding, Replaced } from "../../packages/yjs/src/binding.ts";
import { Documents } from "../../packages/yjs/src/documents.ts";
import { type Page, updatesIn } from "./device.ts";
import { editAtRandom, type Marks, nameOf, undoOf } from "./document-edits.ts";
import { differenceOf, type Extent, extentOf, hasPending, marksOf, type Oracle, Ranges } from "./document-oracle.ts";
import { hostOf, PageEffects } from "./document-page.ts";

/** Something that was done to a document in a page. */
export interface Edit {
  readonly document: string;
  readonly scope: string;
  readonly extent: Extent;
  readonly marks: readonly string[];
  /** Made while its page was not allowed to. */
  readonly forced: boolean;
  /** Its page died before it was on the disk, or the session was left. */
  excused: boolean;
  /** Its page died before it was on the disk, while it was in the log: with that it may be lost. */
  unkept: boolean;
}

export const describeEdit = ({ document, scope, extent, marks }: Edit): string =>
  `${marks.map(nameOf).join("+") || "a deletion"} of ${scope} in ${document} (${extent.replica}:${extent.from}-${extent.to}${extent.deletes.map(({ client, from, to }) => ` -${client}:${from}-${to}`).join("")})`;

export interface DeskWorld {
  readonly scheduler: Scheduler;
  readonly oracle: Oracle;
  readonly marks: Marks;
  readonly edits: Edit[];
  /** Those that may not be in the log yet, by scope and document. */
  readonly open: Map<string, Edit[]>;
  /** Which copy of a document a replica's number stands for. */
  readonly replicas: Map<string, Y.Doc>;
  readonly note: (text: string) => void;
  readonly fail: (text: string) => void;
  /** In which life the log is. */
  readonly life: () => number;
  /** Breaks a rule of what a page has of documents. */
  readonly sabotage: (documents: Documents, effects: PageEffects) => void;
}

interface Opened {
  readonly binding: DocBinding;
  undo: Y.UndoManager;
}

/** What an update has, client by client. */
export class Held {
  private readonly added = new Map<number, Ranges>();
  private readonly deleted = new Map<number, Ranges>();

  add(update: Uint8Array): void {
    const { structs, ds } = Y.decodeUpdate(update);
    for (const { id, length } of structs) this.of(this.added, id.client).add(id.clock, id.clock + length);
    for (const [client, ranges] of ds.clients)
      for (const { clock, len } of ranges) this.of(this.deleted, client).add(clock, clock + len);
  }

  private of(map: Map<number, Ranges>, client: number): Ranges {
    const ranges = map.get(client) ?? new Ranges();
    map.set(client, ranges);
    return ranges;
  }

  addExtent({ replica, from, to, deletes }: Extent): void {
    this.of(this.added, replica).add(from, to);
    for (const each of deletes) this.of(this.deleted, each.client).add(each.from, each.to);
  }

  /** Whether all of an update is among it. */
  holds(update: Uint8Array): boolean {
    const { structs, ds } = Y.decodeUpdate(update);
    return (
      structs.every(({ id, length }) => this.of(this.added, id.client).holds(id.clock, id.clock + length)) &&
      [...ds.clients].every(([client, ranges]) =>
        ranges.every(({ clock, len }) => this.of(this.deleted, client).holds(clock, clock + len)),
      )
    );
  }

  has({ replica, from, to, deletes }: Extent): boolean {
    return (
      this.of(this.added, replica).holds(from, to) &&
      deletes.every((each) => this.of(this.deleted, each.client).holds(each.from, each.to))
    );
  }

  touches({ replica, from, to }: Extent): boolean {
    return this.of(this.added, replica).touches(from, to);
  }
}

/** Refusals that an honest page may meet. */
const honest: ReadonlySet<string> = new Set([
  "FORBIDDEN",
  "FLOOR_NOT_HELD",
  "DOCUMENT_RESTORED",
  "DOCUMENT_FULL",
  "DOCUMENT_LIMIT",
  "DOCUMENT_GAP",
]);

export class Desk {
  private readonly effects: PageEffects;
  private readonly documents: Documents;
  private readonly opened = new Map<string, Opened>();
  private readonly goneUntil = new Map<string, number>();

  constructor(
    readonly page: Page,
    private readonly world: DeskWorld,
  ) {
    this.effects = new PageEffects(page, (text) => world.note(`${page.scope}: ${text}`));
    this.documents = new Documents(hostOf(page), this.effects, () => {
      throw new Error("Nobody saves versions here.");
    });
    world.sabotage(this.documents, this.effects);
    page.engine.extension = this.documents;
  }

  get bound(): readonly string[] {
    return [...this.opened.keys()];
  }

  bind(document: string): Opened | undefined {
    const known = this.opened.get(document);
    if (known !== undefined) return known;
    // Who lets go of a document and binds it anew in the same moment may find the last edit only the time after.
    if ((this.goneUntil.get(document) ?? 0) > this.world.scheduler.now) return undefined;
    const { phase } = this.page.engine;
    if (!this.page.alive || (phase.kind === "closed" && this.page.engine.isOver)) return undefined;
    const { scheduler, note } = this.world;
    const create = (): Y.Doc => {
      const doc = new Y.Doc();
      doc.clientID = scheduler.between(2 ** 20, 2 ** 32 - 1);
      return doc;
    };
    const binding = this.documents.bind(document, { create });
    const opened: Opened = { binding, undo: undoOf(binding.doc) };
    this.opened.set(document, opened);
    note(`${this.page.scope} binds ${document}`);
    binding.on("replaced", (replaced) => this.replaced(document, opened, replaced));
    binding.status.subscribe(({ saved, loaded }) => saved && loaded !== false && this.checkSaved(document, opened));
    return opened;
  }

  unbind(document: string): void {
    const opened = this.opened.get(document);
    if (opened === undefined) return;
    this.goneUntil.set(document, this.world.scheduler.now + 500);
    this.world.note(`${this.page.scope} lets go of ${document}`);
    this.opened.delete(document);
    opened.undo.destroy();
    opened.binding.destroy();
  }

  /** Edits as an editor does that heeds whether it may; `forced`: one that does not. */
  edit(document: string, forced: boolean): void {
    const opened = this.bind(document);
    if (opened === undefined || (!forced && !opened.binding.writable.get().can)) return;
    const { scheduler, marks, edits, replicas, note } = this.world;
    const { binding } = opened;
    const { doc } = binding;
    const made: Uint8Array[] = [];
    const listen = (update: Uint8Array, _origin: unknown, _doc: Y.Doc, { local }: Y.Transaction): void => {
      if (local) made.push(update);
    };
    doc.on("update", listen);
    editAtRandom(doc, opened.undo, scheduler, marks);
    doc.off("update", listen);
    for (const update of made) {
      const { scope } = this.page;
      const replica = doc.clientID;
      const edit: Edit = {
        document,
        scope,
        extent: extentOf(replica, update),
        marks: [...new Set(marksOf(Y.decodeUpdate(update)))],
        forced,
        excused: false,
        unkept: false,
      };
      const known = replicas.get(`${document} ${replica}`);
      if (known !== undefined && known !== doc)
        this.world.fail(`document: ${describeEdit(edit)} under a number used before`);
      replicas.set(`${document} ${replica}`, doc);
      edits.push(edit);
      this.openEdits(document).push(edit);
      note(`${scope} edits ${document}: ${describeEdit(edit)}${forced ? " by force" : ""}`);
    }
  }

  discardDraft(): void {
    const { scheduler, note } = this.world;
    const opened = this.opened.get(scheduler.pick(this.bound) ?? "");
    const draft = scheduler.pick(opened?.binding.drafts.get() ?? []);
    if (opened === undefined || draft === undefined) return;
    draft.view().destroy();
    note(`${this.page.scope} discards a draft (${draft.code})`);
    const held = new Held();
    held.add(draft.update);
    for (const edit of this.world.edits)
      if (edit.scope === this.page.scope && edit.document === opened.binding.name && held.has(edit.extent))
        edit.excused = true;
    draft.discard();
  }

  /** Everything that was handed back and not discarded. */
  draftsOf(document: string): Held {
    return heldIn(this.opened.get(document));
  }

  get isSettled(): boolean {
    return [...this.opened.values()].every(({ binding }) => {
      const { synced, pending, error } = binding.status.get();
      return (synced && pending === 0) || error !== undefined;
    });
  }

  goAway(): void {
    this.effects.goAway();
  }

  /** What was edited and is not on the disk dies with the page. */
  died(): void {
    const { beside, disk } = this.page.device;
    const { scope } = this.page;
    for (const document of new Set(
      this.world.edits.filter((edit) => edit.scope === scope).map((edit) => edit.document),
    )) {
      const held = new Held();
      for (const update of updatesOnDisk(disk.get(scope), beside.get(scope)?.get(document), document)) held.add(update);
      for (const edit of this.world.edits) {
        if (edit.scope !== scope || edit.document !== document) continue;
        if (held.has(edit.extent)) continue;
        edit.unkept = true;
        if (!this.world.oracle.has(document, edit.extent)) edit.excused = true;
      }
    }
    for (const { undo } of this.opened.values()) undo.destroy();
    this.opened.clear();
  }

  // ---- what must be true ----

  private replaced(document: string, opened: Opened, { doc, previous, draft, reason }: Replaced): void {
    const { note, fail } = this.world;
    note(`${this.page.scope} gets another ${document} (${reason}${draft === undefined ? "" : `, ${draft.code}`})`);
    if (doc.clientID === previous.clientID)
      fail(`document: ${this.page.scope} goes on in ${document} under the same number`);
    opened.undo.destroy();
    opened.undo = undoOf(doc);
    if (draft !== undefined) this.checkWithout(document, doc, draft.update);
    this.checkDrafts(document, opened);
  }

  private checkDrafts(document: string, { binding }: Opened): void {
    const { edits, fail } = this.world;
    const made = new Held();
    for (const edit of edits)
      if (edit.scope === this.page.scope && edit.document === document) made.addExtent(edit.extent);
    for (const { code, message, update } of binding.drafts.get()) {
      if (!honest.has(code))
        fail(`document: ${this.page.scope} got edits of ${document} back with ${code}: ${message}`);
      if (!made.holds(update))
        fail(`document: ${this.page.scope} got edits of ${document} back that nobody made (${code})`);
    }
  }

  /** Nothing of what was handed back may be in the document. */
  private checkWithout(document: string, doc: Y.Doc, update: Uint8Array): void {
    for (const { id } of Y.decodeUpdate(update).structs) {
      if (Y.getState(doc.store, id.client) <= id.clock) continue;
      return this.world.fail(
        `document: ${this.page.scope} still has ${id.client}:${id.clock} in ${document}, which it got back`,
      );
    }
  }

  /** It says that everything is durable: then it is, or was handed back. */
  private checkSaved(document: string, opened: Opened): void {
    const { oracle, fail, life } = this.world;
    if (!this.page.alive || this.page.life !== life()) return;
    const edits = this.openEdits(document);
    const open = edits.filter(({ extent, excused }) => !excused && !oracle.has(document, extent));
    const drafts = heldIn(opened);
    for (const edit of open)
      if (!drafts.has(edit.extent))
        fail(`document: ${this.page.scope} says that ${document} is saved, and ${describeEdit(edit)} is not`);
    edits.splice(0, edits.length, ...open);
  }

  /** What was edited in the scope, in whatever life of the page, and need not be settled. */
  private openEdits(document: string): Edit[] {
    const key = `${this.page.scope} ${document}`;
    const edits = this.world.open.get(key) ?? [];
    this.world.open.set(key, edits);
    return edits;
  }

  /** What a page shows that is up to date is what the log has up to where it was told. */
  checkNow(): void {
    const { oracle, fail, life } = this.world;
    const { page } = this;
    if (!page.live || page.life !== life()) return;
    for (const [document, { binding }] of this.opened) {
      const { synced, pending } = binding.status.get();
      if (!synced) continue;
      if (hasPending(binding.doc))
        fail(`document: something waits in ${document} of ${page.scope} for what is not there`);
      if (pending > 0) continue;
      // An answer may reach further than what else was told.
      const upTo = Math.max(page.engine.received, binding.course.ledger.offset);
      const difference = differenceOf(binding.doc, oracle.at(document, upTo));
      if (difference !== undefined) fail(`document: ${document} of ${page.scope} at #${upTo}: ${difference}`);
    }
  }

  checkAtRest(): void {
    const { oracle, fail } = this.world;
    const { page } = this;
    for (const [document, opened] of this.opened) {
      const { synced, pending, saved, error } = opened.binding.status.get();
      if (!synced || pending > 0 || !saved || error !== undefined) {
        fail(
          `document: ${document} of ${page.scope} is ${JSON.stringify(opened.binding.status.get())} long after the faults ended`,
        );
        continue;
      }
      const difference = differenceOf(opened.binding.doc, oracle.now(document));
      if (difference !== undefined)
        fail(`document: ${document} of ${page.scope} is not what the log says: ${difference}`);
      this.checkDrafts(document, opened);
    }
  }
}

const heldIn = (opened: Opened | undefined): Held => {
  const held = new Held();
  for (const draft of opened?.binding.drafts.get() ?? []) held.add(draft.update);
  return held;
};

/** The updates of a document that a page's disk holds undecided: in its outbox, or beside it. */
const updatesOnDisk = (
  record: ReadonlyMap<string, unknown> | undefined,
  beside: ReadonlyMap<string, unknown> | undefined,
  document: string,
): readonly Uint8Array[] => {
  const found: Uint8Array[] = [];
  const kept = record === undefined ? undefined : readRecord(record);
  const decided = new Set(kept?.decided.map(([seq]) => seq));
  for (const { seq, command } of kept?.outbox ?? [])
    if (!decided.has(seq))
      for (const [event, , , , update] of updatesIn(command)) if (documentOf(event) === document) found.push(update);
  for (const [key, value] of beside ?? [])
    if (/^[hd]\/.*\//.test(key)) found.push((value as { readonly bytes: Uint8Array }).bytes);
  return found;
};
