/** Sub-documents: documents of their own, named by their guid, bound while they are loaded. */

import type * as Y from "yjs";
import type { DocBinding, MadeOptions } from "./binding.ts";

interface Change {
  readonly loaded: Set<Y.Doc>;
  readonly removed: Set<Y.Doc>;
}

export class Subdocuments {
  private readonly bindings = new Map<string, DocBinding>();

  constructor(
    private readonly bind: (name: string, options: MadeOptions) => DocBinding,
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
    for (const { guid } of removed) this.unbind(guid);
    for (const doc of loaded) {
      if (this.bindings.has(doc.guid)) continue;
      let first: Y.Doc | undefined = doc;
      const binding = this.bind(doc.guid, {
        // The parent holds the first; what replaces it only the binding does.
        create: () => {
          const made = first ?? (new (doc.constructor as typeof Y.Doc)({ gc: doc.gc, meta: doc.meta }) as Y.Doc);
          first = undefined;
          return made;
        },
        isMade: true,
      });
      this.bindings.set(doc.guid, binding);
      this.bound(binding);
    }
  };

  private unbind(guid: string): void {
    const binding = this.bindings.get(guid);
    this.bindings.delete(guid);
    binding?.destroy();
  }
}
