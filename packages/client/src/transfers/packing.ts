/** An app's state as bytes: MessagePack, then gzip by the platform. What can travel in a message can stand in a state. */

import { decode, encode } from "@msgpack/msgpack";
import { fromPayload, RostrumError, toPayload } from "@rostrum/protocol";

/** Deeper than a message: a state may be a tree. */
const depth = 200;
/**
 * Most bytes and values of a state: what somebody else has packed must not fill this device's memory. A value of one byte
 * takes up to a hundred here.
 */
const mostBytes = 67_108_864;
const mostValues = 4_000_000;

const tooLarge = (what: string, size: number, limit: number): RostrumError =>
  new RostrumError(
    "MESSAGE_TOO_LARGE",
    `A state has more than ${limit} ${what}; it was neither shared nor taken up. Share smaller states.`,
    { size, limit },
  );

/** Bytes of a length, or of a value without one, behind the tags from 0xc0 on; ours hold no extensions. */
const widths: Readonly<Record<number, number>> = {
  192: 0,
  194: 0,
  195: 0,
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
};
const lengths: Readonly<Record<number, 1 | 2 | 4>> = {
  196: 1,
  197: 2,
  198: 4,
  217: 1,
  218: 2,
  219: 4,
  220: 2,
  221: 4,
  222: 2,
  223: 4,
};

/**
 * Counts what is in it before anything is made of it: a list is made as long as it says it is, so that three hundred bytes of
 * lists in lists, each of millions, would end the process.
 * @throws RangeError if it is shorter than it says, TypeError for what we never write; RostrumError MESSAGE_TOO_LARGE
 */
const check = (bytes: Uint8Array): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let values = 0;
  for (let due = 1; due > 0; due -= 1) {
    const tag = view.getUint8(at);
    at += 1;
    values += 1;
    if (tag >= 0x80 && tag < 0xe0) {
      const width = lengths[tag];
      let length = tag < 0xa0 ? tag & 15 : tag & 31;
      if (tag >= 0xc0 && width === undefined) {
        const skip = widths[tag];
        if (skip === undefined) throw new TypeError(`a state holds a value of the type ${tag}`);
        length = skip;
      } else if (width !== undefined) {
        length = width === 1 ? view.getUint8(at) : width === 2 ? view.getUint16(at) : view.getUint32(at);
        at += width;
      }
      if (tag < 0x90 || tag === 0xde || tag === 0xdf) due += 2 * length;
      else if (tag < 0xa0 || tag === 0xdc || tag === 0xdd) due += length;
      else at += length;
    }
    if (due - 1 > bytes.length - at) throw new RangeError("a state is shorter than it says");
    if (values + due - 1 > mostValues) throw tooLarge("values", values + due - 1, mostValues);
  }
};

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
    throw tooLarge("bytes", length, mostBytes);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
};

/** @throws RostrumError MESSAGE_INVALID for what cannot travel, MESSAGE_TOO_LARGE for what nobody would unpack. */
export const packState = async (state: unknown): Promise<Uint8Array> => {
  const whole = encode(toPayload(state, depth), { maxDepth: depth + 1 });
  if (whole.length > mostBytes) throw tooLarge("bytes", whole.length, mostBytes);
  check(whole);
  return through([whole], new CompressionStream("gzip"));
};

/** What unpacks to nothing is to be no longer either: nobody fetches gigabytes before it has the app's state. */
async function* bounded(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let length = 0;
  for await (const part of parts) {
    length += part.length;
    if (length > mostBytes) throw tooLarge("bytes", length, mostBytes);
    yield part;
  }
}

/** @throws TypeError, RangeError for bytes that are no packed state; RostrumError MESSAGE_TOO_LARGE. */
export const unpackState = async (parts: AsyncIterable<Uint8Array>): Promise<unknown> => {
  const whole = await through(bounded(parts), new DecompressionStream("gzip"));
  check(whole);
  return fromPayload(decode(whole));
};
