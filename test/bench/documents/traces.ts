/**
 * The workloads that documents are measured and tested with: generators of ours after B1 to B4 of the well-known
 * benchmarks for shared data types. Seeded and free of any document, so that the same edits can be played anywhere.
 */

import { type Expected, type Operation, sorted, type Value, type Workload } from "./operations.ts";
import { type Random, seeded } from "./random.ts";

/** A text that knows what it should read, while operations are made up. */
class Draft {
  private readonly letters: string[] = [];

  constructor(text = "") {
    this.letters.push(...text);
  }

  get length(): number {
    return this.letters.length;
  }

  apply(operation: Operation): void {
    if (operation.kind === "insert") this.letters.splice(operation.at, 0, ...operation.text);
    else if (operation.kind === "remove") this.letters.splice(operation.at, operation.length);
  }

  toString(): string {
    return this.letters.join("");
  }
}

const textOf = (operations: Iterable<Operation>, opening: Iterable<Operation> = []): string => {
  const draft = new Draft();
  for (const operation of opening) draft.apply(operation);
  for (const operation of operations) draft.apply(operation);
  return draft.toString();
};

const listOf = (operations: Iterable<Operation>): readonly Value[] => {
  const list: Value[] = [];
  for (const operation of operations) {
    if (operation.kind === "list-insert") list.splice(operation.at, 0, ...operation.values);
    else if (operation.kind === "list-remove") list.splice(operation.at, operation.length);
  }
  return list;
};

type Generator = (random: Random) => Iterable<Operation>;

/** One writer, who alone decides what is there in the end. */
const alone = (name: string, seed: number, generator: Generator, kind: "text" | "list" = "text"): Workload => {
  const operations = (): Iterable<Operation> => generator(seeded(seed));
  return {
    name,
    writers: 1,
    opening: [],
    operations,
    expected: () => (kind === "text" ? { text: textOf(operations()) } : { list: listOf(operations()) }),
  };
};

const number = (random: Random): number => random.below(2 ** 31);

/** B1: one writer, `n` edits. */
export const alones = (n = 6_000, seed = 1): readonly Workload[] => [
  alone("b1.1-append-characters", seed, function* (random) {
    for (let at = 0; at < n; at += 1) yield { kind: "insert", at, text: random.word(1) };
  }),
  alone("b1.2-insert-string", seed, function* (random) {
    yield { kind: "insert", at: 0, text: random.word(n) };
  }),
  alone("b1.3-prepend-characters", seed, function* (random) {
    for (let each = 0; each < n; each += 1) yield { kind: "insert", at: 0, text: random.word(1) };
  }),
  alone("b1.4-insert-characters-anywhere", seed, function* (random) {
    for (let length = 0; length < n; length += 1)
      yield { kind: "insert", at: random.below(length + 1), text: random.word(1) };
  }),
  alone("b1.5-insert-words-anywhere", seed, function* (random) {
    for (let each = 0, length = 0; each < n; each += 1) {
      const text = random.word(2 + random.below(9));
      yield { kind: "insert", at: random.below(length + 1), text };
      length += text.length;
    }
  }),
  alone("b1.6-insert-then-delete", seed, function* (random) {
    yield { kind: "insert", at: 0, text: random.word(n) };
    yield { kind: "remove", at: 0, length: n };
  }),
  alone("b1.7-insert-and-delete-anywhere", seed, (random) => insertsAndDeletes(random, n, 0)),
  alone(
    "b1.8-append-numbers",
    seed,
    function* (random) {
      for (let at = 0; at < n; at += 1) yield { kind: "list-insert", at, values: [number(random)] };
    },
    "list",
  ),
  alone(
    "b1.9-insert-numbers",
    seed,
    function* (random) {
      yield { kind: "list-insert", at: 0, values: Array.from({ length: n }, () => number(random)) };
    },
    "list",
  ),
  alone(
    "b1.10-prepend-numbers",
    seed,
    function* (random) {
      for (let each = 0; each < n; each += 1) yield { kind: "list-insert", at: 0, values: [number(random)] };
    },
    "list",
  ),
  alone(
    "b1.11-insert-numbers-anywhere",
    seed,
    function* (random) {
      for (let length = 0; length < n; length += 1)
        yield { kind: "list-insert", at: random.below(length + 1), values: [number(random)] };
    },
    "list",
  ),
];

