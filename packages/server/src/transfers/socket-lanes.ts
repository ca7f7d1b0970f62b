/** The lanes on one socket: one for each session. */

import { type Limits, type ReadFrame, RostrumError, type SessionId, toWire } from "@rostrum/protocol";
import type { Socket } from "socket.io";
import type { Lane } from "./lane.ts";
import { Outlet } from "./outlet.ts";
import type { Transfers } from "./transfers.ts";

export type LaneFrames = Extract<ReadFrame, { type: "lane" | "upload" | "chunk" | "finish" | "fetch" }>;

/** Most lanes on one socket. */
const most = 100;

export class SocketLanes {
  private readonly lanes = new Map<SessionId, Lane>();
  private readonly outlet: Outlet;

  constructor(
    socket: Socket,
    /** @throws RostrumError FEATURE_MISSING, SERVER_BUSY */
    private readonly transfers: () => Transfers,
    private readonly limits: Limits,
  ) {
    this.outlet = new Outlet(socket);
  }

  take(frame: LaneFrames): void {
    if (frame.type === "lane") return this.open(frame);
    // Without a lane: its client has been told that it is none, or did not wait to hear that it is one.
    const lane = this.lanes.get(frame.session);
    switch (frame.type) {
      case "upload":
        return lane?.upload(frame);
      case "chunk":
        return lane?.chunk(frame);
      case "finish":
        return lane?.finish(frame);
      case "fetch":
        return lane?.fetch(frame);
      default:
        frame satisfies never;
    }
  }

  /** The socket is gone. */
  close(): void {
    for (const lane of [...this.lanes.values()]) lane.end();
  }

  private open(frame: Extract<LaneFrames, { type: "lane" }>): void {
    const { session } = frame;
    try {
      this.lanes.get(session)?.end();
      if (this.lanes.size >= most)
        throw new RostrumError("USER_LIMIT", `One connection may be a lane of ${most} sessions at once.`, {
          limit: most,
        });
      const lane: Lane = this.transfers().open(frame, this.outlet, () => {
        if (this.lanes.get(session) === lane) this.lanes.delete(session);
      });
      this.lanes.set(session, lane);
      this.outlet.send({ type: "lane-opened", session, limits: this.limits });
    } catch (error) {
      if (!(error instanceof RostrumError)) throw error;
      this.outlet.send({ type: "lane-refused", session, activity: 0, error: toWire(error) });
    }
  }
}
