/** Reads what a client sent: anything at all. Answers frames that are what they say, or throws a typed refusal. */

import { type MemberCommand, seqSpan, type Unreadable } from "./command.ts";
import type { History, MajorRule } from "./config.ts";
import type { Subject } from "./dialog/dialog.ts";
import { documentEvent, documentOf, isUpdate } from "./documents/document.ts";
import { type FromText, mostTextLength } from "./documents/text.ts";
import type { Item } from "./entry.ts";
import { RostrumError } from "./errors.ts";
import { configFault, type FloorChange, type Priority } from "./floors/config.ts";
import type { ClientFrame, Cursor, ReadFrame } from "./frame.ts";
import { type MemberId, memberId, type SessionId, sessionId } from "./ids.ts";
import type { Limits } from "./limits.ts";
import { fromPayload, isBinary, measure } from "./payload.ts";
import { toldEpochs } from "./sync/epoch.ts";

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

/** Half a character is written as a sign that stands for any: two such names would be one on a disk. */
const isWhole = (name: string): boolean => !/\p{Surrogate}/u.test(name);

const wholeName = (from: Fields, key: string, most: number): string => {
  const value = text(from, key, most);
  return isWhole(value) ? value : invalid(`a bad ${key} (half a character is in it)`);
};

const name = (from: Fields, key: string, limits: Limits): string => wholeName(from, key, limits.nameLength);

/** Its event is a name too. */
const documentName = (from: Fields, key: string, limits: Limits): string =>
  wholeName(from, key, limits.nameLength - documentEvent("").length);

/** Most documents that one connection follows in a session. */
const maxFollowed = 10_000;

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

const item = (value: unknown, limits: Limits, fromText: FromText): Item => {
  if (
    !Array.isArray(value) ||
    typeof value[0] !== "string" ||
    value[0].length === 0 ||
    value[0].length > limits.nameLength
  ) {
    return invalid("a bad item (a list with an event name and arguments is due)");
  }
  const read = value as unknown as Item;
  const document = documentOf(read[0]);
  if (document !== undefined) return update(document, read, limits, fromText);
  payload(value, limits);
  return read;
};

/** An update of a document, its bytes as `Uint8Array`. */
const update = (
  document: string,
  [event, replica, n, lineage, ...rest]: Item,
  limits: Limits,
  fromText: FromText,
): Item => {
  const [value] = rest;
  const isText = typeof value === "string" && value.length <= mostTextLength;
  const given = isText ? fromText(value) : binary(value);
  const bytes = rest.length === 1 ? given : undefined;
  const read: Item = [event, replica, n, lineage, bytes];
  if (document === "" || !isWhole(document) || bytes === undefined || bytes.length === 0 || !isUpdate(read))
    return invalid("a bad update of a document (replica, number, lineage and bytes are due)");
  if (bytes.length > limits.updateBytes) {
    throw new RostrumError(
      "MESSAGE_TOO_LARGE",
      `An update of "${document}" with ${bytes.length} bytes came, the limit is ${limits.updateBytes}; it was not stored. Make smaller transactions, or raise limits.updateBytes.`,
      { size: bytes.length, limit: limits.updateBytes },
    );
  }
  return read;
};

/** Binary that came, as `Uint8Array`; `undefined` for anything else, which may be nested as deep as it likes. */
const binary = (value: unknown): Uint8Array | undefined =>
  isBinary(value) ? (fromPayload(value) as Uint8Array) : undefined;

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

/** X.225 has serials of six digits; nine are plenty for a log. What is counted on from there may grow beyond. */
const maxSerial = 999_999_999;

const serialToSet = (value: unknown): number => {
  const number = safe(value);
  return number <= maxSerial ? number : invalid(`a bad serial (0 to ${maxSerial} is due)`);
};

const majorRule = (value: unknown): MajorRule =>
  value === "all" || value === "quorum" || value === "server"
    ? value
    : invalid("a bad rule (all, quorum or server is due)");

const data = <K extends string>(from: Fields, key: K, limits: Limits): { readonly [P in K]?: unknown } => {
  const value = own(from, key);
  if (value === undefined) return {};
  payload(value, limits);
  return { [key]: value } as { readonly [P in K]?: unknown };
};

