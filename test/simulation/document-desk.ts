/** A page's documents: bound when they are wanted, edited, and held against what is said of them. */

import { guardOf, type MemberCommand, type Offset } from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import type { Binding } from "../../packages/yjs/src/binding.ts";
import { Documents } from "../../packages/yjs/src/documents.ts";
import type { Effects } from "../../packages/yjs/src/terms.ts";
import type { Page } from "./device.ts";
import { editAtRandom, type Marks, nameOf, undoOf } from "./document-edits.ts";
import { differenceOf, type Extent, extentOf, hasPending, marksOf, type Oracle, Ranges } from "./document-oracle.ts";

/** Something that was done to a document in a page. */
export interface Edit {
  readonly document: string;
  readonly scope: string;
  readonly extent: Extent;
  readonly marks: readonly string[];
  /** Made while its page was not allowed to. */
  readonly forced: boolean;
  /** Its page died before it was on the disk, or the session was left. */
  excused: boolean;
}

export const describeEdit = ({ document, scope, extent, marks }: Edit): string =>
  `${marks.map(nameOf).join("+") || "a deletion"} of ${scope} in ${document} (${extent.replica}:${extent.from}-${extent.to})`;

export interface DeskWorld {
  readonly scheduler: Scheduler;
  readonly oracle: Oracle;
  readonly marks: Marks;
  readonly edits: Edit[];
  /** Which life of a document a replica's number stands for. */
  readonly replicas: Map<string, Y.Doc>;
  readonly note: (text: string) => void;
  readonly fail: (text: string) => void;
  /** In which life the log is. */
  readonly life: () => number;
  readonly sabotage: (documents: Documents) => void;
}

interface Opened {
  readonly binding: Binding;
  doc: Y.Doc;
  undo: Y.UndoManager;
  readonly edits: Edit[];
}

/** What an update has, client by client. */
export class Held {
  private readonly added = new Map<number, Ranges>();
  private readonly deleted = new Map<number, Ranges>();

  add(update: Uint8Array): void {
    const { structs, ds } = Y.decodeUpdate(update);
    for (const { id, length } of structs) this.of(this.added, id.client).add(id.clock, id.clock + length);
    for (const [client, ranges] of ds.clients)
      for (const { clock, len } of ranges) this.of(this.deleted, client).add(clock, clock + len);
  }

  private of(map: Map<number, Ranges>, client: number): Ranges {
    const ranges = map.get(client) ?? new Ranges();
    map.set(client, ranges);
    return ranges;
  }

  has({ replica, from, to, deletes }: Extent): boolean {
    return (
      this.of(this.added, replica).holds(from, to) &&
      deletes.every((each) => this.of(this.deleted, each.client).holds(each.from, each.to))
    );
  }

  touches({ replica, from, to }: Extent): boolean {
    return this.of(this.added, replica).touches(from, to);
  }
}
