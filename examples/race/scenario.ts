import type { Lockstep } from '../../src/index.ts';

/** Something that many tasks do to shared state at the same time, in one way or another. */
export interface Scenario {
  readonly name: string;
  /** The way in which one would write it: read, then write. */
  readonly unsafe: Way;
  readonly safe: Way;
}

export interface Way {
  /** In three words, for the table. */
  readonly how: string;
  /** Puts the state to its beginning; whatever an earlier race left is gone. */
  prepare(shared: Lockstep): Promise<void>;
  /** One task: the function that it calls over and over. Each call resolves to how many updates it made. */
  task(shared: Lockstep, name: string, events: Events): () => Promise<number>;
  /** Compares the state with the updates that all tasks together say they made. */
  audit(shared: Lockstep, updates: number): Promise<Audit>;
}

export interface Audit {
  /** Updates that were made and are not there, or were overwritten. */
  readonly lostUpdates?: number;
  /** Money that nobody paid in, or that is gone if negative. */
  readonly money?: number;
}

/** What the race wants to hear of; it kills a process at `halfway`. */
export interface Events {
  halfway(step: HalfDone): Promise<void>;
  /** The next holder sees that somebody died halfway, and is about to do the rest. */
  found(step: HalfDone): void;
}

/** A transfer of which the first half is done. */
export interface HalfDone {
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}

export function isExact(audit: Audit): boolean {
  return (audit.lostUpdates ?? 0) === 0 && (audit.money ?? 0) === 0;
}
