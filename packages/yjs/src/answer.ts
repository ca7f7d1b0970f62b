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
  private filling: { readonly bytes: Uint8Array; at: number; readonly format: 1 | 2 } | undefined;
  /** A piece did not continue where the one before it had ended: the answer cannot be used. */
  isBroken = false;

  /** The answer, with its last frame. */
  take({ format, at, size, bytes, end, lineage, upTo, whole }: DocumentStateFrame): Answered | undefined {
    if (at === 0 && size > 0) {
      this.isBroken ||= this.filling !== undefined;
      this.filling = { bytes: new Uint8Array(size), at: 0, format };
    }
    const { filling } = this;
    if (filling !== undefined) {
      if (filling.at !== at || at + bytes.byteLength > filling.bytes.byteLength) this.isBroken = true;
      else {
        filling.bytes.set(bytes, at);
        filling.at += bytes.byteLength;
        if (filling.at === filling.bytes.byteLength) {
          this.pieces.push({ format, bytes: filling.bytes });
          this.filling = undefined;
        }
      }
    }
    if (!end) return undefined;
    this.isBroken ||= this.filling !== undefined;
    return { lineage, upTo, whole, pieces: this.pieces };
  }
}
