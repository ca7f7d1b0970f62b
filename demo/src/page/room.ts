/** One member's page of the voice and video room: connects the session, the call, the floor and what is on the page. */

import { type FloorWaiting, gate, type Session } from "@rostrum/client";
import { Air } from "./air.ts";
import { Call, type Signal } from "./call.ts";
import { Chair } from "./chair.ts";
import { find, perFrame, setText } from "./dom.ts";
import { openMedia } from "./media.ts";
import { Talk } from "./talk.ts";
import { type Tile, Tiles } from "./tiles.ts";
import { Turn } from "./turn.ts";
import { visitor } from "./visitor.ts";

interface Events {
  readonly signal: (signal: Signal) => void;
}

const { client, session: id } = visitor("the voice room", "voice-room");
const session: Session<Events> = client.session<Events>(id);
const floor = session.floor("air");
const live = (): boolean => session.status.get().phase === "live";
const over = (): boolean => session.status.get().phase === "closed";
const nameOf = (member: string): string => {
  const found = session.members.get().find(({ id }) => id === member);
  return found?.name ?? found?.user ?? "somebody";
};

// ---- what people are told: one line, read out politely ----

const notice = find("notice", HTMLParagraphElement);
let told = { text: "", at: Number.NEGATIVE_INFINITY };
const tell = (text: string): void => {
  told = { text, at: performance.now() };
  setText(notice, text);
};
/** News of others takes nothing off the page that this member has just been told of itself. */
const tellNews = (text: string): void => {
  setText(notice, performance.now() - told.at < 5_000 ? `${told.text} ${text}` : text);
};

// ---- the call ----

const tiles = new Tiles(find("tiles", HTMLUListElement), () => {
  hear(false);
  tell("The browser keeps the sound off until you press Sound.");
});
const sound = find("sound", HTMLButtonElement);
const hear = (on: boolean): void => {
  sound.setAttribute("aria-pressed", String(on));
  tiles.hear(on);
};
sound.addEventListener("click", () => {
  const on = sound.getAttribute("aria-pressed") !== "true";
  tell(on ? "The sound is on." : "The sound is off.");
  hear(on);
});

let own = new MediaStream();
const call = new Call({
  self: () => session.member,
  // Refused if the member has left meanwhile: then there is nobody to call.
  send: (member, signal) => void session.emitTo([member], "signal", signal).catch(() => {}),
  track: (member, track) => {
    const silent = tiles.play(member, track);
    const shut = track.kind === "audio" ? gate(track, floor, { of: member }) : () => {};
    render();
    return () => {
      shut();
      silent();
    };
  },
  changed: () => render(),
});
session.on("signal", (signal, { from }) => {
  if (from !== null) call.signal(from, signal);
});
const greet = (): void => call.present(session.members.get().map(({ id }) => id));
// The other side then sees at once that this one has gone, not after half a minute.
addEventListener("pagehide", () => call.close());

// ---- the floor ----

const reason = find("reason", HTMLInputElement);
const priority = find("priority", HTMLSelectElement);
const turn = new Turn(floor, {
  plea: () => {
    const text = reason.value.trim();
    return { priority: Number(priority.value) as FloorWaiting["priority"], ...(text === "" ? {} : { reason: text }) };
  },
  tell,
  self: () => session.member,
  live,
  changed: () => render(),
});
const hindrance = (): string =>
  live() ? "" : over() ? "No floor outside the room" : "No floor while the server is away";
const talk = new Talk(floor, turn, { hindrance, tell });
const air = new Air(floor, nameOf);
const chair = new Chair(floor, {
  members: () => session.members.get(),
  self: () => session.member,
  take: () => turn.take(),
  hindrance,
  tell,
});

let spoke: string | undefined;
const tellOfFloor = (): void => {
  const { holders, mine } = floor.get();
  const speaks = holders[0]?.member;
  if (speaks === spoke) return;
  spoke = speaks;
  if (mine === "held") tellNews("You are on air.");
  else if (speaks !== undefined) tellNews(`${nameOf(speaks)} is on air.`);
};

// ---- the session ----

const status = find("status", HTMLParagraphElement);
let phase = "";
const showStatus = (): void => {
  const now = session.status.get();
  const words = {
    live: "● Live",
    connecting: "◌ Connecting",
    resuming: "◌ Coming back, call goes on",
    lost: "▲ Server away, call goes on",
    closed: left ? "You have left" : `✕ ${now.error?.message ?? "Closed"}`,
  }[now.phase];
  setText(status, words);
  status.dataset["phase"] = now.phase;
  if (phase === "live" && now.phase !== "live" && !over())
    tell("The server is away. The call goes on; nobody new can take the floor until it is back.");
  if (phase !== "" && phase !== "connecting" && phase !== "live" && now.phase === "live") tell("The server is back.");
  phase = now.phase;
};

const leave = find("leave", HTMLButtonElement);
let left = false;
leave.addEventListener("click", () => {
  if (over()) return location.reload();
  left = true;
  turn.stop();
  session.release().catch((error: unknown) => tell(String(error)));
});
session.on("closed", () => {
  call.close();
  for (const track of own.getTracks()) track.stop();
  setText(leave, "Join again");
  render();
});

// ---- what is on the page ----

const away = find("away", HTMLParagraphElement);
const draw = (): void => {
  const { holders, mine } = floor.get();
  const stale = !live();
  const connections = call.connections();
  const all = (over() ? [] : session.members.get()).map(
    (member): Tile => ({
      member,
      self: member.id === session.member,
      // My own lease may have ended without a server to say so.
      holds: member.id === session.member ? mine === "held" : holders.some((holder) => holder.member === member.id),
      stale,
      connection: connections.get(member.id)?.connectionState,
    }),
  );
  // Who is away from the session is still in the call, unless the call has lost it too.
  const gone = (tile: Tile): boolean =>
    !tile.self && tile.member.presence === "dropped" && tile.connection !== "connected";
  tiles.show([...all.filter(({ self }) => self), ...all.filter((tile) => !tile.self && !gone(tile))]);
  const absent = all.filter(gone).map(({ member }) => member.name ?? member.user);
  away.hidden = absent.length === 0;
  setText(away, `Away: ${absent.join(", ")}`);
  air.render(stale);
  talk.render();
  if (over()) find("console", HTMLElement).hidden = true;
  else chair.render();
};
const render = perFrame(draw);

session.status.subscribe(() => {
  showStatus();
  render();
});
session.members.subscribe(() => {
  if (live()) greet();
  render();
});
floor.subscribe(() => {
  tellOfFloor();
  render();
});
// Time left ticks.
setInterval(() => floor.get().holders.some(({ endsAt }) => endsAt !== undefined) && render(), 250);
hear(true);
showStatus();
render();

/** For tests and for the curious: each connection, with whom it is. */
export interface RostrumRoom {
  readonly peers: () => readonly { readonly name: string; readonly connection: RTCPeerConnection }[];
}
(globalThis as { rostrumRoom?: RostrumRoom }).rostrumRoom = {
  peers: () => [...call.connections()].map(([member, connection]) => ({ name: nameOf(member), connection })),
};

const missing = find("lacks", HTMLParagraphElement);
// The call does not wait for people to find the browser's question about the microphone.
const opening = openMedia();
await session.ready;
turn.settle();
greet();
const { stream, lacks } = await opening;
own = stream;
missing.hidden = lacks === "";
setText(missing, lacks);
for (const track of stream.getAudioTracks()) gate(track, floor);
call.share(stream);
if (session.member !== undefined) for (const track of stream.getTracks()) tiles.play(session.member, track);
render();
