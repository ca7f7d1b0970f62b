/** What is different between two texts: as pieces, as something to look at, and as edits that make the one of the other. */

import { type Change, diffChars, diffWordsWithSpace } from "diff";
import { make } from "./dom.ts";

export type Piece = Pick<Change, "value" | "added" | "removed">;

/** Two texts that have little in common are not worth a second of anybody's time. */
const options = { timeout: 200 };

/** Words are what people read; characters are what was typed. */
export const pieces = (before: string, after: string, by: "word" | "character"): readonly Piece[] =>
  (by === "word" ? diffWordsWithSpace : diffChars)(before, after, options) ?? [
    { value: before, added: false, removed: true },
    { value: after, added: true, removed: false },
  ];

export interface Edit {
  /** In the text before all edits. */
  readonly from: number;
  readonly to: number;
  readonly insert: string;
}

export const edits = (all: readonly Piece[]): readonly Edit[] => {
  let at = 0;
  return all.flatMap(({ value, added, removed }): Edit[] => {
    const from = at;
    if (!added) at += value.length;
    if (added) return [{ from, to: from, insert: value }];
    return removed ? [{ from, to: at, insert: "" }] : [];
  });
};

const signs = (count: number): string => `${count} ${count === 1 ? "character" : "characters"}`;

/** In a sentence, for those who do not see the marks, too. */
export const summary = (all: readonly Piece[]): string => {
  const sum = (of: "added" | "removed"): number =>
    all.reduce((total, piece) => total + (piece[of] ? piece.value.length : 0), 0);
  const [more, fewer] = [sum("added"), sum("removed")];
  if (more + fewer === 0) return "no difference";
  return [more === 0 ? "" : `${signs(more)} more`, fewer === 0 ? "" : `${signs(fewer)} fewer`]
    .filter((part) => part !== "")
    .join(", ");
};

export const showPieces = (element: HTMLElement, all: readonly Piece[]): void => {
  element.replaceChildren(
    ...all.map(({ value, added, removed }) => make(added ? "ins" : removed ? "del" : "span", "", value)),
  );
  // Where the first difference is: that is what somebody looks for.
  const first = element.querySelector<HTMLElement>("ins, del");
  element.scrollTop = first === null ? 0 : Math.max(0, first.offsetTop - element.offsetTop - 24);
};