/** Data that stays in the state: every newcomer gets it, and every snapshot holds it. */
const stateData = <K extends string>(from: Fields, key: K, limits: Limits): { readonly [P in K]?: unknown } => {
  const value = own(from, key);
  const size = value === undefined ? 0 : measure(value, limits.depth);
  const { dataBytes } = limits;
  if (size > dataBytes) {
    throw new RostrumError(
      "MESSAGE_TOO_LARGE",
      `The ${key} of a sync point or an activity has ${size} bytes, the limit is ${dataBytes}, as it goes to every newcomer; nothing was done. Send it as a message or a transfer, or raise limits.dataBytes.`,
      { size, limit: dataBytes },
    );
  }
  return data(from, key, limits);
};

const described = (from: Fields, limits: Limits): { readonly name?: string; readonly data?: unknown } => ({
  ...(own(from, "name") === undefined ? {} : { name: name(from, "name", limits) }),
  ...stateData(from, "data", limits),
});

const generation = (from: Fields): { readonly generation?: number } => optional(from, "generation", safe);

const run = (from: Fields): { readonly activity: number; readonly run: number } => ({
  activity: whole(from, "activity"),
  run: whole(from, "run"),
});

/** What the rules will look at in a transfer's data; the rest is the app's. */
const transferInfo = (value: unknown): void => {
  if (value === undefined) return;
  const from = fields(value, "data");
  const size = own(from, "size");
  if (size !== undefined) safe(size);
  const type = own(from, "type");
  if (type !== undefined && !(typeof type === "string" && type.length <= 255))
    invalid("a bad type (text of at most 255 characters is due)");
};

