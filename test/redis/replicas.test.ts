import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { open, type OpenOptions } from '../../src/open.ts';
import type { Lease } from '../../src/primitives/lease.ts';
import { answered, failure, until } from '../contract/sessions.ts';
import { type Proxy, startProxy } from './proxy.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

describe.skipIf(!hasRedisServer)('a master and its replica', () => {
  let master: RedisServer;
  let replica: RedisServer;
  /** The name of the master, whoever that is. */
  let name: Proxy;

  beforeEach(async () => {
    const soon = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
    master = await startRedisServer(soon);
    replica = await startRedisServer([...soon, '--replicaof', '127.0.0.1', String(master.port)]);
    name = await startProxy(master.socket);
    await follows(replica);
  });
  const sessions: Lockstep[] = [];
  afterEach(async () => {
    await Promise.all(sessions.splice(0).map((shared) => shared.close()));
    await Promise.all([master.remove(), replica.remove(), name.close()]);
  });

  async function opened(options: OpenOptions = {}): Promise<Lockstep> {
    const shared = await open(name.address, { onWarning: () => {}, ...options });
    sessions.push(shared);
    return shared;
  }

  async function follows(server: RedisServer): Promise<void> {
    const client = server.client();
    await until('it follows', async () => (await client.info('replication')).includes('master_link_status:up'), 30_000);
  }

  const ownerAt = (server: RedisServer): Promise<string | null> => server.client().get('{default}:lock:x');

  test('with `replicas` a lock is granted once the replica has it, also to those who waited', async () => {
    const [a, b] = [await opened({ replicas: 1 }), await opened({ replicas: 1 })];
    const first = await answered(() => a.lock('x').acquire());
    expect(await ownerAt(replica)).toMatch(`${a.session.id}:`);
    const waiting = answered(() => b.lock('x').acquire());
    await until('it waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    await first.release();
    const second = await waiting;
    expect(await ownerAt(replica)).toMatch(`${b.session.id}:`);
    await second.release();
    const both = await answered(() => a.lockAll(['x', 'y']));
    expect(await ownerAt(replica)).toMatch(`${a.session.id}:`);
    await both.release();
  });

  test('where too few replicas have it in time, it is given back, and the wait says how many had it', async () => {
    const three = await opened({ replicas: 3 });
    const one = await opened({ replicas: 1 });
    const few = await failure(three.lock('x').acquire());
    expect(few).toMatchObject({ code: 'UNAVAILABLE', details: { applied: 'no' } });
    expect(few.message).toContain('1 of 3 replicas had the lock within 1000 ms');
    await until('it is free', async () => (await ownerAt(master)) === null);
    replica.kill('SIGSTOP');
    const none = await failure(one.lock('x').acquire());
    expect(none).toMatchObject({ code: 'UNAVAILABLE' });
    expect(none.message).toContain('0 of 1 replicas');
    expect(await failure(one.lock('x').tryAcquire())).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await failure(one.lockAll(['x', 'y']))).toMatchObject({ code: 'UNAVAILABLE' });
    const withoutReplicas = await opened();
    await (await withoutReplicas.lock('x').acquire({ timeout: '30s' })).release();
    replica.kill('SIGCONT');
    await until('it is granted again', async () => {
      const lease = await one
        .lock('x')
        .tryAcquire()
        .catch(() => undefined);
      await lease?.release();
      return lease !== undefined;
    });
  });

  test('a failover to a replica that lagged ends what it does not know, keeps the rest, and waiters ask again', async () => {
    const [a, b, c] = [await opened(), await opened(), await opened()];
    const kept = await a.lock('kept', { ttl: '30s' }).acquire();
    await until('the replica has it', async () => (await replica.client().exists('{default}:lock:kept')) === 1);
    await replica.client().replicaof('NO', 'ONE'); // from now on it lags
    const lost = await a.lock('x', { ttl: '90s' }).acquire();
    const waiting = b.lock('x').acquire();
    const alsoWaiting = c.lock('kept').acquire();
    await until('they wait', async () => {
      const lines = [await a.lock('x').inspect(), await a.lock('kept').inspect()];
      return lines.every(({ waiters }) => waiters.length === 1);
    });
    await a.map('m').set('k', 'before', { guard: kept });
    const begin = performance.now();
    name.to = replica.socket;
    name.cut();
    await aborted(lost);
    const next = await waiting;
    expect(performance.now() - begin).toBeLessThan(20_000); // not the 30 s of a third of the lease
    expect(lost.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'lost', lock: 'x' } });
    expect(next.fence).toBeGreaterThan(lost.fence);
    expect(await failure(a.map('m').set('k', 'late', { guard: lost }))).toMatchObject({ code: 'LEASE_LOST' });
    expect(kept.signal.aborted).toBe(false);
    await a.map('m').set('k', 'after', { guard: kept });
    await kept.release();
    const last = await alsoWaiting;
    expect(last.fence).toBeGreaterThan(next.fence);
    await Promise.all([next.release(), last.release()]);
  });

  test('where master and replica change places under one name and no connection ends, sessions follow', async () => {
    const [a, b] = [await opened(), await opened()];
    const held = await a.lock('x', { ttl: '90s' }).acquire();
    const waiting = b.lock('x').acquire();
    await until('it waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    await until('the replica has it', async () => (await replica.client().zcard('{default}:lock-queue:x')) === 1);
    await replica.client().replicaof('NO', 'ONE');
    await master.client().replicaof('127.0.0.1', replica.port);
    name.to = replica.socket;
    await follows(master);
    await until('steps are done again', async () => {
      const counts = await Promise.allSettled([a.counter('n').add(), b.counter('n').add()]);
      for (const count of counts) {
        if (count.status === 'rejected') expect(count.reason).toMatchObject({ details: { applied: 'no' } });
      }
      return counts.every(({ status }) => status === 'fulfilled');
    });
    const mail = replica.client();
    await until('mail comes from there', async () => {
      const channels = (await mail.call('PUBSUB', 'CHANNELS', 'lockstep:*')) as string[];
      return channels.length === 2;
    });
    expect(held.signal.aborted).toBe(false);
    const begin = performance.now();
    await held.release();
    const next = await waiting;
    expect(performance.now() - begin).toBeLessThan(20_000); // woken
    expect(next.fence).toBeGreaterThan(held.fence);
    await next.release();
  });
});

