/**
 * Counters on one machine without a server: `counter.add` with many callers in 4 processes, beside a transaction of
 * SQLite for each increment.
 */
import { countingRounds } from './rig/counting-rounds.ts';
import { startCrew } from './rig/crew.ts';
import { bench } from './rig/report.ts';
import { atLeast } from './rig/rounds.ts';
import { spread } from './rig/statistics.ts';
import { cell } from './rig/table.ts';

const processes = 4;
const callers = 128;

await bench('counters-embedded', 60_000, async (stage) => {
  const crew = startCrew(processes);
  stage.atEnd(() => Promise.all(crew.map((worker) => worker.stop())));
  const found = await countingRounds(5, crew, callers, ['lockstep', 'sqlite'], stage.directory);
  const [ours, theirs] = [found.get('lockstep')!, found.get('sqlite')!];
  const ratio = spread(ours.perSecond.map((value, i) => value / theirs.perSecond[i]!));
  stage.show({
    title: `${processes} processes × ${callers} callers add 1 to one counter, each add awaited`,
    head: ['', 'adds/s', 'CPU µs an add', 'Jain processes', 'lockstep is'],
    lines: [...found].map(([name, { perSecond, cpuUsEach, jainProcesses }]) => [
      name === 'lockstep' ? 'lockstep `counter.add()`' : 'node:sqlite, a transaction each',
      cell(spread(perSecond)),
      cell(spread(cpuUsEach)),
      cell(spread(jainProcesses)),
      name === 'lockstep' ? '' : `${cell(ratio)} ×`,
    ]),
    findings: [atLeast('adds/s, times SQLite one by one', ratio.median, 5)],
    figures: [...found],
  });
});
