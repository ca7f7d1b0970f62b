/** Colours of members: white words can be read on each, and each can be seen on a light and on a dark page. */

export interface Hue {
  readonly color: string;
  /** Of what is selected. */
  readonly colorLight: string;
}

const colors = ["#2563eb", "#c2410c", "#15803d", "#7c3aed", "#0e7490", "#a16207"] as const;

export const hueOf = (place: number): Hue => {
  const color = colors[place % colors.length] ?? colors[0];
  return { color, colorLight: `${color}40` };
};
