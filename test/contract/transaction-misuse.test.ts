import { describe, expect, test } from 'vitest';
import type { Batch, Transaction, TransactionOptions } from '../../src/index.ts';
import { eachEngine } from './each-engine.ts';
import { failure, openSession } from './sessions.ts';

/** A verb as JavaScript calls it: with any arguments. */
type Verb = (...given: unknown[]) => unknown;
type Things = Readonly<Record<string, (name: string) => Readonly<Record<string, Verb>>>>;

/** Each verb that writes with all that it takes, options too. */
const verbs: readonly (readonly [thing: string, verb: string, ...given: unknown[]])[] = [
  ['value', 'set', 1, {}],
  ['value', 'update', () => 1, {}],
  ['value', 'delete'],
  ['map', 'set', 'k', 1, {}],
  ['map', 'update', 'k', () => 1, {}],
  ['map', 'delete', 'k'],
  ['set', 'add', 1],
  ['set', 'delete', 1],
  ['sortedSet', 'set', 'a', 1],
  ['sortedSet', 'add', 'a', 1],
  ['sortedSet', 'delete', 'a'],
  ['list', 'push', 1],
  ['list', 'unshift', 1],
  ['list', 'pop'],
  ['list', 'shift'],
  ['list', 'set', 0, 1],
  ['counter', 'add', 1],
  ['counter', 'tryAdd', 1],
  ['counter', 'set', 1],
  ['queue', 'push', 1, {}],
  ['topic', 'publish', 1, {}],
];

const readers = new Set(['update', 'pop', 'shift', 'tryAdd']);
const noted = verbs.filter(([thing, verb]) => !readers.has(verb) && !(thing === 'list' && verb === 'set'));

