/** What each document must be: exactly what the log says of it, put together without any of the code that is tried here. */

import {
  documentIn,
  type Entry,
  type MemberId,
  type Messages,
  type Offset,
  type UpdateItem,
  type UserId,
} from "@rostrum/protocol";
import * as Y from "yjs";
import { contentOf, marksIn } from "./document-edits.ts";

/** A document that takes up what it is given and adds nothing to it. */
export const pristine = (): Y.Doc => {
  const doc = new Y.Doc();
  // It writes nothing; what it would draw is nobody's.
  doc.clientID = 1;
  // Yjs would delete formatting that it finds superfluous, each reader in the name of nobody.
  doc.on("afterTransaction", (transaction) => {
    transaction._needFormattingCleanup = false;
  });
  return doc;
};

export const hasPending = ({ store }: Y.Doc): boolean => store.pendingStructs !== null || store.pendingDs !== null;

/** Why two documents are not the same; `undefined`: they are, in what can be read and in what was deleted. */
export const differenceOf = (one: Y.Doc, other: Y.Doc): string | undefined => {
  if (hasPending(one) || hasPending(other)) return "something waits in it for what is not there";
  const [a, b] = [Y.snapshot(one), Y.snapshot(other)];
  if (!Y.equalSnapshots(a, b)) return `snapshots differ: ${shown(a)} and ${shown(b)}`;
  const [mine, theirs] = [JSON.stringify(contentOf(one)), JSON.stringify(contentOf(other))];
  return mine === theirs ? undefined : `contents differ: ${mine} and ${theirs}`;
};

const shown = ({ sv, ds }: Y.Snapshot): string => {
  const clocks = [...sv].sort(([a], [b]) => a - b).map(([client, clock]) => `${client}:${clock}`);
  const gone = [...ds.clients]
    .sort(([a], [b]) => a - b)
    .map(([client, ranges]) => `${client}:${ranges.map(({ clock, len }) => `${clock}+${len}`).join()}`);
  return `[${clocks.join(" ")} -${gone.join(" ")}]`;
};

type Decoded = ReturnType<typeof Y.decodeUpdate>;

/** The marks in what an update holds, deleted or not. */
export const marksOf = ({ structs }: Decoded): readonly string[] =>
  structs.flatMap((struct) => {
    if (!(struct instanceof Y.Item)) return [];
    const { content, parentSub } = struct;
    if (content instanceof Y.ContentType) {
      const { type } = content;
      return type instanceof Y.XmlElement ? marksIn(type.nodeName) : [];
    }
    if (content instanceof Y.ContentFormat) return marksIn(JSON.stringify([content.key, content.value]));
    if (content instanceof Y.ContentEmbed) return marksIn(JSON.stringify(content.embed));
    return marksIn(JSON.stringify([content.getContent(), parentSub]));
  });

/** The ranges of a client's clock; they are merged as they come. */
export class Ranges {
  private readonly known: { from: number; to: number }[] = [];

  add(from: number, to: number): void {
    this.known.push({ from, to });
    this.known.sort((a, b) => a.from - b.from);
    for (let index = this.known.length - 1; index > 0; index -= 1) {
      const [before, at] = [this.known[index - 1], this.known[index]];
      if (before === undefined || at === undefined || at.from > before.to) continue;
      before.to = Math.max(before.to, at.to);
      this.known.splice(index, 1);
    }
  }

  holds(from: number, to: number): boolean {
    return from >= to || this.known.some((each) => each.from <= from && to <= each.to);
  }

  touches(from: number, to: number): boolean {
    return this.known.some((each) => each.from < to && from < each.to);
  }
}

/** What one replica has put into the log. */
interface Written {
  readonly user: UserId | null;
  readonly lineage: Offset;
  n: number;
  clock: number;
  readonly deleted: Map<number, Ranges>;
}

interface Beginning {
  readonly at: Offset;
  readonly from: string;
  readonly point: Offset;
}

class History {
  lineage: Offset = 0;
  last: Offset = 0;
  readonly updates: { readonly offset: Offset; readonly update: Uint8Array }[] = [];
  readonly begun: Beginning[] = [];
  readonly writers = new Map<number, Written>();
  doc = pristine();
}

