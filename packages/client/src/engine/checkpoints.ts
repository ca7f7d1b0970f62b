/** The app's states that are kept on the device: the newest, and those at sync points to which the session may go back. */

import type { Offset, Sync } from "@rostrum/protocol";
import { type Checkpoint, type Key, pointKey } from "./record.ts";

export class Checkpoints {
  private newest: Checkpoint | undefined;
  private newestKey: Key | undefined;
  private points = new Map<Offset, Checkpoint>();
  private fresh = new Map<Key, Checkpoint>();
  private gone = new Set<Key>();

  /** `most`: how many are kept at sync points. */
  constructor(private readonly most: number) {}

  load(newest: Checkpoint | undefined, key: Key | undefined, points: readonly Checkpoint[]): void {
    this.newest = newest;
    this.newestKey = key;
    this.points = new Map(points.map((point) => [point.offset, point]));
    // One of an older format lay elsewhere.
    if (newest !== undefined && (typeof key !== "string" || key === "meta")) this.put(newest, "state");
  }

  get latest(): Checkpoint | undefined {
    return this.newest;
  }

  /** Where the newest lies, for the head. */
  get key(): Key | undefined {
    return this.newestKey;
  }

  /** The state at exactly this offset. */
  at(offset: Offset): Checkpoint | undefined {
    return this.newest?.offset === offset ? this.newest : this.points.get(offset);
  }

  /** The newest one that is not beyond an offset. */
  upTo(offset: Offset): Checkpoint | undefined {
    let best = this.newest !== undefined && this.newest.offset <= offset ? this.newest : undefined;
    for (const point of this.points.values())
      if (point.offset <= offset && point.offset > (best?.offset ?? -1)) best = point;
    return best;
  }

  save(checkpoint: Checkpoint, atPoint: boolean): void {
    if (!atPoint) return this.put(checkpoint, "state");
    this.points.set(checkpoint.offset, checkpoint);
    this.put(checkpoint, pointKey(checkpoint.offset));
  }

  private put(checkpoint: Checkpoint, key: Key): void {
    if (this.newestKey === "state" && key !== "state") this.remove("state");
    this.newest = checkpoint;
    this.newestKey = key;
    this.fresh.set(key, checkpoint);
    this.gone.delete(key);
  }

  private remove(key: Key): void {
    this.fresh.delete(key);
    this.gone.add(key);
  }

  /**
   * Lets go of what nobody can go back to, and of the oldest if there are too many; never of the newest, of the base's, of a
   * major point's that may become the base, nor of those to which the app has still to go back: what it is told may be ahead
   * of what it has done.
   */
  tidy({ base, points }: Sync, returns: ReadonlySet<Offset>): void {
    const valid = new Set(points.flatMap(({ offset, status }) => (status === "void" ? [] : [offset])));
    const major = points.find(({ kind, status }) => kind === "major" && status === "open")?.offset;
    const kept = new Set([...returns, base.offset, this.newest?.offset, major]);
    const spare = [...this.points.keys()].filter((offset) => !kept.has(offset));
    const useless = spare.filter((offset) => !valid.has(offset) || offset < base.offset);
    const useful = spare.filter((offset) => valid.has(offset) && offset > base.offset).sort((a, b) => b - a);
    for (const offset of [...useless, ...useful.slice(this.most)]) this.drop(offset);
  }

  private drop(offset: Offset): void {
    this.points.delete(offset);
    this.remove(pointKey(offset));
  }

  /** The log beyond an offset is another one. What was taken back there was not, in the one that is. */
  forgetAfter(offset: Offset): void {
    const stays = (each: Checkpoint): boolean => Math.max(each.offset, each.ahead ?? 0) <= offset;
    for (const point of this.points.values()) if (!stays(point)) this.drop(point.offset);
    if (this.newest === undefined || stays(this.newest)) return;
    if (this.newestKey === "state") this.remove("state");
    this.newest = this.newestKey = undefined;
  }

  /** The app goes on from here. */
  goBackTo(checkpoint: Checkpoint): void {
    const isPoint = this.points.get(checkpoint.offset) === checkpoint;
    this.put(checkpoint, isPoint ? pointKey(checkpoint.offset) : "state");
  }

  clear(): readonly Key[] {
    // What was let go a moment ago is still on the disk.
    const keys: readonly Key[] = [...[...this.points.keys()].map(pointKey), ...this.gone];
    this.newest = this.newestKey = undefined;
    this.points.clear();
    this.fresh.clear();
    this.gone.clear();
    return [...keys, "state"];
  }

  /** What has changed since it was asked last. */
  take(): { readonly set: readonly (readonly [Key, Checkpoint])[]; readonly remove: readonly Key[] } {
    const [set, remove] = [[...this.fresh], [...this.gone]];
    this.fresh = new Map();
    this.gone = new Set();
    return { set, remove };
  }

  get isClean(): boolean {
    return this.fresh.size === 0 && this.gone.size === 0;
  }
}
