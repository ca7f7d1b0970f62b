/** Where the simulated store keeps documents: records with their states, and versions. As slow and as full as the rest of it. */

import { type Offset, RostrumError } from "@rostrum/protocol";
import type { DocumentRecord, DocumentVersion } from "@rostrum/server";
import type { Scheduler } from "@rostrum/testing";

type Done<T> = (result: T | RostrumError) => void;

/** What is kept of a document. Nothing in it is changed once it is there. */
export interface KeptDocument {
  readonly record: DocumentRecord | undefined;
  readonly state: Uint8Array | undefined;
  readonly versions: ReadonlyMap<Offset, DocumentVersion>;
}

const nothing: KeptDocument = { record: undefined, state: undefined, versions: new Map() };

/** The disk on which it lies. */
export interface Disk {
  readonly full: boolean;
  readonly life: number;
  readonly delay: number;
}

export class SimDocuments {
  private kept = new Map<string, KeptDocument>();
  /** Told of every record and version that is written. */
  saved: (document: string) => void = () => {};

  constructor(
    private readonly scheduler: Scheduler,
    private readonly disk: Disk,
  ) {}

  copy(): ReadonlyMap<string, KeptDocument> {
    return new Map(this.kept);
  }

  restore(copy: ReadonlyMap<string, KeptDocument>): void {
    this.kept = new Map(copy);
  }

  all(): ReadonlyMap<string, KeptDocument> {
    return this.kept;
  }

  load(alive: () => boolean, document: string, done: Done<DocumentRecord | undefined>): void {
    this.read(alive, done, () => this.kept.get(document)?.record);
  }

  state(alive: () => boolean, document: string, offset: Offset, done: Done<Uint8Array | undefined>): void {
    this.read(alive, done, () => {
      const { record, state } = this.kept.get(document) ?? nothing;
      return record?.offset === offset ? state : undefined;
    });
  }

  versions(alive: () => boolean, document: string, done: Done<readonly Offset[]>): void {
    this.read(alive, done, () => [...(this.kept.get(document)?.versions.keys() ?? [])].sort((a, b) => a - b));
  }

  version(alive: () => boolean, document: string, point: Offset, done: Done<DocumentVersion | undefined>): void {
    this.read(alive, done, () => this.kept.get(document)?.versions.get(point));
  }

  save(alive: () => boolean, document: string, record: DocumentRecord, state: Uint8Array, done: Done<void>): void {
    const copy = state.slice();
    this.write(alive, document, done, (kept) => {
      const { birth, offset } = kept.record ?? {};
      return birth === record.birth && (offset ?? 0) > record.offset ? kept : { ...kept, record, state: copy };
    });
  }

  saveVersion(
    alive: () => boolean,
    document: string,
    point: Offset,
    { lineage, state }: DocumentVersion,
    done: Done<void>,
  ): void {
    const version = { lineage, state: state.slice() };
    this.write(alive, document, done, (kept) => ({ ...kept, versions: new Map(kept.versions).set(point, version) }));
  }

  removeVersion(alive: () => boolean, document: string, point: Offset, done: Done<void>): void {
    this.write(alive, document, done, (kept) => {
      const versions = new Map(kept.versions);
      versions.delete(point);
      return { ...kept, versions };
    });
  }

  private read<T>(alive: () => boolean, done: Done<T>, find: () => T): void {
    this.scheduler.later(this.disk.delay, () => {
      if (alive()) done(find());
    });
  }

  private write(
    alive: () => boolean,
    document: string,
    done: Done<void>,
    change: (kept: KeptDocument) => KeptDocument,
  ): void {
    const { scheduler, disk } = this;
    const { life } = disk;
    scheduler.later(disk.delay, () => {
      if (life !== disk.life) return;
      // A dead node's write may be there, and may not.
      if (!alive() && scheduler.chance(0.5)) return;
      const failed = disk.full;
      if (!failed || scheduler.chance(0.3)) {
        this.kept.set(document, change(this.kept.get(document) ?? nothing));
        this.saved(document);
      }
      const error = failed ? new RostrumError("STORE_FAILED", "The disk is full.") : undefined;
      scheduler.later(disk.delay, () => alive() && done(error as RostrumError));
    });
  }
}
