import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Redis } from 'ioredis';
import { IoredisAdapter, createLock } from 'redlock-universal';
import { Mutex } from 'redis-semaphore';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { open } from '../../src/open.ts';
import { failure, until } from '../contract/sessions.ts';
import { Redlock5 } from './redlock.ts';
import { hasRedisPy, python } from './python.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

/** A lock of another library on a key: undefined if it is not free. */
interface ForeignLock {
  tryAcquire(): Promise<(() => Promise<unknown>) | undefined>;
}

const ttlMs = 20_000;

/** Each takes the name of a lock as its users write it; `key` is where that lies. */
const libraries: Record<
  string,
  { key: (name: string) => string; lock: (server: RedisServer, name: string) => ForeignLock }
> = {
  'redlock 4': {
    key: (name) => name,
    lock(server, name) {
      const locks = new Redlock4([server.client()], { retryCount: 0 });
      return trying(async () => {
        const lock = await locks.lock(name, ttlMs);
        return () => lock.unlock();
      });
    },
  },
  'redlock 5': {
    key: (name) => name,
    lock(server, name) {
      const locks = new Redlock5([server.client()], { retryCount: 0 });
      locks.on('error', () => {});
      return trying(async () => {
        const lock = await locks.acquire([name], ttlMs);
        return () => lock.release();
      });
    },
  },
  'redis-semaphore': {
    key: (name) => `mutex:${name}`,
    lock(server, name) {
      const mutex = new Mutex(server.client(), name, { lockTimeout: ttlMs, acquireAttemptsLimit: 1 });
      return {
        tryAcquire: async () => ((await mutex.tryAcquire()) ? (): Promise<void> => mutex.release() : undefined),
      };
    },
  },
  'redlock-universal': {
    key: (name) => name,
    lock(server, name) {
      const adapter = new IoredisAdapter(server.client() as never);
      const lock = createLock({ adapter, key: name, ttl: ttlMs, retryAttempts: 0 });
      return trying(async () => {
        const handle = await lock.acquire();
        return () => lock.release(handle);
      });
    },
  },
  'redis-py': { key: (name) => name, lock: pythonLock },
};

interface Redlock4Lock {
  unlock(): Promise<void>;
}
type Redlock4Class = new (
  clients: Redis[],
  options: object,
) => { lock(name: string, ttl: number): Promise<Redlock4Lock> };
const require = createRequire(import.meta.url);
/** It has no types. */
const Redlock4 = require('redlock4') as Redlock4Class;

const there = Object.keys(libraries).filter((name) => name !== 'redis-py' || hasRedisPy);

