/** An app's state as bytes: MessagePack, then gzip by the platform. What can travel in a message can stand in a state. */

import { decode, encode } from "@msgpack/msgpack";
import { fromPayload, RostrumError, toPayload } from "@rostrum/protocol";

/** Deeper than a message: a state may be a tree. */
const depth = 200;
/** Most bytes of a state: a few that somebody else has packed must not fill this device's memory. */
const mostBytes = 268_435_456;

const through = async (
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  by: CompressionStream | DecompressionStream,
): Promise<Uint8Array> => {
  const iterator = Symbol.asyncIterator in parts ? parts[Symbol.asyncIterator]() : parts[Symbol.iterator]();
  const source = new ReadableStream<BufferSource>({
    pull: async (controller) => {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value as Uint8Array<ArrayBuffer>);
    },
    cancel: async () => void (await iterator.return?.()),
  });
  const reader = source.pipeThrough(by).getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
    if (length <= mostBytes) continue;
    await reader.cancel();
    throw new RostrumError(
      "MESSAGE_TOO_LARGE",
      `A state unpacks to more than ${mostBytes} bytes; it was not taken up. Share smaller states.`,
      { size: length, limit: mostBytes },
    );
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
};

/** @throws RostrumError MESSAGE_INVALID for what cannot travel, MESSAGE_TOO_LARGE. */
export const packState = async (state: unknown): Promise<Uint8Array> =>
  through([encode(toPayload(state, depth), { maxDepth: depth + 1 })], new CompressionStream("gzip"));

/** @throws TypeError, RangeError for bytes that are no packed state; RostrumError MESSAGE_TOO_LARGE. */
export const unpackState = async (parts: AsyncIterable<Uint8Array>): Promise<unknown> =>
  fromPayload(decode(await through(parts, new DecompressionStream("gzip"))));
