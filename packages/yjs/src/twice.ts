/** Two copies of Yjs in one page do not know one another's types: what one of them made the other cannot merge. */

import { RostrumError } from "@rostrum/protocol";
import * as Y from "yjs";

const what =
  "Yjs is loaded twice (two versions, or ESM and CommonJS side by side). Let the bundler dedupe it: resolve yjs to one file.";

export const requireOurs = (doc: unknown, document: string): Y.Doc => {
  if (doc instanceof Y.Doc) return doc;
  const isDoc = typeof doc === "object" && doc !== null && "clientID" in doc && "store" in doc;
  if (isDoc)
    throw new RostrumError("YJS_TWICE", `create() for "${document}" made a Y.Doc of another Yjs. ${what}`, {
      document,
    });
  throw new RostrumError("USAGE", `create() for "${document}" has to return a Y.Doc.`, { document });
};

/** Whether a type in it was made by another Yjs. */
export const foreignType = (doc: Y.Doc): string | undefined => {
  for (const [name, type] of doc.share) if (!(type instanceof Y.AbstractType)) return name;
  return undefined;
};

export const typeOfAnother = (document: string, type: string): RostrumError =>
  new RostrumError("YJS_TWICE", `The type "${type}" of the document "${document}" was made by another Yjs. ${what}`, {
    document,
    type,
  });
