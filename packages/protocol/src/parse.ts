/** Reads what a client sent: anything at all. Answers frames that are what they say, or throws a typed refusal. */

import { type MemberCommand, seqSpan, type Unreadable } from "./command.ts";
import type { History } from "./config.ts";
import type { Subject } from "./dialog/dialog.ts";
import type { Item } from "./entry.ts";
import { RostrumError } from "./errors.ts";
import { configFault, type FloorChange, type Priority } from "./floors/config.ts";
import type { ClientFrame, Cursor, ReadFrame } from "./frame.ts";
import { type MemberId, memberId, type SessionId, sessionId } from "./ids.ts";
import type { Limits } from "./limits.ts";
import { measure } from "./payload.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Most frames in one packet. */
export const maxFrames = 1_000;

const invalid = (what: string): never => {
  throw new RostrumError("FRAME_INVALID", `The server got a frame with ${what}, and dropped it.`, { what });
};

const fields = (value: unknown, what: string): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : invalid(`no ${what}`);

const own = (from: Fields, key: string): unknown => (Object.hasOwn(from, key) ? from[key] : undefined);

const text = (from: Fields, key: string, most: number): string => {
  const value = own(from, key);
  return typeof value === "string" && value.length > 0 && value.length <= most
    ? value
    : invalid(`a bad ${key} (text of 1 to ${most} characters is due)`);
};

const whole = (from: Fields, key: string): number => {
  const value = own(from, key);
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
    ? value
    : invalid(`a bad ${key} (a whole number from 0 is due)`);
};

const list = (from: Fields, key: string, most: number): readonly unknown[] => {
  const value = own(from, key);
  return Array.isArray(value) && value.length <= most
    ? value
    : invalid(`a bad ${key} (a list of at most ${most} is due)`);
};

const texts = (from: Fields, key: string): readonly string[] =>
  list(from, key, 100).map((value) =>
    typeof value === "string" && value.length <= 64 ? value : invalid(`a bad ${key} (a list of names is due)`),
  );

const recipients = (from: Fields, limits: Limits): { to?: readonly MemberId[] } => {
  if (own(from, "to") === undefined) return {};
  return {
    to: list(from, "to", limits.recipients).map((id) =>
      typeof id === "string" && id.length <= 64 ? memberId(id) : invalid("a bad to (a list of member ids is due)"),
    ),
  };
};

const name = (from: Fields, key: string, limits: Limits): string => text(from, key, limits.nameLength);

const session = (from: Fields, limits: Limits): SessionId => sessionId(name(from, "session", limits));

const payload = (value: unknown, limits: Limits): void => {
  const size = measure(value, limits.depth);
  if (size > limits.messageBytes) {
    throw new RostrumError(
      "MESSAGE_TOO_LARGE",
      `A message of ${size} bytes came, the limit is ${limits.messageBytes}; it was not stored. Send less, or raise limits.messageBytes.`,
      { size, limit: limits.messageBytes },
    );
  }
};

const item = (value: unknown, limits: Limits): Item => {
  if (
    !Array.isArray(value) ||
    typeof value[0] !== "string" ||
    value[0].length === 0 ||
    value[0].length > limits.nameLength
  ) {
    return invalid("a bad item (a list with an event name and arguments is due)");
  }
  payload(value, limits);
  return value as unknown as Item;
};

const member = (value: unknown): MemberId =>
  typeof value === "string" && value.length > 0 && value.length <= 64
    ? memberId(value)
    : invalid("a bad member (a member id is due)");

/** Most characters of a reason that people give. */
const maxWords = 500;

const words = (value: unknown): string =>
  typeof value === "string" && value.length <= maxWords
    ? value
    : invalid(`a bad reason (text of at most ${maxWords} characters is due)`);

const priority = (value: unknown): Priority =>
  value === -2 || value === -1 || value === 0 || value === 1 || value === 2
    ? value
    : invalid("a bad priority (-2 to 2 is due)");

const safe = (value: unknown): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0
    ? value
    : invalid("a bad number (a whole number from 0 is due)");

/** A day at most: what is meant to last longer needs no limit. */
const milliseconds = (value: unknown): number => Math.min(Math.max(1, safe(value)), 86_400_000);

const change = (value: unknown): FloorChange => {
  const from = fields(value, "change");
  const fault = configFault(from);
  if (fault !== undefined) {
    throw new RostrumError("FLOOR_CONFIG_INVALID", `The floor was not changed: ${fault}.`, { fault });
  }
  return from as FloorChange;
};

const subject = (value: unknown): Subject => {
  const from = fields(value, "subject");
  const kind = own(from, "kind");
  const mode = own(from, "mode");
  if (kind === "release") return { kind, ...optional(from, "reason", words) };
  return kind === "dialog" && (mode === "half-duplex" || mode === "full-duplex")
    ? { kind, mode }
    : invalid("a bad subject (a dialog mode or a release is due)");
};

