import { mkdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from '../../src/open.ts';
import { until } from '../contract/sessions.ts';
import { startSentinelGroup } from '../redis/sentinel.ts';
import { ask, startRedisServer } from '../redis/server.ts';
import { Crew } from './crew.ts';
import { judge, type Problem, type Promised } from './judge.ts';
import type { Place } from './places.ts';
import { readHistory } from './record.ts';
import { space } from './tasks.ts';

/** A set-up that does not keep what a better one promises, as docs/redis.md says. */
export interface KnownBad {
  readonly name: string;
  /** What must be found broken. */
  readonly breaks: readonly Promised[];
  /** What must not be, even so. */
  readonly keeps: readonly Promised[];
  run(directory: string): Promise<readonly Problem[]>;
}

/** So long that a lease outlives a fail-over: ms. */
const longTtlMs = 30_000;

export const knownBad: readonly KnownBad[] = [
  {
    name: 'a fail-over to a replica that had not got the last writes: a lock without a guard is held twice, counts are lost',
    breaks: ['exclusion', 'linearizable'],
    keeps: ['fences grow', 'errors'],
    run: lossyFailOver,
  },
  {
    name: 'a Redis without a file that is started anew: counts are lost',
    breaks: ['linearizable'],
    keeps: ['fences grow', 'errors'],
    run: restartWithoutFile,
  },
];

/** One holds a lock, and is stopped while its master dies; the other gets the lock of the new master. */
async function lossyFailOver(directory: string): Promise<readonly Problem[]> {
  const { master, replica, ...group } = await startSentinelGroup();
  const place = placeAt(group.address, () => group.remove());
  return observed(directory, place, async (crew) => {
    // The replica can't follow any more: it gives a password to a master that has none.
    await ask(replica, 'CONFIG', 'SET', 'masterauth', 'nobody knows');
    await ask(master, 'CLIENT', 'KILL', 'TYPE', 'replica');
    await until('it does not follow', async () =>
      String(await ask(replica, 'INFO', 'replication')).includes('master_link_status:down'),
    );
    await crew.begin();
    const key = `{${space}}:lock:held`;
    await until('the lock is held', () => holderIn(crew) !== undefined, 15_000);
    await sleep(1_000); // counting
    const holder = crew.processes.find(({ number }) => number === holderIn(crew))!;
    holder.program.signal('SIGSTOP');
    await master.stop();
    const isPromoted = async (): Promise<boolean> =>
      String(await ask(replica, 'INFO', 'replication')).includes('role:master');
    await until('the replica is the master', isPromoted, 40_000);
    await until('the lock is held again', async () => (await ask(replica, 'EXISTS', key)) === 1, 40_000);
    await sleep(500);
    holder.program.signal('SIGCONT');
    await sleep(1_000);
  });
}

async function restartWithoutFile(directory: string): Promise<readonly Problem[]> {
  const server = await startRedisServer();
  const place = placeAt(server.address, () => server.remove());
  return observed(directory, place, async (crew) => {
    await crew.begin();
    await sleep(1_000);
    await server.stop();
    await server.start();
    const shared = await open(server.address, { space, onWarning: () => {} });
    await until('they count again', async () => (await shared.counter('all').get()) > 0, 20_000);
    await shared.close();
  });
}

/** The number of the client that says that it got the lock. */
function holderIn(crew: Crew): number | undefined {
  const held = readHistory(crew.logs).calls.find(({ thing, outcome }) => thing === 'lock:held' && outcome === 'ok');
  return held === undefined ? undefined : Number(/^c(\d+)/.exec(held.client)?.[1]);
}

function placeAt(address: string, remove: () => Promise<void>): Place {
  return { where: () => address, direct: address, faults: [], losses: [], ttlMs: longTtlMs, remove };
}

/** What is found if nothing may be lost. */
async function observed(
  directory: string,
  place: Place,
  happens: (crew: Crew) => Promise<void>,
): Promise<readonly Problem[]> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const kinds = ['hold', 'count'] as const;
  const crew = new Crew({ seed: 1, directory, place, kinds, processes: 2, threads: 0, pauseMs: 20 });
  try {
    await happens(crew);
    await crew.end(40_000);
  } finally {
    await crew.remove();
    await place.remove();
  }
  const end = { effects: new Map(), accounts: [], lists: new Map() };
  return judge(readHistory(crew.logs), end, []).problems;
}
