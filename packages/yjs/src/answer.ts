/** An answer of the server to `document-open`, as it comes in pieces. */

import type { DocumentStateFrame, Offset } from "@rostrum/protocol";
import type { Piece } from "./terms.ts";

export interface Answered {
  readonly lineage: Offset;
  readonly upTo: Offset;
  /** Whether it is all of the document. */
  readonly whole: boolean;
  readonly pieces: readonly Piece[];
}

export class Answer {
  private readonly pieces: Piece[] = [];
  private filling: { readonly size: number; readonly bytes: Uint8Array[]; at: number } | undefined;
  /** A piece did not continue where the one before it had ended: the answer cannot be used. */
  isBroken = false;

  /** The answer, with its last frame. */
  take({ format, at, size, bytes, end, lineage, upTo, whole }: DocumentStateFrame): Answered | undefined {
    if (at === 0 && size > 0) {
      this.isBroken ||= this.filling !== undefined;
      // Nothing is made room for before it is there: what an answer says of its size is not yet so.
      this.filling = { size, bytes: [], at: 0 };
    }
    const { filling } = this;
    if (filling !== undefined) {
      if (filling.at !== at || !(at + bytes.byteLength <= filling.size)) this.isBroken = true;
      else {
        filling.bytes.push(bytes);
        filling.at += bytes.byteLength;
        if (filling.at === filling.size) {
          this.pieces.push({ format, bytes: joined(filling.bytes, filling.size) });
          this.filling = undefined;
        }
      }
    }
    if (!end) return undefined;
    this.isBroken ||= this.filling !== undefined;
    return { lineage, upTo, whole, pieces: this.pieces };
  }
}

const joined = (pieces: readonly Uint8Array[], size: number): Uint8Array => {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
};
