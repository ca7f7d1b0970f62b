/** What a page is to its documents: the session as they see it, the device's disk, timers in virtual time. */

import type { ExtensionHost } from "@rostrum/client";
import { seamOf } from "@rostrum/client/internal";
import type { MemberId, RostrumError } from "@rostrum/protocol";
import { Awareness } from "y-protocols/awareness";
import type * as Y from "yjs";
import type { Effects, Place } from "../../packages/yjs/src/terms.ts";
import type { Page } from "./device.ts";
import { session } from "./node.ts";

type Heard = (from: MemberId | null, args: readonly unknown[]) => void;

export class PageEffects implements Effects {
  private readonly listeners = new Set<() => void>();
  private readonly ears = new Map<string, Set<Heard>>();

  constructor(
    private readonly page: Page,
    private readonly told: (text: string) => void,
  ) {
    page.heard = (from, event, args) => {
      for (const listener of this.ears.get(event) ?? []) listener(from, args);
    };
  }

  /** The page is about to go, and is told so. */
  goAway(): void {
    for (const listener of this.listeners) listener();
  }

  readonly defer = (run: () => void): void => void this.page.device.scheduler.later(0, () => this.page.alive && run());

  readonly after = (milliseconds: number, run: () => void): (() => void) =>
    this.page.device.scheduler.later(milliseconds, () => this.page.alive && run());

  readonly now = (): number => this.page.device.scheduler.now;

  readonly keep = (name: string, done: (place: Place | undefined, error?: unknown) => void): void => {
    this.page.onceLoaded(() => done(this.place(name)));
  };

  private place(name: string): Place {
    const { device, scope } = this.page;
    const alive = (): boolean => this.page.alive;
    return {
      load: (done) => device.load(scope, name, (values) => alive() && done(values)),
      commit: (transaction, done) => device.commit(scope, transaction, 0, alive, done, name),
    };
  }

  readonly awareness = (doc: Y.Doc): Awareness => {
    const awareness = new Awareness(doc);
    // Here time passes otherwise.
    clearInterval(awareness._checkInterval as unknown as NodeJS.Timeout);
    return awareness;
  };

  readonly away = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  /** A page that is left for good is none that comes back here. */
  readonly left = (): (() => void) => () => {};

  readonly hear = (event: string, listener: Heard): (() => void) => {
    const listeners = this.ears.get(event) ?? new Set();
    this.ears.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  };

  readonly warn = (error: RostrumError): void => {
    this.page.warnings.push(`${this.page.device.scheduler.now.toFixed(0)} ${error.message}`);
    this.told(error.message);
  };
}

/** As the session's face has it. */
export const hostOf = (page: Page): ExtensionHost => {
  const { engine } = page;
  return {
    ...seamOf(engine),
    command: () => {
      throw new Error("Commands are given by the world here.");
    },
    send: (frame) => page.send([{ ...frame, session }]),
    keep: () => {
      throw new Error("The page's effects say where things are kept.");
    },
    warn: () => {},
  };
};
