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
