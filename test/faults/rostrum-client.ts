/** The page of the Rostrum column, in a process or in a browser: the same app, on a session instead of a socket. */

import { createClient, memoryStorage } from "@rostrum/client";
import { type PageOrder, type PageSetup, sessionName } from "./orders.ts";
import { pings } from "./pings.ts";
import { inPage, obey, report, setup } from "./wire.ts";

const { url } = setup<PageSetup>();
const client = createClient({
  url,
  io: { transports: ["websocket"] },
  auth: () => ({ token: "good" }),
  heartbeat: { every: pings.pingInterval, within: pings.pingTimeout },
  ...(!inPage && { storage: memoryStorage() }), // in a page: IndexedDB
});

interface Events {
  up(number: number): void;
  down(number: number): void;
  probe(mark: number): void;
}

let numbers: number[] = [];
const sent: Promise<unknown>[] = [];
let throwIn = 0;
const session = client.session<Events>(sessionName, {
  checkpoint: () => numbers,
  restore: (kept: number[]) => {
    numbers = kept;
    report({ said: "restored", numbers });
  },
});

session.status.subscribe(({ phase }) => report({ said: "link", up: phase === "live" }));
session.on("resume", ({ outcome }) => report({ said: "resume", outcome }));
session.on("closed", (error) => console.error(`the session is closed: ${error.code} ${error.message}`));
session.on("probe", (mark, meta) => {
  if (meta.from === null) report({ said: "probed", mark }); // the others' probes are none of ours
});
session.on("down", (number) => {
  numbers.push(number);
  report({ said: "handled", number });
  if (throwIn > 0 && (throwIn -= 1) === 0) throw new Error("this case wants the handler to fail");
});

obey<PageOrder>(async (order) => {
  switch (order.do) {
    case "send": {
      const sending = order.numbers.map((number) => session.emit("up", number));
      sent.push(...sending);
      await Promise.all(sending.map(({ queued }) => queued));
      break;
    }
    case "settle":
      await Promise.all(sent);
      break;
    case "probe":
      void session.emit("probe", order.mark);
      break;
    case "change-network":
      dispatchEvent(new Event("offline"));
      dispatchEvent(new Event("online"));
      break;
    case "throw-at":
      throwIn = order.nth;
      break;
  }
});
