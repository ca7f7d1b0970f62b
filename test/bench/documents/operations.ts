/** One edit of a document, in words that any document of the benchmark understands, and what becomes of a run of them. */

/** What may be a value in the document's map or list. */
export type Value = number | string | { readonly [key: string]: string };

export type Operation =
  /** In the document's text. */
  | { readonly kind: "insert"; readonly at: number; readonly text: string }
  | { readonly kind: "remove"; readonly at: number; readonly length: number }
  /** In the document's list. */
  | { readonly kind: "list-insert"; readonly at: number; readonly values: readonly Value[] }
  | { readonly kind: "list-remove"; readonly at: number; readonly length: number }
  /** In the document's map. */
  | { readonly kind: "set"; readonly key: string; readonly value: Value };

/** What everybody has in the end. Who wrote at once may come in any order, so of that only what is there is told. */
export interface Expected {
  readonly text?: string;
  /** The text's characters, sorted. */
  readonly letters?: string;
  readonly list?: readonly Value[];
  /** The list's values as JSON, sorted. */
  readonly values?: readonly string[];
  /** For each key, the values of which one must have won. */
  readonly map?: ReadonlyMap<string, readonly Value[]>;
}

/** Edits to play, each a transaction of its own. */
export interface Workload {
  readonly name: string;
  readonly writers: number;
  /** What everybody has before anybody goes on: the first writer's. */
  readonly opening: readonly Operation[];
  /** What a writer does, from the opening on, as if it were alone. Can be asked for again. */
  readonly operations: (writer: number) => Iterable<Operation>;
  readonly expected: () => Expected;
}

export const sorted = (text: string): string => [...text].sort().join("");
