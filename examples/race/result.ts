import type { Victim } from './crew/crew.ts';
import { green, red, type Row } from './table.ts';

export interface Result {
  readonly exact: boolean;
  readonly where: string;
  readonly pids: readonly number[];
  readonly rows: readonly Row[];
  readonly victim: Victim | undefined;
}

/** What comes below the table. */
export function inWords(exact: boolean, victim: Victim | undefined): string {
  const verdict = exact ? green('exact: lockstep lost nothing') : red('NOT EXACT');
  if (victim === undefined) return `No process was killed: none was halfway through a transfer in time.\n${verdict}`;
  const { pid, step, killedAtMs, finishedAtMs } = victim;
  const then =
    finishedAtMs === undefined
      ? 'Nobody has needed that account since: the money is on its way, and counted'
      : `${(finishedAtMs - killedAtMs).toFixed(1)} ms later the next holder had done the rest`;
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
      finishedAfterMs: victim.finishedAtMs === undefined ? null : victim.finishedAtMs - victim.killedAtMs,
    },
  };
}
