/** One copy of a document, and what it has to send. */

import { documentEvent, type Item, type Offset } from "@rostrum/protocol";
import * as Y from "yjs";

export class Replica {
  readonly doc: Y.Doc = new Y.Doc();
  n = 0;
  private made: Uint8Array[] = [];

  constructor(
    readonly name: string,
    public lineage: Offset = 0,
  ) {
    this.doc.on("update", (update: Uint8Array, _origin: unknown, _doc: Y.Doc, { local }: Y.Transaction) => {
      if (local) this.made.push(update);
    });
  }

  edit(edit: (doc: Y.Doc) => void): Item {
    this.doc.transact(() => edit(this.doc));
    return this.item(Y.mergeUpdates(this.made.splice(0)));
  }

  item(update: Uint8Array): Item {
    const item: Item = [documentEvent(this.name), this.doc.clientID, this.n, this.lineage, update];
    this.n += 1;
    return item;
  }

  type(text: string, at?: number): Item {
    return this.edit((doc) => doc.getText("t").insert(at ?? doc.getText("t").length, text));
  }

  erase(at: number, length: number): Item {
    return this.edit((doc) => doc.getText("t").delete(at, length));
  }

  get text(): string {
    return this.doc.getText("t").toString();
  }

  /** Takes up what the server has. */
  take(parts: readonly { readonly format: 1 | 2; readonly bytes: Uint8Array }[]): this {
    for (const { format, bytes } of parts) {
      if (format === 2) Y.applyUpdateV2(this.doc, bytes, "server");
      else Y.applyUpdate(this.doc, bytes, "server");
    }
    return this;
  }
}
