/** Who has this page open, as its address says, and that member's client. */

import { createClient } from "@rostrum/client";
import { find } from "./dom.ts";

export const visitor = (place: string, otherwise: string) => {
  const query = new URL(location.href).searchParams;
  const name = query.get("name") ?? "Guest";
  const role = query.get("role") ?? "member";
  const socket = query.get("socket") ?? location.origin;
  document.title = `${name} in ${place}`;
  find("name", HTMLHeadingElement).textContent = name;
  const client = createClient({
    url: `${socket}/rostrum`,
    auth: () => ({ name, role }),
    user: name,
    heartbeat: { every: 2_000, within: 2_000 },
  });
  return { name, socket, client, session: query.get("session") ?? otherwise };
};
