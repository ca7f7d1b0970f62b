/**
 * Watches leases by this process's own clock. A lease's length is measured here, from the moment in which we learned that
 * it runs, never read from times in the log: a clock that jumps, or another node's, can make it longer, but not shorter.
 */

import type { Lease, Member, MemberId } from "@rostrum/protocol";

interface Watched {
  readonly lease: Lease;
  readonly ends: number;
  told: boolean;
}

export class LeaseWatch {
  private watched = new Map<number, Watched>();
  /** When members of ours lost their connection: their leases run from then. */
  private readonly losses = new Map<MemberId, { readonly incarnation: number; readonly at: number }>();

  constructor(private readonly clock: { elapsed(): number }) {}

  missed(member: MemberId, incarnation: number): void {
    this.losses.set(member, { incarnation, at: this.clock.elapsed() });
  }

  /** The leases that run now, all of them. */
  follow(leases: readonly Lease[], members: ReadonlyMap<MemberId, Member>): void {
    for (const [member, { incarnation }] of this.losses) {
      if (members.get(member)?.incarnation !== incarnation) this.losses.delete(member);
    }
    if (leases.length === 0 && this.watched.size === 0) return;
    const next = new Map<number, Watched>();
    for (const lease of leases) {
      const known = this.watched.get(lease.fence);
      next.set(lease.fence, known?.lease.from === lease.from ? known : this.begin(lease, members));
    }
    this.watched = next;
  }

  private begin(lease: Lease, members: ReadonlyMap<MemberId, Member>): Watched {
    // Only a drop runs from the loss of the connection; a revoke runs from when it was stored.
    const dropped = members.get(lease.member)?.changed === lease.from;
    const start = (dropped ? this.losses.get(lease.member)?.at : undefined) ?? this.clock.elapsed();
    return { lease, ends: start + lease.for, told: false };
  }

  /** Milliseconds until `due` has something to tell. */
  wait(): number {
    let ends = Infinity;
    for (const each of this.watched.values()) if (!each.told) ends = Math.min(ends, each.ends);
    return Math.max(0, ends - this.clock.elapsed());
  }

  /** Leases that are over, each told once. */
  due(): readonly Lease[] {
    const now = this.clock.elapsed();
    const over = [...this.watched.values()].filter(({ ends, told }) => !told && ends <= now);
    for (const each of over) each.told = true;
    return over.map(({ lease }) => lease);
  }
}
