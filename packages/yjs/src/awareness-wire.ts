/**
 * An awareness update, read and written as y-protocols does it (numbers of seven bits a byte, lowest first; text with its length
 * before it), so that each of its states can be looked at.
 */

export interface AwarenessEntry {
  readonly client: number;
  readonly clock: number;
  /** `null`: it is gone. */
  readonly state: unknown;
}

/** `undefined`: it is none. */
export const readAwareness = (bytes: Uint8Array): readonly AwarenessEntry[] | undefined => {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || factor > 2 ** 49) throw new RangeError("it ends within a number");
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const text = (): string => {
    const length = number();
    if (at + length > bytes.byteLength) throw new RangeError("it ends within a text");
    return new TextDecoder().decode(bytes.subarray(at, (at += length)));
  };
  try {
    const entries: AwarenessEntry[] = [];
    for (let left = number(); left > 0; left -= 1)
      entries.push({ client: number(), clock: number(), state: JSON.parse(text()) as unknown });
    // What nests too deep can be read, and not be written again.
    JSON.stringify(entries);
    return entries;
  } catch {
    return undefined;
  }
};

export const writeAwareness = (entries: readonly AwarenessEntry[]): Uint8Array => {
  const bytes: number[] = [];
  const number = (value: number): void => {
    for (; value > 127; value = Math.floor(value / 128)) bytes.push(128 | (value & 127));
    bytes.push(value & 127);
  };
  number(entries.length);
  for (const { client, clock, state } of entries) {
    number(client);
    number(clock);
    const text = new TextEncoder().encode(JSON.stringify(state));
    number(text.byteLength);
    for (const byte of text) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
};
