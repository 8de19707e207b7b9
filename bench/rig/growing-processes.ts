import { Redis } from 'ioredis';
import type { Cost } from './cost.ts';
import { startCrew } from './crew.ts';
import type { Growth } from './growing.ts';
import { type LockerName, onRedis, type Places } from './lockers.ts';
import { startRedis } from './redis.ts';
import type { Stage } from './report.ts';
import { rounds } from './rounds.ts';

/** A task in each of so many processes; on one lock, and each on its own. */
export async function growthOfProcesses(stage: Stage, sizes: readonly number[]): Promise<Growth[]> {
  const redis = await startRedis(stage.directory);
  stage.atEnd(() => redis.stop());
  const server = new Redis(redis.path);
  stage.atEnd(() => server.quit());
  const places: Places = { directory: stage.directory, redisPath: redis.path, redisPort: redis.port };
  const crew = startCrew(sizes.at(-1)!);
  stage.atEnd(() => Promise.all(crew.map((worker) => worker.stop())));
  const names: readonly LockerName[] = ['lockstep', onRedis];
  for (const worker of crew) await worker.ask('open', names, places);
  // The first lease of a session starts its thread.
  await rounds(1, 'first', crew, places, { tasks: 1, ownLocks: true, sectionMs: 0, windowMs: 500 }, names);

  const oneLock = new Map<string, Cost[][]>(names.map((name) => [name, sizes.map(() => [])]));
  const ownLocks = new Map<string, Cost[][]>(names.map((name) => [name, sizes.map(() => [])]));
  for (let round = 0; round < 3; round++) {
    for (const [i, size] of sizes.entries()) {
      for (const found of [oneLock, ownLocks]) {
        const how = { tasks: 1, ownLocks: found === ownLocks, sectionMs: 0, windowMs: 300 };
        for (const name of names) {
          const before = await scriptsOf(server);
          const all = await rounds(1, `grown-${round}-${size}`, crew.slice(0, size), places, how, [name]);
          const { perSecond, cpuUsEach, sentEach } = all[name]!;
          const after = await scriptsOf(server);
          const serverUs =
            name === onRedis ? ((after.us - before.us) / Math.max(1, after.calls - before.calls)) * sentEach[0]! : 0;
          found.get(name)![i]!.push({ wallUs: 1e6 / perSecond[0]!, clientUs: cpuUsEach[0]!, serverUs });
        }
      }
    }
  }
  await Promise.all(crew.map((worker) => worker.stop()));
  return [
    { title: 'Processes on one lock', sizes, costs: oneLock },
    { title: 'Processes, each on a lock of its own', sizes, costs: ownLocks },
  ];
}

/** What scripts have taken the server so far. */
async function scriptsOf(server: Redis): Promise<{ calls: number; us: number }> {
  const found = /^cmdstat_evalsha:calls=(\d+),usec=(\d+)/m.exec(await server.info('commandstats'));
  return { calls: Number(found?.[1] ?? 0), us: Number(found?.[2] ?? 0) };
}
