/** One member: a real client of the session. What it shows of itself it could lose; what it keeps, it keeps by checkpoint. */

import { createClient, type Grant, type RostrumError } from "@rostrum/client";
import { find, perFrame } from "./dom.ts";
import { PlainSide } from "./plain.ts";

interface Note {
  /** Who, and that person's own count: so that a hole or a repetition shows. */
  readonly id: string;
  readonly name: string;
  readonly n: number;
  readonly text: string;
}

interface Events {
  readonly note: (note: Note) => void;
  readonly talk: (name: string) => void;
}

interface Kept {
  readonly notes: readonly (readonly [offset: number, note: Note])[];
  readonly doubled: number;
  readonly sent: number;
}

const query = new URL(location.href).searchParams;
const name = query.get("name") ?? "Guest";
const socket = query.get("socket") ?? location.origin;
document.title = `${name} in the session`;
find("name", HTMLHeadingElement).textContent = name;

// ---- the app's state ----

let notes: [number, Note][] = [];
let doubled = 0;
let sent = 0;
const pending = new Map<string, { readonly note: Note; kept: boolean }>();
const talking = new Map<string, number>();

const started = performance.now();
const client = createClient({
  url: `${socket}/rostrum`,
  auth: () => ({ name }),
  user: name,
  heartbeat: { every: 2_000, within: 2_000 },
});
const session = client.session<Events>(query.get("session") ?? "standup-42", {
  checkpoint: (): Kept => ({ notes, doubled, sent }),
  restore: (kept: Kept) => {
    notes = kept.notes.map(([offset, note]) => [offset, note]);
    doubled = kept.doubled;
    sent = kept.sent;
    happened(
      "resume",
      `${notes.length} messages restored from this device in ${Math.round(performance.now() - started)} ms`,
    );
    render();
  },
});

const plain = new PlainSide(
  `${socket}/plain`,
  () => notes.map(([, note]) => note.id),
  () => render(),
);

session.on("note", (note, { offset, own }) => {
  if (notes.some(([, known]) => known.id === note.id)) doubled += 1;
  notes.push([offset, note]);
  pending.delete(note.id);
  if (own) sent = Math.max(sent, note.n);
  render();
});

const send = (text: string): void => {
  sent += 1;
  const note: Note = { id: crypto.randomUUID(), name, n: sent, text };
  const entry = { note, kept: false };
  pending.set(note.id, entry);
  const sending = session.emit("note", note);
  sending.queued.then(
    () => {
      entry.kept = true;
      render();
    },
    () => {},
  );
  sending.catch((error: RostrumError) => {
    pending.delete(note.id);
    happened("drop", `not sent: ${error.message}`);
  });
  plain.send(note.id);
  session.checkpoint();
  render();
};

// ---- what happened ----

const timeline = find("timeline", HTMLOListElement);
const marks = { drop: "╳", resume: "↻", point: "◆", info: "·" } as const;
const happened = (kind: keyof typeof marks, text: string): void => {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  const mark = document.createElement("span");
  mark.className = kind;
  mark.textContent = marks[kind];
  mark.setAttribute("aria-hidden", "true");
  const what = document.createElement("span");
  what.textContent = text;
  item.append(time, mark, what);
  item.dataset["kind"] = kind;
  timeline.prepend(item);
  while (timeline.childElementCount > 60) timeline.lastElementChild?.remove();
};

const badge = find("badge", HTMLParagraphElement);
session.on("resume", ({ outcome, from, replayed, resent, gap, why }) => {
  const words =
    outcome === "resumed"
      ? `resumed from #${from}, ${replayed} entries replayed, ${resent} sent again`
      : outcome === "joined"
        ? `joined, ${replayed} entries of history`
        : `${outcome}${why === undefined ? "" : ` (${why})`}, ${replayed} entries replayed${gap === undefined ? "" : `, #${gap.from} to #${gap.to} are missing`}`;
  badge.textContent = words;
  badge.dataset["outcome"] = outcome;
  badge.hidden = false;
  happened("resume", words);
});
session.on("warning", (warning) => happened("info", `${warning.code}: ${warning.message}`));
session.on("closed", (error) => happened("drop", `closed: ${error.message}`));

