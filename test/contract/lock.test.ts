import { getEventListeners } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import type { Lease } from '../../src/primitives/lease.ts';
import { eachEngine } from './each-engine.ts';
import { failure, gate, openSession, until } from './sessions.ts';

eachEngine((_, openStore) => {
  async function open(...labels: string[]): Promise<Lockstep[]> {
    const store = await openStore();
    return Promise.all(labels.map((label) => openSession(store, label)));
  }

  test('a lock lets one task of all sessions in at a time, with fences that only grow', async () => {
    const sessions = await open('a', 'b', 'c');
    let inside = 0;
    const fences: number[] = [];
    const task = async (shared: Lockstep): Promise<void> => {
      for (let i = 0; i < 50; i++) {
        const lease = await shared.lock('x').acquire();
        inside += 1;
        expect(inside).toBe(1);
        fences.push(lease.fence);
        await Promise.resolve();
        inside -= 1;
        await lease.release();
      }
    };
    await Promise.all(sessions.flatMap((shared) => [task(shared), task(shared), task(shared), task(shared)]));
    expect(fences).toHaveLength(600);
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b));
  });

  test('waiters of one session are served in the order in which they came', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const held = await b.lock('x').acquire();
    const served: number[] = [];
    const waits = Array.from({ length: 1_000 }, async (_unused, i) => {
      const lease = await a.lock('x').acquire();
      served.push(i);
      await lease.release();
    });
    await until('somebody waits', async () => (await b.lock('x').inspect()).waiters.length === 1);
    await held.release();
    await Promise.all(waits);
    expect(served).toEqual(Array.from({ length: 1_000 }, (_unused, i) => i));
  });

  test('sessions are served in the order in which they came', async () => {
    const labels = Array.from({ length: 8 }, (_unused, i) => `s${i}`);
    const sessions = await open('holder', ...labels);
    const [holder, ...others] = sessions as [Lockstep, ...Lockstep[]];
    const held = await holder.lock('x').acquire();
    const served: string[] = [];
    const waits: Promise<void>[] = [];
    for (const [i, shared] of others.entries()) {
      waits.push(
        shared.lock('x').run(() => {
          served.push(shared.session.label);
        }),
      );
      await until('it waits', async () => (await holder.lock('x').inspect()).waiters.length === i + 1);
    }
    const seen = await holder.lock('x').inspect();
    expect(seen.waiters.map(({ session }) => session.label)).toEqual(labels);
    await held.release();
    await Promise.all(waits);
    expect(served).toEqual(labels);
  });

  test('tryAcquire gives the lock or nothing, at once', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const lease = await a.lock('x').tryAcquire();
    expect(lease?.remaining()).toBeGreaterThan(5_000);
    expect(await a.lock('x').tryAcquire()).toBeUndefined();
    expect(await b.lock('x').tryAcquire()).toBeUndefined();
    await lease?.release();
    const next = await b.lock('x').tryAcquire();
    expect(next?.fence).toBeGreaterThan(lease!.fence);
  });

  test('a lease can be logged as JSON', async () => {
    const [a] = (await open('a')) as [Lockstep];
    await a.lock('x', { ttl: '5s' }).run((lease) => {
      const logged = JSON.parse(JSON.stringify({ lease })) as unknown;
      const { fence, since } = lease as Lease & { since: number };
      expect(logged).toEqual({ lease: { lock: 'x', fence, since, ttlMs: 5_000, active: true } });
    });
  });

  test('a wait that times out says who holds the lock, and leaves the line', async () => {
    const [a, b] = (await open('Anna', 'Bert')) as [Lockstep, Lockstep];
    const lease = await a.lock('x').acquire();
    const error = await failure(b.lock('x').acquire({ timeout: 30 }));
    expect(error).toMatchObject({ code: 'TIMEOUT' });
    expect(error.message).toContain('lock "x" was not free within 30 ms: it is held by "Anna" (pid ');
    expect(error.message).toContain(`fence ${lease.fence}`);
    expect((await a.lock('x').inspect()).waiters).toEqual([]);
    const own = await failure(a.lock('x').acquire({ timeout: 30 }));
    expect(own.message).toContain('held by another task of this session');
    const atOnce = await failure(b.lock('x').acquire({ timeout: 0 }));
    expect(atOnce.message).toContain('lock "x" is not free: it is held by "Anna"');
    await lease.release();
    await (await b.lock('x').acquire({ timeout: 0 })).release();
  });

  test("an aborted wait rejects with the signal's own reason and does not own the lock", async () => {
    const [a, b, c] = (await open('a', 'b', 'c')) as [Lockstep, Lockstep, Lockstep];
    const lease = await a.lock('x').acquire();
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const wait = b.lock('x').acquire({ signal: controller.signal });
    await until('b waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    const behind = c.lock('x').acquire();
    await until('c waits', async () => (await a.lock('x').inspect()).waiters.length === 2);
    controller.abort(reason);
    expect(await failure(wait)).toBe(reason);
    await lease.release();
    expect((await behind).remaining()).toBeGreaterThan(0);
    const early = new AbortController();
    early.abort(reason);
    expect(await failure(b.lock('y').acquire({ signal: early.signal }))).toBe(reason);
    expect(await b.lock('y').tryAcquire()).toBeDefined();
  });

  test('one signal ends thousands of waits, by one listener', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const held = await b.lock('x').acquire();
    const stop = new AbortController();
    const waits = Array.from({ length: 5_000 }, () => failure(a.lock('x').acquire({ signal: stop.signal })));
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
    stop.abort(new Error('shutting down'));
    const reasons = new Set(await Promise.all(waits));
    expect([...reasons]).toEqual([stop.signal.reason]);
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
    await held.release();
    expect((await a.lock('x').inspect()).waiters).toEqual([]);
  });

  test('waits that are given up at random moments leave neither holder nor waiter behind', async () => {
    const sessions = await open('a', 'b', 'c');
    let inside = 0;
    const task = async (shared: Lockstep, seed: number): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        const timeout = ((i * 7 + seed * 3) % 5) as 0 | 1 | 2 | 3 | 4;
        const lease = await shared
          .lock('x')
          .acquire({ timeout })
          .catch((error: { code: string }) => {
            expect(error.code).toBe('TIMEOUT');
          });
        if (lease === undefined) continue;
        inside += 1;
        expect(inside).toBe(1);
        if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        inside -= 1;
        await lease.release();
      }
    };
    await Promise.all(sessions.flatMap((shared, i) => [task(shared, i), task(shared, i + 10), task(shared, i + 20)]));
    await until('nobody holds or waits', async () => {
      const seen = await sessions[0]!.lock('x').inspect();
      return seen.holder === undefined && seen.waiters.length === 0;
    });
  });

  test('a lease is renewed while it is held, and gone once it is released', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const ttl = 1_500;
    const end = performance.now() + ttl;
    const lease = await a.lock('x', { ttl }).acquire();
    await until('it lasts longer than it would without', () => performance.now() + lease.remaining() > end + 100);
    expect(lease.signal.aborted).toBe(false);
    expect((await b.lock('x').inspect()).holder?.fence).toBe(lease.fence);
    await lease.release();
    expect(lease.remaining()).toBe(0);
    await lease.release(); // harmless
    expect((await b.lock('x').inspect()).holder).toBeUndefined();
  });

  test('maxHold ends a lease although it is renewed', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const lease = await a.lock('x', { ttl: 100, maxHold: 250 }).acquire();
    const next = await b.lock('x').acquire({ timeout: 30_000 });
    expect(lease.remaining()).toBe(0);
    await until('it is told', () => lease.signal.aborted);
    expect(lease.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { lock: 'x', fence: lease.fence } });
    expect(next.fence).toBeGreaterThan(lease.fence);
  });

  test('run releases the lock, gives the result, and passes on what the body threw', async () => {
    const [a] = (await open('a')) as [Lockstep];
    expect(await a.lock('x').run((lease) => lease.fence > 0)).toBe(true);
    const thrown = new Error('mine');
    expect(await failure(a.lock('x').run(() => Promise.reject(thrown)))).toBe(thrown);
    expect((await a.lock('x').inspect()).holder).toBeUndefined();
  });

  test('forceRelease takes the lock: the old holder hears of it, the next waiter has it, with a larger fence', async () => {
    const [a, b, c] = (await open('a', 'b', 'c')) as [Lockstep, Lockstep, Lockstep];
    expect(await c.lock('x').forceRelease()).toBe(false);
    const body = gate();
    let lease: Lease | undefined;
    const ran = failure(
      a.lock('x').run(async (own) => {
        lease = own;
        await body.opened;
      }),
    );
    await until('it is held', () => lease !== undefined);
    const next = b.lock('x').acquire();
    await until('b waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    expect(await c.lock('x').forceRelease()).toBe(true);
    expect((await next).fence).toBeGreaterThan(lease!.fence);
    await until('the signal aborts', () => lease!.signal.aborted);
    body.open();
    const error = await ran;
    expect(error).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'forced' } });
    expect(error).toBe(lease!.signal.reason);
    expect((await c.lock('x').inspect()).holder?.session.label).toBe('b');
  });

  test('a body that throws after the lease was lost rejects with its own error, the loss as cause', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const mine = new Error('mine');
    const error = await failure(
      a.lock('x').run(async (lease) => {
        await b.lock('x').forceRelease();
        await until('it is lost', () => lease.signal.aborted);
        throw mine;
      }),
    );
    expect(error).toBe(mine);
    expect(error.cause).toMatchObject({ code: 'LEASE_LOST' });
  });

  test('a waiter may ask the holder to give up', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    expect(await b.lock('x y').requestRelease('please')).toBe(false);
    const lease = await a.lock('x y').acquire();
    const asked = gate();
    const requests: unknown[] = [];
    lease.onReleaseRequest((request) => {
      requests.push(request);
      asked.open();
    });
    expect(await b.lock('x y').requestRelease('please: it is urgent')).toBe(true);
    const next = b.lock('x y').acquire({ timeout: 30_000 });
    await asked.opened;
    expect(requests).toEqual([{ lock: 'x y', reason: 'please: it is urgent' }]);
    await lease.release();
    await (await next).release();
  });

  test('a guarded write is refused once the lease is over, and nothing is written', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const lease = await a.lock('x').acquire();
    await a.map<number>('m').set('k', 1, { guard: lease });
    await b.lock('x').forceRelease();
    const next = await b.lock('x').acquire();
    expect(await failure(a.map<number>('m').set('k', 2, { guard: lease }))).toMatchObject({ code: 'LEASE_LOST' });
    expect(await failure(a.map<number>('m').delete('k', { guard: lease }))).toMatchObject({ code: 'LEASE_LOST' });
    expect(await b.map<number>('m').get('k')).toBe(1);
    await b.map<number>('m').set('k', 3, { guard: next });
    await next.release();
    expect(await failure(b.map<number>('m').set('k', 4, { guard: next }))).toMatchObject({ code: 'LEASE_LOST' });
    expect(await b.map<number>('m').get('k')).toBe(3);
  });

  test('close rejects waiters, releases what is held, and is idempotent', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const lease = await a.lock('x').acquire();
    const foreign = await b.lock('y').acquire();
    const waits = [failure(a.lock('y').acquire()), failure(a.lock('y').acquire())];
    await until('a waits', async () => (await b.lock('y').inspect()).waiters.length === 1);
    await Promise.all([a.close(), a.close()]);
    for (const wait of waits) expect(await wait).toMatchObject({ code: 'CLOSED' });
    expect(lease.signal.aborted).toBe(true);
    expect((await b.lock('x').inspect()).holder).toBeUndefined();
    expect((await b.lock('y').inspect()).waiters).toEqual([]);
    expect((await b.sessions()).map(({ label }) => label)).toEqual(['b']);
    expect(await failure(a.lock('x').acquire())).toMatchObject({ code: 'CLOSED' });
    await foreign.release();
  });

  test('bad arguments are refused by name before anything is sent', async () => {
    const [a] = (await open('a')) as [Lockstep];
    for (const ttl of [0, -1, Number.NaN, 49, Number.POSITIVE_INFINITY, '5 parsecs']) {
      expect(() => a.lock('x', { ttl: ttl as number })).toThrow(/^ttl is /);
    }
    expect(() => a.lock('')).toThrow(/^lock name is ""/);
    expect(() => a.lock('a\nb')).toThrow(/^lock name is /);
    expect(await failure(a.lock('x').acquire({ timeout: -1 }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await failure(a.lock('x').run(undefined as never))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((await a.lock('x').inspect()).holder).toBeUndefined();
  });

  test('a lock at a verbatim key is respected, and released, as any other program would', async () => {
    const store = await openStore();
    const a = await openSession(store, 'a');
    const lock = a.lock('shared with python', { key: 'my_lock' });
    const lease = await lock.acquire();
    expect(await lock.inspect()).toMatchObject({ key: 'my_lock', holder: { fence: lease.fence } });
    await lease.release();
    onTestFinished(() => {});
  });

  test('a lock with the longest name is listed, and passes by a waiter that closes meanwhile', async () => {
    const [a, b, c] = (await open('a', 'b', 'c')) as [Lockstep, Lockstep, Lockstep];
    const name = 'n'.repeat(200);
    const held = await a.lock(name).acquire();
    const waits = [b, c].map((shared) => shared.lock(name).acquire());
    const departed = failure(waits[0]!);
    await until('both wait', async () => (await a.lock(name).inspect()).waiters.length === 2);
    await expect(a.lock('its key', { key: `{test}:lock:${name}` }).tryAcquire()).resolves.toBeUndefined();
    const listed: string[] = [];
    for await (const lock of a.locks()) listed.push(lock.name);
    expect(listed).toEqual([name]);
    await Promise.all([held.release(), b.close()]); // the grant finds nobody: whoever sent it or took it gives it back
    expect(await departed).toMatchObject({ code: 'CLOSED' });
    await (await waits[1]!).release();
  });

  test('a patient waiter is not refused in the place of one that tried once and left', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const held = await b.lock('x').acquire();
    const controller = new AbortController();
    const once = failure(a.lock('x').acquire({ timeout: 0, signal: controller.signal }));
    const patient = a.lock('x').acquire();
    controller.abort(new Error('enough'));
    expect((await once).message).toBe('enough');
    await until('a waits', async () => (await b.lock('x').inspect()).waiters.length === 1);
    await held.release();
    await (await patient).release();
  });

  test('maxHold ends the lease that asked for it, at its time, and no other', async () => {
    const [a] = (await open('a')) as [Lockstep];
    const capped = await a.lock('x', { maxHold: 100 }).acquire();
    await until('it is over', () => capped.signal.aborted);
    expect((capped.signal.reason as Error).message).toContain('maxHold');
    const first = await a.lock('y', { ttl: 2_000, maxHold: 400 }).acquire();
    const second = a.lock('y', { ttl: 2_000 }).acquire();
    await first.release();
    const uncapped = await second; // handed on inside the session
    const end = performance.now() + 500;
    await until('the bound of the first is over', () => performance.now() > end);
    expect(uncapped.signal.aborted).toBe(false);
    expect(uncapped.remaining()).toBeGreaterThan(0);
  });

  test('a misspelt option is refused, as a wait without its timeout would never end', async () => {
    const [a] = (await open('a')) as [Lockstep];
    const lease = await a.lock('x').acquire();
    const wrong = [
      () => a.lock('x').acquire({ timout: 5 } as never),
      () => a.lock('x').acquire(500 as never),
      () => a.lock('x').run(() => 1, { timout: 5 } as never),
      () => a.lockAll(['x'], { timout: 5 } as never),
      () => a.lockAll('x' as never),
      () => a.map('m').set('k', 1, { gaurd: lease } as never),
      () => a.map('m').set('k', 1, lease as never),
    ];
    for (const call of wrong) expect(await failure(call())).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(() => a.lock('x', { tll: 5 } as never)).toThrow(/have no "tll": use ttl, maxHold, keep, key/);
    expect(() => a.map('m', { shema: 5 } as never)).toThrow(/have no "shema"/);
    for (const reason of [5, null, {}, 'x'.repeat(300_000), 'two\nlines']) {
      expect(await failure(a.lock('x').requestRelease(reason as string))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    expect(await a.map('m').get('k')).toBeUndefined();
  });

  test('an error that a body throws is passed on although it is frozen and the lease was lost', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const frozen = Object.freeze(new Error('mine'));
    const error = await failure(
      a.lock('x').run(async (lease) => {
        await b.lock('x').forceRelease();
        await until('it is lost', () => lease.signal.aborted);
        return Promise.reject(frozen);
      }),
    );
    expect(error).toBe(frozen);
  });

  test('a kept lock is taken again without the store, and given up when another session wants it', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const lock = a.lock('x', { keep: '1m' });
    const fences: number[] = [];
    for (let i = 0; i < 3_000; i++) {
      const lease = await lock.acquire();
      fences.push(lease.fence);
      await lease.release();
    }
    expect(fences).toEqual([...new Set(fences)].sort((one, other) => one - other));
    const kept = async (): Promise<unknown> => (await b.lock('x').inspect()).holder?.session.label;
    if ((await kept()) === undefined) await (await lock.acquire()).release(); // its fences were used up just then
    expect(await kept()).toBe('a');
    const again = await lock.tryAcquire();
    expect(again?.fence).toBeGreaterThan(fences.at(-1)!);
    const wanted = b.lock('x').acquire();
    await until('b waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    await again?.release(); // somebody waits now
    const taken = await wanted;
    expect(taken.fence).toBeGreaterThan(again!.fence);
    const next = lock.acquire();
    await taken.release();
    await (await next).release();
    await (await b.lock('x').acquire()).release(); // a gives up what it keeps
    expect((await a.lock('x').inspect()).holder).toBeUndefined();
  });

  test('a kept lock is free when its time is over, and when its session is closed', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    await a.lock('x', { keep: 100 }).run(() => 1);
    expect(await b.lock('x').tryAcquire()).toBeUndefined();
    await until('its time is over', async () => (await b.lock('x').inspect()).holder === undefined);
    await a.lock('y', { keep: '1m' }).run(() => 1);
    await a.close();
    expect((await b.lock('y').inspect()).holder).toBeUndefined();
  });

  test('spaces do not meet', async () => {
    const store = await openStore();
    const [a, b] = await Promise.all([openSession(store, 'a', 'one'), openSession(store, 'b', 'two')]);
    const leases = await Promise.all([a.lock('x').acquire(), b.lock('x').acquire({ timeout: 0 })]);
    expect(leases).toHaveLength(2);
  });
});
