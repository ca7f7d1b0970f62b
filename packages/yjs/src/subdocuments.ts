/** Sub-documents: documents of their own, named by their guid, bound while they are loaded. */

import * as Y from "yjs";
import type { DocBinding, MadeOptions } from "./binding.ts";

interface Change {
  readonly loaded: Set<Y.Doc>;
  readonly removed: Set<Y.Doc>;
}

export class Subdocuments {
  private readonly bindings = new Map<string, DocBinding>();
  /** Those that are here because of the parent, and go with it. */
  private readonly own = new Set<string>();

  constructor(
    /** The parent's name. */
    private readonly name: string,
    private readonly bind: (name: string, options: MadeOptions) => DocBinding,
    /** Somebody else's binding of the document. */
    private readonly known: (name: string) => DocBinding | undefined,
    private readonly bound: (binding: DocBinding) => void,
  ) {}

  get(guid: string): DocBinding | undefined {
    return this.bindings.get(guid);
  }

  attach(doc: Y.Doc): void {
    doc.on("subdocs", this.changed);
  }

  /** Those of a document that is replaced are others in the next. */
  detach(doc: Y.Doc): void {
    doc.off("subdocs", this.changed);
    this.stop();
  }

  stop(): void {
    for (const guid of [...this.bindings.keys()]) this.unbind(guid);
  }

  private readonly changed = ({ loaded, removed }: Change): void => {
    for (const doc of removed) if (this.bindings.get(doc.guid)?.doc === doc) this.unbind(doc.guid);
    for (const doc of loaded) {
      // Whoever edits the parent chooses the guid. One that is no document's name nobody can open.
      if (this.bindings.has(doc.guid) || doc.guid === this.name || !isName(doc.guid)) continue;
      const known = this.known(doc.guid);
      if (known !== undefined) {
        this.bindings.set(doc.guid, known);
        this.bound(known);
        continue;
      }
      let latest: Y.Doc | undefined;
      const binding = this.bind(doc.guid, {
        create: () => {
          const former = latest;
          latest = former === undefined ? doc : inPlaceOf(former);
          // Yjs gives it its parent's, which it may have had before.
          latest.clientID = new Y.Doc().clientID;
          return latest;
        },
        isMade: true,
      });
      this.bindings.set(doc.guid, binding);
      this.own.add(doc.guid);
      this.bound(binding);
    }
  };

  private unbind(guid: string): void {
    const binding = this.bindings.get(guid);
    this.bindings.delete(guid);
    // What the app has bound by itself it lets go of by itself.
    if (this.own.delete(guid)) binding?.destroy();
  }
}

/** What `bindDoc` takes for one. */
export const isName = (name: string): boolean => name !== "" && name.length <= 100 && !/\p{Surrogate}/u.test(name);

/** Another one takes its place in the parent, so that who looks there finds what the binding has. */
const inPlaceOf = (former: Y.Doc): Y.Doc => {
  const next = new Y.Doc({ guid: former.guid, gc: former.gc, meta: former.meta, autoLoad: former.autoLoad });
  const item = former._item;
  if (item?.content instanceof Y.ContentDoc) {
    item.content.doc = next;
    next._item = item;
    former._item = null;
    const parent = (item.parent as Y.AbstractType<unknown>).doc;
    parent?.subdocs.delete(former);
    parent?.subdocs.add(next);
  }
  return next;
};
