/** One transfer on its way in: fetched as it comes, over drops; whole only if its digest says so. */

import type { IncomingTransfer, RostrumError } from "@rostrum/client";
import { digestOf } from "./bytes.ts";
import { excuse } from "./excuse.ts";

export class Arrival {
  state: "coming" | "waiting" | "whole" | "declined" | "failed" = "coming";
  received = 0;
  available = 0;
  digest = "";
  /** Where it can be saved from. */
  url: string | undefined;
  fault: string | undefined;
  private readonly stop = new AbortController();

  constructor(
    readonly incoming: IncomingTransfer,
    private readonly changed: () => void,
  ) {
    incoming.progress.subscribe(() => this.look());
    void this.fetch();
    this.look();
  }

  get key(): string {
    return String(this.incoming.id);
  }
  get size(): number {
    return this.incoming.size ?? this.available;
  }
  get isOver(): boolean {
    return this.state !== "coming" && this.state !== "waiting";
  }

  decline(): void {
    this.state = "declined";
    this.stop.abort(new Error("declined"));
    this.incoming.decline("declined").catch(() => {});
    this.changed();
  }

  dispose(): void {
    if (this.url !== undefined) URL.revokeObjectURL(this.url);
  }

  private async fetch(): Promise<void> {
    try {
      const blob = await this.incoming.blob({ signal: this.stop.signal });
      this.digest = await digestOf(blob);
      this.url = URL.createObjectURL(blob);
      this.state = "whole";
    } catch (error) {
      if (this.state === "declined") return;
      this.state = "failed";
      this.fault = excuse(error as RostrumError);
    }
    this.changed();
  }

  private look(): void {
    const { state, received, available } = this.incoming.progress.get();
    this.received = received;
    this.available = available;
    if (!this.isOver) this.state = state === "waiting" ? "waiting" : "coming";
    this.changed();
  }
}
