/** How entries change the sync points. */

import type { SyncEntry } from "../entry.ts";
import type { MemberId, Offset } from "../ids.ts";
import { maxResyncs, maxVoids, pointOf, type Sync, type SyncPoint, type VoidRange } from "./sync.ts";

type Change = (point: SyncPoint) => SyncPoint;

const settledAs = (point: SyncPoint, status: SyncPoint["status"], missing?: readonly MemberId[]): SyncPoint => {
  const { waiting: _, need: __, until: ___, ...rest } = point;
  return { ...rest, status, ...(missing === undefined || missing.length === 0 ? {} : { missing }) };
};

const mapped = (points: readonly SyncPoint[], change: Change): readonly SyncPoint[] => {
  const next = points.map(change);
  return next.every((point, index) => point === points[index]) ? points : next;
};

/** Takes a confirmation off what an open point waits for. */
const without =
  (member: MemberId, upTo: number, counts: boolean): Change =>
  (point) =>
    point.waiting === undefined || point.serial > upTo || !point.waiting.includes(member)
      ? point
      : {
          ...point,
          waiting: point.waiting.filter((id) => id !== member),
          // Who confirms is one less to wait for; who leaves only if all the others are not enough.
          need: counts ? (point.need ?? 1) - 1 : Math.min(point.need ?? 1, point.waiting.length - 1),
        };

/** Who has left confirms nothing any more. */
export const syncWithout = (sync: Sync, member: MemberId): Sync => {
  const points = mapped(sync.points, without(member, Infinity, false));
  return points === sync.points ? sync : { ...sync, points };
};

/** The app's state at a point was given up or forgotten: nobody can take it up there any more. */
export const withoutState = (sync: Sync, activity: Offset): Sync => {
  const points = mapped(sync.points, (point) => {
    if (point.state !== activity) return point;
    const { state: _, ...rest } = point;
    return rest;
  });
  return points === sync.points ? sync : { ...sync, points };
};

/** The list keeps its length: what is void goes first, then what is oldest, and never where a restart may go at the earliest. */
const listed = (points: readonly SyncPoint[], most: number, base: Offset): readonly SyncPoint[] => {
  if (points.length <= most) return points;
  // What is open has still to be told of, and the newest has just been set.
  const newest = points.at(-1);
  const victim =
    points.find(({ status }) => status === "void") ??
    points.find((point) => point.offset !== base && point.status !== "open" && point !== newest);
  return victim === undefined
    ? points
    : listed(
        points.filter((point) => point !== victim),
        most,
        base,
      );
};

const withRange = (voids: readonly VoidRange[], range: VoidRange): readonly VoidRange[] =>
  [...voids.filter(({ after }) => after < range.after), range].slice(-maxVoids);

/** Records and applies no rule. `most` is how many points are listed. */
export const foldSync = (sync: Sync, entry: SyncEntry, most: number): Sync => {
  switch (entry.type) {
    case "sync-point": {
      const { serial, kind, offset, at, by, name, data, asked = [], need = 0, until } = entry;
      const point: SyncPoint = {
        serial,
        kind,
        offset,
        at,
        by,
        status: entry.asked === undefined ? "set" : "open",
        ...(name === undefined ? {} : { name }),
        ...(data === undefined ? {} : { data }),
        ...(entry.asked === undefined ? {} : { waiting: asked, need }),
        ...(until === undefined ? {} : { until }),
      };
      return {
        ...sync,
        next: serial + 1,
        highest: Math.max(sync.highest, serial),
        points: listed([...sync.points, point], most, sync.base.offset),
      };
    }
    case "sync-confirmed":
      return { ...sync, points: mapped(sync.points, without(entry.member, entry.serial, true)) };
    case "sync-settled": {
      const { serial, offset, outcome, missing } = entry;
      const point = pointOf(sync, serial);
      if (outcome === "unconfirmed") {
        return {
          ...sync,
          points: mapped(sync.points, (each) => (each === point ? settledAs(each, outcome, missing) : each)),
        };
      }
      // Confirming one confirms all before it, but for another major point, which asks for more than a minor one.
      const points = mapped(sync.points, (each) =>
        each === point ||
        (each.serial < serial &&
          each.offset > sync.base.offset &&
          each.offset < offset &&
          (each.status === "set" || each.status === "open") &&
          (each.kind === "minor" || point?.kind === "major"))
          ? settledAs(each, "confirmed")
          : each,
      );
      const major = point?.kind === "major";
      return {
        ...sync,
        points,
        open: Math.max(sync.open, serial + 1),
        ...(major ? { lowest: serial + 1, base: { serial, offset: point.offset } } : {}),
      };
    }
    case "sync-shared":
      return {
        ...sync,
        points: mapped(sync.points, (each) =>
          each.offset === entry.point ? { ...each, state: entry.activity } : each,
        ),
      };
    case "resynchronized": {
      const { kind, serial, to, offset, generation } = entry;
      const resyncs = [...sync.resyncs, { generation, kind, serial, offset, to }].slice(-maxResyncs);
      if (kind === "set") {
        return {
          ...sync,
          generation,
          resyncs,
          next: serial,
          open: serial,
          lowest: serial,
          highest: Math.max(sync.highest, serial - 1),
          base: { serial: serial - 1, offset },
          points: mapped(sync.points, (each) => (each.status === "open" ? settledAs(each, "unconfirmed") : each)),
        };
      }
      return {
        ...sync,
        generation,
        resyncs,
        next: serial,
        open: kind === "abandon" ? serial : Math.min(sync.open, serial),
        lowest: kind === "abandon" ? serial : sync.lowest,
        points: mapped(sync.points, (each) =>
          each.offset > to && each.status !== "void" ? settledAs(each, "void") : each,
        ),
        voids: withRange(sync.voids, { after: to, before: offset }),
      };
    }
    case "exception":
      return sync;
    default:
      return entry satisfies never;
  }
};
