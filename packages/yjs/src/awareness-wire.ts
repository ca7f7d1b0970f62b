/** An awareness update as y-protocols encodes it, read and written so that each of its states can be looked at. */

import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";

export interface AwarenessEntry {
  readonly client: number;
  readonly clock: number;
  /** `null`: it is gone. */
  readonly state: unknown;
}

/** `undefined`: it is none. */
export const readAwareness = (bytes: Uint8Array): readonly AwarenessEntry[] | undefined => {
  try {
    const decoder = decoding.createDecoder(bytes);
    const entries: AwarenessEntry[] = [];
    for (let left = decoding.readVarUint(decoder); left > 0; left -= 1) {
      const client = decoding.readVarUint(decoder);
      const clock = decoding.readVarUint(decoder);
      entries.push({ client, clock, state: JSON.parse(decoding.readVarString(decoder)) as unknown });
    }
    // What nests too deep can be read, and not be written again.
    JSON.stringify(entries);
    return entries;
  } catch {
    return undefined;
  }
};

export const writeAwareness = (entries: readonly AwarenessEntry[]): Uint8Array => {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, entries.length);
  for (const { client, clock, state } of entries) {
    encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, clock);
    encoding.writeVarString(encoder, JSON.stringify(state));
  }
  return encoding.toUint8Array(encoder);
};
