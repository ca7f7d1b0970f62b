/** The app's state at a sync point, put on the server and got from there: an activity whose bytes are the state. */

import type { MemberCommand, Offset } from "@rostrum/protocol";
import type { Stored } from "../engine/outbox.ts";
import { download } from "./download.ts";
import { Feed } from "./feed.ts";
import { packState, unpackState } from "./packing.ts";
import { sourceOf } from "./source.ts";
import { type UploadHost, upload } from "./upload.ts";

export interface StatesHost {
  readonly upload: UploadHost;
  readonly submit: (command: MemberCommand) => Promise<Stored>;
}

/**
 * Resolves when the state is there for all.
 * @throws RostrumError MESSAGE_INVALID for what cannot travel, SYNC_UNKNOWN if the point is void by now, TRANSFER_QUOTA,
 * TRANSFER_TOO_LARGE, ACTIVITY_LIMIT, TRANSFER_ABORTED
 * @throws the signal's reason
 */
export const putState = async (host: StatesHost, point: Offset, state: unknown, signal: AbortSignal): Promise<void> => {
  const bytes = await packState(state);
  const { offset: id } = await host.submit({
    type: "activity-start",
    kind: "state",
    name: "state",
    point,
    data: { size: bytes.length },
  });
  const feed = new Feed(sourceOf(bytes), bytes.length);
  try {
    await upload(host.upload, id, id, feed, {}, signal);
  } finally {
    feed.close();
  }
};

/** @throws RostrumError TRANSFER_DIGEST, TRANSFER_ABORTED; the signal's reason; TypeError for bytes that are no state */
export const getState = (host: StatesHost, activity: Offset, signal: AbortSignal): Promise<unknown> =>
  unpackState(download(host.upload, activity, {}, signal));