describe.skipIf(!hasRedisServer).each(there)('a lock shared with %s', (library) => {
  const { key, lock: lockOf } = libraries[library]!;
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.remove());

  async function opened(label: string): Promise<Lockstep> {
    const shared = await open(server.address, { label, onWarning: () => {} });
    onTestFinished(() => shared.close());
    return shared;
  }

  test('is not ours while the other holds it, and says who does', async () => {
    const shared = await opened('a');
    const release = (await lockOf(server, 'job').tryAcquire())!;
    const ours = shared.lock('the job', { key: key('job') });
    expect(await ours.tryAcquire()).toBeUndefined();
    const late = await failure(ours.acquire({ timeout: 100 }));
    expect(late).toMatchObject({ code: 'TIMEOUT' });
    expect(late.message).toMatch(/held by another program.* its lease has \d+ ms left/);
    const waiting = ours.acquire({ timeout: ttlMs - 2_000 });
    await until('it waits', async () => (await ours.inspect()).waiters.length === 1);
    await release();
    await (await waiting).release();
  });

  test('is not the other’s while we hold it', async () => {
    const shared = await opened('a');
    const lease = await shared.lock('the job', { key: key('job') }).acquire();
    const theirs = lockOf(server, 'job');
    expect(await theirs.tryAcquire()).toBeUndefined();
    await lease.release();
    const release = await theirs.tryAcquire();
    expect(release).toBeDefined();
    await release!();
  });

  test('lets one in at a time when both want it all the time, and nobody starves', async () => {
    const shared = await opened('a');
    const ours = shared.lock('the job', { key: key('job') });
    const theirs = lockOf(server, 'job');
    const turns = { ours: 0, theirs: 0 };
    let inside = 0;
    const work = async (who: keyof typeof turns): Promise<void> => {
      inside += 1;
      expect(inside).toBe(1);
      turns[who] += 1;
      await new Promise((next) => setTimeout(next, 2));
      inside -= 1;
    };
    const end = performance.now() + 60_000;
    const enough = (): boolean => Math.min(turns.ours, turns.theirs) >= 10 || performance.now() > end;
    const we = async (): Promise<void> => {
      while (!enough()) {
        await ours.run(() => work('ours'));
        await new Promise((next) => setTimeout(next, 1));
      }
    };
    const they = async (): Promise<void> => {
      while (!enough()) {
        const release = await theirs.tryAcquire();
        if (release !== undefined) await work('theirs').then(release);
        await new Promise((next) => setTimeout(next, 1));
      }
    };
    await Promise.all([we(), they()]);
    expect(Math.min(turns.ours, turns.theirs)).toBeGreaterThanOrEqual(10);
  });
});

test.skipIf(!hasRedisServer).for([
  ['one session with many tasks', 1],
  ['four sessions that hand the lock to each other', 4],
] as const)('a foreign locker that asks each 5 ms gets its share beside %s', async ([, count]) => {
  const server = await startRedisServer();
  onTestFinished(() => server.remove());
  const sessions = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const shared = await open(server.address, { label: String(i), onWarning: () => {} });
      onTestFinished(() => shared.close());
      return shared;
    }),
  );
  let theirs = 0;
  const end = performance.now() + 60_000;
  const enough = (): boolean => theirs >= 10 || performance.now() > end;
  const task = async (shared: Lockstep): Promise<void> => {
    const lock = shared.lock('the job', { key: 'job' });
    while (!enough()) await lock.run(() => new Promise((next) => setImmediate(next)));
  };
  const foreigner = async (): Promise<void> => {
    const client = server.client();
    while (!enough()) {
      if ((await client.set('job', 'them', 'PX', 20_000, 'NX')) === 'OK') {
        theirs += 1;
        await client.del('job');
      }
      await new Promise((next) => setTimeout(next, 5));
    }
  };
  await Promise.all([foreigner(), ...sessions.flatMap((shared) => Array.from({ length: 8 }, () => task(shared)))]);
  expect(theirs).toBeGreaterThanOrEqual(10);
});

test.skipIf(!hasRedisServer)('a foreign holder without a time to live is reported as such', async () => {
  const server = await startRedisServer();
  onTestFinished(() => server.remove());
  await server.client().set('job', 'f00');
  const shared = await open(server.address, { onWarning: () => {} });
  onTestFinished(() => shared.close());
  const late = await failure(shared.lock('the job', { key: 'job' }).acquire({ timeout: 50 }));
  expect(late.message).toMatch(/held by another program, as "f00"; it has no time to live/);
});

function trying(acquire: () => Promise<() => Promise<unknown>>): ForeignLock {
  return { tryAcquire: () => acquire().catch(() => undefined) };
}

// redis-py

function pythonLock(server: RedisServer, name: string): ForeignLock {
  const program = join(import.meta.dirname, 'programs/redis_py.py');
  const child = spawn(python, [program, server.socket, name, String(ttlMs / 1_000)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const waiting: ((answer: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  const ask = (order: string): Promise<string> =>
    new Promise((answered) => {
      waiting.push(answered);
      child.stdin.write(`${order}\n`);
    });
  return {
    tryAcquire: async () => ((await ask('acquire')) === 'True' ? (): Promise<string> => ask('release') : undefined),
  };
}
