import type { Lockstep, Transaction } from '../../src/index.ts';
import { workFromList } from './work-list.ts';
import { workFromQueue } from './work-queue.ts';

/** All that a run writes is in this space. */
export const space = 'index-files';

/** What there is to do: files to read, or words that are counted already and wait to be added. */
export interface Work {
  readonly files?: readonly string[];
  readonly counts?: readonly Count[];
}

export type Count = readonly [word: string, times: number];

/** Where workers get their work from. */
export interface WorkPlace {
  /** Puts work there; what an earlier run left there is gone. */
  fill(shared: Lockstep, all: readonly Work[]): Promise<void>;
  /** How much is not done yet. */
  left(shared: Lockstep): Promise<number>;
  /** Does work until `signal` aborts. `worker`: a name; whoever replaces a dead worker has the same. */
  work(shared: Lockstep, worker: string, signal: AbortSignal, steps: Steps): Promise<void>;
}

/** What is done with work: counting, and adding what came of that in the transaction that says that it is done. */
export interface Steps {
  count(work: Work): Promise<Counted>;
  add(tx: Transaction, counts: readonly Count[]): Promise<void>;
}

/** What one transaction adds, and what is left for others. */
export interface Counted {
  readonly now: readonly Count[];
  readonly later: readonly Work[];
}

export const sources = ['queue', 'list'] as const;
export type Source = (typeof sources)[number];
export const workPlaces: Readonly<Record<Source, WorkPlace>> = { queue: workFromQueue, list: workFromList };
