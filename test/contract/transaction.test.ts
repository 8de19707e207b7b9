import { describe, expect, test } from 'vitest';
import type { Lockstep, Transaction } from '../../src/index.ts';
import { eachEngine } from './each-engine.ts';
import { failure, gate, openSession, until } from './sessions.ts';

interface Watched {
  watch(shared: Lockstep, signal: AbortSignal): AsyncIterableIterator<unknown>;
  /** `tx`: a batch has that too. */
  write(tx: Transaction, n: number): Promise<unknown>;
  /** What is told after a write of 1, and after that of 2. */
  readonly told: readonly [unknown, unknown];
}

const watched: Readonly<Record<string, Watched>> = {
  value: {
    watch: (shared, signal) => shared.value('x').watch({ signal }),
    write: (tx, n) => tx.value('x').set(n),
    told: [1, 2],
  },
  map: {
    watch: (shared, signal) => shared.map('x').watch({ signal }),
    write: (tx, n) => tx.map('x').set('a', n),
    told: [new Map([['a', 1]]), new Map([['a', 2]])],
  },
  counter: {
    watch: (shared, signal) => shared.counter('x').watch({ signal }),
    write: (tx, n) => tx.counter('x').set(n),
    told: [1, 2],
  },
  set: {
    watch: (shared, signal) => shared.set('x').watch({ signal }),
    write: (tx, n) => tx.set('x').add(n),
    told: [
      { added: [1], deleted: [] },
      { added: [2], deleted: [] },
    ],
  },
  'sorted set': {
    watch: (shared, signal) => shared.sortedSet('x').watch({ signal }),
    write: (tx, n) => tx.sortedSet('x').set('a', n),
    told: [[['a', 1]], [['a', 2]]],
  },
  list: {
    watch: (shared, signal) => shared.list('x').watch({ signal }),
    write: (tx, n) => tx.list('x').push(n),
    told: [[1], [1, 2]],
  },
};

