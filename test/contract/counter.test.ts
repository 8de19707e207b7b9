import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CounterNames, keysOf } from '../../src/base/names.ts';
import type { Engine } from '../../src/engines/engine.ts';
import * as mapOperations from '../../src/operations/map.ts';
import { type Counter, type CounterOptions, createCounter } from '../../src/primitives/counter.ts';
import type { Session } from '../../src/session/session.ts';
import { failure } from '../failure.ts';
import { eachEngine } from './each-engine.ts';
import { hold } from './hold.ts';
import { randomly } from './seed.ts';

const max = Number.MAX_SAFE_INTEGER;
const keys = keysOf('shop');

/** A handle of a session of its own, of which counting needs the engine alone. */
function counterOn<N extends number | bigint = number>(
  engine: Engine,
  name: string,
  options?: CounterOptions<NoInfer<N>>,
  at: CounterNames = keys.counter(name),
): Counter<N> {
  return createCounter<N>({ engine } as Session, name, at, options);
}

describe('a counter', () => {
  eachEngine((_, openStore) => {
    const open = async <N extends number | bigint = number>(
      name = 'visits',
      options?: CounterOptions<N>,
    ): Promise<Counter<N>> => {
      const store = await openStore();
      return counterOn<N>(await store.engine(), name, options);
    };

    it('is 0 where nobody counted, and adds 1 where nothing is said', async () => {
      const visits = await open();
      expect(await visits.get()).toBe(0);
      expect(await visits.add()).toBe(1);
      expect(await visits.add(41)).toBe(42);
      expect(await visits.add(-50)).toBe(-8);
      expect(await visits.get()).toBe(-8);
    });

    it('gives each of many concurrent adds its own value, in the order of the calls', async () => {
      const visits = await open();
      const values = await Promise.all(Array.from({ length: 1_000 }, () => visits.add()));
      expect(values).toEqual(Array.from({ length: 1_000 }, (_value, i) => i + 1));
    });

    it('takes add, set and get of one process in the order of their calls', async () => {
      const visits = await open();
      const replies = await Promise.all([
        visits.add(2),
        visits.get(),
        visits.set(10),
        visits.add(-3),
        visits.get(),
        visits.set(0),
        visits.get(),
      ]);
      expect(replies).toEqual([2, 2, 2, 7, 7, 7, 0]);
    });

    it('is exact up to 2^53 - 1 and refuses what goes beyond, changing nothing', async () => {
      const visits = await open();
      await visits.set(max - 1);
      expect(await visits.add()).toBe(max);
      await expect(visits.add()).rejects.toEqual(failure('INVALID_VALUE', '"visits"'));
      expect(await visits.get()).toBe(max);
      await visits.set(-max);
      await expect(visits.add(-1)).rejects.toEqual(failure('INVALID_VALUE'));
      expect(await visits.get()).toBe(-max);
    });

    it('refuses only those of concurrent adds that go beyond 2^53 - 1', async () => {
      const visits = await open();
      await visits.set(max - 10);
      const outcomes = await Promise.allSettled([8, 5, 1, 100, 1, 1].map((by) => visits.add(by)));
      const values = outcomes.map(valueOf);
      expect(values).toEqual([max - 2, 'INVALID_VALUE', max - 1, 'INVALID_VALUE', max, 'INVALID_VALUE']);
    });

    it('refuses an add that does not fit in its turn, whatever comes after it', async () => {
      const visits = await open();
      await visits.set(max - 1);
      const outcomes = await Promise.allSettled([5, -7, 3].map((by) => visits.add(by)));
      expect(outcomes.map(valueOf)).toEqual(['INVALID_VALUE', max - 8, max - 5]);
      expect(await visits.get()).toBe(max - 5);
    });

    it('stays within its bounds, and refuses in order what does not fit', async () => {
      const seats = await open<number>('seats', { min: 0, max: 3 });
      const outcomes = await Promise.allSettled([-1, 2, 2, 1, 1, -4, -3, -1].map((by) => seats.add(by)));
      expect(outcomes.map(valueOf)).toEqual([
        'INVALID_VALUE',
        2,
        'INVALID_VALUE',
        3,
        'INVALID_VALUE',
        'INVALID_VALUE',
        0,
        'INVALID_VALUE',
      ]);
      expect(await seats.get()).toBe(0);
      await expect(seats.add(-1)).rejects.toEqual(failure('INVALID_VALUE', 'below its min, 0; nothing was added'));
      await expect(seats.add(4)).rejects.toMatchObject({ details: { bound: 'max', max: 3, stored: '0' } });
      expect(await seats.tryAdd(-1)).toBeUndefined();
      expect(await seats.tryAdd(3)).toBe(3);
      for (const value of [4, -1]) await expect(seats.set(value)).rejects.toEqual(failure('INVALID_ARGUMENT', 'value'));
    });

    it('lets what is beyond its bounds come nearer', async () => {
      const store = await openStore();
      const engine = await store.engine();
      await store.putText(keys.counter('seats').counter, '9');
      const seats = counterOn(engine, 'seats', { min: 0, max: 3 });
      expect(await seats.tryAdd()).toBeUndefined();
      expect(await seats.add(-2)).toBe(7);
      expect(await Promise.all([seats.add(-3), seats.add(-2), seats.add()])).toEqual([4, 2, 3]);
    });

    it('never gives away more than there is, to however many sessions', async () => {
      const store = await openStore();
      const engines = [await store.engine(), await store.engine(), await store.engine()];
      const [first, ...others] = engines.map((engine) => counterOn(engine, 'seats', { min: 0 }));
      await first!.set(100);
      const taken = await Promise.all(
        [first!, ...others].flatMap((seats) => Array.from({ length: 80 }, () => seats.tryAdd(-1))),
      );
      const given = taken.filter((left) => left !== undefined).sort((a, b) => a - b);
      expect(given).toEqual(Array.from({ length: 100 }, (_value, i) => i));
    });

    it('is read and reset as one, so that nothing is lost in between', async () => {
      const visits = await open();
      expect(await Promise.all([visits.add(5), visits.getAndReset(), visits.add(2)])).toEqual([5, 5, 2]);
      expect(await visits.getAndReset()).toBe(2);
      expect(await visits.get()).toBe(0);
    });

    it('is set only if it is what is expected', async () => {
      const visits = await open();
      expect(await visits.compareAndSet(1, 2)).toBe(false);
      expect(await visits.compareAndSet(0, 2)).toBe(true);
      expect(await Promise.all([visits.compareAndSet(2, 3), visits.compareAndSet(2, 4)])).toEqual([true, false]);
      expect(await visits.get()).toBe(3);
    });

    it('counts in bigints of 64 bits, exactly', async () => {
      const atoms = await open<bigint>('atoms', { bigint: true });
      const most = 2n ** 63n - 1n;
      expect(await atoms.add()).toBe(1n);
      expect(await atoms.set(2n ** 53n - 1n)).toBe(1n);
      expect(await Promise.all([atoms.add(), atoms.add(), atoms.add()])).toEqual(
        [1n, 2n, 3n].map((n) => 2n ** 53n + n - 1n),
      );
      expect(await atoms.add(most - 2n ** 53n - 2n)).toBe(most);
      expect(await atoms.tryAdd()).toBeUndefined();
      expect(await atoms.add(-1n)).toBe(most - 1n);
      expect(await atoms.set(-(2n ** 63n))).toBe(most - 1n);
      const outcomes = await Promise.allSettled([-1n, most, most, 5n].map((by) => atoms.add(by)));
      expect(outcomes.map(valueOf)).toEqual(['INVALID_VALUE', -1n, most - 1n, 'INVALID_VALUE']);
      expect(await atoms.compareAndSet(most - 1n, 0n)).toBe(true);
      for (const by of [1, 2n ** 63n, '1'] as never[]) {
        await expect(atoms.add(by)).rejects.toEqual(failure('INVALID_ARGUMENT', 'by'));
      }
    });

    it('says so rather than round, where a counter of numbers meets one of bigints', async () => {
      const engine = await (await openStore()).engine();
      const large = counterOn<bigint>(engine, 'n', { bigint: true });
      const small = counterOn(engine, 'n');
      await large.set(2n ** 53n);
      const beyond = failure('INVALID_VALUE', '"9007199254740992"');
      await expect(small.get()).rejects.toEqual(beyond);
      await expect(small.add(-1)).rejects.toEqual(beyond);
      await expect(small.getAndReset()).rejects.toEqual(beyond);
      await expect(small.compareAndSet(1, 2)).rejects.toEqual(beyond);
      await expect(small.get()).rejects.toEqual(failure('INVALID_VALUE', 'open it with { bigint: true }'));
      expect(await large.add(-1n)).toBe(2n ** 53n - 1n);
      expect(await small.get()).toBe(max);
    });

    it('writes under a guard while its lease is the owner, and not after', async () => {
      const engine = await (await openStore()).engine();
      const visits = counterOn(engine, 'visits');
      const first = await hold(engine, 'counting');
      const guarded = { guard: first.lease };
      expect(await Promise.all([visits.add(1), visits.add(2, guarded), visits.add(3, guarded)])).toEqual([1, 3, 6]);
      expect(await visits.set(7, guarded)).toBe(6);

      await first.release();
      const late = failure('LEASE_LOST', '"counting"');
      const calls = [
        visits.add(1, guarded),
        visits.add(1, guarded),
        visits.tryAdd(1, guarded),
        visits.set(1, guarded),
        visits.getAndReset(guarded),
        visits.compareAndSet(7, 1, guarded),
      ];
      for (const call of await Promise.allSettled(calls)) expect(call).toEqual({ status: 'rejected', reason: late });
      expect(await visits.get()).toBe(7);
      await expect(visits.add(1, { guard: undefined as never })).rejects.toEqual(failure('INVALID_ARGUMENT', 'guard'));
      await expect(visits.add(1, { gaurd: first.lease } as never)).rejects.toEqual(failure('INVALID_ARGUMENT'));
    });

    it('refuses bounds that leave no place for 0, or are none', async () => {
      const engine = await (await openStore()).engine();
      const bad = [
        { min: 1 },
        { max: -1 },
        { min: 0.5 },
        { max: Number.NaN },
        { max: 5n },
        { bigint: 1 },
        { bigint: true, min: 0 },
      ];
      for (const options of bad) {
        expect(() => counterOn(engine, 'n', options as never)).toThrow(/it must be/);
      }
    });

    it('rejects what is not an exact integer', async () => {
      const visits = await open();
      for (const by of [1.5, Number.NaN, Number.POSITIVE_INFINITY, max + 1, '1' as never, 1n as never]) {
        await expect(visits.add(by)).rejects.toEqual(failure('INVALID_ARGUMENT'));
        await expect(visits.set(by)).rejects.toEqual(failure('INVALID_ARGUMENT'));
      }
      expect(await visits.get()).toBe(0);
    });

    it('says so when the store holds something else', async () => {
      const store = await openStore();
      const engine = await store.engine();
      await store.putText(keys.counter('visits').counter, 'many');
      const visits = counterOn(engine, 'visits');
      const foreign = failure('INVALID_VALUE', '"many"');
      await expect(visits.get()).rejects.toEqual(foreign);
      await expect(visits.add()).rejects.toEqual(foreign);
      await expect(visits.set(1)).rejects.toEqual(foreign);
      await expect(Promise.all([visits.add(1), visits.add(2)])).rejects.toEqual(foreign);

      await engine.run(
        mapOperations.set,
        { ...keys.map('m'), guard: keys.map('m').map },
        { field: 'a', value: '1', ms: 0, owner: '' },
      );
      const other = counterOn(engine, 'm', {}, { ...keys.counter('m'), counter: keys.map('m').map });
      await expect(other.add()).rejects.toEqual(failure('WRONG_KIND'));
      await expect(other.get()).rejects.toEqual(failure('WRONG_KIND'));
    });

    it('goes on after a step that failed', async () => {
      const visits = await open();
      await visits.set(max);
      const [refused, after] = await Promise.allSettled([visits.add(), visits.set(1)]);
      expect([refused.status, after.status]).toEqual(['rejected', 'fulfilled']);
      expect(await visits.add()).toBe(2);
    });

    it('gives every add of every session a value of its own, and an exact total', { timeout: 60_000 }, async () => {
      const store = await openStore();
      const engines = [await store.engine(), await store.engine(), await store.engine()];
      let round = 0;
      const burst = fc.record({ session: fc.nat({ max: 2 }), by: fc.integer({ min: 1, max: 5 }), pause: fc.boolean() });
      await fc.assert(
        fc.asyncProperty(fc.array(burst, { minLength: 1, maxLength: 60 }), async (bursts) => {
          const name = `visits ${++round}`;
          const counters = engines.map((engine) => counterOn(engine, name));
          const values: Promise<number>[] = [];
          for (const { session, by, pause } of bursts) {
            for (let i = 0; i < by; i++) values.push(counters[session]!.add());
            if (pause) await values.at(-1);
          }
          const got = (await Promise.all(values)).sort((a, b) => a - b);
          expect(got).toEqual(got.map((_value, i) => i + 1));
          expect(await counters[0]!.get()).toBe(got.length);
        }),
        randomly(40),
      );
    });

    it('answers any calls as if they were made one after the other', { timeout: 60_000 }, async () => {
      const store = await openStore();
      const engine = await store.engine();
      let round = 0;
      const size = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.maxSafeInteger());
      const call = fc.oneof(
        { weight: 6, arbitrary: fc.record({ verb: fc.constant('add' as const), by: size }) },
        { weight: 1, arbitrary: fc.record({ verb: fc.constant('set' as const), by: size }) },
        { weight: 2, arbitrary: fc.record({ verb: fc.constant('get' as const), by: fc.constant(0) }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(call, { maxLength: 30 }), async (calls) => {
          const name = `any ${++round}`;
          const counter = counterOn(engine, name);
          const outcomes = await Promise.allSettled(
            calls.map(({ verb, by }) => (verb === 'get' ? counter.get() : counter[verb](by))),
          );
          expect(await counter.get()).toBe(totalOf(calls, outcomes));
        }),
        randomly(100),
      );
    });
  });
});

interface Call {
  verb: 'add' | 'set' | 'get';
  by: number;
}

function valueOf<N>(outcome: PromiseSettledResult<N>): N | string {
  return outcome.status === 'fulfilled' ? outcome.value : (outcome.reason as { code: string }).code;
}

/** The total of the calls that were fulfilled, which must be exact; the others must say that they would not have been. */
function totalOf(calls: readonly Call[], outcomes: readonly PromiseSettledResult<number>[]): number {
  const values = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const reasons = outcomes.flatMap((outcome): unknown[] => (outcome.status === 'rejected' ? [outcome.reason] : []));
  expect(values.filter((value) => !Number.isSafeInteger(value))).toEqual([]);
  expect(reasons).toEqual(reasons.map(() => failure('INVALID_VALUE')));
  let total = 0n;
  for (const [i, { verb, by }] of calls.entries()) {
    if (outcomes[i]!.status === 'rejected' || verb === 'get') continue;
    total = verb === 'set' ? BigInt(by) : total + BigInt(by);
  }
  return Number(total);
}
