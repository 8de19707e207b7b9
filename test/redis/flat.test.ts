import { createHook } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { open } from '../../src/open.ts';
import { until } from '../contract/sessions.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

/** Timers, sockets and threads of this process that are not over, by what Node calls them. */
const alive = new Map<number, string>();
const counted = /^(?:Timeout|TCPWRAP|TCPSERVERWRAP|PIPEWRAP|TLSWRAP|WORKER|MESSAGEPORT|GETADDRINFOREQWRAP)$/;
const hook = createHook({
  init: (id, type) => void (counted.test(type) && alive.set(id, type)),
  destroy: (id) => void alive.delete(id),
});

function count(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const type of alive.values()) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

const where: Record<string, (server: RedisServer) => string | Redis | ReturnType<typeof createClient>> = {
  'an address': (server) => server.address,
  'a client of ioredis': (server) => new Redis({ path: server.socket, lazyConnect: true }),
  'a client of node-redis': (server) => createClient({ socket: { path: server.socket, tls: false } }),
};

describe.skipIf(!hasRedisServer).each(Object.entries(where))('on Redis, by %s', (_, placeOf) => {
  let server: RedisServer;
  const warnings: Error[] = [];
  const heard = (warning: Error): void => void warnings.push(warning);
  beforeAll(async () => {
    server = await startRedisServer(['--appendonly', 'yes']);
    hook.enable();
    process.on('warning', heard);
  });
  afterAll(async () => {
    hook.disable();
    alive.clear();
    process.off('warning', heard);
    await server.remove();
  });

  /** Tasks that wait for each other, with time limits and a signal. */
  async function work(shared: Lockstep, locks: number, signal: AbortSignal): Promise<void> {
    let left = locks;
    const task = async (): Promise<void> => {
      while (left-- > 0) await shared.lock(`x${left % 3}`).run(() => {}, { timeout: '20s', signal });
    };
    await Promise.all(Array.from({ length: 8 }, task));
  }

  test('timers, sockets and listeners are as many after 1,000 locks as after 50', async () => {
    const shared = await open(placeOf(server), { onWarning: () => {} });
    onTestFinished(() => shared.close());
    const { signal } = new AbortController();
    const admin = server.client();
    const connections = async (): Promise<number> =>
      String(await admin.client('LIST'))
        .trim()
        .split('\n').length;
    await work(shared, 50, signal);
    await until('its thread is connected', async () => (await connections()) === 4, 30_000);
    const before = count();
    await work(shared, 1_000, signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await until('nothing is left', () => isAtMost(count(), before));
    expect(await connections()).toBe(4);
    expect(warnings).toEqual([]);
  });

  test('and after 10 sessions that were opened, used and closed as after 2', async () => {
    const place = placeOf(server);
    const admin = server.client();
    const clients = async (): Promise<number> =>
      String(await admin.client('LIST'))
        .trim()
        .split('\n').length;
    const { signal } = new AbortController();
    const cycle = async (): Promise<void> => {
      const shared = await open(place, { onWarning: () => {} });
      await work(shared, 5, signal);
      await shared.close();
    };
    await cycle();
    await cycle();
    const [before, connected] = [count(), await clients()];
    for (let i = 0; i < 10; i++) await cycle();
    await until('nothing is left', () => isAtMost(count(), before));
    expect(await clients()).toBe(connected);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(warnings).toEqual([]);
  });
});

/** But for a few timers of the test run itself. */
function isAtMost(now: Record<string, number>, before: Record<string, number>): boolean {
  return Object.entries(now).every(([type, n]) => n <= (before[type] ?? 0) + (type === 'Timeout' ? 3 : 0));
}
