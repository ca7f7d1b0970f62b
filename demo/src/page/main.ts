/** The stage: two panes, each an origin of its own behind a network of its own, and the switches that break things. */

interface Stage {
  readonly panes: readonly { readonly name: string; readonly page: string; readonly socket: string }[];
  readonly direct: string;
  readonly up: boolean;
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

const find = <T extends HTMLElement>(id: string, kind: new () => T): T => {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
};

const state = async (): Promise<Stage> => (await (await fetch("/api/state")).json()) as Stage;
const order = (path: string): Promise<Response> =>
  fetch(`/api/${path}`, { method: "POST", headers: { "x-demo": "1" } });
const said = find("said", HTMLParagraphElement);
const say = (text: string): void => {
  said.textContent = text;
};

const session = new URL(location.href).searchParams.get("session") ?? "standup-42";
const frames: { readonly frame: HTMLIFrameElement; readonly origin: string }[] = [];

const pageOf = (page: string, name: string, socket: string): string =>
  `${page}?${new URLSearchParams({ name, socket, session }).toString()}`;

const addPane = ({ name, page, socket }: Stage["panes"][number], present: string): void => {
  const pane = document.createElement("section");
  pane.className = "pane";
  pane.setAttribute("aria-label", name);
  const header = document.createElement("header");
  const title = document.createElement("h2");
  title.textContent = name;
  const network = document.createElement("fieldset");
  network.className = "network";
  const legend = document.createElement("legend");
  legend.className = "visually-hidden";
  legend.textContent = `${name}'s network`;
  network.append(legend);
  for (const [mode, text] of modes) {
    const label = document.createElement("label");
    const input = document.createElement("input");
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
  const reload = document.createElement("button");
  reload.textContent = "Reload";
  reload.dataset["testid"] = `${name}-reload`;
  reload.setAttribute("aria-label", `Reload ${name}'s page`);
  const frame = document.createElement("iframe");
  frame.title = `${name}'s page`;
  frame.name = name;
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
for (const pane of first.panes) addPane(pane, first.network[pane.name] ?? "ok");

find("kill", HTMLButtonElement).addEventListener("click", () => {
  void order("kill").then(() => say("The server was killed. It will be back in two seconds."));
});

let visitors = 0;
find("another", HTMLButtonElement).addEventListener("click", () => {
  const names = ["Cy", "Dee", "Eve", "Flo"];
  const name = names[visitors % names.length] ?? "Cy";
  visitors += 1;
  const [pane] = first.panes;
  if (pane !== undefined) window.open(pageOf(pane.page, name, first.direct), "_blank", "noopener");
});

const compare = find("compare", HTMLInputElement);
compare.addEventListener("change", () => {
  for (const { frame, origin } of frames) frame.contentWindow?.postMessage({ compare: compare.checked }, origin);
});
// A pane that was reloaded asks how the switch stands.
addEventListener("message", ({ source, origin }) => {
  const asking = frames.find((each) => each.origin === origin && each.frame.contentWindow === source);
  asking?.frame.contentWindow?.postMessage({ compare: compare.checked }, origin);
});

const server = find("server", HTMLSpanElement);
const look = async (): Promise<void> => {
  const { up, kills } = await state();
  server.dataset["up"] = String(up);
  server.textContent = `Server ${up ? "up" : "down"}${kills > 0 ? `, killed ${kills} ${kills === 1 ? "time" : "times"}` : ""}`;
};
setInterval(() => void look().catch(() => {}), 500);
await look();
