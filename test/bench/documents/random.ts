/** Randomness that repeats: whoever has the seed has the whole run. */

export interface Random {
  /** At least 0, less than 1. */
  (): number;
  /** A whole number, at least 0, less than `below`. */
  readonly below: (below: number) => number;
  /** How often a thing with a middle and a long tail happens: `exp` of a normal figure, at least 1. */
  readonly skewed: (middle: number, spread: number) => number;
  /** So many letters. */
  readonly word: (letters: number) => string;
}

/** Sfc32, warmed up by its seed. */
export const seeded = (seed: number): Random => {
  let [a, b, c, counter] = [0x9e3779b9, 0x243f6a88, seed | 0, 1];
  const draw = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let each = 0; each < 12; each += 1) draw();
  const below = (limit: number): number => Math.floor(draw() * limit);
  return Object.assign(draw, {
    below,
    skewed: (middle: number, spread: number) => {
      // Box and Muller's; 1 - draw() is never 0.
      const normal = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
      return Math.max(1, Math.round(middle * Math.exp(spread * normal)));
    },
    word: (letters: number) => Array.from({ length: letters }, () => String.fromCharCode(97 + below(26))).join(""),
  });
};
