/** Bytes of which each tells its place, so that a hole, a doubling or a swap is seen. */
export const piece = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, n) => ((from + n) * 31 + ((from + n) >> 8)) & 255);