function* insertsAndDeletes(random: Random, n: number, from: number): Iterable<Operation> {
  let length = from;
  for (let each = 0; each < n; each += 1) {
    if (length > 0 && random() < 0.5) {
      const at = random.below(length);
      const removed = Math.min(length - at, 1 + random.below(10));
      yield { kind: "remove", at, length: removed };
      length -= removed;
    } else {
      const text = random.word(2 + random.below(9));
      yield { kind: "insert", at: random.below(length + 1), text };
      length += text.length;
    }
  }
}

/** Several who do not wait for one another. What is inserted by each is there in the end, in an order that is theirs. */
const together = (
  name: string,
  seed: number,
  writers: number,
  opening: readonly Operation[],
  generator: (random: Random, writer: number, from: number) => Iterable<Operation>,
  expected: (operations: (writer: number) => Iterable<Operation>, opening: readonly Operation[]) => Expected,
): Workload => {
  const from = textOf(opening).length;
  const operations = (writer: number): Iterable<Operation> => generator(seeded(seed * 1_000 + writer), writer, from);
  return { name, writers, opening, operations, expected: () => expected(operations, opening) };
};

/** Of texts to which all only add. */
const allLetters =
  (writers: number) =>
  (operations: (writer: number) => Iterable<Operation>, opening: readonly Operation[]): Expected => {
    let letters = textOf(opening);
    for (let writer = 0; writer < writers; writer += 1)
      for (const operation of operations(writer)) if (operation.kind === "insert") letters += operation.text;
    return { letters: sorted(letters) };
  };

/** B2: two writers at once, `n` edits each, on a text of a hundred characters. */
export const pairs = (n = 3_000, seed = 2): readonly Workload[] => {
  const opening: readonly Operation[] = [{ kind: "insert", at: 0, text: seeded(seed).word(100) }];
  const pair = (name: string, generator: (random: Random, writer: number, from: number) => Iterable<Operation>) =>
    together(name, seed, 2, opening, generator, allLetters(2));
  return [
    pair("b2.1-insert-string-at-once", function* (random) {
      yield { kind: "insert", at: 0, text: random.word(n) };
    }),
    pair("b2.2-insert-characters-at-once", function* (random, _, from) {
      for (let each = 0; each < n; each += 1)
        yield { kind: "insert", at: random.below(from + each + 1), text: random.word(1) };
    }),
    pair("b2.3-insert-words-at-once", function* (random, _, from) {
      for (let each = 0, length = from; each < n; each += 1) {
        const text = random.word(2 + random.below(9));
        yield { kind: "insert", at: random.below(length + 1), text };
        length += text.length;
      }
    }),
    // Both may delete the same character: how long the text is in the end is for the documents to agree on.
    together(
      "b2.4-insert-and-delete-at-once",
      seed,
      2,
      opening,
      (random, _, from) => insertsAndDeletes(random, n, from),
      () => ({}),
    ),
  ];
};

/** B3: very many writers at once, one edit each. */
export const crowds = (writers = 350, seed = 3): readonly Workload[] => {
  const key = "key";
  const sets = (name: string, value: (random: Random, writer: number) => Value): Workload =>
    together(
      name,
      seed,
      writers,
      [],
      function* (random, writer) {
        yield { kind: "set", key, value: value(random, writer) };
      },
      (operations) => ({
        map: new Map([
          [
            key,
            Array.from({ length: writers }, (_, writer) =>
              [...operations(writer)].flatMap((operation) => (operation.kind === "set" ? [operation.value] : [])),
            ).flat(),
          ],
        ]),
      }),
    );
  return [
    sets("b3.1-set-number", (_, writer) => writer),
    sets("b3.2-set-object", (random, writer) => ({ name: `writer ${writer}`, address: random.word(20) })),
    sets("b3.3-set-string", (random) => random.word(writers)),
    together(
      "b3.4-insert-into-list",
      seed,
      writers,
      [],
      function* (random) {
        yield { kind: "list-insert", at: 0, values: [random.word(20)] };
      },
      (operations) => ({
        values: Array.from({ length: writers }, (_, writer) => listOf(operations(writer)))
          .flat()
          .map((value) => JSON.stringify(value))
          .sort(),
      }),
    ),
    together(
      "b3.5-insert-characters",
      seed,
      writers,
      [{ kind: "insert", at: 0, text: seeded(seed).word(100) }],
      function* (random, _, from) {
        yield { kind: "insert", at: random.below(from + 1), text: random.word(1) };
      },
      allLetters(writers),
    ),
  ];
};
