/** The documents of a session in this page: what the session tells goes to the one that it concerns. */

import type { Extension, ExtensionHost } from "@rostrum/client";
import {
  type DocumentRefusedFrame,
  type DocumentStateFrame,
  documentIn,
  documentOf,
  type Entry,
  type Offset,
  type Outcome,
  type RostrumError,
  type UpdateItem,
} from "@rostrum/protocol";
import { DocBinding, type MadeOptions } from "./binding.ts";
import { isPutBack } from "./course.ts";
import { holding } from "./disk.ts";
import { drafting } from "./drafts.ts";
import type { Effects, Transaction } from "./terms.ts";
import type { VersionHost } from "./versions.ts";

export class Documents implements Extension {
  private readonly bindings = new Map<string, DocBinding>();
  private named: ReadonlySet<string> = new Set();
  private readonly used = new Map<string, Set<number>>();
  private over: RostrumError | undefined;
  /** Replicas of documents that nobody has open of which something waits to be sent again: what comes behind it waits as well. */
  private readonly heldBack = new Map<string, Set<number>>();

  constructor(
    private readonly session: ExtensionHost,
    readonly effects: Effects,
    private readonly save: VersionHost["save"],
  ) {}

  /** The binding of a document: the same one until it is destroyed. */
  bind(name: string, options: MadeOptions): DocBinding {
    const known = this.bindings.get(name);
    if (known !== undefined) return known;
    if (this.over !== undefined) throw this.over;
    const { session, effects, save } = this;
    const used = this.used.get(name) ?? new Set();
    this.used.set(name, used);
    const binding = new DocBinding(name, options, {
      session,
      effects,
      versions: { session, save },
      used,
      bind: (other, settings) => this.bind(other, settings),
      known: (other) => this.bindings.get(other),
      destroyed: (gone) => {
        if (this.bindings.get(name) === gone) this.bindings.delete(name);
      },
    });
    this.bindings.set(name, binding);
    this.heldBack.delete(name);
    return binding;
  }

  follows(): readonly string[] {
    const received = this.session.received();
    const names = [...this.bindings].flatMap(([name, { course }]) => (course.standsAt(received) ? [name] : []));
    this.named = new Set(names);
    return names;
  }

  opened(outcome: Outcome, thinned: Offset): void {
    const anew = outcome.kind === "reset" && outcome.why !== "member-unknown";
    const isContinued = ({ name, course }: DocBinding): boolean =>
      outcome.kind === "resumed" && this.named.has(name) && course.reaches(thinned);
    for (const binding of this.all()) binding.course.opened(isContinued(binding), anew);
  }

  entry(entry: Entry): void {
    if (entry.type === "messages") {
      const name = documentIn(entry);
      const binding = name === undefined ? undefined : this.bindings.get(name);
      entry.items.forEach((item, index) => {
        const [event, replica, n, lineage, bytes] = item as UpdateItem;
        binding?.course.entry(entry.offset + index, [event, replica, n, lineage, bytesOf(bytes)]);
      });
    } else if (entry.type === "document-restored") {
      this.bindings.get(entry.document)?.course.begunAnew(entry.offset);
    } else if (entry.type === "resynchronized" && entry.kind !== "set") {
      for (const { course } of this.all()) course.begunAnew(entry.offset);
    }
  }

  told(upTo: Offset): void {
    for (const { course } of this.all()) course.told(upTo);
  }

  frame(came: DocumentStateFrame | DocumentRefusedFrame): void {
    const frame = came.type === "document-state" ? { ...came, bytes: bytesOf(came.bytes) } : came;
    const binding = this.bindings.get(frame.document);
    if (frame.point === undefined) binding?.course.following.frame(frame);
    else binding?.versions.frame(frame);
  }

  refused(item: UpdateItem, error: RostrumError): void {
    const [event, replica, n, lineage, bytes] = item;
    const name = documentOf(event) ?? "";
    const binding = this.bindings.get(name);
    if (binding !== undefined) return binding.course.refused(item, error);
    // Nobody has it open: it is kept for who opens it next, and sent again if it may be stored: its number keeps it single.
    const { details } = error;
    const isGap = error.code === "DOCUMENT_GAP";
    if (isGap && details["known"] === true) return;
    const heldBack = this.heldBack.get(name) ?? new Set();
    if (isPutBack(error) || (isGap && heldBack.has(replica))) {
      this.heldBack.set(name, heldBack.add(replica));
      const madeOn = { birth: this.session.state().birth, lineage };
      return this.put(name, holding({ replica, n, bytes, madeOn }));
    }
    const { code, message } = error;
    const { birth } = this.session.state();
    this.put(
      name,
      drafting({ birth, lineage, reason: "refused", code, message, at: this.effects.now() }, [{ replica, n, bytes }]),
    );
  }

  lost(items: readonly UpdateItem[]): void {
    for (const name of new Set(items.map(([event]) => documentOf(event) ?? ""))) {
      const own = items.filter(([event]) => documentOf(event) === name);
      const binding = this.bindings.get(name);
      if (binding !== undefined) binding.course.lost(own);
      else for (const [, replica, n, , bytes] of own) this.put(name, holding({ replica, n, bytes }));
    }
  }

  gathered(): void {
    for (const binding of this.all()) binding.gathered();
  }

  changed(): void {
    for (const binding of this.all()) binding.changed();
  }

  closed(error: RostrumError, forget: boolean): void {
    this.over = error;
    for (const binding of this.all()) binding.end(error, forget);
  }

  private all(): readonly DocBinding[] {
    return [...this.bindings.values()];
  }

  private put(name: string, transaction: Transaction): void {
    this.effects.keep(name, (place) => place?.commit(transaction, () => {}));
  }
}

/** Binary comes as what the socket has: in browsers as an `ArrayBuffer`, in Node as a window on a larger one, which must not be kept. */
const bytesOf = (came: Uint8Array | ArrayBuffer): Uint8Array =>
  came instanceof Uint8Array && came.constructor === Uint8Array && came.byteLength === came.buffer.byteLength
    ? came
    : new Uint8Array(came);
