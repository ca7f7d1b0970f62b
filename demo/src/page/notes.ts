/** The app's state: what was said, and this member's own part in it. The page keeps it by checkpoint, and goes back with it. */

export interface Note {
  /** Who, and that person's own count: so that a hole or a repetition shows. */
  readonly id: string;
  readonly name: string;
  readonly n: number;
  readonly text: string;
}

export interface Events {
  readonly note: (note: Note) => void;
  readonly talk: (name: string) => void;
}

export interface Kept {
  readonly notes: readonly (readonly [offset: number, note: Note])[];
  /** The rest is of one member only. A state that is shared at a sync point may be somebody else's. */
  readonly of: string;
  readonly sent: number;
  readonly doubled: number;
  readonly returned: readonly Note[];
}

export class Notes {
  list: readonly (readonly [offset: number, note: Note])[] = [];
  sent = 0;
  doubled = 0;
  /** Handed back, because everybody had gone back before they were stored. */
  returned: readonly Note[] = [];
  /** Written, and not yet confirmed. */
  readonly pending = new Map<string, { readonly note: Note; kept: boolean }>();
  private begun = false;

  constructor(private readonly name: string) {}

  kept(): Kept {
    const { list, name, sent, doubled, returned } = this;
    return { notes: list, of: name, sent, doubled, returned };
  }

  /** The state of an earlier page, or of an earlier moment. What is this page's own does not go back with a moment. */
  restore({ notes, of, sent, doubled, returned }: Kept): void {
    this.list = notes;
    if (!this.begun && of === this.name) {
      this.sent = sent;
      this.doubled = doubled;
      this.returned = returned;
    }
    this.begun = true;
    this.sent = Math.max(this.sent, this.told);
  }

  /** The session went back to an offset: what is unsent is refused, so the count goes on from what stands. */
  wentBack(to: number, restored: boolean): void {
    if (!restored) this.list = this.list.filter(([offset]) => offset <= to);
    this.sent = this.told;
  }

  write(text: string): Note {
    this.sent += 1;
    const note: Note = { id: crypto.randomUUID(), name: this.name, n: this.sent, text };
    this.pending.set(note.id, { note, kept: false });
    return note;
  }

  add(offset: number, note: Note, own: boolean): void {
    this.begun = true;
    if (this.list.some(([, { id }]) => id === note.id)) this.doubled += 1;
    this.list = [...this.list, [offset, note]];
    this.pending.delete(note.id);
    if (own) this.sent = Math.max(this.sent, note.n);
  }

  handBack(note: Note): void {
    this.pending.delete(note.id);
    this.returned = [...this.returned, note];
  }

  settleReturned({ id }: Note): void {
    this.returned = this.returned.filter((note) => note.id !== id);
  }

  /** This member's highest number among those that stand. */
  private get told(): number {
    return Math.max(0, ...this.list.filter(([, { name }]) => name === this.name).map(([, { n }]) => n));
  }

  /** How many stand behind an offset. */
  since(offset: number): number {
    return this.list.filter(([at]) => at > offset).length;
  }

  /** Numbers missing in each person's own count: between the first that we know of and the last. */
  get holes(): number {
    const byName = new Map<string, Set<number>>();
    for (const [, { name, n }] of this.list) byName.set(name, (byName.get(name) ?? new Set()).add(n));
    let missing = 0;
    for (const numbers of byName.values()) missing += Math.max(...numbers) - Math.min(...numbers) + 1 - numbers.size;
    return missing;
  }
}