let points = 0;
session.sync.points.subscribe((list) => {
  for (const point of list.filter(({ serial }) => serial > points))
    happened("point", `sync point ${point.serial} at #${point.offset}`);
  points = list.at(-1)?.serial ?? points;
});

// ---- the status line ----

const status = find("status", HTMLParagraphElement);
let phase = "";
const showStatus = (): void => {
  const now = session.status.get();
  const waiting = now.pending.commands;
  const kept = `${waiting} ${waiting === 1 ? "message is" : "messages are"} kept on this device`;
  const words = {
    live: waiting === 0 ? "● Live, everything confirmed" : `● Saving ${waiting}`,
    connecting: "◌ Connecting",
    resuming: waiting === 0 ? "◌ Coming back" : `◌ Coming back; ${kept}`,
    lost: `▲ Trying to reconnect. You can go on writing; ${waiting === 0 ? "nothing is waiting" : kept}.`,
    closed: `✕ ${now.error?.message ?? "Closed"}`,
  }[now.phase];
  // A screen reader is told of changes, not of each number on the way.
  if (status.textContent !== words) status.textContent = words;
  status.dataset["phase"] = now.phase;
  status.dataset["sync"] = now.sync;
  if (phase === "live" && now.phase !== "live") happened("drop", "the connection was lost");
  phase = now.phase;
};
session.status.subscribe(showStatus);

// ---- the floor ----

const mic = session.floor("mic");
const talk = find("talk", HTMLButtonElement);
const toggle = find("toggle", HTMLInputElement);
const floorText = find("floor", HTMLParagraphElement);
let wish: AbortController | undefined;
let onAir: ReturnType<typeof setInterval> | undefined;

const nameOf = (id: string): string => session.members.get().find((member) => member.id === id)?.name ?? "somebody";
const showFloor = (): void => {
  const { holders, queue, mine, position } = mic.get();
  const [holder] = holders;
  const speaks =
    holder === undefined
      ? "Nobody has the floor."
      : mine === "held"
        ? "You have the floor."
        : `${nameOf(holder.member)} has the floor.`;
  const waits = queue.length === 0 ? "" : ` Waiting: ${queue.map(({ member }) => nameOf(member)).join(", ")}.`;
  const stale = session.status.get().phase === "live" ? "" : " (as last heard)";
  floorText.textContent = `${speaks}${waits}${stale}`;
  talk.dataset["mine"] = mine;
  talk.textContent =
    mine === "held"
      ? "On air"
      : mine === "waiting"
        ? `Waiting, number ${position}`
        : toggle.checked
          ? "Talk"
          : "Hold to talk";
};
mic.subscribe(showFloor);
session.members.subscribe(showFloor);

const stopTalking = (): void => {
  clearInterval(onAir);
  onAir = undefined;
  wish?.abort(new Error("no longer wanted"));
  wish = undefined;
};
const startTalking = (): void => {
  if (wish !== undefined) return;
  const mine = new AbortController();
  wish = mine;
  mic.request({ signal: mine.signal }).then(
    (grant: Grant) => {
      if (mine.signal.aborted) return void grant.release();
      happened("info", `the floor is yours, fence ${grant.fence}`);
      const say = (): void => void session.emit("talk", name).catch(() => {});
      say();
      onAir = setInterval(say, 1_000);
      mine.signal.addEventListener("abort", () => void grant.release());
      grant.lost.addEventListener("abort", () => {
        if (wish === mine) {
          happened("drop", "the floor was lost");
          stopTalking();
        }
      });
    },
    (error: unknown) => {
      if (wish === mine) wish = undefined;
      if (!mine.signal.aborted) happened("drop", error instanceof Error ? error.message : String(error));
    },
  );
};
talk.addEventListener("pointerdown", (event) => {
  if (toggle.checked) return;
  talk.setPointerCapture(event.pointerId);
  startTalking();
});
for (const type of ["pointerup", "pointercancel", "lostpointercapture"])
  talk.addEventListener(type, () => toggle.checked || stopTalking());
