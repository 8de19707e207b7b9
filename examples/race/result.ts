import type { Victim } from './crew/crew.ts';
import { processes, tasks, threads } from './plan.ts';
import { green, red, type Row } from './table.ts';

export interface Result {
  readonly exact: boolean;
  readonly where: string;
  readonly pids: readonly number[];
  readonly rows: readonly Row[];
  readonly victim: Victim | undefined;
}

/** What comes above the table: who races, and how to read what they do. */
export function inAdvance(pids: readonly number[], where: string): string {
  return (
    `${processes} processes (${pids.join(', ')}) × ${threads} threads × ${tasks} tasks in ${where}\n` +
    'Each is done twice: read and then write, which is meant to go wrong (red), and with lockstep, which must not.\n' +
    'Lost updates below 0 were counted twice.\n' +
    `Transfers under locks are the worst case on purpose: ${processes * threads * tasks} tasks want two of ten accounts each.`
  );
}

/** What comes below the table. */
export function inWords(exact: boolean, victim: Victim | undefined): string {
  const verdict = exact ? green('exact: lockstep lost nothing') : red('NOT EXACT');
  if (victim === undefined) return `No process was killed: none was halfway through a transfer in time.\n${verdict}`;
  const { pid, step, killedAtMs, foundAtMs } = victim;
  const then =
    foundAtMs === undefined
      ? 'Nobody has needed that account since: the money is on its way, and counted'
      : `${(foundAtMs - killedAtMs).toFixed(1)} ms later another task held that lock, saw it, and did the rest`;
  return (
    `Process ${pid} was killed -9 when ${step.amount} had left ${step.from} and not reached ${step.to}, both locked.\n` +
    `${then}.\n\n${verdict}`
  );
}

export function asData({ exact, where, pids, rows, victim }: Result): object {
  return {
    exact,
    where,
    pids,
    rows: rows.map(({ title, how, safe, seconds, tally, audit }) => ({
      title,
      how,
      safe,
      operations: tally.operations,
      operationsPerSecond: Math.round(tally.operations / seconds),
      worstWaitMs: tally.worstMs,
      ...audit,
    })),
    killed: victim && {
      process: victim.process,
      pid: victim.pid,
      ...victim.step,
      foundAfterMs: victim.foundAtMs === undefined ? null : victim.foundAtMs - victim.killedAtMs,
    },
  };
}
