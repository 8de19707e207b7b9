import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SharedMap } from '../../src/primitives/map.ts';
import { failure } from '../failure.ts';
import { eachEngine } from './each-engine.ts';
import { randomly } from './seed.ts';
import { openSession, until } from './sessions.ts';

describe('entries of a map', () => {
  eachEngine((_, openStore) => {
    const open = async (): Promise<SharedMap<number>> => (await openSession(await openStore(), 'a')).map<number>('m');

    it('are read and written many at once', async () => {
      const map = await open();
      await map.setAll(new Map([['a', 1]]));
      await map.setAll([
        ['b', 2],
        ['c:d', 3],
      ]);
      expect(await map.getAll(['a', 'none', 'c:d', 'a'])).toEqual(new Map(Object.entries({ a: 1, 'c:d': 3 })));
      expect(await map.size()).toBe(3);
      const many = Array.from({ length: 1_001 }, (_value, i): [string, number] => [`k${i}`, i]);
      await expect(map.setAll(many)).rejects.toEqual(failure('INVALID_ARGUMENT', 'entries'));
      await expect(map.getAll(many.map(([key]) => key))).rejects.toEqual(failure('INVALID_ARGUMENT', 'keys'));
      await expect(
        map.setAll([
          ['x', 1],
          ['y', Number.NaN],
        ]),
      ).rejects.toEqual(failure('INVALID_VALUE', '"y"'));
      await map.setAll(many.slice(1));
      await map.setAll(many.slice(0, 900));
      expect(await map.size()).toBe(1_004);
      await map.clear();
      expect([await map.size(), await map.get('b')]).toEqual([0, undefined]);
    });

    it('that have an end are not shown, counted or listed from then on', async () => {
      const map = await open();
      await map.set('stays', 1);
      await map.setAll(
        [
          ['a', 1],
          ['b', 2],
        ],
        { ttl: 30 },
      );
      await map.set('later', 3, { ttl: '1h' });
      await until('their end', async () => !(await map.has('a')));
      await until('their end', async () => !(await map.has('b')));
      expect([await map.size(), await map.get('a'), await map.remaining('a')]).toEqual([2, undefined, undefined]);
      expect(await map.getAll(['a', 'b', 'stays'])).toEqual(new Map([['stays', 1]]));
      const listed: string[] = [];
      for await (const key of map.keys()) listed.push(key);
      expect(listed.sort()).toEqual(['later', 'stays']);
      expect([await map.delete('a'), await map.setIfAbsent('b', 5), await map.setIfAbsent('b', 6)]).toEqual([
        false,
        true,
        false,
      ]);
      expect([await map.remaining('b'), await map.remaining('stays')]).toEqual([
        Number.POSITIVE_INFINITY,
        Number.POSITIVE_INFINITY,
      ]);
      expect(await map.remaining('later')).toBeGreaterThan(3_590_000);
    });

    it('are compared by value, and updated without a loss', async () => {
      const map = await open();
      await Promise.all(Array.from({ length: 20 }, () => map.update('n', (n) => (n ?? 0) + 1)));
      expect(await map.get('n')).toBe(20);
      expect([await map.deleteIf('n', 19), await map.deleteIf('n', 20), await map.deleteIf('n', 20)]).toEqual([
        false,
        true,
        false,
      ]);
      expect([await map.getAndSet('n', 1), await map.getAndSet('n', 2)]).toEqual([undefined, 1]);
      expect([await map.compareAndSet('n', 1, 3), await map.compareAndSet('n', 2, 3)]).toEqual([false, true]);
    });

    it('behave as those of a Map in random programs', { timeout: 60_000 }, async () => {
      const shared = await openSession(await openStore(), 'a');
      const key = fc.constantFrom('a', 'b:c', 'é');
      const verb = fc.constantFrom(
        'set',
        'lasting',
        'delete',
        'deleteIf',
        'swap',
        'cas',
        'absent',
        'update',
        'clear',
        'persist',
      );
      const steps = fc.array(fc.tuple(verb, key, fc.nat(2), fc.nat(2)), { maxLength: 20 });
      let programs = 0;
      await fc.assert(
        fc.asyncProperty(steps, async (program) => {
          const map = shared.map<number>(`m${++programs}`);
          const model = new Map<string, number>();
          for (const step of program) {
            expect(await onMap(map, step)).toEqual(onModel(model, step));
            expect(await map.size()).toBe(model.size);
          }
          const listed = new Map<string, number>();
          for await (const [name, value] of map) listed.set(name, value);
          expect(listed).toEqual(model);
          expect(await map.getAll(['a', 'b:c', 'é'])).toEqual(model);
        }),
        randomly(25),
      );
    });
  });
});

type Step = readonly [verb: string, key: string, value: number, expected: number];

async function onMap(map: SharedMap<number>, [verb, key, value, expected]: Step): Promise<unknown> {
  if (verb === 'set') return map.set(key, value);
  if (verb === 'lasting') return map.set(key, value, { ttl: '1h' });
  if (verb === 'delete') return map.delete(key);
  if (verb === 'deleteIf') return map.deleteIf(key, expected);
  if (verb === 'swap') return map.getAndSet(key, value);
  if (verb === 'cas') return map.compareAndSet(key, expected, value);
  if (verb === 'absent') return map.setIfAbsent(key, value);
  if (verb === 'update') return map.update(key, (now) => (now ?? 0) + 1);
  if (verb === 'clear') return map.clear();
  return map.persist(key);
}

function onModel(model: Map<string, number>, [verb, key, value, expected]: Step): unknown {
  const now = model.get(key);
  const replace = (by: number): void => void model.set(key, by);
  if (verb === 'set' || verb === 'lasting') return replace(value);
  if (verb === 'delete') return model.delete(key);
  if (verb === 'deleteIf') return now === expected && model.delete(key);
  if (verb === 'persist') return now !== undefined;
  if (verb === 'clear') return model.clear();
  if (verb === 'absent' || verb === 'cas') {
    const fits = now === (verb === 'cas' ? expected : undefined);
    if (fits) replace(value);
    return fits;
  }
  replace(verb === 'update' ? (now ?? 0) + 1 : value);
  return verb === 'update' ? model.get(key) : now;
}
