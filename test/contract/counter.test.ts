import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import * as mapOperations from '../../src/operations/map.ts';
import { type Counter, createCounter } from '../../src/primitives/counter.ts';
import { failure } from '../failure.ts';
import { eachEngine } from './each-engine.ts';
import { randomly } from './seed.ts';

const max = Number.MAX_SAFE_INTEGER;
const keys = keysOf('shop');

describe('a counter', () => {
  eachEngine((_, openStore) => {
    const open = async (name = 'visits'): Promise<Counter> => {
      const store = await openStore();
      return createCounter(await store.engine(), name, keys.counter(name));
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
      const values = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : 'refused'));
      expect(values).toEqual([max - 2, 'refused', max - 1, 'refused', max, 'refused']);
    });

    it('gives exact values where adds leave the exact range on the way and come back', async () => {
      const visits = await open();
      await visits.set(max - 1);
      const values = await Promise.all([5, -7, 3].map((by) => visits.add(by)));
      expect(values).toEqual([max, max - 8, max - 5]); // as if 5 had come last
      expect(await visits.get()).toBe(max);
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
      await store.putText(keys.counter('visits'), 'many');
      const visits = createCounter(engine, 'visits', keys.counter('visits'));
      const foreign = failure('INVALID_VALUE', '"many"');
      await expect(visits.get()).rejects.toEqual(foreign);
      await expect(visits.add()).rejects.toEqual(foreign);
      await expect(visits.set(1)).rejects.toEqual(foreign);
      await expect(Promise.all([visits.add(1), visits.add(2)])).rejects.toEqual(foreign);

      await engine.run(
        mapOperations.set,
        { ...keys.map('m'), guard: keys.map('m').map },
        { field: 'a', value: '1', owner: '' },
      );
      const other = createCounter(engine, 'm', keys.map('m').map);
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
          const counters = engines.map((engine) => createCounter(engine, name, keys.counter(name)));
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
          const counter = createCounter(engine, name, keys.counter(name));
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
