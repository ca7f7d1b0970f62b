/** Bytes in words, and where they come from: a sample that its seed brings back, a pace that leaves time to pull the plug. */

/** Of so many bytes in all, in MB, without the unit. */
export const mega = (bytes: number): string => (bytes / 1_000_000).toFixed(1);

/** With its unit; little is not called nothing. */
export const amount = (bytes: number): string =>
  bytes >= 100_000 ? `${mega(bytes)} MB` : `${Math.ceil(bytes / 1_000)} kB`;

/** Bytes that the seed gives again, on any page. Mulberry32. */
export const sample = (seed: number, size: number): File => {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = seed >>> 0;
  for (let at = 0; at < words.length; at += 1) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    words[at] = mixed ^ (mixed >>> 14);
  }
  return new File([new Uint8Array(words.buffer, 0, size)], `sample-${seed.toString(16)}.bin`);
};

const pieceBytes = 131_072;

/** A file's bytes, no faster than `rate` a second from `from` on; what lies before is only compared. */
export async function* paced(file: Blob, rate: number, from: number): AsyncGenerator<Uint8Array> {
  let due = 0;
  for (let at = 0; at < file.size; at += pieceBytes) {
    const piece = new Uint8Array(await file.slice(at, at + pieceBytes).arrayBuffer());
    const now = performance.now();
    if (at >= from && due > now) await new Promise((resolve) => setTimeout(resolve, due - now));
    due = Math.max(due, now) + (at >= from ? (piece.length / rate) * 1_000 : 0);
    yield piece;
  }
}

/** The browser's own SHA-256, in hex: it knows nothing of how the bytes came. */
export const digestOf = async (bytes: Blob): Promise<string> => {
  const hash = await crypto.subtle.digest("SHA-256", await bytes.arrayBuffer());
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
};
