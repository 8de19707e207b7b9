import { createCluster } from 'redis';
import { Cluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { clientsAt } from '../../src/engines/redis/clients.ts';
import { redisEngine } from '../../src/engines/redis/redis.ts';
import { slotOf } from '../../src/engines/redis/slots.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import { connect, open, type OpenOptions } from '../../src/open.ts';
import { failure, until } from '../contract/sessions.ts';
import { type RedisCluster, startRedisCluster } from './cluster.ts';
import { hasRedisServer, startRedisServer } from './server.ts';

describe.skipIf(!hasRedisServer)('a Redis Cluster of three masters with a replica each', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster(1);
  }, 120_000);
  afterAll(() => cluster.remove());
  afterEach(() => cluster.empty());

  async function opened(
    options: OpenOptions = {},
    where: Parameters<typeof open>[0] = cluster.address,
  ): Promise<Lockstep> {
    const shared = await open(where, { onWarning: () => {}, ...options });
    onTestFinished(() => shared.close());
    return shared;
  }

  /** Tasks that lock and count until told to end: one is inside at a time, as long as nothing is lost, and fences grow. */
  function hammer(sessions: readonly Lockstep[], insideMax = 1): { end(): Promise<number>; readonly done: number } {
    let inside = 0;
    let done = 0;
    let most = 0;
    let ending = false;
    const fences: number[] = [];
    const task = async (shared: Lockstep): Promise<void> => {
      while (!ending) {
        try {
          await shared.lock('x', { ttl: '30s' }).run(
            async (lease) => {
              inside += 1;
              most = Math.max(most, inside);
              fences.push(lease.fence);
              try {
                const stock = shared.map<number>('m');
                const n = ((await stock.get('n')) ?? 0) + 1;
                await stock.set('n', n, { guard: lease });
                done += 1;
              } finally {
                inside -= 1;
              }
            },
            { timeout: '30s' },
          );
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|LEASE_LOST/) as string });
        }
      }
    };
    const tasks = Promise.all(sessions.flatMap((shared) => [task(shared), task(shared)]));
    return {
      get done() {
        return done;
      },
      async end() {
        ending = true;
        await tasks;
        expect(most).toBeLessThanOrEqual(insideMax);
        expect(fences).toEqual([...new Set(fences)].sort((one, other) => one - other));
        return fences.length;
      },
    };
  }

  test('an address, and ready clients of ioredis and node-redis, share one state, and are left alone', async () => {
    const [host, port] = ['127.0.0.1', cluster.nodes[0]!.port];
    const io = new Cluster([{ host, port }]);
    const node = createCluster({ rootNodes: [{ url: `redis://${host}:${port}` }] });
    onTestFinished(() => io.disconnect());
    const all = [await opened(), await opened({}, io), await opened({}, node)];
    const counts: number[] = [];
    for (const shared of all) counts.push(await shared.counter('opened').add());
    expect(counts).toEqual([1, 2, 3]);
    const held = await all[0]!.lock('x').acquire();
    const waiting = all[2]!.lock('x').acquire();
    await until('it waits', async () => (await all[1]!.lock('x').inspect()).waiters.length === 1);
    await held.release();
    await (await waiting).release();
    expect(await io.get('{default}:counter:opened')).toBe('3');
    expect(node.isOpen).toBe(false);
  });

  test('spaces are in different slots, and verbatim keys in theirs: all of one session work, and wake each other', async () => {
    const spaces = ['a', 'b', 'c', 'd'];
    expect(new Set(spaces.map((space) => Math.floor(slotOf(`{${space}}`) / 5_462))).size).toBe(3);
    for (const space of spaces) {
      const [one, other] = [await opened({ space }), await opened({ space })];
      for (const key of [undefined, 'jobs', 'invoice:7', 'user:{42}:lock']) {
        const options = { ttl: 60_000, ...(key === undefined ? {} : { key }) };
        const held = await one.lock('x', options).acquire();
        const waiting = other.lock('x', options).acquire();
        await until('it waits', async () => (await one.lock('x', options).inspect()).waiters.length === 1);
        const seen = await one.lock('x', options).inspect();
        expect(seen.holder?.session).toEqual(one.session);
        expect(await failure(other.lock('x', options).acquire({ timeout: 0 }))).toMatchObject({ code: 'TIMEOUT' });
        const begin = performance.now();
        await held.release();
        const next = await waiting;
        expect(performance.now() - begin).toBeLessThan(20_000); // woken: who is not looks again after half a minute
        expect(next.fence).toBeGreaterThan(held.fence);
        await next.release();
      }
      await (await one.lockAll(['p', 'q', 'r'])).release();
    }
  });

  test('a lease guards only what is in its slot, and says so', async () => {
    const shared = await opened();
    const lease = await shared.lock('x', { key: 'elsewhere' }).acquire();
    const error = await failure(shared.map('m').set('k', 1, { guard: lease }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error.message).toContain('two slots');
    await lease.release();
    const near = await shared.lock('x', { key: '{default}:mine' }).acquire();
    await shared.map('m').set('k', 1, { guard: near });
    await near.release();
  });

  test('leases in many slots are renewed', async () => {
    const shared = await opened();
    const keys = Array.from({ length: 40 }, (_, i) => `job:${i}`);
    const leases = await Promise.all(keys.map((key) => shared.lock(key, { key, ttl: 1_500 }).acquire()));
    const end = performance.now() + 1_800;
    await until('a lease is over', () => performance.now() > end);
    expect(leases.filter((lease) => lease.signal.aborted)).toEqual([]);
    await Promise.all(leases.map((lease) => lease.release()));
  });

  test.each(['ioredis', 'node-redis'])(
    'slots that are not used any more are left, but for those where something is held, and entered again, by %s',
    async (library) => {
      const { port } = cluster.nodes[0]!;
      const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] });
      const clients = await clientsAt(library === 'ioredis' ? cluster.address : client);
      const engine = await redisEngine({ clients, slotIdleMs: 500 });
      const shared = await connect(engine, { space: 'test', label: 'a', maxStallMs: 0 });
      onTestFinished(() => shared.close());
      const masters = await Promise.all(['a', 'b', 'c'].map((space) => cluster.masterOf(`{${space}}`)));
      const admins = masters.map((master) => master.client());
      const channels = async (): Promise<number> => {
        const all = await Promise.all(admins.map((admin) => admin.call('PUBSUB', 'SHARDCHANNELS', '*')));
        return (all.flat() as string[]).filter((channel) => channel.includes(shared.session.id)).length;
      };
      const kept = await shared.lock('kept', { ttl: '60s', keep: '60s' }).acquire();
      await kept.release();
      const work = (): Promise<unknown> =>
        Promise.all(Array.from({ length: 30 }, (_, i) => shared.lock('job', { key: `job:${i}` }).run(() => {})));
      await work();
      await until('all but the one that is kept are left', async () => (await channels()) === 1);
      await Promise.all([work(), until('they are entered again', async () => (await channels()) > 10)]);

      const other = await opened({ space: 'test' });
      const begin = performance.now();
      await (await other.lock('kept').acquire()).release();
      expect(performance.now() - begin).toBeLessThan(20_000);
      const theirs = await other.lock('job', { key: 'job:1', ttl: '2s' }).acquire();
      const waiting = shared.lock('job', { key: 'job:1' }).acquire();
      await until('it waits', async () => (await other.lock('job', { key: 'job:1' }).inspect()).waiters.length === 1);
      await theirs.release();
      await (await waiting).release();
      await until('all are left', async () => (await channels()) === 0);
    },
  );

  test('a slot that moves while a lock is held and waited for and a counter counts loses nothing', async () => {
    const sessions = [await opened(), await opened()];
    const key = '{default}:fence';
    const [holder, waiter] = sessions as [Lockstep, Lockstep];
    const held = await holder.lock('held', { ttl: 5_000 }).acquire();
    const waiting = waiter.lock('held').acquire();
    await until('it waits', async () => (await holder.lock('held').inspect()).waiters.length === 1);
    const work = hammer(sessions);
    let counted = 0;
    let counting = true;
    const counter = (async () => {
      for (; counting; counted++) await holder.counter('n').add();
    })();
    for (let round = 0; round < 2; round++) {
      await cluster.move(key, await cluster.otherMaster(key), () => new Promise((next) => setTimeout(next, 700)));
      const before = work.done;
      await until('work goes on', () => work.done > before + 20, 30_000);
    }
    counting = false;
    await counter;
    await work.end();
    expect(await holder.counter('n').get()).toBe(counted);
    expect(await holder.map('m').get('n')).toBe(work.done);
    expect(held.signal.aborted).toBe(false);
    await held.release();
    await (await waiting).release();
  }, 120_000);

  test('a master that hands over to its replica loses nothing: waiters are woken through the new one', async () => {
    const [a, b] = [await opened(), await opened()];
    const held = await a.lock('x', { ttl: '60s' }).acquire();
    const waiting = b.lock('x', { ttl: '60s' }).acquire();
    await until('it waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    const replica = await cluster.replicaOf('{default}:');
    await replica.client().call('CLUSTER', 'FAILOVER');
    await until('it is the master', async () => (await cluster.masterOf('{default}:')) === replica, 30_000);
    const begin = performance.now();
    await held.release();
    const next = await waiting;
    expect(next.fence).toBeGreaterThan(held.fence);
    expect(performance.now() - begin).toBeLessThan(25_000); // woken
    await next.release();
  }, 120_000);

  test('a master that is killed is replaced: work goes on, fences grow, nobody hangs', async () => {
    const sessions = [await opened(), await opened()];
    const held = await sessions[0]!.lock('held', { ttl: '60s' }).acquire();
    const waiting = sessions[1]!.lock('held', { ttl: '60s' }).acquire();
    await until('it waits', async () => (await sessions[0]!.lock('held').inspect()).waiters.length === 1);
    const work = hammer(sessions, 2); // the replica may not have got the last grant: only the fence tells then
    await until('work is done', () => work.done > 20, 30_000);
    const old = await cluster.masterOf('{default}:');
    await cluster.replicaOf('{default}:');
    await old.stop();
    const replaced = async (): Promise<boolean> => (await cluster.masterOf('{default}:').catch(() => old)) !== old;
    await until('its replica is the master', replaced, 30_000);
    const before = work.done;
    await until('work goes on', () => work.done > before + 20, 30_000);
    expect(await work.end()).toBeGreaterThan(40);
    await held.release();
    await (await waiting).release();
    await old.start();
  }, 90_000);

  test('what is no cluster, and a node of one that is opened as a server, are refused with what to open', async () => {
    const alone = await startRedisServer();
    onTestFinished(() => alone.remove());
    const error = await failure(open(`redis+cluster://127.0.0.1:${alone.port}`));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error.message).toContain('open redis://');
    const node = await failure(open(`redis://127.0.0.1:${cluster.nodes[1]!.port}`));
    expect(node).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(node.message).toContain('redis+cluster://');
  });
});
