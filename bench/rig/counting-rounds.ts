import { nowMs } from './clock.ts';
import type { Counted, CounterName, CountPlan } from './counting.ts';
import type { Worker } from './crew.ts';
import { jain } from './statistics.ts';

/** What was measured of one way to count, a figure a round. */
export interface CountFigures {
  readonly perSecond: number[];
  readonly jainProcesses: number[];
  /** CPU of the processes that count: µs an add. */
  readonly cpuUsEach: number[];
}

const windowMs = 800;

/** Lets each of `names` count, one after the other, several times; throws where one did not count exactly. */
export async function countingRounds(
  rounds: number,
  crew: readonly Worker[],
  callers: number,
  names: readonly CounterName[],
  directory: string,
): Promise<Map<CounterName, CountFigures>> {
  const found = new Map<CounterName, CountFigures>(
    names.map((name) => [name, { perSecond: [], jainProcesses: [], cpuUsEach: [] }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [name, figures] of found) {
      await Promise.all(crew.map((worker) => worker.ask('openCounter', name, directory, `round-${round}`)));
      const startMs = nowMs() + 20;
      const fromMs = startMs + 200;
      const plan: CountPlan = { callers, startMs, fromMs, untilMs: fromMs + windowMs };
      const all = await Promise.all(crew.map((worker) => worker.ask('count', plan)));
      assertExact(name, all);
      figures.perSecond.push(sum(all, 'adds') / (windowMs / 1_000));
      figures.jainProcesses.push(jain(all.map(({ adds }) => adds)));
      figures.cpuUsEach.push(sum(all, 'cpuUs') / sum(all, 'allAdds'));
    }
  }
  return found;
}

/** Each value from 1 to the number of adds was given to exactly one caller: their sum says so, or throws. */
function assertExact(name: CounterName, all: readonly Counted[]): void {
  const adds = sum(all, 'allAdds');
  const values = sum(all, 'sumOfValues');
  if (values !== (adds * (adds + 1)) / 2)
    throw new Error(`${name} did not count exactly: ${adds} adds gave values that sum to ${values}`);
}

function sum(all: readonly Counted[], what: keyof Counted): number {
  return all.reduce((total, one) => total + one[what], 0);
}
