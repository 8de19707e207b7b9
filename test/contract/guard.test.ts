/** Every write that takes a guard, of everything that holds data: it is done under a lease, and not under one that is over. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/open.ts';
import type { WriteOptions } from '../../src/primitives/guard.ts';
import { failure } from '../failure.ts';
import { type Things, thingsOf } from './data-programs.ts';
import { eachEngine } from './each-engine.ts';
import { hold } from './hold.ts';
import { collect } from './sessions.ts';

type Kind = Exclude<keyof Things, 'b' | 'inTransaction'>;

type Write = (things: Things, options: WriteOptions) => Promise<unknown>;

/** Each of them changes what `fill` leaves. */
const writes: Readonly<Record<Kind, Readonly<Record<string, Write>>>> = {
  value: {
    set: ({ value }, options) => value.set(2, options),
    getAndSet: ({ value }, options) => value.getAndSet(2, options),
    compareAndSet: ({ value }, options) => value.compareAndSet(1, 2, options),
    update: ({ value }, options) => value.update(() => 2, options),
    delete: ({ value }, options) => value.delete(options),
    expire: ({ value }, options) => value.expire('2h', options),
    persist: ({ value }, options) => value.persist(options),
  },
  map: {
    set: ({ map }, options) => map.set('a', 2, options),
    delete: ({ map }, options) => map.delete('a', options),
    setAll: ({ map }, options) =>
      map.setAll(
        [
          ['c', 2],
          ['d', 3],
        ],
        options,
      ),
    setIfAbsent: ({ map }, options) => map.setIfAbsent('c', 2, options),
    getAndSet: ({ map }, options) => map.getAndSet('a', 2, options),
    compareAndSet: ({ map }, options) => map.compareAndSet('a', 1, 2, options),
    deleteIf: ({ map }, options) => map.deleteIf('a', 1, options),
    update: ({ map }, options) => map.update('a', () => 2, options),
    expire: ({ map }, options) => map.expire('a', '2h', options),
    persist: ({ map }, options) => map.persist('a', options),
    clear: ({ map }, options) => map.clear(options),
  },
  a: {
    add: ({ a }, options) => a.add('w', options),
    addAll: ({ a }, options) => a.addAll(['v', 'w'], options),
    delete: ({ a }, options) => a.delete('x', options),
    deleteAll: ({ a }, options) => a.deleteAll(['x', 'y'], options),
    pop: ({ a }, options) => a.pop(options),
    clear: ({ a }, options) => a.clear(options),
    unionInto: ({ a, b }, options) => a.unionInto(a, [b], options),
    intersectionInto: ({ a, b }, options) => a.intersectionInto(a, [b], options),
    differenceInto: ({ a, b }, options) => a.differenceInto(a, [b], options),
    expire: ({ a }, options) => a.expire('2h', options),
    persist: ({ a }, options) => a.persist(options),
  },
  sorted: {
    set: ({ sorted }, options) => sorted.set('x', 3, options),
    setAll: ({ sorted }, options) =>
      sorted.setAll(
        [
          ['x', 3],
          ['w', 4],
        ],
        options,
      ),
    setIfAbsent: ({ sorted }, options) => sorted.setIfAbsent('w', 3, options),
    setIfGreater: ({ sorted }, options) => sorted.setIfGreater('x', 3, options),
    setIfLess: ({ sorted }, options) => sorted.setIfLess('x', 0, options),
    add: ({ sorted }, options) => sorted.add('x', 3, options),
    delete: ({ sorted }, options) => sorted.delete('x', options),
    deleteAll: ({ sorted }, options) => sorted.deleteAll(['x', 'y'], options),
    popMin: ({ sorted }, options) => sorted.popMin(1, options),
    popMax: ({ sorted }, options) => sorted.popMax(1, options),
    clear: ({ sorted }, options) => sorted.clear(options),
    expire: ({ sorted }, options) => sorted.expire('2h', options),
    persist: ({ sorted }, options) => sorted.persist(options),
  },
  list: {
    push: ({ list }, options) => list.push(3, options),
    pushAll: ({ list }, options) => list.pushAll([3, 4], options),
    unshift: ({ list }, options) => list.unshift(3, options),
    unshiftAll: ({ list }, options) => list.unshiftAll([3, 4], options),
    pop: ({ list }, options) => list.pop(options),
    shift: ({ list }, options) => list.shift(options),
    set: ({ list }, options) => list.set(0, 3, options),
    trim: ({ list }, options) => list.trim(1, undefined, options),
    clear: ({ list }, options) => list.clear(options),
    expire: ({ list }, options) => list.expire('2h', options),
    persist: ({ list }, options) => list.persist(options),
  },
  counter: {
    add: ({ counter }, options) => counter.add(1, options),
    tryAdd: ({ counter }, options) => counter.tryAdd(1, options),
    set: ({ counter }, options) => counter.set(2, options),
    getAndReset: ({ counter }, options) => counter.getAndReset(options),
    compareAndSet: ({ counter }, options) => counter.compareAndSet(1, 2, options),
  },
  stats: {
    record: ({ stats }, options) => stats.record(2, options),
  },
};

