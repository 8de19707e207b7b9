/**
 * Counters on one machine without a server: `counter.add` with many callers in 4 processes, beside a transaction of
 * SQLite for each increment.
 */
import { nowMs } from './rig/clock.ts';
import { counters, type CountPlan, type Counted, type CounterName } from './rig/counting.ts';
import { startCrew } from './rig/crew.ts';
import { bench } from './rig/report.ts';
import { jain, spread } from './rig/statistics.ts';
import { cell } from './rig/table.ts';

const processes = 4;
const callers = 128;
const windowMs = 800;

await bench('counters-embedded', 60_000, async (stage) => {
  const crew = startCrew(processes);
  stage.atEnd(() => Promise.all(crew.map((worker) => worker.stop())));
  const perSecond: Record<CounterName, number[]> = { lockstep: [], sqlite: [] };
  const fairness: Record<CounterName, number[]> = { lockstep: [], sqlite: [] };

  for (let round = 0; round < 5; round++) {
    for (const name of counters) {
      await Promise.all(crew.map((worker) => worker.ask('openCounter', name, stage.directory, `round-${round}`)));
      const startMs = nowMs() + 20;
      const fromMs = startMs + 200;
      const plan: CountPlan = { callers, startMs, fromMs, untilMs: fromMs + windowMs };
      const all = await Promise.all(crew.map((worker) => worker.ask('count', plan)));
      assertExact(name, all);
      perSecond[name].push(all.reduce((sum, { adds }) => sum + adds, 0) / (windowMs / 1_000));
      fairness[name].push(jain(all.map(({ adds }) => adds)));
    }
  }

  const ratio = spread(perSecond.lockstep.map((value, i) => value / perSecond.sqlite[i]!));
  stage.show({
    title: `${processes} processes × ${callers} callers add 1 to one counter, each add awaited`,
    head: ['', 'adds/s', 'Jain processes', 'lockstep is'],
    lines: [
      ['lockstep `counter.add()`', cell(spread(perSecond.lockstep)), cell(spread(fairness.lockstep)), ''],
      [
        'node:sqlite, a transaction each',
        cell(spread(perSecond.sqlite)),
        cell(spread(fairness.sqlite)),
        `${cell(ratio)} ×`,
      ],
    ],
    findings: [{ what: 'adds/s, times SQLite one by one', value: ratio.median, target: '≥ 5', met: ratio.median >= 5 }],
    figures: { perSecond, fairness },
  });
});

/** Each value from 1 to the number of adds was given to exactly one caller: their sum says so, or throws. */
function assertExact(name: CounterName, all: readonly Counted[]): void {
  const adds = all.reduce((sum, one) => sum + one.allAdds, 0);
  const sum = all.reduce((total, one) => total + one.sumOfValues, 0);
  if (sum !== (adds * (adds + 1)) / 2)
    throw new Error(`${name} did not count exactly: ${adds} adds gave values that sum to ${sum}`);
}
