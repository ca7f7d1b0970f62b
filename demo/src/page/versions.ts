/** The versions of the sheets along a line, each a sync point of the session: saved, looked at beside what is there now, restored for all or as a copy. */

import { RostrumError } from "@rostrum/client";
import { type Piece, pieces, showPieces, summary } from "./difference.ts";
import { find, setText } from "./dom.ts";
import { excuse } from "./excuse.ts";
import { type Binding, textOf } from "./paper.ts";
import { Rail, type Stop } from "./rail.ts";

type Version = ReturnType<Binding["versions"]["get"]>[number];

interface VersionStop extends Stop {
  readonly version: Version;
}

export interface VersionsHost {
  readonly nameOf: (member: string) => string;
  readonly live: () => boolean;
  /** Another sheet, of the version's text. */
  readonly copy: (version: Version, title: string) => Promise<void>;
}

const titleOf = ({ name, serial }: Version): string => name ?? `Version ${serial}`;

export class Versions {
  private readonly list = find("stops", HTMLDivElement);
  private readonly card = find("version", HTMLElement);
  private readonly label = find("version-name", HTMLInputElement);
  private readonly said = find("versions-said", HTMLParagraphElement);
  private readonly preview = find("preview", HTMLElement);
  private readonly rail: Rail<VersionStop>;
  private binding: Binding | undefined;
  /** The chosen version's text, once it is known. */
  private opened: { readonly version: Version; readonly text: string | undefined } | undefined;
  private last: { readonly now: string; readonly then: string; readonly all: readonly Piece[] } | undefined;
  private drawn: readonly Piece[] | undefined;

  constructor(private readonly host: VersionsHost) {
    const { list, card, label: refuge } = this;
    this.rail = new Rail({
      rail: find("rail", HTMLDivElement),
      list,
      card,
      refuge,
      chosen: () => {
        if (this.binding !== undefined) this.show(this.binding);
      },
    });
    find("version-save", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    find("version-close", HTMLButtonElement).addEventListener("click", () => this.rail.choose(undefined));
    find("restore", HTMLButtonElement).addEventListener("click", () => void this.restore());
    find("copy", HTMLButtonElement).addEventListener("click", () => void this.copy());
  }

  /** Of that document, as it is now. */
  show(binding: Binding): void {
    if (this.binding !== binding) {
      this.binding = binding;
      this.rail.show([]);
      this.say("");
    }
    const versions = binding.versions.get();
    this.list.dataset["empty"] = String(versions.length === 0);
    find("versions-empty", HTMLParagraphElement).hidden = versions.length > 0;
    this.rail.show(versions.map((version) => this.stopOf(version)));
    this.showCard(binding);
  }

  say(text: string, bad = false): void {
    setText(this.said, text);
    this.said.dataset["bad"] = String(bad);
  }

  private stopOf(version: Version): VersionStop {
    const { point, by, at } = version;
    const who = by === null ? "the server" : this.host.nameOf(by);
    const time = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    return {
      key: String(point),
      parts: { title: titleOf(version), by: who, short: time },
      data: { kind: "version" },
      version,
    };
  }

  private fault(error: unknown): void {
    this.say(error instanceof RostrumError ? excuse(error) : String(error), true);
  }

  private save(): void {
    const { binding } = this;
    if (binding === undefined) return;
    const name = this.label.value.trim();
    this.label.value = "";
    if (!this.host.live()) this.say("The version is saved when the connection is back.");
    // Without a name it would be one of the session's sync points among others.
    binding.versions.save(name === "" ? `Version ${binding.versions.get().length + 1}` : name).then(
      (version) => this.say(`${titleOf(version)} is saved.`),
      (error: unknown) => this.fault(error),
    );
  }

  private showCard(binding: Binding): void {
    const { stop } = this.rail;
    this.card.hidden = stop === undefined;
    if (stop === undefined) {
      this.opened = undefined;
      return;
    }
    const { version } = stop;
    if (this.opened?.version.point !== version.point) void this.open(binding, version);
    const writable = binding.writable.get();
    const restore = find("restore", HTMLButtonElement);
    restore.disabled = !writable.can;
    const allowed = writable.can
      ? ""
      : writable.why === "floor"
        ? " Whoever has the pen can restore it for all."
        : " You may not restore it.";
    setText(find("version-title", HTMLElement), `${titleOf(version)}, by ${stop.parts["by"] ?? ""}`);
    const all = this.compare(textOf(binding.doc).toString(), this.opened?.text);
    setText(
      find("version-text", HTMLParagraphElement),
      all === undefined ? "Fetching the version." : `Beside what is there now: ${summary(all)}.${allowed}`,
    );
    // Drawn anew only if it is another: somebody may be reading it.
    if (all === this.drawn) return;
    this.drawn = all;
    showPieces(this.preview, all ?? []);
    find("legend", HTMLParagraphElement).hidden = all?.some(({ added, removed }) => added || removed) !== true;
  }

  private compare(now: string, then: string | undefined): readonly Piece[] | undefined {
    const { last } = this;
    if (then === undefined || (last?.now === now && last.then === then))
      return then === undefined ? undefined : last?.all;
    const all = pieces(now, then, "word");
    this.last = { now, then, all };
    return all;
  }

  private async open(binding: Binding, version: Version): Promise<void> {
    this.opened = { version, text: undefined };
    try {
      const doc = await binding.versions.preview(version);
      if (this.opened?.version.point !== version.point) return;
      this.opened = { version, text: textOf(doc).toString() };
      doc.destroy();
      this.show(binding);
    } catch (error) {
      this.rail.choose(undefined);
      this.fault(error);
    }
  }

  private async restore(): Promise<void> {
    const { binding, rail } = this;
    const version = rail.stop?.version;
    if (binding === undefined || version === undefined) return;
    const isAsNow = this.opened?.text === textOf(binding.doc).toString();
    rail.choose(undefined);
    this.say(this.host.live() ? "" : "It is restored when the connection is back.");
    try {
      // Somebody may want to have back what is there now.
      if (!isAsNow) await binding.versions.save(`Before ${titleOf(version)}`.slice(0, 100));
      await binding.versions.restore(version);
      this.say(`${titleOf(version)} is restored, for all.`);
    } catch (error) {
      this.fault(error);
    }
  }

  private async copy(): Promise<void> {
    const version = this.rail.stop?.version;
    if (version === undefined) return;
    try {
      await this.host.copy(version, titleOf(version));
      this.say(`${titleOf(version)} is a sheet of its own now.`);
    } catch (error) {
      this.fault(error);
    }
  }
}