talk.addEventListener("keydown", (event) => {
  if (toggle.checked || event.repeat || (event.key !== " " && event.key !== "Enter")) return;
  event.preventDefault();
  startTalking();
});
talk.addEventListener("keyup", (event) => {
  if (!toggle.checked && (event.key === " " || event.key === "Enter")) stopTalking();
});
talk.addEventListener("blur", () => toggle.checked || stopTalking());
talk.addEventListener("click", () => {
  if (toggle.checked) wish === undefined ? startTalking() : stopTalking();
});
toggle.addEventListener("change", () => {
  stopTalking();
  showFloor();
});
session.on("talk", (who, { replayed }) => {
  if (!replayed) talking.set(who, Date.now());
});

// ---- what is on the page ----

const list = find("messages", HTMLOListElement);
const cell = (testid: string, value: number, bad = false): void => {
  const found = document.querySelector<HTMLElement>(`[data-testid="${testid}"]`);
  if (found === null) return;
  found.textContent = String(value);
  found.dataset["bad"] = String(bad && value > 0);
};

/** Numbers missing in each person's own count: between the first that we know of and the last. */
const holes = (): number => {
  const byName = new Map<string, Set<number>>();
  for (const [, note] of notes) byName.set(note.name, (byName.get(note.name) ?? new Set()).add(note.n));
  let missing = 0;
  for (const numbers of byName.values()) missing += Math.max(...numbers) - Math.min(...numbers) + 1 - numbers.size;
  return missing;
};

const row = (note: Note, where: string, waits: boolean): HTMLLIElement => {
  const item = document.createElement("li");
  item.className = waits ? "pending" : "";
  for (const [kind, text] of [
    ["who", note.name],
    ["what", note.text],
    ["where", where],
  ] as const) {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = text;
    item.append(span);
  }
  return item;
};

const render = perFrame(() => {
  list.replaceChildren(
    ...notes.slice(-200).map(([offset, note]) => row(note, `#${offset}`, false)),
    ...[...pending.values()].map(({ note, kept }) => row(note, kept ? "kept here" : "sending", true)),
  );
  list.scrollTop = list.scrollHeight;
  cell("sent", sent);
  cell("received", notes.length);
  cell("lost", holes(), true);
  cell("doubled", doubled, true);
  cell("plain-sent", plain.sent);
  cell("plain-received", plain.received);
  cell("plain-lost", plain.lost, true);
  cell("plain-doubled", plain.doubled, true);
  find("plain-note", HTMLParagraphElement).textContent = plain.note;
});

const text = find("text", HTMLInputElement);
find("form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (words !== "") send(words);
  text.value = "";
});
find("burst", HTMLButtonElement).addEventListener("click", () => {
  for (let each = 1; each <= 10; each += 1) send(`number ${sent + 1}`);
});
find("mark", HTMLButtonElement).addEventListener("click", () => {
  session.sync.minor().catch((error: RostrumError) => happened("drop", error.message));
});
addEventListener("message", ({ data, source }) => {
  if (source !== parent || typeof data !== "object" || data === null || !("compare" in data)) return;
  const on = data.compare === true;
  find("plain", HTMLTableRowElement).hidden = !on;
  find("plain-note", HTMLParagraphElement).hidden = !on;
  if (on) plain.start();
  else plain.stop();
  render();
});
if (parent !== window) parent.postMessage({ ready: true }, "*");

showStatus();
showFloor();
render();