eachEngine((_, openStore) => {
  describe('a transaction', () => {
    test('reads and writes, and its result is that of its body', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.map('m').set('a', 1);
      const sum = await shared.transaction(async (tx) => {
        const map = tx.map<number>('m');
        await map.set('b', 2);
        await tx.counter('c').add(5);
        return ((await map.get('a')) ?? 0) + ((await map.get('b')) ?? 0);
      });
      expect(sum).toBe(3);
      expect(await shared.map('m').get('b')).toBe(2);
      expect(await shared.counter('c').get()).toBe(5);
    });

    test('whose body throws writes nothing, and rejects with that error', async () => {
      const shared = await openSession(await openStore(), 'a');
      const mine = new Error('mine');
      const run = shared.transaction(async (tx) => {
        await tx.map('m').set('a', 1);
        throw mine;
      });
      expect(await failure(run)).toBe(mine);
      expect(await shared.map('m').has('a')).toBe(false);
    });

    test('sees what it wrote itself: values, absence, size and sums', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.map('m').set('a', 1);
      await shared.transaction(async (tx) => {
        const map = tx.map<number>('m');
        expect(await map.size()).toBe(1);
        await map.set('b', 2);
        expect(await map.delete('a')).toBe(true);
        expect(await map.delete('a')).toBe(false);
        expect([await map.get('a'), await map.has('b'), await map.size()]).toEqual([undefined, true, 1]);
        await map.set('a', 3);
        expect(await map.size()).toBe(2);
        const counter = tx.counter('c');
        await Promise.all([counter.add(2), counter.add(3)]);
        expect([await counter.get(), await counter.set(9), await counter.add(-1)]).toEqual([5, 5, 8]);
      });
      expect(await shared.map('m').size()).toBe(2);
      expect(await shared.counter('c').get()).toBe(8);
    });

    test('runs again when what it read was changed before it committed', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      let runs = 0;
      const total = await shared.transaction(async (tx) => {
        const value = (await tx.map<number>('m').get('a')) ?? 0;
        if (++runs === 1) await other.map('m').set('a', 10);
        await tx.map('m').set('a', value + 1);
        return value + 1;
      });
      expect([total, runs]).toEqual([11, 2]);
      expect(await shared.map('m').get('a')).toBe(11);
    });

    test('that lost to a new key sees the size that it read change', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      let runs = 0;
      await shared.transaction(async (tx) => {
        const size = await tx.map('m').size();
        if (++runs === 1) await other.map('m').set('x', 1);
        await tx.map('sizes').set('m', size);
      });
      expect(await shared.map('sizes').get('m')).toBe(1);
    });

    test('of many at once loses no update, whoever runs them', async () => {
      const store = await openStore();
      const sessions = await Promise.all(['a', 'b', 'c'].map((label) => openSession(store, label)));
      const increments = sessions.flatMap((shared) =>
        Array.from({ length: 30 }, () =>
          shared.transaction(async (tx) => {
            const map = tx.map<number>('m');
            await map.set('n', ((await map.get('n')) ?? 0) + 1);
            return tx.counter('n').add();
          }),
        ),
      );
      const values = await Promise.all(increments);
      expect(new Set(values).size).toBe(90);
      expect(await sessions[0]!.map('m').get('n')).toBe(90);
    });

    test('does not see entries that are over, and conflicts with one that ends before the commit', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.map('m').set('short', 1, { ttl: 20 });
      await shared.map('m').set('long', 2, { ttl: '1h' });
      await until('it is over', async () => !(await shared.map('m').has('short')));
      await shared.transaction(async (tx) => {
        const map = tx.map<number>('m');
        expect([await map.get('short'), await map.has('long'), await map.size()]).toEqual([undefined, true, 1]);
        await map.set('long', 3);
      });
      expect(await shared.map('m').remaining('long')).toBe(Infinity);
      await shared.map('m').set('short', 1, { ttl: 50 });
      let runs = 0;
      const seen = await shared.transaction(async (tx) => {
        const map = tx.map<number>('m');
        const value = await map.get('short');
        if (++runs === 1) await until('it is over', async () => !(await shared.map('m').has('short')));
        await map.set('seen', value ?? 0);
        return value;
      });
      expect(seen).toBe(undefined);
    });

    test('tells those who watch a map', async () => {
      const shared = await openSession(await openStore(), 'a');
      const changes = shared.map<number>('m').watch();
      expect(await changes.next()).toEqual({ done: false, value: new Map() });
      await shared.transaction((tx) => tx.map<number>('m').set('a', 1));
      expect((await changes.next()).value).toEqual(new Map([['a', 1]]));
      await shared.transaction((tx) => tx.map<number>('m').delete('a'));
      expect((await changes.next()).value).toEqual(new Map([['a', undefined]]));
      await changes.return?.();
    });

    // Each in a session that knows of no other watch: what nobody watches has a shorter way.
    test.for(Object.keys(watched))('tells those who watch a %s that alone it writes, or a batch does', async (kind) => {
      const shared = await openSession(await openStore(), 'a');
      const { watch, write, told } = watched[kind]!;
      const changes = watch(shared, AbortSignal.timeout(20_000)); // before it would look by itself
      await changes.next();
      await shared.transaction((tx) => write(tx, 1));
      expect((await changes.next()).value).toEqual(told[0]);
      await shared.batch((batch) => void write(batch as unknown as Transaction, 2));
      expect((await changes.next()).value).toEqual(told[1]);
      await changes.return?.();
    });

    test('counts within bounds, and exactly in 64 bits', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.transaction(async (tx) => {
        const seats = tx.counter('seats', { min: 0, max: 2 });
        expect([await seats.add(2), await seats.tryAdd(), await seats.get()]).toEqual([2, undefined, 2]);
        expect((await failure(seats.add())).code).toBe('INVALID_VALUE');
        expect((await failure(seats.set(3))).code).toBe('INVALID_ARGUMENT');
        const large = tx.counter('large', { bigint: true });
        expect(await large.set(2n ** 62n)).toBe(0n);
        expect(await large.add(2n ** 62n - 1n)).toBe(2n ** 63n - 1n);
        expect(await large.tryAdd()).toBe(undefined);
      });
      expect(await shared.counter('seats').get()).toBe(2);
      expect(await shared.counter('large', { bigint: true }).get()).toBe(2n ** 63n - 1n);
      await shared.transaction((tx) => tx.counter('large', { bigint: true }).add(-1n));
      expect(await shared.counter('large', { bigint: true }).get()).toBe(2n ** 63n - 2n);
      const rounded = shared.transaction((tx) => tx.counter('large').get());
      expect((await failure(rounded)).code).toBe('INVALID_VALUE');
    });

    test('that is overtaken each time by writes that are none rejects with CONFLICT, and names the key', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      let runs = 0;
      const overtaken = shared.transaction(async (tx) => {
        await tx.map('m').get('a');
        await other.map('m').set('a', ++runs);
        await tx.map('m').set('a', 'mine');
      });
      const conflict = await failure(overtaken);
      expect([conflict.code, conflict.details?.['part']]).toEqual(['CONFLICT', 'a']);
      expect(await shared.map('m').get('a')).toBe(runs);
      await shared.transaction((tx) => tx.map('m').set('a', 0)); // the commit lock is free again
    });

    test('under a lease that is over writes nothing and rejects with LEASE_LOST', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      const lease = await shared.lock('l').acquire();
      await shared.transaction((tx) => tx.map('m').set('a', 1), { guard: lease });
      await other.lock('l').forceRelease();
      const late = await failure(shared.transaction((tx) => tx.map('m').set('a', 2), { guard: lease }));
      expect(late.code).toBe('LEASE_LOST');
      expect(await shared.map('m').get('a')).toBe(1);
    });

    test('on a key of another kind writes nothing and rejects with WRONG_KIND', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      await store.putText('{test}:map:m', 'no hash');
      const wrong = shared.transaction(async (tx) => {
        await tx.counter('c').add();
        await tx.map('m').set('a', 1);
      });
      const right = shared.transaction((tx) => tx.counter('d').add());
      expect((await failure(wrong)).code).toBe('WRONG_KIND');
      expect(await right).toBe(1);
      expect(await shared.counter('c').get()).toBe(0);
    });

    test('that is used after its body ended says so', async () => {
      const shared = await openSession(await openStore(), 'a');
      const map = await shared.transaction((tx) => tx.map('m'));
      expect((await failure(map.set('a', 1))).code).toBe('CLOSED');
    });

    test('does not commit while calls of its body are not done', async () => {
      const shared = await openSession(await openStore(), 'a');
      const run = shared.transaction(async (tx) => {
        await tx.map('m').set('a', 1);
        tx.map('m')
          .get('b')
          .catch(() => {});
      });
      const early = await failure(run);
      expect(early.code).toBe('INVALID_ARGUMENT');
      expect(early.message).toMatch(/await/);
      expect(await shared.map('m').has('a')).toBe(false);
    });

    test('inside of another one is refused, beside it is not', async () => {
      const shared = await openSession(await openStore(), 'a');
      const inner = shared.transaction(() => shared.transaction(() => 1));
      expect((await failure(inner)).code).toBe('DEADLOCK');
      expect(await Promise.all([shared.transaction(() => 1), shared.transaction(() => 2)])).toEqual([1, 2]);
    });

    test('ends by its timeout, by its signal, and with timeout 0 after one try', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      const never = new Promise<void>(() => {});
      const timeout = await failure(shared.transaction(() => never, { timeout: 5 }));
      expect(timeout.code).toBe('TIMEOUT');
      const stop = new AbortController();
      const { opened, open } = gate();
      const stopped = failure(
        shared.transaction(
          async (tx) => {
            await tx.map('m').set('a', 1);
            open();
            await never;
          },
          { signal: stop.signal },
        ),
      );
      await opened;
      stop.abort(new Error('enough'));
      expect((await stopped).message).toBe('enough');
      const once = shared.transaction(
        async (tx) => {
          await tx.map('m').get('a');
          await other.map('m').set('a', 2);
          await tx.map('m').set('a', 3);
        },
        { timeout: 0 },
      );
      expect((await failure(once)).code).toBe('TIMEOUT');
      expect(await shared.map('m').get('a')).toBe(2);
    });
  });
});
