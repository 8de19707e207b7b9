import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { open } from '../../src/open.ts';
import { until } from '../contract/sessions.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

interface Holder {
  readonly pid: number;
  /** Sends a line; without one, only waits for `answer`. */
  tell(order: string, answer: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

describe.skipIf(!hasRedisServer)('processes that hold a lock in Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.remove());

  const ttlMs = 2_500;

  async function onlooker(): Promise<Lockstep> {
    await server.client().flushall();
    const shared = await open(server.address, { onWarning: () => {} });
    onTestFinished(() => shared.close());
    return shared;
  }

  function startHolder(ttl = ttlMs): Holder {
    const program = join(import.meta.dirname, 'programs/holder.ts');
    const child: ChildProcess = spawn(process.execPath, [program, server.address, String(ttl)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const said: string[] = [];
    createInterface({ input: child.stdout! }).on('line', (line) => said.push(line));
    onTestFinished(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    return {
      pid: child.pid!,
      async tell(order, answer) {
        if (order !== '') child.stdin!.write(`${order}\n`);
        await until(`${answer} after ${order}`, () => said.includes(answer), 30_000);
      },
      kill: (signal) => void child.kill(signal),
    };
  }

  test('an event loop that stands still for longer than the lease keeps it', async () => {
    const other = await onlooker();
    const admin = server.client();
    const connections = async (): Promise<number> => ((await admin.client('LIST')) as string).trim().split('\n').length;
    const before = await connections();
    const holder = startHolder();
    await holder.tell('', 'holds');
    await until('its thread is connected', async () => (await connections()) === before + 3);
    let over = false;
    const blocked = holder.tell(`block ${1.6 * ttlMs}`, 'blocked').then(() => (over = true));
    while (!over) {
      expect(await other.lock('x').tryAcquire()).toBeUndefined();
      await new Promise((next) => setTimeout(next, 20));
    }
    await blocked;
    await holder.tell('write', 'written');
  });

  test('a holder that is killed loses the lock when its lease is over, to whoever waits', async () => {
    const other = await onlooker();
    const holder = startHolder();
    await holder.tell('', 'holds');
    const waiting = other.lock('x').acquire({ timeout: '30s' });
    await until('it waits', async () => (await other.lock('x').inspect()).waiters.length === 1);
    holder.kill('SIGKILL');
    const lease = await waiting;
    expect((await other.lock('x').inspect()).holder?.fence).toBe(lease.fence);
    await lease.release();
  });

  test('a waiter that is killed is skipped in the step that would have given it the lock', async () => {
    const other = await onlooker();
    const held = await other.lock('x').acquire();
    const dead = startHolder(60_000);
    await dead.tell('', 'asks');
    await until('it waits', async () => (await other.lock('x').inspect()).waiters.length === 1);
    const behind = await open(server.address, { onWarning: () => {} });
    onTestFinished(() => behind.close());
    const waiting = behind.lock('x').acquire();
    await until('both wait', async () => (await other.lock('x').inspect()).waiters.length === 2);
    dead.kill('SIGKILL');
    const admin = server.client();
    await until('the server sees it', async () => {
      const channels = (await admin.call('PUBSUB', 'CHANNELS', 'lockstep:*')) as string[];
      return channels.length === 2;
    });
    const begin = performance.now();
    await held.release();
    await (await waiting).release();
    expect(performance.now() - begin).toBeLessThan(20_000); // not the lease of the dead
  });

  test('a holder that is stopped past its lease and goes on can not write any more', async () => {
    const other = await onlooker();
    const holder = startHolder();
    await holder.tell('', 'holds');
    holder.kill('SIGSTOP');
    const lease = await other.lock('x').acquire({ timeout: '30s' });
    await other.map('m').set('by', 'other', { guard: lease });
    holder.kill('SIGCONT');
    await holder.tell('write', 'LEASE_LOST');
    expect(await other.map('m').get('by')).toBe('other');
    await lease.release();
  });
});
