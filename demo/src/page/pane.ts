/** One member: a real client of the session. What it shows of itself it could lose; what it keeps, it keeps by checkpoint. */

import { namesIn, showConnection } from "./connection.ts";
import { find, perFrame } from "./dom.ts";
import { excuse } from "./excuse.ts";
import { Files, transferSource } from "./files.ts";
import { onStage } from "./frame.ts";
import { happened } from "./happened.ts";
import { microphone } from "./microphone.ts";
import { type Events, type Kept, type Note, Notes } from "./notes.ts";
import { PlainSide } from "./plain.ts";
import { showReturned } from "./returned.ts";
import { Timeline } from "./timeline.ts";
import { visitor } from "./visitor.ts";

const { name, socket, client, session: id } = visitor("the session", "standup-42");

// ---- the app's state ----

const notes = new Notes(name);
const started = performance.now();
/** Whether the session has been live: what is restored from then on is an earlier moment. */
let begun = false;
const session = client.session<Events>(id, {
  checkpoint: () => notes.kept(),
  restore: (kept: Kept) => {
    notes.restore(kept);
    if (!begun) {
      const after = Math.round(performance.now() - started);
      happened("resume", `${kept.notes.length} messages restored from this device in ${after} ms`);
    }
    render();
  },
  transferSource,
});

session.ready.then(
  () => {
    begun = true;
  },
  () => {},
);

const plain = new PlainSide(
  `${socket}/plain`,
  () => notes.list.map(([, { id }]) => id),
  () => render(),
);

/** Until when what comes again is shown one by one: a page that goes back alone would be done before anybody saw it. */
let slowUntil = 0;
const still = matchMedia("(prefers-reduced-motion: reduce)");
session.on("note", async (note, { offset, own, replayed }) => {
  if (replayed && performance.now() < slowUntil) await new Promise((resolve) => setTimeout(resolve, 80));
  notes.add(offset, note, own);
  render();
});

const send = (text: string): void => {
  const note = notes.write(text);
  const sending = session.emit("note", note);
  sending.queued.then(
    () => {
      const waiting = notes.pending.get(note.id);
      if (waiting !== undefined) waiting.kept = true;
      render();
    },
    () => {},
  );
  // Why not, is told by `refused`, as it is for what an earlier page had written.
  sending.catch(() => {});
  plain.send(note.id);
  session.checkpoint();
  render();
};

// ---- going back ----

const nameOf = namesIn(session);
const timeline = new Timeline({
  session,
  name,
  nameOf,
  since: (offset) => notes.since(offset),
  rewinding: () => {
    slowUntil = still.matches ? 0 : performance.now() + 2_000;
  },
});
const answered = (note: Note): void => {
  notes.settleReturned(note);
  session.checkpoint();
  render();
};
const returned = showReturned({
  again: (note) => {
    send(note.text);
    answered(note);
  },
  drop: answered,
});

session.on("refused", (error, message) => {
  if (message === undefined) return timeline.fault(error);
  if (message.event !== "note") return;
  const [note] = message.args as readonly [Note];
  notes.pending.delete(note.id);
  if (error.code === "RESYNCHRONIZED") notes.handBack(note);
  else happened("drop", `not sent: ${excuse(error)}`);
  session.checkpoint();
  render();
});
session.on("resynchronize", ({ by, to, restored: from }) => {
  notes.wentBack(to, from !== "none");
  session.checkpoint();
  const who = by === null ? "The server" : by === session.member ? "You" : nameOf(by);
  happened("back", `${who} took everybody back to #${to}; what was written since is void`);
  timeline.say(`${who} took everybody back to #${to}.`);
  render();
});

showConnection(session, "message");
microphone(session, name, nameOf);
new Files(session, nameOf);

// ---- what is on the page ----

const list = find("messages", HTMLOListElement);
const cell = (testid: string, value: number, bad = false): void => {
  const found = document.querySelector<HTMLElement>(`[data-testid="${testid}"]`);
  if (found === null) return;
  found.textContent = String(value);
  found.dataset["bad"] = String(bad && value > 0);
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
    ...notes.list.slice(-200).map(([offset, note]) => row(note, `#${offset}`, false)),
    ...[...notes.pending.values()].map(({ note, kept }) => row(note, kept ? "kept here" : "sending", true)),
  );
  list.scrollTop = list.scrollHeight;
  cell("sent", notes.sent);
  cell("received", notes.list.length);
  cell("lost", notes.holes, true);
  cell("doubled", notes.doubled, true);
  cell("plain-sent", plain.sent);
  cell("plain-received", plain.received);
  cell("plain-lost", plain.lost, true);
  cell("plain-doubled", plain.doubled, true);
  find("plain-note", HTMLParagraphElement).textContent = plain.note;
  returned(notes.returned);
  timeline.show();
});

const text = find("text", HTMLInputElement);
find("form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (words !== "") send(words);
  text.value = "";
});
find("burst", HTMLButtonElement).addEventListener("click", () => {
  for (let each = 1; each <= 10; each += 1) send(`number ${notes.sent + 1}`);
});
onStage((on) => {
  find("plain", HTMLTableRowElement).hidden = !on;
  find("plain-note", HTMLParagraphElement).hidden = !on;
  if (on) plain.start();
  else plain.stop();
  render();
});
render();
