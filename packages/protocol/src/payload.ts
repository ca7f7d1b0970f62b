/** Payloads: what may travel. JSON values and binary; binary arrives as `Uint8Array` everywhere. */

import { RostrumError } from "./errors.ts";

const invalid = (what: string): never => {
  throw new RostrumError(
    "MESSAGE_INVALID",
    `A payload holds ${what}, which cannot travel. Send JSON values and binary.`,
  );
};

const tooDeep = (depth: number): never => invalid(`more than ${depth} levels of nesting (or a cycle)`);

export const isBinary = (value: unknown): value is ArrayBuffer | ArrayBufferView =>
  value instanceof ArrayBuffer || ArrayBuffer.isView(value);

/**
 * Size of a payload: characters of its text, bytes of its binary, a few for each bracket. Cheap, and never more than a
 * small factor from the bytes on the wire.
 * @throws RostrumError MESSAGE_INVALID if it nests deeper than `depth`.
 */
export const measure = (value: unknown, depth: number, limit: number = depth): number => {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return 8;
  if (depth === 0) return tooDeep(limit);
  if (isBinary(value)) return value.byteLength;
  let size = 2;
  if (Array.isArray(value)) {
    for (const element of value) size += 1 + measure(element, depth - 1, limit);
    return size;
  }
  for (const key of Object.keys(value)) {
    size += key.length + 4 + measure((value as Record<string, unknown>)[key], depth - 1, limit);
  }
  return size;
};

/**
 * A copy of the value as it will arrive elsewhere: what JSON would make of it, with binary as `Uint8Array`. Taken at the
 * moment of sending, so that a later change of the original changes nothing.
 * @throws RostrumError MESSAGE_INVALID for what cannot travel (functions, symbols, bigint, cycles, `__proto__` keys).
 */
export const toPayload = (value: unknown, depth: number, limit: number = depth): unknown => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : null;
    case "undefined":
      return null;
    case "object":
      break;
    default:
      return invalid(`a ${typeof value}`);
  }
  if (value === null) return null;
  if (depth === 0) return tooDeep(limit);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength).slice();
  }
  if (value instanceof ArrayBuffer) return new Uint8Array(value.slice(0));
  if (Array.isArray(value)) return value.map((element) => toPayload(element, depth - 1, limit));
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return toPayload(toJSON.call(value), depth - 1, limit);
  const copy: Record<string, unknown> = {};
  for (const [key, element] of Object.entries(value)) {
    if (key === "__proto__") return invalid("a key __proto__");
    if (element !== undefined && typeof element !== "function") copy[key] = toPayload(element, depth - 1, limit);
  }
  return copy;
};

/** Turns what a parser made of binary (`Buffer`, `ArrayBuffer`) into `Uint8Array`, in place where it can. */
export const fromPayload = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) {
    if (value.constructor === Uint8Array) return value;
    return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength);
  }
  const container = value as Record<string, unknown>;
  for (const key of Object.keys(container)) {
    const element = container[key];
    if (typeof element === "object" && element !== null) {
      const revived = fromPayload(element);
      if (revived !== element) container[key] = revived;
    }
  }
  return value;
};
