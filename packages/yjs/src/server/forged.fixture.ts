/** Updates put together by hand. */

/** Numbers as Yjs writes them, seven bits a byte, texts with their length before them, and bytes as they are. */
export const bytes = (...parts: readonly (number | string | Uint8Array)[]): Uint8Array => {
  const all: number[] = [];
  const number = (value: number): void => {
    for (; value > 127; value = Math.floor(value / 128)) all.push(128 | (value & 127));
    all.push(value);
  };
  for (const part of parts) {
    if (typeof part === "number") number(part);
    else if (part instanceof Uint8Array) all.push(...part);
    else {
      const text = new TextEncoder().encode(part);
      number(text.byteLength);
      for (const byte of text) all.push(byte);
    }
  }
  return Uint8Array.from(all);
};

export const joined = (...parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

/** What kind of content a struct has, and which of its neighbours it names. */
export const info = (content: number, ...neighbours: readonly ("origin" | "right")[]): Uint8Array =>
  Uint8Array.of(content | (neighbours.includes("origin") ? 128 : 0) | (neighbours.includes("right") ? 64 : 0));
