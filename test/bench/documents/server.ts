/** A contender's server under load, a process of its own. Its parent asks it things. */

import type { AddressInfo, Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { MemoryUse, ServerOrder, ServerSettings } from "./contender.ts";
import { contenderNamed } from "./contenders.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const [, , name, settings = "{}"] = process.argv;
const serving = await contenderNamed(name).serve(JSON.parse(settings) as ServerSettings);

const open = new Set<Socket>();
let gone = 0;
const bytesOf = (socket: Socket): number => socket.bytesRead + socket.bytesWritten;
serving.http.on("connection", (socket) => {
  open.add(socket);
  socket.once("close", () => {
    open.delete(socket);
    gone += bytesOf(socket);
  });
});

const answer = async (order: ServerOrder): Promise<unknown> => {
  switch (order.ask) {
    case "cpu": {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    }
    case "memory": {
      // What finalizers let go is gone with the next one only.
      for (let each = 0; each < 3; each += 1) {
        collect();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const { rss, heapUsed, external } = process.memoryUsage();
      return { resident: rss, held: heapUsed + external } satisfies MemoryUse;
    }
    case "wire":
      return [...open].reduce((sum, socket) => sum + bytesOf(socket), gone);
    case "persisted":
      await serving.persisted(order.document);
      return true;
    case "close":
      await serving.close();
      return true;
  }
};

process.on("message", (order: ServerOrder) => {
  void answer(order).then((value) => process.send?.({ value }));
});
process.once("disconnect", () => process.exit());
process.send?.({ value: (serving.http.address() as AddressInfo).port });
