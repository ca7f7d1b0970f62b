/**
 * Small updates travel as text (base64, RFC 4648): each piece of binary in a Socket.IO packet is a WebSocket frame of its own to
 * each receiver, which costs far more than a third more bytes.
 */

import type { Entry, Item, Messages } from "../entry.ts";
import type { CommandsFrame, EntriesFrame } from "../frame.ts";
import { documentIn, documentOf } from "./document.ts";

/** Bytes. Larger ones stay binary. */
const mostText = 4_096;

/** How the platform makes text of bytes. */
export type ToText = (bytes: Uint8Array) => string;

/** And bytes of text; `undefined`: it stands for none. */
export type FromText = (text: string) => Uint8Array | undefined;

/** Four characters stand for three bytes. */
export const mostTextLength: number = Math.ceil(mostText / 3) * 4;

const itemAsText = (item: Item, toText: ToText): Item => {
  const [event, replica, n, lineage, bytes] = item;
  return bytes instanceof Uint8Array && bytes.length <= mostText ? [event, replica, n, lineage, toText(bytes)] : item;
};

const itemFromText = (item: Item, fromText: FromText): Item => {
  const [event, replica, n, lineage, text] = item;
  return typeof text === "string" ? [event, replica, n, lineage, fromText(text)] : item;
};

/** Entries as they are sent. What one member wrote into one document without a word in between is one entry, as of its end. */
export const entriesAsText = (frame: EntriesFrame, toText: ToText): EntriesFrame => {
  const { entries } = mapped(frame, (item) => itemAsText(item, toText));
  if (entries === frame.entries) return frame;
  const joined: Entry[] = [];
  for (const entry of entries) {
    const before = joined.at(-1);
    if (before?.type === "messages" && entry.type === "messages" && continues(before, entry))
      joined[joined.length - 1] = { ...before, at: entry.at, items: [...before.items, ...entry.items] };
    else joined.push(entry);
  }
  return { ...frame, entries: joined };
};

const continues = (before: Messages, entry: Messages): boolean => {
  const document = documentIn(entry);
  const { length } = before.items;
  return (
    document !== undefined &&
    document === documentIn(before) &&
    before.by === entry.by &&
    before.offset + length === entry.offset &&
    before.seq !== undefined &&
    before.seq + length === entry.seq
  );
};

/** Entries as they were meant. */
export const entriesFromText = (frame: EntriesFrame, fromText: FromText): EntriesFrame =>
  mapped(frame, (item) => itemFromText(item, fromText));

const mapped = (frame: EntriesFrame, change: (item: Item) => Item): EntriesFrame => {
  if (!frame.entries.some((entry) => documentIn(entry) !== undefined)) return frame;
  const entries = frame.entries.map(
    (entry): Entry =>
      entry.type === "messages" && documentIn(entry) !== undefined
        ? { ...entry, items: entry.items.map(change) }
        : entry,
  );
  return { ...frame, entries };
};

/** Commands as they are sent. */
export const commandsAsText = (frame: CommandsFrame, toText: ToText): CommandsFrame => {
  const isUpdate = ([event]: Item): boolean => documentOf(event) !== undefined;
  if (!frame.commands.some((command) => command.type === "messages" && command.items.some(isUpdate))) return frame;
  const commands = frame.commands.map((command) =>
    command.type === "messages"
      ? { ...command, items: command.items.map((item) => (isUpdate(item) ? itemAsText(item, toText) : item)) }
      : command,
  );
  return { ...frame, commands };
};
