/** Which connections follow which documents. */

import { documentIn, type Entry } from "@rostrum/protocol";

export class Followers<L extends { readonly documents: Set<string> }> {
  private readonly byDocument = new Map<string, Set<L>>();

  follow(listener: L, document: string): void {
    listener.documents.add(document);
    const set = this.byDocument.get(document) ?? new Set();
    this.byDocument.set(document, set.add(listener));
  }

  unfollow(listener: L, document: string): void {
    listener.documents.delete(document);
    const set = this.byDocument.get(document);
    set?.delete(listener);
    if (set?.size === 0) this.byDocument.delete(document);
  }

  forget(listener: L): void {
    for (const document of [...listener.documents]) this.unfollow(listener, document);
  }

  of(document: string): ReadonlySet<L> {
    return this.byDocument.get(document) ?? new Set();
  }

  /** The documents whose updates are in the page and which not all of so many listeners follow. */
  notOfAll(page: readonly Entry[], listeners: number): ReadonlySet<string> {
    const found = new Set<string>();
    for (const entry of page) {
      const document = documentIn(entry);
      if (document !== undefined && this.of(document).size < listeners) found.add(document);
    }
    return found;
  }
}
