import { describe, expect, it } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import { failure } from '../failure.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { eachEngine, type Store } from './each-engine.ts';
import { openSession, until } from './sessions.ts';

const valueKey = keysOf('test').value('v').value;

describe('a value', () => {
  eachEngine((_, openStore) => {
    it('is one thing for all who name it, and none where nobody set it', async () => {
      const store = await openStore();
      const [here, there] = [(await openSession(store, 'a')).value('v'), (await openSession(store, 'b')).value('v')];
      expect([await here.get(), await here.exists(), await here.remaining()]).toEqual([undefined, false, undefined]);
      await here.set({ a: [1, null] });
      expect([await there.get(), await there.exists()]).toEqual([{ a: [1, null] }, true]);
      expect(await there.getAndSet(2)).toEqual({ a: [1, null] });
      expect(await here.delete()).toBe(true);
      expect([await there.delete(), await there.getAndSet(3), await here.get()]).toEqual([false, undefined, 3]);
    });

    it('lives as long as it was given, and no longer', async () => {
      const value = (await openSession(await openStore(), 'a')).value<number>('v');
      await value.set(1);
      expect(await value.remaining()).toBe(Number.POSITIVE_INFINITY);
      await value.set(1, { ttl: '1h' });
      expect(await value.remaining()).toBeGreaterThan(3_590_000);
      expect(await value.update((n) => (n ?? 0) + 1)).toBe(2);
      expect(await value.remaining()).toBeLessThanOrEqual(3_600_000); // an update keeps the end
      expect(await value.persist()).toBe(true);
      expect(await value.remaining()).toBe(Number.POSITIVE_INFINITY);
      expect(await value.expire(20)).toBe(true);
      await until('its end', async () => !(await value.exists()));
      expect([await value.get(), await value.expire('1s'), await value.persist()]).toEqual([undefined, false, false]);
      for (const ttl of [0, -1, Number.NaN, '5 parsecs' as never]) {
        await expect(value.set(1, { ttl })).rejects.toEqual(failure('INVALID_ARGUMENT', 'ttl'));
      }
    });

    it('takes its life from its handle where a write does not say', async () => {
      const shared = await openSession(await openStore(), 'a');
      const value = shared.value<number>('v', { ttl: '1h' });
      await value.set(1);
      expect(await value.remaining()).toBeLessThanOrEqual(3_600_000);
      await value.compareAndSet(1, 2, { ttl: '2h' });
      expect(await value.remaining()).toBeGreaterThan(3_600_000);
    });

    it('compares values, not texts: spaces and the order of properties do not count', async () => {
      const store = await openStore();
      const value = (await openSession(store, 'a')).value<unknown>('v');
      expect(await value.compareAndSet({ a: 1 }, 2)).toBe(false);
      expect(await value.compareAndSet(undefined, { a: 1, b: [2] })).toBe(true);
      expect(await value.compareAndSet(undefined, 7)).toBe(false);
      expect(await value.compareAndSet({ b: [2], a: 1 }, 3)).toBe(true);
      await store.putText(valueKey, ' { "b" : [2.0] } ');
      expect(await value.compareAndSet({ b: [3] }, 4)).toBe(false);
      expect(await value.compareAndSet({ b: [2] }, 4)).toBe(true);
      expect(await value.get()).toBe(4);
    });

    it('loses no update, of any task or session, and each gets what it made', { timeout: 60_000 }, async () => {
      const store = await openStore();
      const sessions = await Promise.all(['a', 'b', 'c'].map((label) => openSession(store, label)));
      const values = sessions.map((shared) => shared.value<number>('v'));
      const tasks = values.flatMap((value) =>
        Array.from({ length: 8 }, async () => {
          const made: number[] = [];
          for (let i = 0; i < 5; i++) made.push(await value.update((n) => (n ?? 0) + 1));
          return made;
        }),
      );
      const made = (await Promise.all(tasks)).flat().sort((a, b) => a - b);
      expect(made).toEqual(Array.from({ length: 120 }, (_value, i) => i + 1));
      expect(await values[0]!.get()).toBe(120);
    });

    it('is updated in one step by those of a session that wait, each by itself', async () => {
      const store = await openStore();
      const writes: string[] = [];
      const counted: Store = { ...store, engine: async () => told(await store.engine(), (name) => writes.push(name)) };
      const value = (await openSession(counted, 'a')).value<number>('v', { ttl: '1h' });
      const other = (await openSession(store, 'b')).value<number>('v');
      await value.set(0);
      const own = new Error('no');
      const settled = await Promise.allSettled([
        ...Array.from({ length: 20 }, () => value.update((n) => n! + 1)),
        value.update(() => {
          throw own;
        }),
        value.update(() => undefined as never),
        value.update((n) => Promise.resolve(n! + 100), { ttl: '1m' }), // not known before its call
        value.update(async (n) => n! + 100, { ttl: '1m' }),
        value.update((n) => n! + 1, { ttl: '1m' }),
        ...Array.from({ length: 20 }, () => value.update((n) => n! + 1, { ttl: '1m' })),
      ]);
      const made = settled.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error)));
      expect(made.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_value, i) => i + 1));
      expect(made[20]).toBe(own);
      expect(made[21]).toEqual(failure('INVALID_VALUE'));
      expect(new Set(made.slice(22)).size).toBe(23);
      expect(await other.get()).toBe(20 + 200 + 21);
      expect(await other.remaining()).toBeLessThanOrEqual(60_000);
      expect(writes.filter((name) => name === 'value.compareAndSet').length).toBeLessThan(15);
    });

    it('lets slow updates finish against fast ones', { timeout: 60_000 }, async () => {
      const store = await openStore();
      const slow = (await openSession(store, 'slow')).value<number>('v');
      const fast = (await openSession(store, 'fast')).value<number>('v');
      let stop = false;
      const stream = (async () => {
        let count = 0;
        for (; !stop; count++) {
          await fast.update((n) => (n ?? 0) + 1);
          await new Promise((resolve) => setImmediate(resolve)); // a store in memory alone lets no timer run
        }
        return count;
      })();
      for (let i = 0; i < 2; i++) {
        await slow.update(async (n) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return (n ?? 0) + 1;
        });
      }
      stop = true;
      const count = await stream;
      expect(await fast.get()).toBe(count + 2);
    });

    it('is as it was where a change throws, gives nothing, or gives what can not be stored', async () => {
      const value = (await openSession(await openStore(), 'a')).value<number>('v');
      await value.set(1);
      const own = new Error('no');
      await expect(value.update(() => Promise.reject(own))).rejects.toBe(own);
      await expect(value.update(() => undefined as never)).rejects.toEqual(failure('INVALID_VALUE'));
      await expect(value.update(7 as never)).rejects.toEqual(failure('INVALID_ARGUMENT', 'change'));
      expect(await value.get()).toBe(1);
      expect(await value.update((n) => n! + 1)).toBe(2); // none of them is in the way
    });

    it('gives up an update that plain writes are faster than each time', { timeout: 90_000 }, async () => {
      const shared = await openSession(await openStore(), 'a');
      const value = shared.value<number>('v');
      let n = 0;
      const beaten = value.update(async () => {
        await value.set(++n);
        return -1;
      });
      await expect(beaten).rejects.toEqual(failure('CONFLICT', 'value "v"'));
      expect(await value.get()).toBe(n);
    });

    it('is written under a guard while its lease is the owner, and not after', async () => {
      const shared = await openSession(await openStore(), 'a');
      const value = shared.value<number>('v');
      const lease = await shared.lock('l').acquire();
      await value.set(1, { guard: lease });
      expect(await value.update((now) => now! + 1, { guard: lease })).toBe(2);
      await shared.lock('l').forceRelease();
      await expect(value.set(3, { guard: lease })).rejects.toMatchObject({ code: 'LEASE_LOST' });
      await until('the lease knows', () => lease.signal.aborted);
      for (const late of [value.update(() => 3, { guard: lease }), value.delete({ guard: lease })]) {
        await expect(late).rejects.toMatchObject({ code: 'LEASE_LOST' });
      }
      expect(await value.get()).toBe(2);
    });

    it('refuses what another program wrote that does not fit, and a key that holds another kind of thing', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      await store.putText(valueKey, 'not JSON');
      await expect(shared.value('v').get()).rejects.toEqual(failure('INVALID_VALUE', 'value "v"'));
      await store.putText(valueKey, '{"left":3}');
      expect(await shared.value('v').get()).toEqual({ left: 3 });
      await store.putText(keysOf('test').map('m').map, 'a string');
      await expect(shared.map('m').set('k', 1)).rejects.toEqual(failure('WRONG_KIND'));
      await expect(shared.map('m').set('k', 1, { ttl: '1s' })).rejects.toEqual(failure('WRONG_KIND'));
      expect(() => shared.value('v', { tll: 1 } as never)).toThrow(failure('INVALID_ARGUMENT', 'ttl'));
    });
  });
});

/** The engine, which tells the name of each operation that it runs. */
function told(engine: Engine, tell: (name: string) => void): Engine {
  const run: Engine['run'] = (operation, ...rest) => {
    tell(operation.name);
    return engine.run(operation, ...rest);
  };
  return new Proxy(engine, {
    get: (target, name) => (name === 'run' ? run : target[name as keyof Engine]),
  });
}