describe.skipIf(!hasRedisServer)('a server that is killed and restarts under load', () => {
  test.each([
    ['without its data ends what was held within a renewal, and gives it to who waits', []],
    ['with its data changes nothing about what is held', ['--appendonly', 'yes', '--appendfsync', 'always']],
  ])('%s; fences grow', async (_, settings) => {
    const server = await startRedisServer(settings);
    onTestFinished(() => server.remove());
    const sessions = await Promise.all([1, 2, 3].map(() => open(server.address, { onWarning: () => {} })));
    onTestFinished(async () => void (await Promise.all(sessions.map((shared) => shared.close()))));
    const [a, b] = sessions as [Lockstep, Lockstep];
    const fences: number[] = [];
    let ending = false;
    const load = sessions.map(async (shared) => {
      while (!ending) {
        try {
          await shared.lock('busy', { ttl: '3s' }).run((lease) => fences.push(lease.fence));
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|LEASE_LOST/) as string });
          await new Promise((next) => setTimeout(next, 5));
        }
      }
    });
    const held = await a.lock('x', { ttl: '20s' }).acquire();
    const waiting = b.lock('x', { ttl: '20s' }).acquire();
    await until('it waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    await until('there is load', () => fences.length > 20);
    await server.stop();
    await server.start();
    if (settings.length === 0) {
      await aborted(held);
      expect(held.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'lost' } });
    } else {
      await until('it answers', () =>
        a
          .lock('x')
          .inspect()
          .then(
            (seen) => seen.waiters.length === 1,
            () => false,
          ),
      );
      expect(held.signal.aborted).toBe(false);
      await held.release();
    }
    const next = await waiting;
    expect(next.fence).toBeGreaterThan(held.fence);
    const before = fences.length;
    await until('load goes on', () => fences.length > before + 20);
    ending = true;
    await Promise.all(load);
    expect(fences).toEqual([...new Set(fences)].sort((one, other) => one - other));
    await next.release();
  });
});

function aborted(lease: Lease): Promise<unknown> {
  return lease.signal.aborted ? Promise.resolve() : once(lease.signal, 'abort');
}
