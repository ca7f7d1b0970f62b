/** What somebody sends who means ill, or whose client is broken: updates that must not get into a document, nor into anybody's way. */

import { documentEvent, type Item, type UpdateItem } from "@rostrum/protocol";
import type { Scheduler } from "@rostrum/testing";
import * as Y from "yjs";
import type { Marks } from "./document-edits.ts";
import { type Oracle, pristine } from "./document-oracle.ts";

export interface Hostile {
  readonly what: string;
  readonly item: Item;
  /** Marks that must never be seen; absent: it may be accepted. */
  readonly marks?: readonly string[];
}

export class Rogue {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly oracle: Oracle,
    private readonly marks: Marks,
    private readonly user: string,
  ) {}

  /** `stored`: some update that the log has of the document. */
  make(document: string, stored: UpdateItem | undefined): Hostile | undefined {
    const { scheduler, oracle } = this;
    const lineage = oracle.lineageOf(document);
    const event = documentEvent(document);
    const fresh = scheduler.between(2 ** 20, 2 ** 32 - 1);
    const honest = scheduler.pick(oracle.writersOf(document).filter(({ user }) => user !== this.user));
    const mark = this.marks.next();
    const marks = [mark];
    const item = (replica: number, n: number, update: Uint8Array, on = lineage): UpdateItem => [
      event,
      replica,
      n,
      on,
      update,
    ];
    /** What an edit in the name of a client would be, after others that nobody gets. */
    const edit = (client: number, before = 0): Uint8Array => {
      const doc = this.copy(document);
      doc.clientID = client;
      const text = doc.getText("text");
      for (let count = 0; count < before; count += 1) text.insert(scheduler.between(0, text.length), "lost");
      return this.during(doc, () => text.insert(scheduler.between(0, text.length), mark));
    };
    switch (scheduler.between(0, 10)) {
      case 0:
        if (honest === undefined) return undefined;
        return { what: "in the name of another", item: item(honest.replica, honest.n, edit(honest.replica)), marks };
      case 1:
        return { what: "another's client under a number of its own", item: item(fresh, 0, edit(fresh + 1)), marks };
      case 2:
        return { what: "a gap", item: item(fresh, 0, edit(fresh, 2)), marks };
      case 3: {
        const update = edit(fresh);
        return { what: "cut off", item: item(fresh, 0, update.slice(0, scheduler.between(1, update.length - 1))) };
      }
      case 4:
        // Again what is there: at its place, or under a number that would be due.
        if (stored === undefined) return undefined;
        return { what: "a replay", item: scheduler.chance(0.5) ? stored : item(fresh, 0, stored[4]) };
      case 5:
        return {
          what: "a deletion of what is not there",
          item: item(fresh, 0, this.deletion(honest?.replica ?? 7, 1e6)),
        };
      case 6: {
        if (honest === undefined) return undefined;
        const client = scheduler.chance(0.5) ? honest.replica : fresh;
        return {
          what: "a deletion under a number out of turn",
          item: item(client, honest.n + 1, this.deletion(client, 0)),
        };
      }
      case 7:
        return { what: "made on another content", item: item(fresh, 0, edit(fresh), lineage + 1_000_000), marks };
      case 8: {
        // It builds on what only its maker has: each alone is sound.
        const doc = this.copy(document);
        doc.clientID = fresh + 1;
        doc.getText("text").insert(0, "secret");
        doc.clientID = fresh;
        const update = this.during(doc, () => doc.getText("text").insert(3, mark));
        return { what: "built on what nobody has", item: item(fresh, 0, update), marks };
      }
      case 9: {
        const [first, third] = [edit(fresh), edit(fresh, 3)];
        return { what: "a hole in it", item: item(fresh, 0, Y.mergeUpdates([first, third])), marks };
      }
      default: {
        // This one may: to write is to be able to delete.
        const doc = this.copy(document);
        doc.clientID = fresh;
        const { length } = doc.getText("text");
        if (length === 0) return undefined;
        const update = this.during(doc, () => doc.getText("text").delete(scheduler.between(0, length - 1), 1));
        return { what: "a deletion", item: item(fresh, 0, update) };
      }
    }
  }

  private copy(document: string): Y.Doc {
    const doc = pristine();
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(this.oracle.now(document)));
    return doc;
  }

  private during(doc: Y.Doc, change: () => void): Uint8Array {
    const updates: Uint8Array[] = [];
    const note = (update: Uint8Array): void => void updates.push(update);
    doc.on("update", note);
    change();
    doc.destroy();
    return updates.length === 1 ? (updates[0] ?? new Uint8Array()) : Y.mergeUpdates(updates);
  }

  /** An update that only deletes one thing of a client. */
  private deletion(client: number, clock: number): Uint8Array {
    // No structs; one client, one range.
    const number = (value: number): number[] => {
      const bytes: number[] = [];
      for (let rest = value; ; rest = Math.floor(rest / 128)) {
        if (rest < 128) return [...bytes, rest];
        bytes.push((rest % 128) + 128);
      }
    };
    return Uint8Array.from([0, 1, ...number(client), 1, ...number(clock), 1]);
  }
}
