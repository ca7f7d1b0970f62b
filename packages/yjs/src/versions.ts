/** A document as it was at the session's sync points. */

import type { ExtensionHost, SyncPoint } from "@rostrum/client";
import {
  type DocumentRefusedFrame,
  type DocumentStateFrame,
  fromWire,
  type MemberId,
  type Offset,
  type RostrumError,
  type Serial,
  type Time,
} from "@rostrum/protocol";
import * as Y from "yjs";
import { Answer } from "./answer.ts";
import { docOf } from "./copy.ts";
import { type Observable, observable } from "./observing.ts";
import type { Piece } from "./terms.ts";

/** A sync point as a version of a document. */
export interface Version {
  /** The offset of the sync point: names it for good. */
  readonly point: Offset;
  readonly serial: Serial;
  readonly name?: string;
  readonly at: Time;
  /** Who set it; `null`: the server. */
  readonly by: MemberId | null;
}

export interface VersionHost {
  readonly session: Pick<ExtensionHost, "state" | "isLive" | "send" | "command">;
  readonly save: (name: string | undefined) => Promise<SyncPoint>;
}

interface Wanted {
  answer: Answer;
  isAsked: boolean;
  readonly waiting: Set<{
    readonly resolve: (pieces: readonly Piece[]) => void;
    readonly reject: (error: unknown) => void;
  }>;
}

interface Waiting {
  readonly signal?: AbortSignal;
}

export class Versions implements Observable<readonly Version[]> {
  readonly get: () => readonly Version[];
  readonly subscribe: (listener: (versions: readonly Version[]) => void) => () => void;
  private readonly source = observable<readonly Version[]>([]);
  private readonly wanted = new Map<Offset, Wanted>();
  private points: readonly SyncPoint[] | undefined;
  private over: RostrumError | undefined;

  constructor(
    private readonly document: string,
    private readonly host: VersionHost,
    private readonly which: "named" | "all",
    private readonly present: () => Y.Doc,
  ) {
    this.get = this.source.get;
    this.subscribe = this.source.subscribe;
  }

  /**
   * Makes a version of how things are now, with everything edited here before: a minor sync point of the session.
   * @throws RostrumError FORBIDDEN, SYNC_LIMIT …
   */
  async save(name?: string): Promise<Version> {
    return versionOf(await this.host.save(name));
  }

  /**
   * The document as it was, as one of its own; destroy it when done.
   * @throws RostrumError SYNC_UNKNOWN, DOCUMENT_UNKNOWN, FORBIDDEN
   */
  async preview({ point }: Pick<Version, "point">, { signal }: Waiting = {}): Promise<Y.Doc> {
    return docOf(await this.fetch(point, signal));
  }

  /** Two versions, or one and what there is now, each as a document of its own; destroy both when done. */
  async compare(
    before: Pick<Version, "point">,
    after: Pick<Version, "point"> | "now",
    waiting: Waiting = {},
  ): Promise<{ readonly before: Y.Doc; readonly after: Y.Doc }> {
    const [first, second] = await Promise.all([
      this.fetch(before.point, waiting.signal),
      after === "now" ? undefined : this.fetch(after.point, waiting.signal),
    ]);
    return {
      before: docOf(first),
      after: docOf(second ?? [{ format: 2, bytes: Y.encodeStateAsUpdateV2(this.present()) }]),
    };
  }

  /**
   * Begins the document anew from a version, for everybody: each page gets another `Y.Doc` (reason "restored"). With `as`,
   * another document gets that content, and this one stays as it is. Resolves when it is stored.
   * @throws RostrumError SYNC_UNKNOWN, FORBIDDEN, FLOOR_NOT_HELD, DOCUMENT_LIMIT
   */
  restore(
    { point }: Pick<Version, "point">,
    { as }: { readonly as?: string } = {},
  ): ReturnType<ExtensionHost["command"]> {
    return this.host.session.command({
      type: "document-restore",
      document: as ?? this.document,
      point,
      ...(as === undefined ? {} : { from: this.document }),
    });
  }

  // ---- for the binding ----

  /** @internal */
  update(): void {
    const { points } = this.host.session.state().sync;
    if (points !== this.points) {
      this.points = points;
      this.source.set(
        points
          .filter(({ status, name }) => status !== "void" && (this.which === "all" || name !== undefined))
          .map(versionOf),
      );
    }
    const live = this.host.session.isLive();
    // What was asked of a connection that is gone is asked again.
    if (!live) for (const wanted of this.wanted.values()) wanted.isAsked = false;
    else for (const [point, wanted] of this.wanted) this.ask(point, wanted);
  }

  /** @internal */
  frame(frame: DocumentStateFrame | DocumentRefusedFrame): void {
    const point = frame.point ?? 0;
    const wanted = this.wanted.get(point);
    if (wanted === undefined) return;
    if (frame.type === "document-refused") {
      this.wanted.delete(point);
      for (const { reject } of wanted.waiting) reject(fromWire(frame.error));
      return;
    }
    const answered = wanted.answer.take(frame);
    if (answered === undefined) return;
    if (wanted.answer.isBroken) {
      wanted.isAsked = false;
      return this.ask(point, wanted);
    }
    this.wanted.delete(point);
    for (const { resolve } of wanted.waiting) resolve(answered.pieces);
  }

  /** @internal */
  close(error: RostrumError): void {
    this.over = error;
    for (const { waiting } of this.wanted.values()) for (const { reject } of waiting) reject(error);
    this.wanted.clear();
  }

  private fetch(point: Offset, signal: AbortSignal | undefined): Promise<readonly Piece[]> {
    return new Promise((resolve, reject) => {
      if (this.over !== undefined) return reject(this.over);
      if (signal?.aborted === true) return reject(signal.reason);
      const wanted = this.wanted.get(point) ?? { answer: new Answer(), isAsked: false, waiting: new Set() };
      this.wanted.set(point, wanted);
      const waiter = { resolve, reject };
      wanted.waiting.add(waiter);
      signal?.addEventListener("abort", () => {
        wanted.waiting.delete(waiter);
        reject(signal.reason);
      });
      this.ask(point, wanted);
    });
  }

  private ask(point: Offset, wanted: Wanted): void {
    if (wanted.isAsked || !this.host.session.isLive()) return;
    wanted.isAsked = true;
    wanted.answer = new Answer();
    this.host.session.send({ type: "document-open", document: this.document, point });
  }
}

const versionOf = ({ offset, serial, name, at, by }: SyncPoint): Version => ({
  point: offset,
  serial,
  at,
  by,
  ...(name === undefined ? {} : { name }),
});
