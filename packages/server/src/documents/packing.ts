/**
 * States as they are kept: deflated (RFC 1951, without a frame, as each record has its checksum). In the threads of the platform,
 * so that a large one holds up nothing.
 */

import { promisify } from "node:util";
import { deflateRaw, inflateRaw } from "node:zlib";
import { RostrumError } from "@rostrum/protocol";

const deflated = promisify<Uint8Array, { level: number }, Buffer>(deflateRaw);
const inflated = promisify<Uint8Array, Buffer>(inflateRaw);

/** Measured with a long text: all levels take about as long, and the highest saves less than one part in a thousand on this one. */
const level = 6;

const bytesOf = ({ buffer, byteOffset, byteLength }: Buffer): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

export const pack = async (state: Uint8Array): Promise<Uint8Array> => bytesOf(await deflated(state, { level }));

/** @throws RostrumError STORE_CORRUPT */
export const unpack = async (packed: Uint8Array, document: string): Promise<Uint8Array> => {
  try {
    return bytesOf(await inflated(packed));
  } catch (cause) {
    throw new RostrumError(
      "STORE_CORRUPT",
      `What the store has of the document "${document}" cannot be unpacked. Restore the store from a backup; the session's other documents go on.`,
      { document },
      { cause },
    );
  }
};