const command = (value: unknown, limits: Limits): MemberCommand => {
  const from = fields(value, "command");
  const type = own(from, "type") as MemberCommand["type"];
  switch (type) {
    case "messages": {
      const items = list(from, "items", limits.windowCommands).map((each) => item(each, limits));
      if (items.length === 0) return invalid("no items");
      return { type, items, ...recipients(from, limits), ...optional(from, "fence", safe) };
    }
    case "floor-request":
      return {
        type,
        floor: name(from, "floor", limits),
        ...optional(from, "for", member),
        ...optional(from, "priority", priority),
        ...optional(from, "reason", words),
        ...optional(from, "within", milliseconds),
        ...(own(from, "ifAvailable") === true ? { ifAvailable: true } : {}),
      };
    case "floor-cancel":
      return { type, floor: name(from, "floor", limits), ...optional(from, "for", member) };
    case "floor-release":
      return { type, floor: name(from, "floor", limits), fence: whole(from, "fence") };
    case "floor-pass":
      return {
        type,
        floor: name(from, "floor", limits),
        fence: whole(from, "fence"),
        member: member(own(from, "member")),
      };
    case "floor-accept":
    case "floor-grant":
    case "floor-give":
      return { type, floor: name(from, "floor", limits), member: member(own(from, "member")) };
    case "floor-deny":
    case "floor-revoke":
      return {
        type,
        floor: name(from, "floor", limits),
        member: member(own(from, "member")),
        ...optional(from, "reason", words),
      };
    case "floor-take":
      return { type, floor: name(from, "floor", limits) };
    case "floor-reorder":
      return {
        type,
        floor: name(from, "floor", limits),
        member: member(own(from, "member")),
        position: whole(from, "position"),
      };
    case "floor-configure":
      return { type, floor: name(from, "floor", limits), change: change(own(from, "change")) };
    case "propose":
      return { type, subject: subject(own(from, "subject")), ...optional(from, "within", milliseconds) };
    case "answer":
      return {
        type,
        proposal: whole(from, "proposal"),
        accept: own(from, "accept") === true,
        ...optional(from, "reason", words),
      };
    case "withdraw":
      return { type, proposal: whole(from, "proposal") };
    case "sync-minor": {
      const data = own(from, "data");
      if (data !== undefined) payload(data, limits);
      return data === undefined ? { type } : { type, data };
    }
    case "release":
      return { type };
    case "abort":
    case "end":
      return own(from, "reason") === undefined ? { type } : { type, reason: text(from, "reason", maxWords) };
    default:
      void (type satisfies never);
      return invalid("an unknown command");
  }
};

/** One command, or why it is none: what is wrong with one is no fault of its neighbours. */
const readable = (value: unknown, limits: Limits): MemberCommand | Unreadable => {
  try {
    return command(value, limits);
  } catch (error) {
    if (!(error instanceof RostrumError)) throw error;
    const items = typeof value === "object" && value !== null ? own(value as Fields, "items") : undefined;
    const span = Array.isArray(items) && items.length > 0 ? items.length : 1;
    return { type: "unreadable", span, error };
  }
};

const cursor = (value: unknown): Cursor => {
  const from = fields(value, "cursor");
  return { birth: text(from, "birth", 64), offset: whole(from, "offset") };
};

const history = (value: unknown): History => {
  const from = fields(value, "history");
  return own(from, "since") === "sync-point" ? { since: "sync-point" } : { last: whole(from, "last") };
};

const optional = <T, K extends string>(
  from: Fields,
  key: K,
  read: (value: unknown) => T,
): { readonly [P in K]?: T } => {
  const value = own(from, key);
  return (value === undefined || value === null ? {} : { [key]: read(value) }) as { readonly [P in K]?: T };
};

/**
 * One frame.
 * @throws RostrumError FRAME_INVALID, MESSAGE_INVALID or MESSAGE_TOO_LARGE; nothing was done.
 */
export const parseFrame = (value: unknown, limits: Limits): ReadFrame => {
  const from = fields(value, "fields");
  const type = own(from, "type") as ClientFrame["type"];
  switch (type) {
    case "open": {
      const auth = own(from, "auth");
      if (auth !== undefined) payload(auth, limits);
      return {
        type,
        session: session(from, limits),
        versions: list(from, "versions", 16).map((version) =>
          typeof version === "number" ? version : invalid("bad versions"),
        ),
        features: texts(from, "features"),
        required: texts(from, "required"),
        instance: text(from, "instance", 64),
        ...(auth === undefined ? {} : { auth }),
        ...optional(from, "resume", (resume) => {
          const presented = fields(resume, "resume");
          return { member: memberId(text(presented, "member", 64)), token: text(presented, "token", 512) };
        }),
        ...optional(from, "cursor", cursor),
        ...optional(from, "history", history),
      };
    }
    case "commands": {
      const commands = list(from, "commands", limits.windowCommands).map((each) => readable(each, limits));
      const seq = whole(from, "seq");
      const span = commands.reduce((sum, each) => sum + seqSpan(each), 0);
      if (seq === 0 || !Number.isSafeInteger(seq + span)) return invalid("a seq out of range");
      return { type, session: session(from, limits), seq, commands };
    }
    case "volatile": {
      const args = list(from, "args", 100);
      payload(args, limits);
      return {
        type,
        session: session(from, limits),
        event: name(from, "event", limits),
        args,
        ...recipients(from, limits),
      };
    }
    case "processed":
      return { type, session: session(from, limits), offset: whole(from, "offset") };
    case "auth": {
      const auth = own(from, "auth");
      payload(auth, limits);
      return { type, session: session(from, limits), auth };
    }
    case "ping":
      return { type, n: whole(from, "n") };
    case "renew":
      return { type, session: session(from, limits), n: whole(from, "n") };
    case "detach":
      return { type, session: session(from, limits) };
    default:
      void (type satisfies never);
      return invalid("an unknown type");
  }
};

/** The frames of one packet, unread: a list of at most `maxFrames`. */
export const parsePacket = (value: unknown): readonly unknown[] =>
  Array.isArray(value) && value.length <= maxFrames ? value : invalid(`no list of at most ${maxFrames} frames`);
