import { once } from 'node:events';
import { createClient } from 'redis';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { open, type QuorumOptions } from '../../src/open.ts';
import type { QuorumLease } from '../../src/primitives/quorum-lease.ts';
import type { QuorumLockstep } from '../../src/primitives/quorum.ts';
import { answered, failure, soon, until } from '../contract/sessions.ts';
import { chance, sizeOf } from '../faults/chance.ts';
import { type Proxy, startProxy } from './proxy.ts';
import { Redlock5 as Redlock } from './redlock.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

const ttl = 1_500;
/** Short, so that a server that was started anew votes again soon. */
const options: QuorumOptions = { maxTtl: 2_000, onWarning: () => {} };

describe.skipIf(!hasRedisServer)('locks over three independent servers', () => {
  let servers: RedisServer[];
  let proxies: Proxy[];

  beforeAll(async () => {
    servers = await Promise.all([startRedisServer(), startRedisServer(), startRedisServer()]);
    await allVote(servers);
  });
  afterAll(() => Promise.all(servers.map((server) => server.remove())));
  beforeEach(async () => {
    await Promise.all(servers.map((server) => server.client().flushall()));
    proxies = await Promise.all(servers.map((server) => startProxy(server.socket)));
  });
  afterEach(() => Promise.all(proxies.map((proxy) => proxy.close())));

  async function opened(where = proxies.map((proxy) => proxy.address), label = 'test'): Promise<QuorumLockstep> {
    const shared = await answered(() => open(where, { ...options, label }));
    onTestFinished(() => shared.close());
    return shared;
  }

  /** What each server has for the lock. */
  function owners(name = 'x'): Promise<(string | null)[]> {
    return Promise.all(servers.map((server) => server.client().get(`{default}:lock:${name}`)));
  }

  function aborted(lease: QuorumLease): Promise<unknown> {
    return lease.signal.aborted ? Promise.resolve() : once(lease.signal, 'abort');
  }

  test('one holds at a time, on all servers, and nothing is left behind', async () => {
    const [a, b] = await Promise.all([opened(), opened()]);
    const lease = await answered(() => a.lock('x', { ttl }).acquire());
    expect(lease.lock).toBe('x');
    expect(lease.remaining()).toBeGreaterThan(0);
    await until('all have it', async () => new Set(await owners()).size === 1);
    expect(await answered(() => b.lock('x').tryAcquire())).toBeUndefined();
    await lease.release();
    await lease.release();
    expect(lease.remaining()).toBe(0);
    expect(lease.signal.aborted).toBe(false);
    const next = await answered(() => b.lock('x').tryAcquire());
    expect(next).toBeDefined();
    await next!.release();
    await until('all are free', async () => (await owners()).every((owner) => owner === null));
  });

  test('five sessions with two tasks each are inside one at a time, and all get in', async () => {
    const sessions = await Promise.all([1, 2, 3, 4, 5].map(() => opened()));
    const rounds = sizeOf('QUORUM_ROUNDS', 5);
    let last: QuorumLease | undefined;
    let entries = 0;
    const task = async (shared: QuorumLockstep): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        const lease = await answered(() => shared.lock('x', { ttl }).acquire());
        if (lease.remaining() > 0) {
          expect(last?.remaining() ?? 0).toBe(0);
          last = lease;
        }
        entries += 1;
        await new Promise((next) => setTimeout(next, 2));
        await lease.release();
      }
    };
    await Promise.all(sessions.flatMap((shared) => [task(shared), task(shared)]));
    expect(entries).toBe(10 * rounds);
  });

  test('a session that nobody waits behind has the lock again and again without a pause', async () => {
    const lock = (await opened()).lock('x', { ttl });
    const timers = vi.spyOn(globalThis, 'setTimeout');
    onTestFinished(() => timers.mockRestore());
    const end = performance.now() + 10 * limits.quorumPauseMsMax;
    for (let rounds = 0; rounds < 10 || performance.now() < end; rounds++) await answered(() => lock.run(() => {}));
    const pauses = timers.mock.calls
      .map(([, ms]) => ms!)
      .filter((ms) => ms >= limits.quorumPauseMsMax && ms <= 1.5 * limits.quorumPauseMsMax);
    expect(pauses).toEqual([]);
  });

  test('a session that wants the lock again and again leaves it to another one', async () => {
    const [greedy, other] = await Promise.all([opened(), opened()]);
    let over = false;
    const loop = async (): Promise<void> => {
      const lock = greedy.lock('x', { ttl });
      while (!over) await answered(() => lock.run(() => new Promise((next) => setTimeout(next, 5))));
    };
    const loops = [loop(), loop()];
    for (let i = 0; i < 5; i++) {
      const lease = await answered(() => other.lock('x', { ttl }).acquire({ timeout: '30s' }));
      expect(lease.remaining()).toBeGreaterThan(0);
      await lease.release();
    }
    over = true;
    await Promise.all(loops);
  });

  test('a lease is renewed for as long as it is held', async () => {
    const [a, b] = await Promise.all([opened(), opened()]);
    const lease = await answered(() => a.lock('x', { ttl }).acquire());
    const end = performance.now() + 1.2 * ttl;
    while (performance.now() < end) {
      expect(await answered(() => b.lock('x').tryAcquire())).toBeUndefined();
      expect(lease.remaining()).toBeGreaterThan(0);
      await new Promise((next) => setTimeout(next, 20));
    }
    await lease.release();
  });

  test('an event loop that stands still for longer than the lease keeps it', async () => {
    const a = await opened(servers.map((server) => server.address));
    const admin = servers[0]!.client();
    const connections = async (): Promise<number> => ((await admin.client('LIST')) as string).trim().split('\n').length;
    const before = await connections();
    const lease = await answered(() => a.lock('x', { ttl }).acquire());
    await until('its thread is connected', async () => (await connections()) === before + 1, 30_000);
    await new Promise((next) => setTimeout(next, ttl / 2));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1.6 * ttl);
    expect(lease.remaining()).toBeGreaterThan(0);
    await new Promise((next) => setTimeout(next, 50));
    expect(lease.signal.aborted).toBe(false);
    expect(new Set(await owners()).size).toBe(1);
    await lease.release();
  });

  test('one server of three that is down, hangs or is cut off changes nothing', async () => {
    const [a, b] = await Promise.all([opened(), opened()]);
    const [, , last] = proxies as [Proxy, Proxy, Proxy];
    const troubles: (() => void)[] = [
      (): void => void (last.swallow = true),
      (): void => void (last.hold = true),
      (): void => {
        last.refuse = true;
        last.cut();
      },
    ];
    for (const begin of troubles) {
      begin();
      const lease = await answered(() => a.lock('x', { ttl }).acquire({ timeout: '30s' }));
      expect(await answered(() => b.lock('x', { ttl }).tryAcquire())).toBeUndefined();
      await new Promise((next) => setTimeout(next, 1.2 * ttl));
      expect(lease.remaining()).toBeGreaterThan(0);
      await lease.release();
      const next = await answered(() => b.lock('x', { ttl }).acquire({ timeout: '30s' }));
      await next.release();
      heal(last);
    }
  });

  test('with two servers of three down or hanging nobody gets it, and is told so in time', async () => {
    const a = await opened();
    const [, second, third] = proxies as [Proxy, Proxy, Proxy];
    for (const trouble of ['swallow', 'refuse'] as const) {
      for (const proxy of [second, third]) {
        proxy[trouble] = true;
        if (trouble === 'refuse') proxy.cut();
      }
      const error = await failure(a.lock('x', { ttl }).acquire());
      expect(error).toMatchObject({ code: 'UNAVAILABLE', details: { servers: 3, needed: 2 } });
      expect(error.message).toContain(second.address);
      expect(error.message).toContain(third.address);
      expect(await failure(a.lock('x', { ttl }).tryAcquire())).toMatchObject({ code: 'UNAVAILABLE' });
      for (const proxy of [second, third]) heal(proxy);
      await until('it works again', async () => {
        const lease = await a
          .lock('x', { ttl })
          .tryAcquire()
          .catch(() => undefined);
        await lease?.release();
        return lease !== undefined;
      });
    }
    await until('nothing is left behind', async () => (await owners()).every((owner) => owner === null));
  });

  test('it opens with one server down, which joins in when it is there', async () => {
    const [, , last] = proxies as [Proxy, Proxy, Proxy];
    last.refuse = true;
    const a = await opened();
    expect(await answered(() => a.lock('x', { ttl }).run(() => 'done'))).toBe('done');
    last.refuse = false;
    await until('the third has it too', async () => {
      const lease = await answered(() => a.lock('x', { ttl }).acquire());
      await new Promise((next) => setTimeout(next, 5));
      const found = await owners();
      await lease.release();
      return found.every((owner) => owner !== null);
    });
  });

  test('it does not open with two servers down, and says which', async () => {
    const [first, second] = proxies as [Proxy, Proxy, Proxy];
    first.refuse = second.refuse = true;
    const error = await failure(
      open(
        proxies.map((proxy) => proxy.address),
        options,
      ),
    );
    expect(error).toMatchObject({ code: 'UNAVAILABLE', details: { reached: 1, needed: 2 } });
    expect(error.message).toContain(first.address);
  });

  test.each(['swallow', 'hold'] as const)(
    'a renewal without a majority (%s) aborts the signal when the lease is over',
    async (trouble) => {
      const a = await opened();
      const lease = await answered(() => a.lock('x', { ttl }).acquire());
      await new Promise((next) => setTimeout(next, ttl / 2));
      proxies[0]![trouble] = proxies[1]![trouble] = true;
      await aborted(lease);
      expect(lease.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'expired', lock: 'x' } });
      expect(lease.remaining()).toBe(0);
      await lease.release();
      proxies.forEach(heal);
    },
  );

  test('a lease that a majority forgot is lost at the next renewal; one that a minority forgot is not', async () => {
    const [a, b] = await Promise.all([opened(), opened()]);
    const lease = await answered(() => a.lock('x', { ttl }).acquire());
    await until('all have it', async () => new Set(await owners()).size === 1);
    await servers[0]!.client().flushall();
    await new Promise((next) => setTimeout(next, ttl));
    expect(lease.signal.aborted).toBe(false);
    expect(await answered(() => b.lock('x', { ttl }).tryAcquire())).toBeUndefined();
    await servers[1]!.client().flushall();
    await aborted(lease);
    expect(lease.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'lost' } });
    await (await answered(() => b.lock('x', { ttl }).acquire({ timeout: '30s' }))).release();
  });

  test('run tells of a lease that was lost meanwhile, and never hides what the body threw', async () => {
    const a = await opened();
    const forget = (): Promise<unknown> => Promise.all(servers.map((server) => server.client().flushall()));
    const lost = answered(() =>
      a.lock('x', { ttl }).run(async (lease) => {
        await forget();
        await aborted(lease);
      }),
    );
    expect(await failure(lost)).toMatchObject({ code: 'LEASE_LOST' });
    const threw = answered(() =>
      a.lock('x', { ttl }).run(async (lease) => {
        await forget();
        await aborted(lease);
        throw new Error('mine');
      }),
    );
    expect(await failure(threw)).toMatchObject({ message: 'mine', cause: { code: 'LEASE_LOST' } });
  });

  test('maxHold ends a lease', async () => {
    const a = await opened();
    const lease = await answered(() => a.lock('x', { ttl, maxHold: 300 }).acquire());
    await aborted(lease);
    expect(lease.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'maxHold' } });
  });

  test('a wait that times out names the holder; a signal rejects with its own reason', async () => {
    const a = await opened(undefined, 'the holder');
    const b = await opened(undefined, 'the waiter');
    const lease = await answered(() => a.lock('x', { ttl }).acquire());
    for (const timeout of [0, 1_000]) {
      const error = await failure(answered(() => b.lock('x', { ttl }).acquire({ timeout })));
      expect(error).toMatchObject({ code: 'TIMEOUT', details: { lock: 'x', timeoutMs: timeout } });
      expect(error.message).toMatch(/held by "the holder" \(pid \d+ on .*\) since 20/);
      expect(error.message).not.toContain('fence');
    }
    const own = await failure(a.lock('x', { ttl }).acquire({ timeout: 50 }));
    expect(own.message).toContain('another task of this session');
    const stop = new AbortController();
    const waiting = failure(answered(() => b.lock('x', { ttl }).acquire({ signal: stop.signal })));
    const reason = new Error('enough');
    stop.abort(reason);
    expect(await waiting).toBe(reason);
    await lease.release();
    await (await answered(() => b.lock('x', { ttl }).acquire({ timeout: '30s' }))).release();
  });

  test('a wait that was given up in the middle of a round leaves nothing behind', async () => {
    const a = await opened();
    for (const proxy of proxies) proxy.delayMs = 20;
    // What is left behind goes with its lease.
    await soon(ttl / 2, async () => {
      const stop = new AbortController();
      const waiting = answered(() => a.lock('x', { ttl }).acquire({ signal: stop.signal }));
      const ended = waiting.catch((error: unknown) => error as Error);
      await until('a server has it', async () => (await owners()).some((owner) => owner !== null));
      const began = performance.now();
      stop.abort(new Error('enough'));
      const given = await ended;
      if (!(given instanceof Error)) {
        await given.release(); // it came just before
        return Infinity;
      }
      expect(given.message).toBe('enough');
      await until('all are free', async () => (await owners()).every((owner) => owner === null));
      return performance.now() - began;
    });
  });

  test('it excludes ordinary locks of the same name on a server, and hands on to whoever waits there', async () => {
    const single = await open(servers[0]!.address, { onWarning: () => {} });
    onTestFinished(() => single.close());
    const a = await opened();
    const lease = await answered(() => a.lock('x', { ttl }).acquire());
    await until('all have it', async () => new Set(await owners()).size === 1);
    expect(await single.lock('x').tryAcquire()).toBeUndefined();
    const waiting = single.lock('x').acquire();
    await until('it waits', async () => (await single.lock('x').inspect()).waiters.length === 1);
    await lease.release();
    const theirs = await waiting;
    const ours = await answered(() => a.lock('x', { ttl }).acquire()); // two of three
    expect(new Set(await owners()).size).toBe(2);
    await ours.release();
    await theirs.release();
  });

  test('it shares a lock with redlock 5 on the same three servers, in both directions', async () => {
    const theirs = new Redlock(
      servers.map((server) => server.client()),
      { retryCount: 0 },
    );
    theirs.on('error', () => {});
    const tryTheirs = (): Promise<{ release(): Promise<unknown> } | undefined> =>
      theirs.acquire(['job'], 10_000).catch(() => undefined);
    const ours = (await opened()).lock('the job', { key: 'job', ttl });
    const at = (): Promise<(string | null)[]> => Promise.all(servers.map((server) => server.client().get('job')));

    const lease = await answered(() => ours.acquire());
    expect(await tryTheirs()).toBeUndefined();
    expect(lease.remaining()).toBeGreaterThan(0);
    await lease.release();

    const lock = (await tryTheirs())!;
    expect(lock).toBeDefined();
    expect(await answered(() => ours.tryAcquire())).toBeUndefined();
    const late = await failure(answered(() => ours.acquire({ timeout: 1_000 })));
    expect(late).toMatchObject({ code: 'TIMEOUT' });
    expect(late.message).toContain('another program');
    const waiting = ours.acquire({ timeout: '30s' });
    await lock.release();
    await (await waiting).release();
    await until('nothing is left behind', async () => (await at()).every((owner) => owner === null));

    // They have one server, which is no majority; we have the others, and give nothing of theirs back.
    await servers[0]!.client().set('job', 'theirs', 'PX', 60_000);
    const overThem = await answered(() => ours.acquire());
    expect(await tryTheirs()).toBeUndefined();
    await overThem.release();
    expect((await at())[0]).toBe('theirs');
  });

  test('it and redlock 5 are inside one at a time, and both get in', async () => {
    const theirs = new Redlock(
      servers.map((server) => server.client()),
      { retryCount: 0 },
    );
    theirs.on('error', () => {});
    const ours = (await opened()).lock('the job', { key: 'job', ttl });
    const turns = { ours: 0, theirs: 0 };
    let isInside = (): boolean => false;
    const end = performance.now() + 40_000;
    const enough = (): boolean => Math.min(turns.ours, turns.theirs) >= 5 || performance.now() > end;
    const work = async (who: keyof typeof turns, isValid: () => boolean): Promise<void> => {
      if (isValid()) {
        expect(isInside()).toBe(false);
        isInside = isValid;
      }
      turns[who] += 1;
      await new Promise((next) => setTimeout(next, 2));
    };
    const we = async (): Promise<void> => {
      while (!enough()) {
        const lease = await answered(() => ours.acquire());
        await work('ours', () => lease.remaining() > 0);
        await lease.release();
      }
    };
    const they = async (): Promise<void> => {
      while (!enough()) {
        const lock = await theirs.acquire(['job'], 10_000).catch(() => undefined);
        let isHeld = lock !== undefined;
        if (isHeld) await work('theirs', () => isHeld);
        isHeld = false;
        await lock?.release();
        await new Promise((next) => setTimeout(next, 1));
      }
    };
    await Promise.all([we(), they()]);
    expect(Math.min(turns.ours, turns.theirs)).toBeGreaterThanOrEqual(5);
  });

  test('close ends waits and leases, calls after it are refused, and hanging servers do not hold it up', async () => {
    const a = await opened();
    const b = await opened();
    const lease = await answered(() => a.lock('x', { ttl }).acquire());
    const waiting = failure(answered(() => b.lock('x', { ttl }).acquire()));
    proxies[2]!.swallow = true;
    const begin = performance.now();
    await Promise.all([a.close(), b.close(), a.close()]);
    expect(performance.now() - begin).toBeLessThan(15_000);
    expect(await waiting).toMatchObject({ code: 'CLOSED' });
    expect(lease.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'closed' } });
    expect(await failure(a.lock('x', { ttl }).acquire())).toMatchObject({ code: 'CLOSED' });
    expect(await failure(a.lock('x', { ttl }).tryAcquire())).toMatchObject({ code: 'CLOSED' });
    expect((await owners()).slice(0, 2)).toEqual([null, null]);
  });

  test('clients and addresses of three servers can be given', async () => {
    const ready = new Redis({ path: servers[0]!.socket });
    onTestFinished(() => ready.disconnect());
    const where = [
      ready,
      createClient({ socket: { path: servers[1]!.socket, tls: false } }),
      `redis://127.0.0.1:${servers[2]!.port}`,
    ];
    const a = await open(where, options);
    onTestFinished(() => a.close());
    expect(await answered(() => a.lock('x', { ttl }).run(() => 'done'))).toBe('done');
  });

  test('what can not be used is refused with the reason', async () => {
    const [a = '', b = '', c = ''] = servers.map((server) => server.address);
    const refused = async (where: string[], more: object, words: string): Promise<void> => {
      const error = await failure(open(where, { ...options, ...more }));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
      expect(error.message).toContain(words);
    };
    await refused([], {}, 'odd number');
    await refused([a, b], {}, 'odd number');
    await refused([a, b, c, a], {}, 'odd number');
    await refused([a, b, `redis://127.0.0.1:${servers[0]!.port}`], {}, 'the same one as');
    await refused([a, b, 'redis+sentinel://s/main'], {}, 'not one server');
    await refused([a, b, './directory'], {}, 'where');
    await refused([a, b, c], { durability: 'full' }, 'durability');
    await refused([a, b, c], { maxTtl: 1 }, 'maxTtl');
    const shared = await opened();
    for (const wrong of [{ ttl: 50 }, { ttl: 2_001 }, { keep: 5 }, { maxHold: 0 }]) {
      expect(() => shared.lock('x', wrong)).toThrow(/ttl|keep|maxHold/);
    }
    expect(() => shared.lock('')).toThrow('lock name');
    expect(await failure(shared.lock('x').acquire({ timeuot: 5 } as never))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('a server that restarted does not vote until every lease that it may have forgotten is over', async () => {
    const [a, b] = await Promise.all([opened(), opened()]);
    const [first, second, third] = servers as [RedisServer, RedisServer, RedisServer];
    // a has the second and third alone; then the third forgets.
    await first.client().set('{default}:lock:x', 'another program');
    const lease = await answered(() => a.lock('x', { ttl }).acquire({ timeout: '30s' }));
    await first.client().del('{default}:lock:x');
    await third.stop();
    const begin = performance.now();
    await third.start();
    const error = await failure(b.lock('x', { ttl }).acquire({ timeout: 0 }));
    expect(error).toMatchObject({ code: expect.stringMatching(/TIMEOUT|UNAVAILABLE/) as string });
    await aborted(lease);
    expect(lease.signal.reason).toMatchObject({ code: 'LEASE_LOST' });
    await second.stop();
    await until('the third votes again', async () => {
      const got = await b
        .lock('x', { ttl })
        .tryAcquire()
        .catch((refused: unknown) => {
          expect(refused).toMatchObject({ code: 'UNAVAILABLE' });
        });
      await got?.release();
      return got !== undefined;
    });
    expect(performance.now() - begin).toBeGreaterThan(1_900);
    await second.start();
    await allVote(servers);
  });

  test('at random kills and cuts, those with a valid lease are never two, and nobody hangs', async () => {
    const random = chance();
    const sessions = await Promise.all([1, 2, 3].map(() => opened()));
    const end = performance.now() + 1_000 * sizeOf('QUORUM_FAULT_SECONDS', 4);
    const isOver = (): boolean => performance.now() > (holds > 5 ? end : end + 30_000);
    let inside: QuorumLease | undefined;
    let holds = 0;
    const task = async (shared: QuorumLockstep): Promise<void> => {
      while (!isOver()) {
        try {
          const lease = await shared.lock('x', { ttl: 300 }).acquire({ timeout: '2s' });
          if (lease.remaining() > 0) {
            expect(inside?.remaining() ?? 0).toBe(0);
            inside = lease;
            holds += 1;
          }
          await new Promise((next) => setTimeout(next, random.between(0, 20)));
          if (inside === lease) inside = undefined;
          await lease.release();
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(?:UNAVAILABLE|TIMEOUT)$/) as string });
        }
      }
    };
    const trouble = async (): Promise<void> => {
      while (performance.now() < end - 1_000) {
        const place = Math.floor(random.between(0, 3));
        const kind = random.pick(['cut', 'swallow', 'kill'] as const);
        const proxy = proxies[place]!;
        if (kind === 'cut') proxy.cut();
        if (kind === 'swallow') proxy.swallow = true;
        if (kind === 'kill') await servers[place]!.stop();
        await new Promise((next) => setTimeout(next, random.between(50, 400)));
        heal(proxy);
        if (kind === 'kill') await servers[place]!.start();
      }
    };
    await Promise.all([...sessions.map(task), trouble()]);
    expect(holds).toBeGreaterThan(5);
    await allVote(servers);
  }, 120_000);
});

