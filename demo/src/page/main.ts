/** The stage: panes, each an origin of its own behind a network of its own, and the switches that break things. */

import { find, make } from "./dom.ts";

/** What is played: which page, in which session, by whom. */
interface Play {
  readonly title: string;
  readonly lede: string;
  readonly page: string;
  readonly session: string;
  /** Name to role; a pane of each. */
  readonly cast: Readonly<Record<string, "member" | "chair">>;
  readonly visitors: readonly string[];
}

const plays: Readonly<Record<string, Play>> = {
  chat: {
    title: "Rostrum: a session that survives",
    lede: "Two people, one session. Cut a network, reload a tab, kill the server, in the middle of a file too: nothing is lost, nothing comes twice.",
    page: "pane.html",
    session: "standup-42",
    cast: { Ada: "member", Bob: "member" },
    visitors: ["Cy", "Dee", "Eve", "Flo"],
  },
  room: {
    title: "Rostrum: a voice and video room",
    lede: "Two members and a chair, each heard only while holding the floor. Kill the server: the call goes on.",
    page: "room.html",
    session: "voice-room",
    cast: { Ada: "member", Bob: "member", Cy: "chair" },
    visitors: ["Dee", "Eve", "Flo"],
  },
  notes: {
    title: "Rostrum: shared notes",
    lede: "One text, written by all at once, and one that only whoever has the pen writes. Cut a network and type on, reload, kill the server: it comes together again.",
    page: "pad.html",
    session: "shared-notes",
    cast: { Ada: "member", Bob: "member" },
    visitors: ["Cy", "Dee", "Eve", "Flo"],
  },
};

interface Stage {
  readonly panes: readonly { readonly name: string; readonly page: string; readonly socket: string }[];
  readonly direct: string;
  readonly up: boolean;
  readonly out: boolean;
  readonly kills: number;
  readonly network: Readonly<Record<string, string>>;
}

const modes = [
  ["ok", "OK"],
  ["slow", "Slow"],
  ["lossy", "Lossy"],
  ["half-open", "Half-open"],
  ["off", "Off"],
] as const;

const state = async (): Promise<Stage> => (await (await fetch("/api/state")).json()) as Stage;
const order = (path: string): Promise<Response> =>
  fetch(`/api/${path}`, { method: "POST", headers: { "x-demo": "1" } });
const said = find("said", HTMLParagraphElement);
const say = (text: string): void => {
  said.textContent = text;
};

const query = new URL(location.href).searchParams;
const asked = query.get("stage") ?? "";
const stage = Object.hasOwn(plays, asked) ? asked : "chat";
const play = plays[stage] as Play;
const session = query.get("session") ?? play.session;
document.title = play.title;
document.body.dataset["stage"] = stage;
find("lede", HTMLParagraphElement).textContent = play.lede;
find(`stage-${stage}`, HTMLAnchorElement).setAttribute("aria-current", "page");
const frames: { readonly frame: HTMLIFrameElement; readonly origin: string }[] = [];

const pageOf = (origin: string, name: string, socket: string): string => {
  const role = play.cast[name] ?? "member";
  return `${origin}${play.page}?${new URLSearchParams({ name, role, socket, session }).toString()}`;
};

const addPane = ({ name, page, socket }: Stage["panes"][number], present: string): void => {
  const pane = make("section", "pane");
  pane.setAttribute("aria-label", name);
  const header = make("header");
  const title = make("h2", "", name);
  if (play.cast[name] === "chair") title.append(make("span", "", " chair"));
  const network = make("fieldset", "choices network");
  network.append(make("legend", "visually-hidden", `${name}'s network`));
  for (const [mode, text] of modes) {
    const label = make("label");
    const input = make("input");
    input.type = "radio";
    input.name = `network-${name}`;
    input.checked = mode === present;
    input.dataset["testid"] = `${name}-${mode}`;
    input.addEventListener("change", () => {
      void order(`network/${name}/${mode}`).then(() => say(`${name}'s network is ${text}.`));
    });
    label.append(input, text);
    network.append(label);
  }
  const reload = make("button", "", "Reload");
  reload.dataset["testid"] = `${name}-reload`;
  reload.setAttribute("aria-label", `Reload ${name}'s page`);
  const frame = make("iframe");
  frame.title = `${name}'s page`;
  frame.name = name;
  frame.allow = "camera; microphone; autoplay; clipboard-write";
  frame.src = pageOf(page, name, socket);
  reload.addEventListener("click", () => {
    frame.src = pageOf(page, name, socket);
    say(`${name}'s page was reloaded.`);
  });
  frames.push({ frame, origin: new URL(page).origin });
  header.append(title, network, reload);
  pane.append(header, frame);
  find("panes", HTMLElement).append(pane);
};

const first = await state();
for (const pane of first.panes) if (pane.name in play.cast) addPane(pane, first.network[pane.name] ?? "ok");

const out = find("out", HTMLInputElement);
out.checked = first.out;
out.addEventListener("change", () => {
  void order(`out/${out.checked}`).then(() =>
    say(out.checked ? "A killed server will stay away." : "A killed server comes back by itself."),
  );
});
find("kill", HTMLButtonElement).addEventListener("click", () => {
  void order("kill").then(() =>
    say(`The server was killed. ${out.checked ? "It stays away." : "It will be back in two seconds."}`),
  );
});

let visitors = 0;
find("another", HTMLButtonElement).addEventListener("click", () => {
  const name = play.visitors[visitors % play.visitors.length] ?? "Guest";
  visitors += 1;
  const [pane] = first.panes;
  if (pane !== undefined) window.open(pageOf(pane.page, name, first.direct), "_blank", "noopener");
});

const compare = find("compare", HTMLInputElement);
compare.addEventListener("change", () => {
  for (const { frame, origin } of frames) frame.contentWindow?.postMessage({ compare: compare.checked }, origin);
});
// A pane that was reloaded asks how the switch stands; one that has grown asks for room.
addEventListener("message", ({ source, origin, data }: MessageEvent<{ readonly height?: unknown } | null>) => {
  const asking = frames.find((each) => each.origin === origin && each.frame.contentWindow === source);
  if (asking === undefined) return;
  if (typeof data?.height === "number") asking.frame.style.minHeight = `${Math.min(data.height, 4_000)}px`;
  else asking.frame.contentWindow?.postMessage({ compare: compare.checked }, origin);
});

const server = find("server", HTMLSpanElement);
const look = async (): Promise<void> => {
  const { up, kills } = await state();
  server.dataset["up"] = String(up);
  server.textContent = `Server ${up ? "up" : "down"}${kills > 0 ? `, killed ${kills}×` : ""}`;
};
setInterval(() => void look().catch(() => {}), 500);
await look();