/** An edit, by what it added and what it deleted. */
export interface Extent {
  readonly replica: number;
  readonly from: number;
  readonly to: number;
  readonly deletes: readonly { readonly client: number; readonly from: number; readonly to: number }[];
}

/** What an update of a single replica adds and deletes. */
export const extentOf = (replica: number, update: Uint8Array): Extent => {
  const { structs, ds } = Y.decodeUpdate(update);
  const own = structs.filter(({ id }) => id.client === replica);
  const last = own.at(-1);
  const from = own[0]?.id.clock ?? 0;
  return {
    replica,
    from,
    to: last === undefined ? from : last.id.clock + last.length,
    deletes: [...ds.clients].flatMap(([client, ranges]) =>
      ranges.map(({ clock, len }) => ({ client, from: clock, to: clock + len })),
    ),
  };
};

export class Oracle {
  private histories = new Map<string, History>();
  /** Updates of all lives of the log, by document, replica and number. */
  private readonly everWritten = new Map<string, string>();

  get documents(): readonly string[] {
    return [...this.histories.keys()];
  }

  lineageOf(document: string): Offset {
    return this.histories.get(document)?.lineage ?? 0;
  }

  /** The document as the log has it now. Not to be written to. */
  now(document: string): Y.Doc {
    return this.histories.get(document)?.doc ?? pristine();
  }

  /** Who writes the present content, and the number of the next update of each. */
  writersOf(
    document: string,
  ): readonly { readonly replica: number; readonly n: number; readonly user: UserId | null }[] {
    const { lineage, writers } = this.histories.get(document) ?? new History();
    return [...writers].flatMap(([replica, each]) =>
      each.lineage === lineage ? [{ replica, n: each.n, user: each.user }] : [],
    );
  }

  /** The first update of the present content that is behind an offset. */
  firstUpdate(document: string, after: Offset): Offset | undefined {
    const { lineage, updates } = this.histories.get(document) ?? new History();
    return updates.find(({ offset }) => offset > after && offset > lineage)?.offset;
  }

  lastOf(document: string): Offset {
    return this.histories.get(document)?.last ?? 0;
  }

  /** A document as it was at an offset: a fresh one with exactly the updates of the content that it had there. */
  at(document: string, upTo: Offset): Y.Doc {
    const doc = pristine();
    const history = this.histories.get(document);
    if (history === undefined) return doc;
    const beginning = history.begun.findLast(({ at }) => at <= upTo);
    if (beginning !== undefined) Y.applyUpdate(doc, Y.encodeStateAsUpdate(this.at(beginning.from, beginning.point)));
    for (const { offset, update } of history.updates)
      if (offset > (beginning?.at ?? 0) && offset <= upTo) Y.applyUpdate(doc, update);
    return doc;
  }

  lineageAt(document: string, upTo: Offset): Offset {
    return this.histories.get(document)?.begun.findLast(({ at }) => at <= upTo)?.at ?? 0;
  }

  /** Whether the log has, or had, all of an edit, on whatever content. */
  has(document: string, { replica, to, deletes }: Extent): boolean {
    const written = this.histories.get(document)?.writers.get(replica);
    if (written === undefined || written.clock < to) return false;
    return deletes.every((each) => written.deleted.get(each.client)?.holds(each.from, each.to) === true);
  }

  /** Whether the content that an edit was made on has made room for another. */
  isOver(document: string, { replica }: Extent): boolean {
    const history = this.histories.get(document);
    return history !== undefined && history.writers.get(replica)?.lineage !== history.lineage;
  }

  /** Whether the log has anything of what somebody added there. */
  hasSome(document: string, { replica, from, to }: Extent): boolean {
    const written = this.histories.get(document)?.writers.get(replica);
    return written !== undefined && written.clock > from && to > from;
  }

  /** The log was lost, and another one is in its place. */
  reload(truth: readonly Entry[], userOf: (member: MemberId) => UserId | undefined): void {
    this.histories = new Map();
    for (const entry of truth) this.placed(entry, userOf);
  }

