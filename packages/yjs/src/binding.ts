/** A document as an app has it: the `Y.Doc` of the moment, and what becomes of what is edited in it. */

import type { ExtensionHost } from "@rostrum/client";
import { type ErrorCode, RostrumError } from "@rostrum/protocol";
import type { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { apply, changing, compacted, fits, isWhole, merge } from "./copy.ts";
import { Course } from "./course.ts";
import type { Draft, DraftReason } from "./drafts.ts";
import { Emitter } from "./emitter.ts";
import { faultOf, madeElsewhere } from "./fault.ts";
import { Gathering } from "./gathering.ts";
import { type Observable, observable, watched } from "./observing.ts";
import { Presence } from "./presence.ts";
import { type Writable, writableNow } from "./rights.ts";
import { Subdocuments } from "./subdocuments.ts";
import { type Effects, keyOf, type Piece, type Update } from "./terms.ts";
import { foreignType, requireOurs, typeOfAnother } from "./twice.ts";
import { type Undoing, type UndoOptions, undoing } from "./undo.ts";
import { type VersionHost, Versions } from "./versions.ts";
import { Moment } from "./waiting.ts";

/** How a document stands. */
export interface DocStatus {
  /** Whether it shows a content: as this device had it, or as the server has it. `false`: it is not known yet. */
  readonly loaded: "device" | "server" | false;
  /** Everything that the server has is here, and what comes comes at once. */
  readonly synced: boolean;
  /** Own edits, as updates, that are not durable on the server. */
  readonly pending: number;
  /** Everything edited here is durable on the server. */
  readonly saved: boolean;
  /** What keeps it from being synced: FORBIDDEN, FEATURE_MISSING, DOCUMENT_GAP … */
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

/** The binding has another `Y.Doc`: editors have to be bound to it. `previous` is destroyed when all listeners have run. */
export interface Replaced {
  readonly doc: Y.Doc;
  readonly awareness: Awareness;
  readonly previous: Y.Doc;
  readonly reason: DraftReason;
  /** The edits that are in `previous` and not in `doc`, if there are any. */
  readonly draft: Draft | undefined;
}

export interface DocOptions {
  /**
   * Makes an empty `Y.Doc`: once at first, and again each time it has to be replaced. Nothing may be written into it: what all
   * are to begin with the server puts there once.
   */
  readonly create?: () => Y.Doc;
  /** Sub-documents are bound under their guid when they are loaded; default `true`. */
  readonly subdocs?: boolean;
  /** Which sync points are listed as versions: those with a name (default), or all. */
  readonly versions?: "named" | "all";
}

/** @internal */
export interface MadeOptions extends DocOptions {
  /** What the first document holds was edited in it before it was bound. */
  readonly isMade?: boolean;
}

export interface DocEvents {
  readonly replaced: Replaced;
  /** A sub-document was loaded, and is bound. */
  readonly subdocument: DocBinding;
}

interface BindingHost {
  readonly session: ExtensionHost;
  readonly effects: Effects;
  readonly versions: VersionHost;
  /** Binds another document of the session. */
  readonly bind: (name: string, options: MadeOptions) => DocBinding;
  /** The binding of another document, if it has one. */
  readonly known: (name: string) => DocBinding | undefined;
  readonly destroyed: (binding: DocBinding) => void;
  /** Numbers under which the document was edited in this page. */
  readonly used: Set<number>;
}

/**
 * A shared document of a session.
 *
 * @example
 * const notes = bindDoc(session, "notes")
 * const editor = () => bindEditor(notes.doc.getText("body"), notes.awareness)
 * let stop = editor()
 * notes.on("replaced", () => { stop(); stop = editor() })
 */
export class DocBinding {
  /** Where there is what it showed before, on this device, or on the server. Rejects if it is closed before. */
  readonly whenLoaded: Promise<void>;
  /** When it has been synced for the first time. Rejects if it is closed before. */
  readonly whenSynced: Promise<void>;
  readonly status: Observable<DocStatus>;
  readonly writable: Observable<Writable>;
  /** Edits that the session did not take, oldest first. They stay over reloads until they are discarded. */
  readonly drafts: Observable<readonly Draft[]>;
  /** The document at the session's sync points. */
  readonly versions: Versions;

  private present: Y.Doc;
  private presentAwareness: Awareness;
  /** The number of the present document as one that edits, and of its next update. */
  private replica: number;
  private next = 0;
  /** @internal */
  readonly course: Course;
  private readonly gathering: Gathering;
  private readonly presence: Presence;
  private readonly subdocuments: Subdocuments | undefined;
  private readonly events: Emitter<DocEvents>;
  private readonly undos = new Map<Undoing, () => void>();
  private readonly readMoment = new Moment();
  private readonly loadedMoment = new Moment();
  private readonly syncedMoment = new Moment();
  private readonly statusSource = observable<DocStatus>({ loaded: false, synced: false, pending: 0, saved: false });
  private readonly writableSource = observable<Writable>({ can: true });
  private readonly unaway: () => void;
  private over: RostrumError | undefined;
  private warnedTwice = false;
  private isBegun = false;
  /** Numbers of this document's copies in this page. */
  private readonly used: Set<number>;

  /** @internal */
  constructor(
    readonly name: string,
    private readonly options: MadeOptions,
    private readonly host: BindingHost,
  ) {
    const { session, effects } = host;
    this.used = host.used;
    this.whenLoaded = this.loadedMoment.reached;
    this.whenSynced = this.syncedMoment.reached;
    this.status = watched(this.statusSource);
    this.writable = watched(this.writableSource);
    this.events = new Emitter((event, cause) => this.complain(`A listener of "${event}"`, cause));
    this.present = this.make();
    this.replica = this.present.clientID;
    this.course = new Course(
      name,
      session,
      effects,
      {
        apply: (pieces) => this.apply(pieces),
        include: (bytes) => this.include(bytes),
        replace: (reason, draft) => this.replace(reason, draft),
        takeUnsent: () => this.takeUnsent(),
        isWhole: () => isWhole(this.present),
        merged: merge,
        vector: () => Y.encodeStateVector(this.present),
        compacted: (pieces, fromCopy) =>
          fromCopy && isWhole(this.present) && this.gathering.isEmpty
            ? Y.encodeStateAsUpdateV2(this.present)
            : compacted(pieces),
      },
      () => this.show(),
    );
    this.drafts = this.course.drafts.list;
    this.gathering = new Gathering(
      effects,
      () => session.limits().updateBytes,
      () => this.course.own.pending.length > 0,
      (bytes) => this.edited(bytes),
    );
    this.presentAwareness = effects.awareness(this.present);
    this.presence = new Presence(name, session, effects, this.presentAwareness);
    this.versions = new Versions(name, host.versions, options.versions ?? "named", () => this.present);
    this.subdocuments =
      options.subdocs === false
        ? undefined
        : new Subdocuments(name, host.bind, host.known, (binding) => this.events.emit("subdocument", binding));
    this.unaway = effects.away(() => {
      this.gathered();
      this.presence.flush();
      this.course.write();
    });
    this.isBegun = true;
    this.attach();
    this.takeMade();
    this.changed();
    this.course.load();
  }

  /** The document of the moment: usable at once. See the event "replaced". */
  get doc(): Y.Doc {
    return this.present;
  }

  /** y-protocols' awareness of the present document; replaced together with it. */
  get awareness(): Awareness {
    return this.presentAwareness;
  }

  /** Listens to an event. Returns its undo. */
  on<K extends keyof DocEvents>(event: K, listener: (event: DocEvents[K]) => void): () => void {
    return this.events.on(event, listener);
  }

  /**
   * Whose state in `awareness` it is, by the session and not by what the state says: the id of a member, to be found in
   * `session.members`.
   */
  memberOf(clientID: number): string | undefined {
    return this.presence.memberOf(clientID);
  }

  /** The binding of a sub-document that is loaded. */
  subdocument(guid: string): DocBinding | undefined {
    return this.subdocuments?.get(guid);
  }

  /**
   * Undo for this member's edits, that goes over to each new document.
   *
   * @example
   * const undo = notes.undo((doc) => doc.getText("body"))
   * undo.undo()
   */
  undo(
    scope: (doc: Y.Doc) => Parameters<typeof Y.UndoManager.prototype.addToScope>[0],
    options: UndoOptions = {},
  ): Undoing {
    const { undoing: made, replaced } = undoing(this, scope as never, options);
    const { destroy } = made;
    const handle: Undoing = Object.defineProperties({} as Undoing, {
      ...Object.getOwnPropertyDescriptors(made),
      destroy: {
        value: () => {
          this.undos.delete(handle);
          destroy();
        },
      },
    });
    this.undos.set(handle, replaced);
    return handle;
  }

  /**
   * Resolves when everything edited up to now is durable on the server.
   * @throws RostrumError (by rejecting) why something of it was refused: FLOOR_NOT_HELD, FORBIDDEN, DOCUMENT_RESTORED …; CLOSED
   */
  flush({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.gathered();
    // What an earlier life of the page has left was edited before now as well.
    const isKnown = this.over !== undefined || this.course.isRead;
    const flushed = isKnown ? this.flushNow(signal) : this.readMoment.reached.then(() => this.flushNow(signal));
    flushed.catch(() => {});
    return flushed;
  }

  private flushNow(signal: AbortSignal | undefined): Promise<void> {
    const { own } = this.course;
    const refused = this.over ?? own.condemned?.error;
    return refused === undefined ? own.flushes.wait(own.pending.map(keyOf), signal) : Promise.reject(refused);
  }

  /** Lets go of the document in this page: what was edited is sent or kept, the `Y.Doc` is destroyed, nothing is left running. */
  destroy(): void {
    if (this.over !== undefined) return;
    const error = new RostrumError("CLOSED", `The document "${this.name}" was let go of in this page.`, {
      document: this.name,
    });
    this.gathered();
    if (this.host.session.isLive()) this.host.session.send({ type: "document-close", document: this.name });
    this.end(error, false);
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  // ---- for the session ----

  /** @internal What is gathered goes out. */
  gathered(): void {
    if (this.over === undefined) this.gathering.flush();
  }

  /** @internal */
  changed(): void {
    if (this.over !== undefined) return;
    this.writableSource.set(writableNow(this.host.session, this.name, false));
    this.presence.changed();
    this.versions.update();
    this.course.update();
    this.show();
  }

  /** @internal The session is over here, or this document is. */
  end(error: RostrumError, forget: boolean): void {
    if (this.over !== undefined) return;
    this.over = error;
    this.unaway();
    this.detach(this.present);
    this.gathering.stop();
    this.presence.stop();
    this.course.closed(error, forget);
    this.versions.close(error);
    this.subdocuments?.stop();
    for (const handle of this.undos.keys()) handle.manager.destroy();
    this.readMoment.reject(error);
    this.loadedMoment.reject(error);
    this.syncedMoment.reject(error);
    this.writableSource.set({ can: false, why: "closed" });
    this.show();
    this.present.destroy();
    this.events.clear();
    this.host.destroyed(this);
  }

  /** @internal */
  get isOver(): boolean {
    return this.over !== undefined;
  }

  // ---- the copy ----

  private make(): Y.Doc {
    const doc = requireOurs((this.options.create ?? newDoc)(), this.name);
    const isEmpty = doc.store.clients.size === 0;
    if (!isEmpty && (this.options.isMade !== true || this.isBegun))
      throw new RostrumError(
        "USAGE",
        `create() for "${this.name}" returned a document with content. It would be added anew by each page; let the server put it there once.`,
        { document: this.name },
      );
    // No number is used twice, whoever chose it.
    while (this.used.has(doc.clientID)) doc.clientID = newDoc().clientID;
    this.used.add(doc.clientID);
    return doc;
  }

  /** What was edited in it before it was bound, perhaps under another number. */
  private takeMade(): void {
    const [replica, ...more] = this.present.store.clients.keys();
    if (replica === undefined) return;
    const bytes = Y.encodeStateAsUpdate(this.present);
    if (more.length === 0) this.course.own.edited({ replica, n: 0, bytes });
    else this.course.own.editedInVain(madeElsewhere(this.name), this.updateOf(bytes));
  }

  private attach(): void {
    this.present.on("update", this.onUpdate);
    this.subdocuments?.attach(this.present);
  }

  private detach(doc: Y.Doc): void {
    doc.off("update", this.onUpdate);
    this.subdocuments?.detach(doc);
  }

  private apply(pieces: readonly Piece[]): void {
    if (pieces.length === 0 || this.over !== undefined) return;
    this.checkObserver(
      changing(this.present, this, () => {
        for (const piece of pieces) this.guarded(() => apply(this.present, piece, this));
      }),
    );
  }

  private include(bytes: Uint8Array): boolean {
    let isIn = false;
    this.guarded(() => {
      if (!fits(this.present, bytes)) return;
      isIn = true;
      this.checkObserver(changing(this.present, this, () => apply(this.present, { format: 1, bytes }, this)));
    });
    return isIn;
  }

  /** The server has looked at every update; one that cannot be read leaves a hole, and that is noticed. */
  private guarded(run: () => void): void {
    try {
      run();
    } catch (cause) {
      this.host.effects.warn(
        new RostrumError(
          "DOCUMENT_INVALID",
          `An update of "${this.name}" could not be read (${String(cause)}); what depends on it is lacking.`,
          { document: this.name },
          { cause },
        ),
      );
    }
  }

  private checkObserver(cause: unknown): void {
    if (cause !== undefined) this.complain("An observer", cause);
  }

  private complain(who: string, cause: unknown): void {
    this.host.effects.warn(
      new RostrumError(
        "USAGE",
        `${who} of the document "${this.name}" threw: ${String(cause)}. The document goes on.`,
        { document: this.name },
        { cause },
      ),
    );
  }

  private replace(reason: DraftReason, draft: string | undefined): void {
    const previous = this.present;
    this.detach(previous);
    this.gathering.stop();
    let next: Y.Doc;
    try {
      next = this.make();
    } catch (cause) {
      this.complain("create()", cause);
      next = new Y.Doc({ gc: previous.gc });
    }
    next.guid = previous.guid;
    this.present = next;
    this.replica = next.clientID;
    this.next = 0;
    this.attach();
    this.course.fill();
    this.presentAwareness = this.host.effects.awareness(next);
    this.presence.move(this.presentAwareness);
    for (const replaced of this.undos.values()) replaced();
    this.show();
    this.events.emit("replaced", {
      doc: next,
      awareness: this.presentAwareness,
      previous,
      reason,
      draft: draft === undefined ? undefined : this.course.drafts.find(draft),
    });
    previous.destroy();
  }

  // ---- what is edited ----

  private readonly onUpdate = (bytes: Uint8Array, origin: unknown, _: Y.Doc, transaction: Y.Transaction): void => {
    const { local, beforeState, afterState } = transaction;
    // Not even what the app adds within our transaction passes for an update of others.
    if (origin === this && !local && beforeState.get(this.replica) === afterState.get(this.replica)) return;
    // Yjs takes another number if it meets its own from elsewhere.
    if (this.present.clientID !== this.replica) {
      this.gathering.flush();
      this.replica = this.present.clientID;
      this.next = 0;
    }
    const { session } = this.host;
    const error =
      this.course.own.condemned?.error ?? faultOf(session, this.name, bytes, local ? this.replica : undefined);
    if (error === undefined) this.gathering.add(bytes);
    else {
      this.gathering.flush();
      this.course.own.editedInVain(error, this.updateOf(bytes));
    }
    this.show();
  };

  private updateOf(bytes: Uint8Array): Update {
    const update = { replica: this.replica, n: this.next, bytes };
    this.next += 1;
    return update;
  }

  private edited(bytes: Uint8Array): void {
    const type = this.warnedTwice ? undefined : foreignType(this.present);
    if (type !== undefined) {
      this.warnedTwice = true;
      this.host.effects.warn(typeOfAnother(this.name, type));
    }
    this.next = this.course.own.edited(this.updateOf(bytes)) + 1;
    this.show();
  }

  private takeUnsent(): readonly Update[] {
    const bytes = this.gathering.take();
    return bytes === undefined ? [] : [this.updateOf(bytes)];
  }

  // ---- what is shown ----

  private show(): void {
    const { course, gathering } = this;
    // Called while it is being made as well.
    if (course === undefined || gathering === undefined) return;
    const isOver = this.over !== undefined;
    const pending = course.own.pending.length + (gathering.isEmpty ? 0 : 1);
    const { following, loaded, error = this.over } = course;
    const synced =
      !isOver &&
      this.host.session.isLive() &&
      following.isFollowing &&
      !following.isAsking &&
      !following.isInDoubt &&
      course.own.condemned === undefined &&
      error === undefined;
    this.statusSource.set({
      loaded,
      synced,
      pending,
      saved: pending === 0 && course.own.condemned === undefined && course.isRead,
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    });
    if (course.isRead) this.readMoment.resolve();
    if (loaded !== false) this.loadedMoment.resolve();
    if (synced) this.syncedMoment.resolve();
  }
}

const newDoc = (): Y.Doc => new Y.Doc();
