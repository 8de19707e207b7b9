import type { HalfDone } from '../scenario.ts';

export type Order = Run | { readonly say: 'close' };

export interface Run {
  readonly say: 'run';
  readonly scenario: string;
  readonly safe: boolean;
  readonly ms: number;
  /** From then on a transfer that is halfway stays there with its locks held; nobody ends before that. */
  readonly stopHalfwayAfterMs?: number;
}

export type News =
  | { readonly say: 'ready' }
  | ({ readonly say: 'progress'; readonly ended: boolean } & Tally)
  | { readonly say: 'halfway' | 'found'; readonly step: HalfDone; readonly atMs: number }
  | { readonly say: 'failed'; readonly error: string };

/** What the tasks of one thread have done since the scenario began. */
export interface Tally {
  readonly operations: number;
  /** What the operations say they changed. */
  readonly updates: number;
  /** The longest that an operation took: ms. */
  readonly worstMs: number;
}

/** Which thread the news are of. */
export interface Sender {
  readonly process: number;
  readonly thread: number;
}

/** Milliseconds on a clock that all processes of the machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
