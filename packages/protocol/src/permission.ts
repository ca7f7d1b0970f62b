/**
 * Roles are lists of permissions. A permission is a verb (`emit`), a verb and a name or pattern (`emit:note`,
 * `floor:cell:*`), or `*` for all. Four verbs stand for several: `floor` for what anybody does with a floor, `moderate` for
 * what a chair does, `sync` for what is done with sync points, `document` for what is done with documents.
 */

import type { SessionConfig } from "./config.ts";

/** What a chair may do with a floor. */
export type ChairVerb = "accept" | "grant" | "deny" | "revoke" | "give" | "take" | "reorder" | "configure";

export type Verb =
  | "emit"
  | "volatile"
  /** All that concerns sync points. */
  | "sync"
  | "minor"
  | "major"
  | "confirm"
  | "resynchronize"
  /** Starting and taking up activities of the app, by name. */
  | "activity"
  | "transfer"
  /** All that concerns documents, by name. */
  | "document"
  | "read"
  | "edit"
  | "restore"
  | "end"
  /** Proposing and answering: half-duplex, full duplex, release. */
  | "dialog"
  | "floor"
  | "request"
  | "pass"
  | "moderate"
  | ChairVerb
  /** Asking with a priority above normal. */
  | "priority"
  /** Asking for somebody else. */
  | "beneficiary";

const umbrella: Readonly<Partial<Record<Verb, Verb>>> = {
  minor: "sync",
  major: "sync",
  confirm: "sync",
  resynchronize: "sync",
  read: "document",
  edit: "document",
  restore: "document",
  request: "floor",
  pass: "floor",
  accept: "moderate",
  grant: "moderate",
  deny: "moderate",
  revoke: "moderate",
  give: "moderate",
  take: "moderate",
  reorder: "moderate",
  configure: "moderate",
  priority: "moderate",
  beneficiary: "moderate",
};

const permits = (permission: string, verb: Verb, name: string): boolean => {
  if (permission === "*" || permission === verb) return true;
  if (name === "" || !permission.startsWith(`${verb}:`)) return false;
  const scope = permission.slice(verb.length + 1);
  return scope === name || (scope.endsWith("*") && name.startsWith(scope.slice(0, -1)));
};

/** Whether somebody with these roles may do `verb` to `name`. A role that the config does not know permits nothing. */
export const may = (config: SessionConfig, roles: readonly string[], verb: Verb, name = ""): boolean => {
  const wider = umbrella[verb];
  for (const role of roles) {
    const permissions = Object.hasOwn(config.roles, role) ? config.roles[role] : undefined;
    if (permissions === undefined) continue;
    for (const permission of permissions) {
      if (permits(permission, verb, name) || (wider !== undefined && permits(permission, wider, name))) return true;
    }
  }
  return false;
};
