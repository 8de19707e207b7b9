/**
 * Counters on Redis: `counter.add` with many callers in 4 processes, beside an INCRBY for each call by ioredis and by
 * node-redis, on the same server. With commands that are pipelined, as both clients do it by themselves.
 */
import { countingRounds, type CountFigures } from './rig/counting-rounds.ts';
import type { CounterName } from './rig/counting.ts';
import { startCrew } from './rig/crew.ts';
import { startRedis } from './rig/redis.ts';
import { bench } from './rig/report.ts';
import { atLeast } from './rig/rounds.ts';
import { spread, type Spread } from './rig/statistics.ts';
import { cell } from './rig/table.ts';

const processes = 4;
const callers = 128;
const peers = { ioredis: 'ioredis, INCRBY each', 'node-redis': 'node-redis, INCRBY each' } as const;
const own = 'lockstep on Redis';

await bench('counters', 90_000, async (stage) => {
  const redis = await startRedis(stage.directory);
  stage.atEnd(() => redis.stop());
  stage.setUp['redis-server'] = `${redis.version}, a unix socket, nothing on disk`;
  const crew = startCrew(processes);
  stage.atEnd(() => Promise.all(crew.map((worker) => worker.stop())));
  const names: readonly CounterName[] = [own, 'ioredis', 'node-redis'];
  const found = await countingRounds(5, crew, callers, names, stage.directory);
  const ours = found.get(own)!;
  const times = (figures: CountFigures): Spread =>
    spread(ours.perSecond.map((value, i) => value / figures.perSecond[i]!));
  stage.show({
    title: `${processes} processes × ${callers} callers add 1 to one counter on Redis, each add awaited`,
    head: ['', 'adds/s', 'client CPU µs an add', 'Jain processes', 'lockstep is'],
    lines: [...found].map(([name, figures]) => [
      name === own ? 'lockstep `counter.add()`' : peers[name as keyof typeof peers],
      cell(spread(figures.perSecond)),
      cell(spread(figures.cpuUsEach)),
      cell(spread(figures.jainProcesses)),
      name === own ? '' : `${cell(times(figures))} ×`,
    ]),
    findings: [atLeast('adds/s, times ioredis with an INCRBY each', times(found.get('ioredis')!).median, 6)],
    figures: [...found],
  });
});
