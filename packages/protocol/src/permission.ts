/**
 * Roles are lists of permissions. A permission is a verb (`emit`, `volatile`, `floor`, `sync`, `moderate`, `end`), a verb
 * and a name (`emit:note`, `floor:mic`), or `*` for all.
 */

import type { SessionConfig } from "./config.ts";

export type Verb = "emit" | "volatile" | "floor" | "sync" | "moderate" | "end";

/** Whether somebody with these roles may do `verb` to `name`. A role that the config does not know permits nothing. */
export const may = (config: SessionConfig, roles: readonly string[], verb: Verb, name = ""): boolean => {
  for (const role of roles) {
    const permissions = Object.hasOwn(config.roles, role) ? config.roles[role] : undefined;
    if (permissions === undefined) continue;
    if (permissions.includes("*") || permissions.includes(verb)) return true;
    if (name !== "" && permissions.includes(`${verb}:${name}`)) return true;
  }
  return false;
};
