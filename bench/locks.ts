/**
 * Locks on Redis: lockstep beside redlock 5, redis-semaphore, redlock-universal, simple-redis-mutex and redis-py, on one redis-server of this machine,
 * all over loopback, all that poll each millisecond.
 *
 * Rounds are interleaved, so that what else the machine does meets all alike: read the ratios. Those that poll mostly
 * take a lock again that their own process had: what counts is how often it goes to another process.
 */
import { startCrew } from './rig/crew.ts';
import { keepingOnRedis, type LockerName, onRedis, type Places, redisPeers as allPeers } from './rig/lockers.ts';
import { redisPyVersion } from './rig/python.ts';
import { startRedis } from './rig/redis.ts';
import { bench, type Finding, type Section } from './rig/report.ts';
import { type All, atLeast, atMost, type Figure, rounds, times } from './rig/rounds.ts';
import { spread } from './rig/statistics.ts';
import { cell, digits } from './rig/table.ts';

const processes = 4;
const tasks = 8;
const redisPy = redisPyVersion();
const redisPeers = allPeers.filter((peer) => peer !== 'redis-py' || redisPy !== undefined);
const crowded: readonly LockerName[] = [onRedis, ...redisPeers];
const alone: readonly LockerName[] = [onRedis, keepingOnRedis, ...redisPeers];

await bench('locks', 200_000, async (stage) => {
  const redis = await startRedis(stage.directory);
  stage.atEnd(() => redis.stop());
  stage.setUp['redis-server'] = `${redis.version}, loopback, nothing on disk`;
  stage.setUp['redis-py'] = redisPy ?? 'left out, as it is not there: apt-get install python3-redis';
  const places: Places = { directory: stage.directory, redisPath: redis.path, redisPort: redis.port };
  const crew = startCrew(processes);
  stage.atEnd(() => Promise.all(crew.map((worker) => worker.stop())));
  await Promise.all(crew.map((worker) => worker.ask('open', alone, places)));

  if (stage.wants('sequence')) {
    // Short rounds, many of them: what a machine does else meets fewer of a kind.
    const one = { tasks: 1, ownLocks: true, sectionMs: 0, windowMs: 100 };
    stage.show(uncontended(await rounds(32, 'sequence', crew.slice(0, 1), places, one, alone)));
  }
  const crowd = { tasks, ownLocks: false, sectionMs: 0, windowMs: 1_000 };
  const title = `${processes} processes × ${tasks} tasks on one lock`;
  if (stage.wants('crowd')) {
    const all = await rounds(6, 'crowd', crew, places, crowd, crowded);
    const [own] = [all[onRedis]!];
    stage.show(
      contended(`${title}, empty section`, all, [
        atLeast('owner changes/s, times the best npm package', best(all, 'changesPerSecond', onRedis), 3),
        atLeast('Jain index over tasks', spread(own.jainTasks).median, 0.98),
        atLeast('Jain index over processes', spread(own.jainProcesses).median, 0.98),
        atMost("p99 wait, part of the best peer's", 1 / shortest(all, 'p99Ms'), 0.2),
      ]),
    );
  }
  if (stage.wants('working')) {
    const all = await rounds(3, 'working', crew, places, { ...crowd, sectionMs: 2, windowMs: 1_500 }, crowded);
    const perHandOver = spread(all[onRedis]!.sentEach).median;
    stage.show(contended(`${title}, section of 2 ms`, all, [atMost('commands a hand-over, 2 ms', perHandOver, 2.5)]));
  }
});

/** lockstep's figure as a multiple of the best npm package's, round by round. redis-py has twice as many processes, and a thread a task. */
function best(all: All, figure: Figure, own: LockerName): number {
  return Math.min(
    ...redisPeers.filter((peer) => peer !== 'redis-py').map((peer) => times(all, own, peer, figure).median),
  );
}

/** How many times shorter lockstep's is than the shortest of the peers'. */
function shortest(all: All, figure: Figure): number {
  return Math.min(...redisPeers.map((peer) => 1 / times(all, onRedis, peer, figure).median));
}

function uncontended(all: All): Section {
  const lines = alone.map((name) => {
    const { perSecond, sentEach, cpuUsEach, p99Ms } = all[name]!;
    const isPeer = redisPeers.some((peer) => peer === name);
    return [
      name,
      cell(spread(perSecond)),
      cell(spread(p99Ms.map((ms) => ms * 1_000))),
      cell(spread(sentEach)),
      cell(spread(cpuUsEach)),
      isPeer ? `${cell(times(all, onRedis, name, 'perSecond'))} ×` : '',
    ];
  });
  return {
    title: 'Uncontended: one task takes and releases one lock, again and again',
    head: ['', 'pairs/s', 'acquire p99 µs', 'sent each', 'client CPU µs', 'lockstep is'],
    lines,
    findings: [
      atLeast('acquire + release, times the best npm package', best(all, 'perSecond', onRedis), 0.9),
      atLeast('with keep, times the best npm package', best(all, 'perSecond', keepingOnRedis), 15),
    ],
    figures: all,
  };
}

function contended(title: string, all: All, findings: readonly Finding[]): Section {
  const shown: Figure[] = ['perSecond', 'changesPerSecond', 'p50Ms', 'p99Ms', 'maxMs', 'jainTasks', 'jainProcesses'];
  const lines = crowded.map((name) => {
    const of = all[name]!;
    const ratio =
      name === onRedis
        ? ''
        : `changes ${cell(times(all, onRedis, name, 'changesPerSecond'))} ×, p99 ${digits(1 / times(all, onRedis, name, 'p99Ms').median)} × shorter`;
    return [name, ...[...shown, 'sentEach' as const].map((figure) => cell(spread(of[figure]))), ratio];
  });
  const head = ['', 'acquisitions/s', 'owner changes/s', 'p50 ms', 'p99 ms', 'max ms', 'Jain tasks', 'Jain processes'];
  return { title, head: [...head, 'sent each', 'lockstep is'], lines, findings, figures: all };
}