const command = (value: unknown, limits: Limits, fromText: FromText): MemberCommand => {
  const from = fields(value, "command");
  const type = own(from, "type") as MemberCommand["type"];
  switch (type) {
    case "messages": {
      const items = list(from, "items", limits.windowCommands).map((each) => item(each, limits, fromText));
      if (items.length === 0) return invalid("no items");
      return { type, items, ...recipients(from, limits), ...optional(from, "fence", safe), ...generation(from) };
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
    case "sync-minor":
      return {
        type,
        ...described(from, limits),
        ...generation(from),
        ...(own(from, "confirm") === true ? { confirm: true } : {}),
      };
    case "sync-major":
      return {
        type,
        ...described(from, limits),
        ...generation(from),
        ...optional(from, "rule", majorRule),
        ...optional(from, "within", milliseconds),
      };
    case "sync-confirm":
      return { type, serial: whole(from, "serial"), ...data(from, "data", limits), ...generation(from) };
    case "resynchronize": {
      const kind = own(from, "kind");
      if (kind !== "restart" && kind !== "abandon" && kind !== "set") return invalid("a bad kind of resynchronization");
      return {
        type,
        kind,
        ...(kind === "set" ? { serial: serialToSet(own(from, "serial")) } : {}),
        ...(kind === "restart" ? { serial: whole(from, "serial") } : {}),
        ...optional(from, "reason", words),
        ...generation(from),
      };
    }
    case "exception":
      return { type, reason: text(from, "reason", maxWords), ...generation(from) };
    case "activity-start": {
      const kind = own(from, "kind");
      if (kind !== "app" && kind !== "transfer" && kind !== "state") return invalid("a bad kind of activity");
      if (kind !== "app") transferInfo(own(from, "data"));
      return {
        type,
        kind,
        name: name(from, "name", limits),
        ...recipients(from, limits),
        ...stateData(from, "data", limits),
        ...optional(from, "point", safe),
      };
    }
    case "activity-point":
      return {
        type,
        ...run(from),
        ...stateData(from, "data", limits),
        ...(own(from, "confirm") === true ? { confirm: true } : {}),
      };
    case "activity-confirm":
      return { type, activity: whole(from, "activity"), serial: whole(from, "serial") };
    case "activity-interrupt":
      return { type, ...run(from), ...optional(from, "for", member), ...stateData(from, "data", limits) };
    case "activity-resume":
      return { type, activity: whole(from, "activity") };
    case "activity-decline":
    case "activity-discard":
      return { type, activity: whole(from, "activity"), ...optional(from, "reason", words) };
    case "activity-end":
      return { type, ...run(from), ...stateData(from, "result", limits) };
    case "document-restore":
      return {
        type,
        document: documentName(from, "document", limits),
        point: whole(from, "point"),
        ...optional(from, "from", () => documentName(from, "from", limits)),
      };
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
const readable = (value: unknown, limits: Limits, fromText: FromText): MemberCommand | Unreadable => {
  try {
    return command(value, limits, fromText);
  } catch (error) {
    if (!(error instanceof RostrumError)) throw error;
    const items = typeof value === "object" && value !== null ? own(value as Fields, "items") : undefined;
    const span = Array.isArray(items) && items.length > 0 ? items.length : 1;
    return { type: "unreadable", span, error };
  }
};

const cursor = (value: unknown): Cursor => {
  const from = fields(value, "cursor");
  return {
    birth: text(from, "birth", 64),
    offset: whole(from, "offset"),
    ...optional(from, "seen", () => whole(from, "seen")),
    ...optional(from, "epochs", () =>
      list(from, "epochs", toldEpochs).map((each) => {
        const epoch = fields(each, "epoch");
        return { id: text(epoch, "id", 64), from: whole(epoch, "from") };
      }),
    ),
  };
};

const history = (value: unknown): History => {
  const from = fields(value, "history");
  const since = own(from, "since");
  return since === "sync-point" || since === "state" ? { since } : { last: whole(from, "last") };
};

const optional = <T, K extends string>(
  from: Fields,
  key: K,
  read: (value: unknown) => T,
): { readonly [P in K]?: T } => {
  const value = own(from, key);
  return (value === undefined || value === null ? {} : { [key]: read(value) }) as { readonly [P in K]?: T };
};

const chunk = (value: unknown, limits: Limits): Uint8Array => {
  const bytes = binary(value);
  if (bytes === undefined || bytes.length === 0) return invalid("bad bytes (at least one is due)");
  return bytes.length <= limits.chunkBytes
    ? bytes
    : invalid(`a chunk of ${bytes.length} bytes (at most ${limits.chunkBytes} are due)`);
};

const digest = (value: unknown): string =>
  typeof value === "string" && /^[0-9a-f]{64}$/.test(value) ? value : invalid("a bad digest (SHA-256 in hex is due)");

const noText: FromText = () => undefined;

/**
 * One frame. `fromText` reads the small updates of documents that came as base64; without it they are refused.
 * @throws RostrumError FRAME_INVALID, MESSAGE_INVALID or MESSAGE_TOO_LARGE; nothing was done.
 */
export const parseFrame = (value: unknown, limits: Limits, fromText: FromText = noText): ReadFrame => {
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
        ...optional(from, "documents", () =>
          list(from, "documents", maxFollowed).map((document) =>
            typeof document === "string" &&
            document.length > 0 &&
            document.length <= limits.nameLength &&
            isWhole(document)
              ? document
              : invalid("bad documents (a list of names is due)"),
          ),
        ),
      };
    }
    case "commands": {
      const commands = list(from, "commands", limits.windowCommands).map((each) => readable(each, limits, fromText));
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
    case "lane":
      return {
        type,
        session: session(from, limits),
        birth: text(from, "birth", 64),
        member: member(own(from, "member")),
        token: text(from, "token", 512),
      };
    case "upload":
      return { type, session: session(from, limits), ...run(from) };
    case "chunk":
      return {
        type,
        session: session(from, limits),
        activity: whole(from, "activity"),
        at: whole(from, "at"),
        bytes: chunk(own(from, "bytes"), limits),
      };
    case "finish":
      return {
        type,
        session: session(from, limits),
        activity: whole(from, "activity"),
        bytes: whole(from, "bytes"),
        digest: digest(own(from, "digest")),
      };
    case "fetch":
      return {
        type,
        session: session(from, limits),
        activity: whole(from, "activity"),
        at: whole(from, "at"),
        upTo: whole(from, "upTo"),
      };
    case "document-open": {
      const vector = own(from, "vector");
      return {
        type,
        session: session(from, limits),
        document: documentName(from, "document", limits),
        ...optional(from, "lineage", safe),
        ...optional(from, "after", safe),
        ...optional(from, "point", safe),
        ...(vector === undefined || vector === null ? {} : { vector: chunk(vector, limits) }),
      };
    }
    case "document-close":
      return { type, session: session(from, limits), document: documentName(from, "document", limits) };
    default:
      void (type satisfies never);
      return invalid("an unknown type");
  }
};

/** The frames of one packet, unread: a list of at most `maxFrames`. */
export const parsePacket = (value: unknown): readonly unknown[] =>
  Array.isArray(value) && value.length <= maxFrames ? value : invalid(`no list of at most ${maxFrames} frames`);
