import { describe, expect, it } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { failure } from '../failure.ts';
import { eachEngine } from './each-engine.ts';
import { openSession } from './sessions.ts';

describe('a sorted set', () => {
  eachEngine((_, openStore) => {
    const open = async (): Promise<Lockstep> => openSession(await openStore(), 'one');

    it('keeps members in the order of their scores, which may be fractions', async () => {
      const top = (await open()).sortedSet<string>('top');
      expect(await top.set('a', 0.1)).toBe(true);
      expect(await top.set('a', 2.5)).toBe(false);
      expect(await top.setAll([['b', -1e-7], ['c', 1e300], ['a', 3]])).toBe(2); // prettier-ignore
      expect(await top.add('a', 0.1)).toBe(3.1);
      expect(await top.add('new', 0.1)).toBe(0.1);
      expect(await top.add('new', 0.2)).toBe(0.1 + 0.2);
      expect(await top.score('b')).toBe(-1e-7);
      expect(await top.score('none')).toBeUndefined();
      expect(await top.has('c')).toBe(true);
      expect(await top.rank('c')).toBe(3);
      expect(await top.rank('c', { reverse: true })).toBe(0);
      expect(await top.rank('none')).toBeUndefined();
      expect(await top.size()).toBe(4);
      expect((await top.range()).map(([member]) => member)).toEqual(['b', 'new', 'a', 'c']);
      expect(await top.range({ start: -1 })).toEqual([['c', 1e300]]);
      expect((await top.range({ end: 2, reverse: true })).map(([member]) => member)).toEqual(['c', 'a']);
      expect(await top.range({ start: 2, end: 2 })).toEqual([]);
      expect(await top.delete('c')).toBe(true);
      expect(await top.deleteAll(['c', 'b'])).toBe(1);
      await top.clear();
      expect(await top.range()).toEqual([]);
    });

    it('sets a score only where that was asked for', async () => {
      const best = (await open()).sortedSet<string>('best');
      expect(await best.setIfAbsent('a', 5)).toBe(true);
      expect(await best.setIfAbsent('a', 6)).toBe(false);
      expect(await best.setIfGreater('a', 5)).toBe(false);
      expect(await best.setIfGreater('a', 5.5)).toBe(true);
      expect(await best.setIfLess('a', 5.5)).toBe(false);
      expect(await best.setIfLess('a', 1)).toBe(true);
      expect(await best.setIfLess('b', 7)).toBe(true);
      expect(await best.range()).toEqual([['a', 1], ['b', 7]]); // prettier-ignore
    });

    it('gives ranges of scores, with ends that are in it or not, forwards and backwards', async () => {
      const prices = (await open()).sortedSet<string>('prices');
      await prices.setAll(['a', 'b', 'c', 'd', 'e'].map((name, i): [string, number] => [name, i / 10]));
      const names = async (range: Parameters<typeof prices.rangeByScore>[0]): Promise<string> =>
        (await prices.rangeByScore(range)).map(([name]) => name).join('');
      expect(await names({})).toBe('abcde');
      expect(await names({ min: 0.1, max: 0.3 })).toBe('bcd');
      expect(await names({ above: 0.1, below: 0.3 })).toBe('c');
      expect(await names({ above: 0, reverse: true, limit: 2 })).toBe('ed');
      expect(await names({ max: 0.3, reverse: true, limit: 1 })).toBe('d');
      expect(await names({ below: 0 })).toBe('');
      expect(await names({ min: 0.3, max: 0.1 })).toBe('');
      expect(await names({ limit: 0 })).toBe('');
      expect(await prices.count()).toBe(5);
      expect(await prices.count({ above: 0.2 })).toBe(2);
      expect(await prices.popMin(2)).toEqual([['a', 0], ['b', 0.1]]); // prettier-ignore
      expect(await prices.popMax()).toEqual([['e', 0.4]]);
      expect(await prices.popMax(9)).toEqual([['d', 3 / 10], ['c', 0.2]]); // prettier-ignore
      expect(await prices.popMin()).toEqual([]);
    });

    it('refuses scores that are no finite numbers, and ranges that make no sense', async () => {
      const top = (await open()).sortedSet<string>('top');
      for (const score of [Number.NaN, Infinity, -Infinity, '1' as never]) {
        await expect(top.set('a', score)).rejects.toEqual(failure('INVALID_ARGUMENT', 'score'));
        await expect(top.add('a', score)).rejects.toEqual(failure('INVALID_ARGUMENT', 'by'));
      }
      await top.set('a', Number.MAX_VALUE);
      await expect(top.add('a', Number.MAX_VALUE)).rejects.toEqual(failure('INVALID_VALUE', 'not finite'));
      expect(await top.score('a')).toBe(Number.MAX_VALUE);
      await expect(top.rangeByScore({ min: 1, above: 1 })).rejects.toEqual(failure('INVALID_ARGUMENT', 'above'));
      await expect(top.count({ max: Number.NaN })).rejects.toEqual(failure('INVALID_ARGUMENT', 'max'));
      await expect(top.range({ start: 0.5 })).rejects.toEqual(failure('INVALID_ARGUMENT', 'start'));
      await expect(top.popMin(-1)).rejects.toEqual(failure('INVALID_ARGUMENT', 'count'));
    });

    it('is iterated in order, each that stays exactly once, while others are added, moved and deleted', async () => {
      const top = (await open()).sortedSet<string>('top');
      const all = Array.from({ length: 700 }, (_value, i): [string, number] => [`stays ${i}`, i % 7]);
      await top.setAll([...all, ...all.map(([name, score]): [string, number] => [`moves ${name}`, score])]);
      const seen: [string, number][] = [];
      for await (const entry of top) {
        seen.push(entry);
        if (seen.length % 3 === 0) await top.delete(`moves stays ${seen.length}`);
        if (seen.length % 4 === 0) await top.add(`moves stays ${seen.length}`, seen.length % 8 === 0 ? 3 : -3);
        if (seen.length % 5 === 0 && seen.length < 1_500) await top.set(`new ${seen.length}`, seen.length % 9);
      }
      const names = seen.map(([name]) => name);
      expect(names.length).toBe(new Set(names).size);
      const stayed = seen.filter(([name]) => name.startsWith('stays'));
      expect(stayed.length).toBe(700);
      expect(stayed.map(([, score]) => score)).toEqual(stayed.map(([, score]) => score).sort((a, b) => a - b));
    });

    it('is iterated to the end though all of the page before is gone or has moved', async () => {
      const top = (await open()).sortedSet<number>('top');
      await top.setAll(Array.from({ length: 500 }, (_value, i): [number, number] => [i, 1]));
      const seen: number[] = [];
      for await (const [member] of top) {
        seen.push(member);
        await top.delete(member);
      }
      expect(new Set(seen).size).toBe(500);
    });

    it('is written under a guard while its lease is the owner, and not after', async () => {
      const shared = await open();
      const top = shared.sortedSet<string>('top');
      const lease = await shared.lock('counting').acquire();
      await top.set('a', 1, { guard: lease });
      await shared.lock('counting').forceRelease();
      const other = await shared.lock('counting').acquire();
      for (const write of [
        () => top.set('a', 2, { guard: lease }),
        () => top.add('a', 2, { guard: lease }),
        () => top.delete('a', { guard: lease }),
        () => top.popMin(1, { guard: lease }),
        () => top.clear({ guard: lease }),
      ]) {
        await expect(write()).rejects.toEqual(failure('LEASE_LOST', '"counting"'));
      }
      expect(await top.range()).toEqual([['a', 1]]);
      await other.release();
    });
  });
});
