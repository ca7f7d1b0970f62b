/** The server's look into an update before it is stored: whose it is, whether it is the next, and whether all is there that it builds on. */

import { type MemberId, RostrumError, type SessionState, type UpdateItem } from "@rostrum/protocol";
import type { UpdateFacts } from "./codec.ts";
import type { DocumentHead, Writer } from "./heads.ts";

/** What updates of the batch that is being decided have changed, until it is stored. */
interface Overlay {
  readonly writers: Map<number, Writer>;
  bytes: number;
}

const invalid = (document: string, what: string, message: string): RostrumError =>
  new RostrumError("DOCUMENT_INVALID", `${message}; the update of "${document}" was not stored.`, { document, what });

const outOfTurn = (document: string, replica: number, n: number, expected: number): RostrumError =>
  new RostrumError(
    "DOCUMENT_GAP",
    n < expected
      ? `Update ${n} of the replica ${replica} of "${document}" was stored before; ${expected} is the next. It was not stored again.`
      : `Update ${n} of the replica ${replica} of "${document}" came, and ${expected} is the next: one before it was refused, or is missing. It was not stored.`,
    { document, replica, expected, n, known: n < expected },
  );

/** One batch's inspections. An update that was found good counts for those behind it; nothing else is changed. */
export class Inspection {
  private readonly overlays = new Map<string, Overlay>();

  constructor(
    private readonly headOf: (document: string) => DocumentHead | RostrumError | undefined,
    private readonly read: (update: Uint8Array) => UpdateFacts,
  ) {}

  /** What to answer if the update is stored already. */
  known(
    document: string,
    [, replica, n, lineage]: UpdateItem,
    by: MemberId | null,
    { members }: SessionState,
  ): RostrumError | undefined {
    const head = this.headOf(document);
    if (head === undefined || head instanceof RostrumError || head.lineage !== lineage) return undefined;
    const writer = this.overlays.get(document)?.writers.get(replica) ?? head.writers.get(replica);
    const user = by === null ? "" : members.get(by)?.user;
    return writer === undefined || writer.user !== user || n >= writer.n
      ? undefined
      : outOfTurn(document, replica, n, writer.n);
  }

  inspect(
    document: string,
    [, replica, n, lineage, update]: UpdateItem,
    by: MemberId | null,
    { members, config }: SessionState,
  ): RostrumError | undefined {
    let facts: UpdateFacts;
    try {
      facts = this.read(update);
    } catch (cause) {
      if (cause instanceof RostrumError) return cause;
      return invalid(document, String(cause), "The bytes cannot be read");
    }
    const head = this.headOf(document);
    if (head instanceof RostrumError) return head;
    if (head === undefined || head.lineage !== lineage) {
      return new RostrumError(
        "SERVER_BUSY",
        `The document "${document}" is being made ready after a restore; the update was not stored.`,
        { document },
      );
    }
    const overlay: Overlay = this.overlays.get(document) ?? { writers: new Map(), bytes: 0 };
    const writerOf = (client: number): Writer | undefined => overlay.writers.get(client) ?? head.writers.get(client);
    const user = by === null ? "" : members.get(by)?.user;
    const known = writerOf(replica);
    const foreign = facts.adds.find(({ client }) => client !== replica);
    // The server may bring what an app has kept of several.
    if (by !== null && foreign !== undefined)
      return invalid(document, "client", `It adds to client ${foreign.client} and was sent as of ${replica}`);
    if (known !== undefined && (known.user === null || known.user !== user))
      return invalid(document, "replica", `The replica ${replica} is another user's`);
    const expected = known?.n ?? 0;
    if (n !== expected) return outOfTurn(document, replica, n, expected);
    for (const { client, from } of facts.adds) {
      const held = writerOf(client)?.clock ?? 0;
      if (from === held) continue;
      return new RostrumError(
        "DOCUMENT_GAP",
        `An update of "${document}" goes on from clock ${from} of client ${client}, and the document holds ${held}; it was not stored.`,
        { document, client, clock: from, held },
      );
    }
    for (const [client, upTo] of facts.needs) {
      const held = writerOf(client)?.clock ?? 0;
      if (upTo <= held) continue;
      return new RostrumError(
        "DOCUMENT_GAP",
        `An update of "${document}" builds on clock ${upTo} of client ${client}, and the document holds ${held}; it was not stored.`,
        { document, client, clock: upTo, held },
      );
    }
    const bytes = head.bytes + overlay.bytes + update.byteLength;
    // Deleting is how room is made, and takes little; endless it is not.
    const limit = facts.adds.length === 0 ? 2 * config.documents.bytes : config.documents.bytes;
    if (bytes > limit) {
      return new RostrumError(
        "DOCUMENT_FULL",
        `The document "${document}" would have ${bytes} bytes, the limit is ${limit}; the update was not stored. Delete some of it, or raise documents.bytes.`,
        { document, bytes, limit },
      );
    }
    for (const { client, to } of facts.adds) {
      if (client !== replica) overlay.writers.set(client, { user: null, n: 0, ...writerOf(client), clock: to });
    }
    const own = facts.adds.find(({ client }) => client === replica);
    overlay.writers.set(replica, { user: user ?? null, clock: own?.to ?? known?.clock ?? 0, n: n + 1 });
    overlay.bytes += update.byteLength;
    this.overlays.set(document, overlay);
    return undefined;
  }
}
