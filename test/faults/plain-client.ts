/** The page of the plain column, in a process or in a browser: socket.io-client and an app that keeps a list. */

import { io } from "socket.io-client";
import type { PageOrder, PageSetup } from "./orders.ts";
import { inPage, obey, report, setup } from "./wire.ts";

class PlannedFailure extends Error {}

const { url, retries, resend } = setup<PageSetup>();
const socket = io(url, {
  transports: ["websocket"],
  ...(retries !== undefined && { retries, ackTimeout: 5_000 }),
  autoConnect: false,
});
const sent: Promise<void>[] = [];
let throwIn = 0;

socket.on("connect", () => report({ said: "link", up: true }));
socket.on("disconnect", () => report({ said: "link", up: false }));
socket.on("connect_error", () => {
  // Refused by a middleware: Socket.IO leaves it to the app to come again, with a fresh token.
  if (!socket.active) socket.connect();
});
socket.on("probe", (mark: number) => report({ said: "probed", mark }));
socket.on("down", (number: number, ack?: unknown) => {
  report({ said: "handled", number });
  if (typeof ack === "function") ack();
  if (throwIn > 0 && (throwIn -= 1) === 0) throw new PlannedFailure();
});

/** Sends, and if the app is so made, again when it was rejected. */
async function send(number: number): Promise<void> {
  try {
    await socket.emitWithAck("up", number);
  } catch {
    if (resend) await send(number); // otherwise the app knows that it may be lost, and that is all
  }
}

obey<PageOrder>(async (order) => {
  switch (order.do) {
    case "send":
      for (const number of order.numbers) sent.push(send(number));
      break;
    case "settle":
      await Promise.all(sent);
      break;
    case "probe":
      socket.volatile.emit("probe", order.mark);
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

if (!inPage) {
  process.on("uncaughtException", (error) => {
    if (!(error instanceof PlannedFailure)) throw error;
  });
}
socket.connect();
