/**
 * A process that acquires and releases a lock of its own again and again, and prints what came of it:
 * `pairs.ts WAY DIRECTORY LOCK TASKS PAGE`. Says when it is ready, and is told on stdin when to start and to end.
 */
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { embeddedEngine } from '../../src/engines/embedded/embedded.ts';
import { acquire, release } from '../../src/operations/lock.ts';
import { nowMs } from './clock.ts';

export type Way = 'lockstep' | 'sqlite';

export interface Paired {
  readonly pairs: number;
  readonly worstMs: number;
  readonly stallMs: number;
  /** CPU time of the process: µs. */
  readonly cpuUs: number;
}

type Pair = (lock: string, turn: number) => Promise<void>;

if (import.meta.main) {
  const [way, directory, lock, tasks, page] = process.argv.slice(2) as [Way, ...string[]];
  const pair = way === 'lockstep' ? await overEngine(directory!) : overSqlite(directory!, page!);
  for (let i = 0; i < 20_000; i++) await pair(`${lock}:0`, i); // warm
  console.log('ready');
  const [told] = (await once(process.stdin, 'data')) as [Buffer];
  const [startMs, untilMs] = String(told).split(' ').map(Number);
  console.log(JSON.stringify(await hammer(pair, lock!, Number(tasks), startMs!, untilMs!)));
  process.stdin.destroy();
}

async function hammer(pair: Pair, lock: string, tasks: number, startMs: number, untilMs: number): Promise<Paired> {
  let pairs = 0;
  let worstMs = 0;
  await sleep(Math.max(0, startMs - nowMs()));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const before = process.cpuUsage();
  delay.enable();
  const task = async (_: unknown, number: number): Promise<void> => {
    for (let turn = 0; ; turn++) {
      const begunMs = nowMs();
      if (begunMs > untilMs) return;
      await pair(`${lock}:${number}`, turn);
      worstMs = Math.max(worstMs, nowMs() - begunMs);
      pairs++;
    }
  };
  await Promise.all(Array.from({ length: tasks }, task));
  const { user, system } = process.cpuUsage(before);
  return { pairs, worstMs, stallMs: delay.max / 1e6, cpuUs: user + system };
}

async function overEngine(directory: string): Promise<Pair> {
  const engine = await embeddedEngine({ directory });
  const session = Math.random().toString(36).slice(2, 10);
  return async (lock, turn) => {
    const keys = { owner: lock, queue: `${lock}:queue`, fences: 'fence' };
    const ask = {
      token: `${session}:${lock.slice(-1)}${turn}:10000`,
      ttlMs: '10000',
      wait: 1,
      fences: 64,
      queueMs: 300_000,
      gives: '',
    };
    const owner = (await engine.run(acquire, keys, ask)) as string; // nobody waits
    await engine.run(release, keys, { owner, fences: 64, openEveryMs: 0 });
  };
}

/** What no library could do better: the same rows, a prepared statement each, nothing shared between two steps. */
function overSqlite(directory: string, page: string): Pair {
  const sqlite = new DatabaseSync(`${directory}/bare.db`, { timeout: 10_000 });
  sqlite.exec(`PRAGMA page_size = ${page}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY, value TEXT, expires INTEGER) WITHOUT ROWID, STRICT`);
  const begin = sqlite.prepare('BEGIN IMMEDIATE');
  const commit = sqlite.prepare('COMMIT');
  const get = sqlite.prepare('SELECT value, expires FROM keys WHERE key = ?');
  const put = sqlite.prepare('REPLACE INTO keys VALUES (?, ?, ?)');
  const remove = sqlite.prepare('DELETE FROM keys WHERE key = ?');
  return async (lock, turn) => {
    begin.run();
    get.get(lock);
    get.get(`${lock}:queue`);
    get.get('fence');
    put.run('fence', `${1_700_000_000_000_000 + turn}`, null);
    put.run(lock, `session:${turn}:10000:${1_700_000_000_000_000 + turn}`, Date.now() + 10_000);
    commit.run();
    begin.run();
    get.get(lock);
    remove.run(lock);
    get.get(`${lock}:queue`);
    commit.run();
  };
}
