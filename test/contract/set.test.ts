import { describe, expect, it } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { failure } from '../failure.ts';
import { eachEngine } from './each-engine.ts';
import { collect, openSession } from './sessions.ts';

describe('a set', () => {
  eachEngine((_, openStore) => {
    const open = async (): Promise<Lockstep> => openSession(await openStore(), 'one');

    it('holds a member once, and tells what is new and what was there', async () => {
      const tags = (await open()).set<string>('tags');
      expect(await tags.add('a')).toBe(true);
      expect(await tags.add('a')).toBe(false);
      expect(await tags.addAll(['a', 'b', 'c', 'b'])).toBe(2);
      expect(await tags.has('b')).toBe(true);
      expect(await tags.size()).toBe(3);
      expect(await tags.delete('b')).toBe(true);
      expect(await tags.delete('b')).toBe(false);
      expect(await tags.deleteAll(['a', 'x'])).toBe(1);
      expect(await collect(tags)).toEqual(['c']);
      await tags.clear();
      expect(await tags.size()).toBe(0);
      expect(await tags.addAll([])).toBe(0);
    });

    it('gives each member to one of those who pop, whoever they are', async () => {
      const store = await openStore();
      const [one, two] = [await openSession(store, 'one'), await openSession(store, 'two')];
      const members = Array.from({ length: 30 }, (_value, i) => i);
      await one.set<number>('work').addAll(members);
      const popped: number[] = [];
      const popAll = async (shared: Lockstep): Promise<void> => {
        for (;;) {
          const member = await shared.set<number>('work').pop();
          if (member === undefined) return;
          popped.push(member);
        }
      };
      await Promise.all([popAll(one), popAll(two), popAll(one)]);
      expect(popped.sort((a, b) => a - b)).toEqual(members);
    });

    it('joins sets in one step, into a result or into a set', async () => {
      const shared = await open();
      const [a, b, c, into] = ['a', 'b', 'c', 'into'].map((name) => shared.set<number>(name)) as never as [
        ReturnType<typeof shared.set<number>>,
        ReturnType<typeof shared.set<number>>,
        ReturnType<typeof shared.set<number>>,
        ReturnType<typeof shared.set<number>>,
      ];
      await a.addAll([1, 2, 3]);
      await b.addAll([2, 3, 4]);
      await c.addAll([3, 5]);
      await into.add(9);
      expect(await a.union(b, c)).toEqual(new Set([1, 2, 3, 4, 5]));
      expect(await a.intersection(b, c)).toEqual(new Set([3]));
      expect(await a.difference(b, c)).toEqual(new Set([1]));
      expect(await a.union()).toEqual(new Set([1, 2, 3]));
      expect(await a.symmetricDifference(b)).toEqual(new Set([1, 4]));
      expect(await a.isSubsetOf(b)).toBe(false);
      expect(await into.isDisjointFrom(a)).toBe(true);
      expect(await a.unionInto(into, [b])).toBe(4);
      expect(new Set(await collect(into))).toEqual(new Set([1, 2, 3, 4]));
      expect(await a.isSubsetOf(into)).toBe(true);
      expect(await into.isSupersetOf(b)).toBe(true);
      expect(await a.intersectionInto(a, [b])).toBe(2);
      expect(await a.differenceInto(into, [b])).toBe(0);
      expect(await into.size()).toBe(0);
    });

    it('refuses to read more than a call may, and sets of elsewhere', async () => {
      const shared = await open();
      const big = shared.set<number>('big');
      const all = Array.from({ length: 10_001 }, (_value, i) => i);
      await expect(big.addAll(all)).rejects.toEqual(failure('INVALID_ARGUMENT', 'at most 10000'));
      await big.addAll(all.slice(1));
      await big.add(0);
      await expect(big.union()).rejects.toEqual(failure('INVALID_ARGUMENT', 'more than one call may read (10000)'));
      const small = shared.set<number>('small');
      await small.addAll([1, 2, -1]);
      expect(await big.intersection(small)).toEqual(new Set([1, 2]));
      const other = await openSession(await openStore(), 'other', 'elsewhere');
      await expect(big.union(other.set('big'))).rejects.toEqual(failure('INVALID_ARGUMENT', 'same store and space'));
      await expect(big.union({} as never)).rejects.toEqual(failure('INVALID_ARGUMENT'));
      await expect(big.addAll('abc' as never)).rejects.toEqual(failure('INVALID_ARGUMENT'));
    });

    it('gives what stays exactly once while others write and delete', async () => {
      const shared = await open();
      const all = shared.set<string>('all');
      const staying = Array.from({ length: 600 }, (_value, i) => `stays ${i}`);
      await all.addAll([...staying, ...staying.map((key) => `goes ${key}`)]);
      const seen: string[] = [];
      for await (const member of all) {
        seen.push(member);
        if (seen.length % 3 === 0) await all.delete(`goes stays ${seen.length}`);
        if (seen.length % 5 === 0 && seen.length < 1_500) await all.add(`new ${seen.length}`);
      }
      expect(seen.length).toBe(new Set(seen).size);
      expect(seen.filter((member) => member.startsWith('stays')).sort()).toEqual([...staying].sort());
    });

    it('is written under a guard while its lease is the owner, and lives as long as it is told', async () => {
      const shared = await open();
      const tags = shared.set<string>('tags');
      const lease = await shared.lock('tagging').acquire();
      await tags.add('a', { guard: lease });
      expect(await tags.ttl()).toBeUndefined();
      expect(await tags.expire('1h', { guard: lease })).toBe(true);
      expect(await tags.ttl()).toBeGreaterThan(3_500_000);
      expect(await tags.persist()).toBe(true);
      expect(await tags.ttl()).toBeUndefined();
      expect(await shared.set('none').expire(10)).toBe(false);
      await shared.lock('tagging').forceRelease();
      const other = await shared.lock('tagging').acquire();
      for (const write of [
        () => tags.add('b', { guard: lease }),
        () => tags.pop({ guard: lease }),
        () => tags.clear({ guard: lease }),
        () => tags.unionInto(tags, [], { guard: lease }),
        () => tags.expire(1, { guard: lease }),
      ]) {
        await expect(write()).rejects.toEqual(failure('LEASE_LOST', '"tagging"'));
      }
      expect(await collect(tags)).toEqual(['a']);
      await other.release();
    });
  });
});
