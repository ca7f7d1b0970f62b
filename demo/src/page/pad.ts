/** One member's page of the shared notes: connects the session, the sheets, the pen, the drafts and the versions. */

import { bindDoc } from "@rostrum/yjs";
import { namesIn, showConnection } from "./connection.ts";
import { find, perFrame, setText } from "./dom.ts";
import { Drafts } from "./drafts.ts";
import { onStage } from "./frame.ts";
import { happened } from "./happened.ts";
import { hueOf } from "./hues.ts";
import { type Binding, Paper, textOf } from "./paper.ts";
import { Pen } from "./pen.ts";
import { showSaving } from "./saving.ts";
import { type Sheet, Sheets } from "./sheets.ts";
import { Turn } from "./turn.ts";
import { Versions } from "./versions.ts";
import { visitor } from "./visitor.ts";

const { name, client, session: id } = visitor("the shared notes", "shared-notes");
const session = client.session(id);
const nameOf = namesIn(session);
const live = (): boolean => session.status.get().phase === "live";
const isOver = (): boolean => session.status.get().phase === "closed";
const members = () => session.members.get();
const self = () => session.member;

const notice = find("notice", HTMLParagraphElement);
const tell = (text: string): void => setText(notice, text);

// ---- the sheets ----

const papers = new Map<string, { readonly binding: Binding; readonly paper: Paper }>();
const place = find("papers", HTMLDivElement);

/** This member's place in the session gives its colour; it keeps the one that it had first. */
let hue: ReturnType<typeof hueOf> | undefined;
const whoAmI = () => {
  const at = members().findIndex((member) => member.id === self());
  if (at !== -1) hue ??= hueOf(at);
  return hue === undefined ? undefined : { name: members()[at]?.name ?? name, ...hue };
};

const reasons = {
  refused: ["drop", "edits were not accepted; they are a draft now"],
  restored: ["back", "an earlier version was restored"],
  lost: ["drop", "the server had lost a part; what this page had is there"],
} as const;

const open = ({ name: document, title }: Sheet) => {
  const known = papers.get(document);
  if (known !== undefined) return known;
  const binding = bindDoc(session, document);
  const paper = new Paper({ binding, title, self: whoAmI, isOver, changed: () => render() });
  binding.on("replaced", ({ reason }) => {
    const [kind, words] = reasons[reason];
    happened(kind, `${title}: ${words}`);
    tell(`${title}: ${words}.`);
    render();
  });
  for (const part of [binding.status, binding.drafts, binding.versions]) part.subscribe(() => render());
  place.append(paper.element);
  const opened = { binding, paper };
  papers.set(document, opened);
  return opened;
};

let shown = "";
const present = () => ({ sheet: sheets.current, ...open(sheets.current) });

// ---- the pen ----

const floor = session.floor("pen");
const turn = new Turn(floor, {
  plea: () => ({}),
  tell,
  self,
  live,
  changed: () => render(),
  thing: "the pen",
  given: "You were handed the pen.",
  keeps: true,
});
const pen = new Pen(floor, { turn, nameOf, members, self, live });

/** Whether one can write here, and if not, why. */
const right = (isWithPen: boolean, writable: ReturnType<Binding["writable"]["get"]>): string => {
  const why = writable.can ? undefined : writable.why;
  if (why === "closed" || isOver()) return "This session is closed: read only.";
  if (why === "role") return "You may read this, not write it.";
  if (!isWithPen) return `Everybody writes here, at the same time.${live() ? "" : " Offline, too."}`;
  return writable.can ? pen.words : `Read only. ${pen.words}`;
};

// ---- drafts and versions ----

const drafts = new Drafts({ edit: (all) => present().paper.edit(all), say: tell });
const versions = new Versions({
  nameOf,
  live,
  copy: async (version, title) => {
    const { sheet, binding } = present();
    const copy = { name: `copy-${crypto.randomUUID().slice(0, 8)}`, title: `${sheet.title}: ${title}` };
    await binding.versions.restore(version, { as: copy.name });
    sheets.add(copy);
    sheets.choose(copy.name);
  },
});

// ---- what is on the page ----

const render = perFrame(() => {
  const { sheet, binding } = present();
  sheets.render();
  if (shown !== sheet.name) {
    for (const [each, { paper: other }] of papers) other.turn(each === sheet.name);
    shown = sheet.name;
  }
  const writable = binding.writable.get();
  const why = find("why", HTMLParagraphElement);
  setText(why, right(sheet.pen === true, writable));
  why.dataset["can"] = String(writable.can && !isOver());
  pen.render(sheet.pen === true);
  showSaving(binding);
  drafts.show(binding);
  versions.show(binding);
});

const sheets: Sheets = new Sheets(
  bindDoc(session, "sheets"),
  (document) => {
    const count = papers.get(document)?.binding.drafts.get().length ?? 0;
    return count === 0 ? "" : `, ${count} ${count === 1 ? "draft" : "drafts"}`;
  },
  () => render(),
);
for (const sheet of sheets.all) open(sheet);

showConnection(session);
session.status.subscribe(() => render());
session.on("closed", () => papers.forEach(({ paper }) => paper.renew()));
session.members.subscribe(() => {
  for (const { paper } of papers.values()) paper.sign();
  render();
});
floor.subscribe(() => render());
onStage();
render();
session.ready.then(
  () => turn.settle(),
  () => {},
);

/** For tests and for the curious: what each sheet says. */
export interface RostrumPad {
  readonly text: (sheet: string) => string;
}
(globalThis as { rostrumPad?: RostrumPad }).rostrumPad = {
  text: (sheet) => {
    const found = papers.get(sheet);
    return found === undefined ? "" : textOf(found.binding.doc).toString();
  },
};