describe.skipIf(!hasRedisServer)('locks over five independent servers', () => {
  test('two that are down change nothing; three are too many', async () => {
    const servers = await Promise.all(Array.from({ length: 5 }, () => startRedisServer()));
    onTestFinished(async () => void (await Promise.all(servers.map((server) => server.remove()))));
    await allVote(servers);
    const where = servers.map((server) => server.address);
    const opened = (): Promise<QuorumLockstep> => answered(() => open(where, options));
    const [a, b] = await Promise.all([opened(), opened()]);
    onTestFinished(async () => void (await Promise.all([a.close(), b.close()])));
    const lease = await answered(() => a.lock('x', { ttl }).acquire());
    await servers[0]!.stop();
    await servers[1]!.stop();
    await new Promise((next) => setTimeout(next, 1.2 * ttl));
    expect(lease.remaining()).toBeGreaterThan(0);
    expect(await answered(() => b.lock('x', { ttl }).tryAcquire())).toBeUndefined();
    await lease.release();
    const next = await answered(() => b.lock('x', { ttl }).acquire({ timeout: '30s' }));
    await servers[2]!.stop();
    if (!next.signal.aborted) await once(next.signal, 'abort');
    expect(next.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'expired' } });
    expect(await failure(a.lock('x', { ttl }).acquire())).toMatchObject({ code: 'UNAVAILABLE' });
  });
});

/** What was swallowed is never told: a connection from which replies are missing does not go on. */
function heal(proxy: Proxy): void {
  if (proxy.swallow) proxy.cut();
  proxy.swallow = proxy.hold = proxy.refuse = false;
}

/** Waits until all have run for longer than `maxTtl`. */
async function allVote(servers: readonly RedisServer[]): Promise<void> {
  for (const server of servers) {
    const client = server.client();
    await until(
      'it has run for long enough',
      async () => Number(/uptime_in_seconds:(\d+)/.exec(await client.info('server'))?.[1]) >= 3,
    );
  }
}