eachEngine((_, openStore) => {
  describe('a transaction', () => {
    test('whose signal has aborted, or whose options are none, is not begun, nor is such a batch', async () => {
      const shared = await openSession(await openStore(), 'a');
      const gone = new Error('gone');
      const waits: [options: TransactionOptions, reason: object][] = [
        [{ signal: AbortSignal.abort(gone) }, gone],
        [{ signal: 5 as never }, { code: 'INVALID_ARGUMENT' }],
        [{ timeout: 'soon' as never }, { code: 'INVALID_ARGUMENT' }],
        [{ timeout: -1 }, { code: 'INVALID_ARGUMENT' }],
      ];
      let bodies = 0;
      for (const [options, reason] of waits) {
        const run = shared.transaction(async (tx) => {
          bodies += 1;
          await tx.counter('c').add();
        }, options);
        expect(await failure(run)).toMatchObject(reason);
        expect(await failure(shared.batch((batch) => batch.counter('c').add(1), options))).toMatchObject(reason);
      }
      // Behind what they might have asked for, on the same entry.
      expect(await shared.transaction((tx) => tx.counter('c').add(7))).toBe(7);
      expect([bodies, await shared.counter('c').get()]).toEqual([0, 7]);
    });

    test('loses none of several updates of one entry or value that its body makes at once', async () => {
      const shared = await openSession(await openStore(), 'a');
      for (const before of [0, 10]) {
        const made = await shared.transaction((tx) =>
          Promise.all(
            [1, 2, 3].flatMap((by) => [
              tx.map<number>('m').update('k', (now = 0) => now + by),
              tx.value<number>('v').update((now = 0) => now + by),
            ]),
          ),
        );
        expect(made).toEqual([1, 1, 3, 3, 6, 6].map((by) => before + by));
        await shared.map('m').set('k', 10);
        await shared.value('v').set(10);
      }
    });

    test('refuses a guard that is given to one of its writes, and all else that it does not take', async () => {
      const shared = await openSession(await openStore(), 'a');
      for (const [thing, verb, ...given] of verbs) {
        const run = shared.transaction(async (tx) => {
          await tx.counter('written').add();
          await (tx as unknown as Things)[thing]!('t')[verb]!(...given, { guard: undefined });
        });
        const refused = await failure(run);
        expect([thing, verb, refused.code]).toEqual([thing, verb, 'INVALID_ARGUMENT']);
        expect(refused.message).toContain('transaction(body, { guard })');
      }
      for (const thing of ['value', 'map']) {
        const given = thing === 'map' ? ['k', 1] : [1];
        const write = (options: object): Promise<unknown> =>
          shared.transaction((tx) => (tx as unknown as Things)[thing]!('t')['set']!(...given, options));
        expect((await failure(write({ guard: 1 }))).message).toContain('transaction(body, { guard })');
        expect((await failure(write({ gaurd: 1 }))).code).toBe('INVALID_ARGUMENT');
      }
      expect(await shared.counter('written').get()).toBe(0);
    });

    test('is not committed where a call failed that nobody waited for', async () => {
      const shared = await openSession(await openStore(), 'a');
      const calls: ((tx: Transaction) => Promise<unknown>)[] = [
        (tx) => tx.map('m').set('ada', 5n),
        (tx) => tx.value('v').set(5n),
        (tx) => tx.set('s').add(5n),
        (tx) => tx.sortedSet('z').set('a', Number.NaN),
        (tx) => tx.list('l').push(5n),
        (tx) => tx.counter('c', { max: 1 }).add(2),
        (tx) => tx.counter('c').set(0.5),
        (tx) => tx.queue('q').push(5n),
        (tx) => tx.topic('t').publish(5n),
      ];
      for (const call of calls) {
        const run = shared.transaction(async (tx) => {
          const left = call(tx); // nobody waits for it
          expect(left).toBeInstanceOf(Promise);
          await tx.map('m').set('bob', 110);
          await tx.map('m').get('else');
          // The others need no longer than this.
          for (const thing of [tx.counter('c'), tx.value('v')]) await thing.get();
          await tx.set('s').has(1);
          await tx.sortedSet('z').has('a');
        });
        expect((await failure(run)).message).not.toMatch(/await/);
        expect(await shared.map('m').has('bob')).toBe(false);
      }
    });

    test('is committed where its body heard of the calls that failed', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.transaction(async (tx) => {
        const map = tx.map('m');
        await map.set('a', 5n).catch(() => {});
        await expect(tx.value('v').set(5n)).rejects.toThrow('value "v"');
        const [late, counted] = [map.set('b', 5n), tx.counter('c', { max: 1 }).add(2)];
        await map.set('bob', 110);
        await new Promise((resolve) => setImmediate(resolve));
        expect((await Promise.allSettled([late, counted])).map(({ status }) => status)).toEqual([
          'rejected',
          'rejected',
        ]);
      });
      expect([await shared.map('m').size(), await shared.map('m').get('bob')]).toEqual([1, 110]);
    });
  });

  describe('a batch', () => {
    test('refuses a guard that is given to one of its writes, and all else that it does not take', async () => {
      const shared = await openSession(await openStore(), 'a');
      for (const [thing, verb, ...given] of noted) {
        const run = shared.batch((batch) => {
          batch.counter('written').add(1);
          (batch as unknown as Things)[thing]!('t')[verb]!(...given, { guard: undefined });
        });
        const refused = await failure(run);
        expect([thing, verb, refused.code]).toEqual([thing, verb, 'INVALID_ARGUMENT']);
        expect(refused.message).toContain('batch(fill, { guard })');
      }
      const misspelt = { maxx: 1 } as object;
      expect((await failure(shared.batch((batch) => batch.counter('c', misspelt).add(1)))).code).toBe(
        'INVALID_ARGUMENT',
      );
      expect(await shared.counter('written').get()).toBe(0);
    });

    test('whose function has returned takes no more writes', async () => {
      const shared = await openSession(await openStore(), 'a');
      let kept: Batch | undefined;
      const late: Verb[] = [];
      await shared.batch((batch) => {
        kept = batch;
        batch.map('m').set('a', 1);
        for (const [thing, verb, ...given] of noted) {
          const handle = (batch as unknown as Things)[thing]!('t');
          late.push(() => handle[verb]!(...given));
        }
      });
      late.push(() => kept!.map('m').set('b', 1));
      for (const write of late) expect(write).toThrow('had returned');
      expect(await shared.map('m').size()).toBe(1);
    });

    test('says which bound a counter would get beyond', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const add = async (...many: number[]): Promise<string> => {
        const run = shared.batch((batch) => {
          for (const by of many) batch.counter('c', { min: 0, max: 5 }).add(by);
        });
        return (await failure(run)).message;
      };
      expect(await add(-1)).toContain('it is 0: with -1 added it would be below its min, 0');
      expect(await add(2, -3, 4)).toContain('it is 0: with -1 added it would be below its min, 0');
      expect(await add(3, 3)).toContain('it is 0: with 6 added it would be beyond its max, 5');
      const set = shared.batch((batch) => {
        batch.counter('c').set(1);
        batch.counter('c', { min: 0 }).add(-2);
      });
      expect((await failure(set)).message).toContain('it is 1: with -2 added it would be below its min, 0');
      await store.putText('{test}:counter:c', 'five');
      expect(await add(1)).toContain('it holds "five"');
    });

    test('pushes to queues and publishes to topics', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.topic('t').publish(0);
      const messages = shared.topic<number>('t').subscribe({ from: 'earliest' });
      await shared.batch((batch) => {
        const queue = batch.queue<number>('q');
        queue.push(1);
        queue.push(2, { id: 'two' });
        queue.push(3, { id: 'two' });
        batch.topic('t').publish(1, { key: 'k' });
      });
      expect((await shared.queue('q').size()).ready).toBe(2);
      expect((await messages.next()).value).toMatchObject({ data: 0 });
      expect((await messages.next()).value).toMatchObject({ data: 1, key: 'k' });
      await messages.return!();
      const wrong = shared.batch((batch) => batch.queue('q').push(1, { gaurd: 1 } as object));
      expect((await failure(wrong)).code).toBe('INVALID_ARGUMENT');
    });
  });
});
