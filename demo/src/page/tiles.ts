/** A tile per member: picture, name, and who is on air. Plays what the others send. */

import type { MemberView } from "@rostrum/client";
import { KeyedList, make, setText } from "./dom.ts";

export interface Tile {
  readonly member: MemberView;
  readonly self: boolean;
  readonly holds: boolean;
  /** Whether that was so when the server was last heard, and may have ended since. */
  readonly stale: boolean;
  /** What the connection to it does; `undefined`: there is none. */
  readonly connection: RTCPeerConnectionState | undefined;
}

const state = ({ self, holds, stale, member, connection }: Tile): string => {
  if (holds) return stale && !self ? "On air?" : "On air";
  if (self) return "Muted";
  if (member.presence === "dropped") return "Away from the server";
  return connection === "connected" ? "Listening" : "Connecting";
};

export class Tiles {
  private readonly streams = new Map<string, MediaStream>();
  private readonly list: KeyedList<Tile, HTMLLIElement>;
  private sound = true;

  constructor(
    private readonly parent: HTMLElement,
    /** The browser has refused to play sound before somebody has used the page. */
    private readonly silenced: () => void,
  ) {
    this.list = new KeyedList<Tile, HTMLLIElement>(
      parent,
      ({ member }) => member.id,
      ({ member, self }) => this.create(member.id, self),
      (element, tile) => this.update(element, tile),
    );
  }

  show(tiles: readonly Tile[]): void {
    this.list.show(tiles);
  }

  /** Plays a member's track. Answers its undo. */
  play(member: string, track: MediaStreamTrack): () => void {
    const stream = this.streamOf(member);
    stream.addTrack(track);
    this.start(member);
    return () => stream.removeTrack(track);
  }

  hear(sound: boolean): void {
    this.sound = sound;
    for (const video of this.parent.querySelectorAll("video")) {
      if (video.dataset["self"] === "true") continue;
      video.muted = !sound;
      this.begin(video);
    }
  }

  private create(member: string, self: boolean): HTMLLIElement {
    const item = make("li", "tile");
    item.dataset["member"] = member;
    const video = make("video");
    video.autoplay = true;
    video.playsInline = true;
    video.muted = self || !this.sound;
    video.dataset["self"] = String(self);
    video.srcObject = this.streamOf(member);
    const initial = make("span", "initial");
    initial.setAttribute("aria-hidden", "true");
    const words = make("div", "words");
    words.append(make("span", "who"), make("span", "what"));
    item.append(initial, video, words);
    return item;
  }

  private update(item: HTMLLIElement, tile: Tile): void {
    const { member, self, holds } = tile;
    const name = member.name ?? member.user;
    item.dataset["name"] = name;
    item.dataset["onair"] = String(holds);
    item.dataset["video"] = String(this.streamOf(member.id).getVideoTracks().length > 0);
    const [initial, video, words] = item.children;
    if (initial === undefined || !(video instanceof HTMLVideoElement) || words === undefined) return;
    setText(initial, name.slice(0, 1));
    video.setAttribute("aria-label", `${name}'s picture`);
    const [who, what] = words.children;
    if (who !== undefined) setText(who, self ? `${name} (you)` : name);
    if (what !== undefined) setText(what, state(tile));
    if (video.paused) this.begin(video);
  }

  private start(member: string): void {
    const video = this.parent.querySelector<HTMLVideoElement>(`li[data-member="${CSS.escape(member)}"] video`);
    if (video !== null) this.begin(video);
  }

  private begin(video: HTMLVideoElement): void {
    video.play().catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || video.muted) return;
      this.silenced();
    });
  }

  private streamOf(member: string): MediaStream {
    const known = this.streams.get(member) ?? new MediaStream();
    this.streams.set(member, known);
    return known;
  }
}
