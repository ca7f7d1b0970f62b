/**
 * Documents in the embedded store's LevelDB. Keys, after `d!<session>!<document>!`: `h` the record; `s!<offset>!<piece>` its
 * state; `v!<point>!h` a version, `v!<point>!<piece>` its state. A state goes to the disk in pieces, each in a flush with
 * whatever else waits, so that no message waits for megabytes; what names it goes last.
 */

import type { Offset, SessionId } from "@rostrum/protocol";
import type { ClassicLevel } from "classic-level";
import type { DocumentRecord, DocumentStore, DocumentVersion } from "../store.ts";

type Operation =
  | { readonly type: "put"; readonly key: string; readonly value: Buffer }
  | { readonly type: "del"; readonly key: string };

/** What documents use of the store that they are part of. */
export interface Rim {
  ready(): Promise<void>;
  readonly db: ClassicLevel<string, Buffer>;
  write(operations: readonly Operation[], what: string): Promise<void>;
  seal(value: unknown): Buffer;
  unseal<T>(key: string, value: Buffer): T;
  corrupt(what: string): Error;
}

const pieceBytes = 1_048_576;

const part = (text: string): string => Buffer.from(text).toString("base64url");
const padded = (number: number): string => number.toString().padStart(16, "0");
/** Everything of a session's documents lies between this and itself with `~`. */
export const documentsOf = (session: SessionId): string => `d!${part(session)}!`;

/** Of a version: what is needed to read its state. */
interface VersionHead {
  readonly lineage: Offset;
  readonly bytes: number;
}

export class EmbeddedDocuments implements DocumentStore {
  constructor(private readonly rim: Rim) {}

  async load(session: SessionId, document: string): Promise<DocumentRecord | undefined> {
    await this.rim.ready();
    return this.get<DocumentRecord>(`${this.prefix(session, document)}h`);
  }

  async state(session: SessionId, document: string, offset: Offset): Promise<Uint8Array | undefined> {
    const prefix = this.prefix(session, document);
    const record = await this.load(session, document);
    if (record?.offset !== offset) return undefined;
    const state = await this.pieces(`${prefix}s!${padded(offset)}!`, record.bytes);
    if (state.byteLength === record.bytes) return state;
    // Another record may have taken its place meanwhile.
    const now = await this.load(session, document);
    if (now?.offset !== offset) return undefined;
    throw this.rim.corrupt(`${state.byteLength} of ${record.bytes} bytes of the document ${document}`);
  }

  async save(session: SessionId, document: string, record: DocumentRecord, state: Uint8Array): Promise<void> {
    const prefix = this.prefix(session, document);
    const known = await this.load(session, document);
    if (known !== undefined && known.birth === record.birth && known.offset >= record.offset) return;
    const place = `${prefix}s!${padded(record.offset)}!`;
    await this.put(place, state, { type: "put", key: `${prefix}h`, value: this.rim.seal(record) });
    // Of the state before it, and of any whose process died over it.
    await this.rim.db.clear({ gte: `${prefix}s!`, lt: place });
    await this.rim.db.clear({ gte: `${place}~`, lt: `${prefix}s!~` });
  }

  async versions(session: SessionId, document: string): Promise<readonly Offset[]> {
    await this.rim.ready();
    const prefix = `${this.prefix(session, document)}v!`;
    const found: Offset[] = [];
    for await (const key of this.rim.db.keys({ gte: prefix, lt: `${prefix}~` }))
      if (key.endsWith("!h")) found.push(Number(key.slice(prefix.length, -2)));
    return found;
  }

  async version(session: SessionId, document: string, point: Offset): Promise<DocumentVersion | undefined> {
    await this.rim.ready();
    const prefix = `${this.prefix(session, document)}v!${padded(point)}!`;
    const head = await this.get<VersionHead>(`${prefix}h`);
    if (head === undefined) return undefined;
    const state = await this.pieces(prefix, head.bytes);
    if (state.byteLength !== head.bytes)
      throw this.rim.corrupt(`${state.byteLength} of ${head.bytes} bytes of a version of ${document}`);
    return { lineage: head.lineage, state };
  }

  async saveVersion(
    session: SessionId,
    document: string,
    point: Offset,
    { lineage, state }: DocumentVersion,
  ): Promise<void> {
    await this.rim.ready();
    const prefix = `${this.prefix(session, document)}v!${padded(point)}!`;
    const head: VersionHead = { lineage, bytes: state.byteLength };
    // Another one in its place is none while it is half written over.
    await this.rim.write([{ type: "del", key: `${prefix}h` }], "save a version");
    await this.put(prefix, state, { type: "put", key: `${prefix}h`, value: this.rim.seal(head) });
  }

  async removeVersion(session: SessionId, document: string, point: Offset): Promise<void> {
    await this.rim.ready();
    const prefix = `${this.prefix(session, document)}v!${padded(point)}!`;
    // First what names it: half a version must not be found.
    await this.rim.write([{ type: "del", key: `${prefix}h` }], "remove a version");
    await this.rim.db.clear({ gte: prefix, lt: `${prefix}~` });
  }

  async remove(session: SessionId, document: string): Promise<void> {
    await this.rim.ready();
    const prefix = this.prefix(session, document);
    await this.rim.write([{ type: "del", key: `${prefix}h` }], "remove a document");
    await this.rim.db.clear({ gte: prefix, lt: `${prefix}~` });
  }

  private prefix(session: SessionId, document: string): string {
    return `${documentsOf(session)}${part(document)}!`;
  }

  private async get<T>(key: string): Promise<T | undefined> {
    const value = await this.rim.db.get(key);
    return value === undefined ? undefined : this.rim.unseal<T>(key, value);
  }

  private async put(place: string, bytes: Uint8Array, last: Operation): Promise<void> {
    for (let at = 0, piece = 0; ; at += pieceBytes, piece += 1) {
      const value = this.rim.seal(bytes.subarray(at, at + pieceBytes));
      const put: Operation = { type: "put", key: `${place}${padded(piece)}`, value };
      const isLast = at + pieceBytes >= bytes.byteLength;
      await this.rim.write(isLast ? [put, last] : [put], "save a document");
      if (isLast) return;
    }
  }

  /** The pieces of so many bytes, as one; more may be left of one that was given up. The iterator reads what was there when it began. */
  private async pieces(place: string, size: number): Promise<Uint8Array> {
    const found: Uint8Array[] = [];
    let read = 0;
    for await (const [key, value] of this.rim.db.iterator({ gte: `${place}0`, lt: `${place}h` })) {
      if (read >= size) break;
      const piece = this.rim.unseal<Uint8Array>(key, value);
      found.push(piece);
      read += piece.byteLength;
    }
    const bytes = Buffer.concat(found);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}