/** What changes nothing, and, of lists, what takes no guard as it waits. */
const others: Readonly<Record<Kind, readonly string[]>> = {
  value: ['get', 'exists', 'remaining', 'watch'],
  map: ['get', 'has', 'size', 'getAll', 'remaining', 'entries', 'keys', 'values', 'watch'],
  a: [
    'has',
    'size',
    'values',
    'union',
    'intersection',
    'difference',
    'symmetricDifference',
    'isSubsetOf',
    'isSupersetOf',
    'isDisjointFrom',
    'ttl',
    'watch',
  ],
  sorted: ['score', 'has', 'rank', 'size', 'count', 'range', 'rangeByScore', 'entries', 'ttl', 'watch'],
  list: ['take', 'takeLast', 'at', 'slice', 'length', 'values', 'ttl', 'watch'],
  counter: ['get', 'watch'],
  stats: ['current', 'last', 'history'],
};

async function fill({ value, map, a, b, sorted, list, counter, stats }: Things): Promise<void> {
  await value.set(1, { ttl: '1h' });
  await map.set('a', 1, { ttl: '1h' });
  await map.set('b', 1);
  await a.addAll(['x', 'y']);
  await b.addAll(['y', 'z']);
  await sorted.setAll([
    ['x', 1],
    ['y', 2],
  ]);
  await list.pushAll([1, 2]);
  for (const whole of [a, sorted, list]) await whole.expire('1h');
  await counter.set(1);
  await stats.record(1);
}

/** In hours, as time passes. */
const hours = (ms: number | undefined): number | undefined => ms && Math.ceil(ms / 3_600_000);

async function contents({ value, map, a, sorted, list, counter, stats }: Things): Promise<unknown> {
  return {
    value: [await value.get(), hours(await value.remaining())],
    map: [new Map(await collect(map.entries())), hours(await map.remaining('a'))],
    a: [new Set(await collect(a.values())), hours(await a.ttl())],
    sorted: [await collect(sorted.entries()), hours(await sorted.ttl())],
    list: [await collect(list.values()), hours(await list.ttl())],
    counter: await counter.get(),
    stats: (await stats.current()).count,
  };
}

const kinds = Object.keys(writes) as Kind[];

eachEngine((_, openStore) => {
  describe('a write under a guard', () => {
    test.for(kinds)('is done while its lease is the owner, and not after: %s', async (kind) => {
      const engine = await (await openStore()).engine();
      const shared = await connect(engine, { space: 'test', label: 'a', maxStallMs: 0 });
      onTestFinished(() => shared.close());
      const over = await hold(engine, 'writing', 'test');
      await over.release();
      const { lease } = await hold(engine, 'writing', 'test');
      for (const [verb, write] of Object.entries(writes[kind])) {
        const things = thingsOf(shared, verb);
        await fill(things);
        const before = await contents(things);
        const late = write(things, { guard: over.lease });
        await expect(late, verb).rejects.toEqual(failure('LEASE_LOST', '"writing"'));
        expect(await contents(things), verb).toEqual(before);
        await write(things, { guard: lease });
        expect(await contents(things), verb).not.toEqual(before);
      }
    });
  });
});

test('all that can be written is in the list above', async () => {
  const { memoryEngine } = await import('../../src/engines/memory.ts');
  const shared = await connect(memoryEngine(), { space: 'test', label: 'a', maxStallMs: 0 });
  onTestFinished(() => shared.close());
  const things = thingsOf(shared, 'x');
  for (const kind of kinds) {
    const verbs = Object.getOwnPropertyNames(Object.getPrototypeOf(things[kind])).filter(
      (name) => name !== 'constructor' && typeof Reflect.get(things[kind], name) === 'function',
    );
    expect(verbs.sort(), kind).toEqual([...Object.keys(writes[kind]), ...others[kind]].sort());
  }
});
