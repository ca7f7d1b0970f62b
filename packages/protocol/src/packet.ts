/**
 * Packets: frames, and all binary in them as one. Socket.IO's own parser takes ten binaries in a packet and closes the
 * connection over an eleventh, and it sends each as a message of its own.
 */

import { RostrumError } from "./errors.ts";
import { fromPayload, isBinary } from "./payload.ts";

/** Where in the frames the next `size` bytes belong. */
export type Hole = readonly [size: number, ...path: readonly (string | number)[]];

/** The arguments of the wire's event. Frames with less than two binaries travel as they are. */
export type Packet =
  | readonly [frames: readonly unknown[]]
  | readonly [frames: readonly unknown[], holes: readonly Hole[], bytes: Uint8Array];

/** Most binaries in a packet, and deepest place of one. */
const mostHoles = 10_000;
const deepest = 64;

/** How many binaries there are, of two at most: more need not be known. */
const count = (value: unknown): number => {
  if (typeof value !== "object" || value === null) return 0;
  if (isBinary(value)) return 1;
  let found = 0;
  for (const key in value) {
    found += count((value as Record<string, unknown>)[key]);
    if (found > 1) break;
  }
  return found;
};

/** The value without its binaries; itself, if there are none. Frames are shared, so nothing is changed in place. */
const hoist = (value: unknown, path: readonly (string | number)[], holes: Hole[], pieces: Uint8Array[]): unknown => {
  if (typeof value !== "object" || value === null) return value;
  if (isBinary(value)) {
    const bytes = fromPayload(value) as Uint8Array;
    holes.push([bytes.byteLength, ...path]);
    pieces.push(bytes);
    return null;
  }
  const before = holes.length;
  if (Array.isArray(value)) {
    const copy = value.map((each, index) => hoist(each, [...path, index], holes, pieces));
    return holes.length === before ? value : copy;
  }
  const copy: Record<string, unknown> = {};
  for (const [key, each] of Object.entries(value)) copy[key] = hoist(each, [...path, key], holes, pieces);
  return holes.length === before ? value : copy;
};

export const toPacket = (frames: readonly object[]): Packet => {
  if (count(frames) < 2) return [frames];
  const holes: Hole[] = [];
  const pieces: Uint8Array[] = [];
  const hollow = hoist(frames, [], holes, pieces) as readonly unknown[];
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return [hollow, holes, bytes];
};

const invalid = (what: string): never => {
  throw new RostrumError("FRAME_INVALID", `A packet came with ${what}, and was dropped.`, { what });
};

const fill = (frames: object, hole: unknown, bytes: Uint8Array, at: number): number => {
  if (!Array.isArray(hole) || hole.length < 2 || hole.length > deepest) return invalid("a bad place for binary");
  const [size, ...path] = hole as readonly unknown[];
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || at + size > bytes.byteLength)
    return invalid("less binary than it says");
  let target: unknown = frames;
  for (const [index, key] of path.entries()) {
    if (typeof target !== "object" || target === null || !(typeof key === "string" || typeof key === "number"))
      return invalid("a bad place for binary");
    if (key === "__proto__" || !Object.hasOwn(target, key)) return invalid("a bad place for binary");
    const holder = target as Record<string | number, unknown>;
    if (index < path.length - 1) target = holder[key];
    else if (holder[key] !== null) return invalid("binary where something else is");
    // Of its own, so that whoever keeps one does not keep all.
    else holder[key] = bytes.slice(at, at + size);
  }
  return at + size;
};

/**
 * The frames of a packet that came, whole. They are filled in place. Socket.IO's connection state recovery adds an argument of
 * its own, a text, to what it broadcasts.
 * @throws RostrumError FRAME_INVALID
 */
export const fromPacket = (frames: unknown, holes?: unknown, bytes?: unknown): unknown => {
  if (!Array.isArray(holes)) return frames;
  if (!Array.isArray(frames) || holes.length > mostHoles) return invalid(`no list of at most ${mostHoles} binaries`);
  const binary = fromPayload(bytes);
  if (!(binary instanceof Uint8Array)) return invalid("no binary");
  let at = 0;
  for (const hole of holes) at = fill(frames, hole, binary, at);
  return frames;
};