  /** An entry is stored. Answers what is wrong with it. */
  placed(entry: Entry, userOf: (member: MemberId) => UserId | undefined): readonly string[] {
    if (entry.type === "document-restored") {
      const { document, from, point, offset } = entry;
      this.begin(document, { at: offset, from, point });
      return [];
    }
    if (entry.type === "resynchronized" && entry.kind !== "set") {
      for (const [document, { last }] of this.histories)
        if (last > entry.to) this.begin(document, { at: entry.offset, from: document, point: entry.to });
      return [];
    }
    const document = documentIn(entry);
    if (document === undefined) return [];
    const { offset, items, by } = entry as Messages;
    const user = by === null ? null : userOf(by);
    return items.flatMap((item, index) =>
      this.updated(document, item as UpdateItem, offset + index, user).map(
        (fault) => `document: ${document}, #${offset + index} by ${by ?? "the server"}: ${fault}`,
      ),
    );
  }

  private begin(document: string, beginning: Beginning): void {
    const doc = pristine();
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(this.at(beginning.from, beginning.point)));
    const history = this.history(document);
    history.begun.push(beginning);
    history.lineage = history.last = beginning.at;
    history.doc.destroy();
    history.doc = doc;
  }

  private history(document: string): History {
    const history = this.histories.get(document) ?? new History();
    this.histories.set(document, history);
    return history;
  }

  private updated(
    document: string,
    [, replica, n, lineage, update]: UpdateItem,
    offset: Offset,
    user: UserId | null | undefined,
  ): readonly string[] {
    const history = this.history(document);
    const faults: string[] = [];
    if (lineage !== history.lineage) faults.push(`made on ${lineage}, the content is of ${history.lineage}`);
    let decoded: Decoded;
    try {
      decoded = Y.decodeUpdate(update);
    } catch (error) {
      return [`no update (${String(error)})`];
    }
    history.updates.push({ offset, update });
    history.last = offset;
    const bytes = update.toString();
    const key = `${document} ${replica} ${n}`;
    const earlier = history.writers.get(replica);
    // Of an update that was stored on a content that is over, and whose page never saw it there, the page does not know on which
    // content it was made: it is sent on the next one if it fits.
    const isAgain = earlier !== undefined && earlier.lineage !== lineage && this.everWritten.get(key) === bytes;
    const before = isAgain ? undefined : earlier;
    const written: Written = before ?? { user: user ?? null, lineage, n: 0, clock: 0, deleted: new Map() };
    history.writers.set(replica, written);
    if (before === undefined && user !== null && (Y.getState(history.doc.store, replica) ?? 0) > 0)
      faults.push(`the replica ${replica} is taken up again after the document began anew`);
    if (written.user !== (user ?? null)) faults.push(`the replica ${replica} is ${String(written.user)}'s`);
    if (written.lineage !== lineage) faults.push(`the replica ${replica} belongs to the content of ${written.lineage}`);
    if (written.n !== n) faults.push(`number ${n} of ${replica}, where ${written.n} is the next`);
    written.n = n + 1;
    for (const { id, length } of decoded.structs) {
      if (id.client !== replica) {
        if (user !== null) faults.push(`adds in the name of ${id.client}`);
        continue;
      }
      if (id.clock !== written.clock) faults.push(`clock ${id.clock} of ${replica} after ${written.clock}`);
      written.clock = id.clock + length;
    }
    for (const [client, ranges] of decoded.ds.clients) {
      const deleted = written.deleted.get(client) ?? new Ranges();
      written.deleted.set(client, deleted);
      for (const { clock, len } of ranges) deleted.add(clock, clock + len);
    }
    Y.applyUpdate(history.doc, update);
    if (hasPending(history.doc)) faults.push("builds on what the document does not hold");
    const known = this.everWritten.get(key);
    if (known !== undefined && known !== bytes) faults.push(`${replica} wrote another ${n} in a log that was lost`);
    this.everWritten.set(key, bytes);
    return faults;
  }
}
