/** What happened here, in this page's own words, newest first. */

import { find, make } from "./dom.ts";

const marks = { drop: "╳", resume: "↻", point: "◆", back: "↶", info: "·" } as const;

export type Happened = (kind: keyof typeof marks, text: string) => void;

const most = 60;

export const happened: Happened = (kind, text) => {
  const list = find("happened", HTMLOListElement);
  const item = make("li");
  const mark = make("span", kind, marks[kind]);
  mark.setAttribute("aria-hidden", "true");
  item.append(make("time", "", new Date().toLocaleTimeString([], { hour12: false })), mark, make("span", "", text));
  item.dataset["kind"] = kind;
  list.prepend(item);
  while (list.childElementCount > most) list.lastElementChild?.remove();
};
