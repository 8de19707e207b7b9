import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { open } from '../../src/index.ts';
import { nowMs } from './clock.ts';

export type CounterName = 'lockstep' | 'sqlite' | 'lockstep on Redis' | 'ioredis' | 'node-redis';

export interface CountPlan {
  /** Each adds 1, again and again. */
  readonly callers: number;
  readonly startMs: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface Counted {
  /** Adds that were done between `fromMs` and `untilMs`. */
  readonly adds: number;
  /** All adds, and the sum of the values that they gave. */
  readonly allAdds: number;
  readonly sumOfValues: number;
  /** Of this process, for all adds. */
  readonly cpuUs: number;
}

/** One process's way to a counter. */
export interface Adder {
  /** Adds 1; resolves to the value after that. */
  add(): Promise<number>;
  close(): Promise<void>;
}

/** What is on Redis is on the server whose socket is in `directory`. */
export async function openCounter(name: CounterName, directory: string, counter: string): Promise<Adder> {
  const socket = join(directory, 'redis.sock');
  if (name === 'sqlite') return openSqlite(directory, counter);
  if (name === 'lockstep') return openLockstep(join(directory, 'lockstep'), counter);
  if (name === 'lockstep on Redis') return openLockstep(`redis+unix:${socket}`, counter);
  return name === 'ioredis' ? openIoredis(socket, counter) : openNodeRedis(socket, counter);
}

/** Counts until the plan is over: one process's part. */
export async function count({ add }: Adder, plan: CountPlan): Promise<Counted> {
  let adds = 0;
  let allAdds = 0;
  let sumOfValues = 0;

  async function call(): Promise<void> {
    for (;;) {
      const value = await add();
      const now = nowMs();
      allAdds += 1;
      sumOfValues += value;
      if (now >= plan.fromMs && now < plan.untilMs) adds += 1;
      if (now >= plan.untilMs) return;
    }
  }

  await sleep(Math.max(0, plan.startMs - nowMs()));
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: plan.callers }, call));
  const { user, system } = process.cpuUsage(before);
  return { adds, allAdds, sumOfValues, cpuUs: user + system };
}

async function openLockstep(where: string, counter: string): Promise<Adder> {
  const shared = await open(where, { onWarning() {} });
  const handle = shared.counter(counter);
  return { add: () => handle.add(), close: () => shared.close() };
}

async function openIoredis(socket: string, counter: string): Promise<Adder> {
  const client = new Redis(socket, { lazyConnect: true });
  await client.connect();
  return { add: () => client.incrby(`ioredis:${counter}`, 1), close: async () => client.disconnect() };
}

async function openNodeRedis(socket: string, counter: string): Promise<Adder> {
  const client = createClient({ socket: { path: socket, tls: false } });
  await client.connect();
  return { add: () => client.incrBy(`node-redis:${counter}`, 1), close: async () => client.destroy() };
}

/**
 * What one would write by hand on `node:sqlite`: a transaction for each increment, with the same settings as lockstep's,
 * and a fair way to wait (SQLite's own lets one process run and the others starve).
 */
function openSqlite(directory: string, counter: string): Adder {
  const database = new DatabaseSync(join(directory, 'increments.db'));
  patiently(() => database.exec('PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL'));
  patiently(() =>
    database.exec('CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID'),
  );
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const increment = database.prepare(
    'INSERT INTO counters VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value',
  );
  let inThisTurn = 0;

  return {
    async add() {
      inThisTurn += 1;
      if (inThisTurn % 64 === 0) await turn(); // a server has other things to do, too
      patiently(() => begin.run());
      const { value } = increment.get(counter) as { value: number };
      patiently(() => commit.run());
      return value;
    },
    close: async () => database.close(),
  };
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** 20 tries at once, then waits of 50 µs. */
export function patiently(step: () => void): void {
  for (let tries = 1; ; tries++) {
    try {
      step();
      return;
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== 5) throw error;
    }
    if (tries > 20) Atomics.wait(sleeper, 0, 0, 0.05);
  }
}
