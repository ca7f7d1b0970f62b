/** Plays one case on one column: the common beginning, the fault, the common end, the count. */

import { beforeByDefault, type FaultCase, type Play, type Step } from "./cases.ts";
import { isPaid, type Tally, tally, total } from "./ledger.ts";
import { batch, Scene, type SceneOptions } from "./scene.ts";

export interface Numbers {
  /** From pages to the server. */
  readonly up: Tally;
  /** From the server to pages. */
  readonly down: Tally;
  /**
   * From the beginning of the fault's last step (the link, the server or the page is back) until a probe sent after it
   * has arrived in each direction.
   */
  readonly liveMs: number;
  /** As the SDK told the app; plain Socket.IO tells none. */
  readonly outcome?: string;
}

const probeEveryMs = 50;
const liveWithinMs = 60_000;
/** Silence after which nothing more is expected: short when all has arrived, long when something is missing. */
const quietMs = { paid: 600, missing: 2_500 } as const;
const entriesElsewhere = 12_000;

export async function play(fault: FaultCase, column: Play, options: SceneOptions): Promise<Numbers> {
  const scene = await Scene.open(options);
  try {
    for (const step of column.before ?? beforeByDefault) await take(scene, step);
    scene.outcomes.clear(); // those of the beginning
    const firstMark = scene.lastMark;
    let backAt = performance.now();
    for (const step of column.fault) {
      backAt = performance.now();
      await take(scene, step);
    }
    await live(scene, firstMark);
    const liveMs = Math.round(performance.now() - backAt);
    await scene.sendDown();
    await scene.sendUp();
    await scene.until(
      () => scene.quietMs > (scene.receivers.every(isPaid) ? quietMs.paid : quietMs.missing),
      "silence",
    );
    return {
      up: tally(scene.server, "delivered"),
      down: total(scene.pageReceivers.map((receiver) => tally(receiver, fault.counting))),
      liveMs,
      ...(scene.outcomes.size > 0 && { outcome: [...scene.outcomes].join(", ") }),
    };
  } finally {
    await scene.close();
  }
}

async function live(scene: Scene, firstMark: number): Promise<void> {
  const deadline = performance.now() + liveWithinMs;
  while (!scene.liveSince(firstMark)) {
    if (performance.now() > deadline) throw new Error(`not live again within ${liveWithinMs} ms`);
    await scene.probe();
    const next = performance.now() + probeEveryMs;
    await scene.until(() => scene.liveSince(firstMark) || performance.now() > next, "the next probe");
  }
}

async function take(scene: Scene, step: Step): Promise<void> {
  switch (step.do) {
    case "send":
      if (step.from === "page") return scene.sendUp();
      // Not counted: a volatile message may be dropped.
      if (step.as === "volatile-text") return scene.orderServer({ do: "send-volatile-text", text: "alice" });
      return scene.sendDown(step.as);
    case "wait":
      return wait(scene, step);
    case "link":
      return scene.proxy.set(step.mode);
    case "page":
      return disturbPage(scene, step.what);
    case "server":
      return disturbServer(scene, step.what);
  }
}

async function wait(scene: Scene, step: Extract<Step, { do: "wait" }>): Promise<void> {
  switch (step.for) {
    case "all-delivered":
      await scene.until(() => scene.receivers.every(isPaid), "everything is delivered");
      return scene.orderPages({ do: "settle" });
    case "page-offline":
      return scene.until(() => scene.pagesOffline, "the page knows that it is offline");
    case "server-alone":
      return scene.until(() => scene.serverAlone, "the server knows that the page is gone");
    case "arrivals":
      return scene.until(() => scene.arrivals >= step.count, `the server has handled ${step.count}`);
  }
}

function disturbPage(scene: Scene, what: Extract<Step, { do: "page" }>["what"]): Promise<void> {
  switch (what) {
    case "leave":
    case "crash":
      return scene.leave(what);
    case "return":
    case "open-again":
      return scene.enter();
    case "duplicate":
      return scene.duplicate();
    case "change-network":
      return scene.orderPages({ do: what });
    case "throw-at-last":
      return scene.orderPages({ do: "throw-at", nth: batch });
  }
}

async function disturbServer(scene: Scene, what: Extract<Step, { do: "server" }>["what"]): Promise<void> {
  switch (what) {
    case "stop":
      return scene.endServer("SIGTERM");
    case "kill":
      return scene.endServer("SIGKILL");
    case "start":
      return scene.startServer();
    case "switch-node":
      return scene.switchNode();
    case "write-elsewhere":
      return scene.orderServer({ do: what, entries: entriesElsewhere });
    case "purge-packets":
    case "reject-next-token":
      return scene.orderServer({ do: what });
  }
}
