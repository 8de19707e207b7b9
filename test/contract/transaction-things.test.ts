import { describe, expect, test } from 'vitest';
import { eachEngine } from './each-engine.ts';
import { failure, openSession, until } from './sessions.ts';

eachEngine((_, openStore) => {
  describe('a transaction', () => {
    test('over a value sees what it wrote, and what was there', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.value('v').set(1, { ttl: '1h' });
      await shared.transaction(async (tx) => {
        const value = tx.value<number>('v');
        expect(await value.update((now = 0) => now + 1)).toBe(2);
        expect([await value.get(), await value.exists()]).toEqual([2, true]);
        const other = tx.value<string>('other', { ttl: '1h' });
        expect([await other.get(), await other.delete()]).toEqual([undefined, false]);
        await other.set('x');
      });
      expect(await shared.value('v').get()).toBe(2);
      expect(await shared.value('v').remaining()).toBeLessThan(Infinity);
      expect(await shared.value('other').remaining()).toBeLessThan(Infinity);
      await shared.transaction(async (tx) => {
        expect(await tx.value('v').delete()).toBe(true);
        expect(await tx.value('v').get()).toBe(undefined);
        await tx.value('other').set('y');
      });
      expect(await shared.value('v').exists()).toBe(false);
      expect(await shared.value('other').remaining()).toBe(Infinity);
    });

    test('gives entries of a map a life, and keeps it when it updates them', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.transaction((tx) => tx.map<number>('m').set('a', 1, { ttl: '1h' }));
      await shared.transaction((tx) => tx.map<number>('m').update('a', (now = 0) => now + 1));
      expect(await shared.map('m').get('a')).toBe(2);
      expect(await shared.map('m').remaining('a')).toBeLessThan(Infinity);
      await shared.transaction((tx) => tx.map<number>('m').set('b', 1, { ttl: 5 }));
      await until('it is over', async () => !(await shared.map('m').has('b')));
      expect((await failure(shared.transaction((tx) => tx.map('m').set('a', 1, { ttl: 0 })))).code).toBe(
        'INVALID_ARGUMENT',
      );
    });

    test('over a set sees its own members, and conflicts with a new one where it read the size', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      await shared.set('s').addAll(['a', 'b']);
      let runs = 0;
      await shared.transaction(async (tx) => {
        const set = tx.set<string>('s');
        expect([await set.add('c'), await set.add('c'), await set.delete('a')]).toEqual([true, false, true]);
        expect([await set.has('a'), await set.has('b'), await set.has('c')]).toEqual([false, true, true]);
        const size = await set.size();
        if (++runs === 1) await other.set('s').add('d');
        await tx.value('size').set(size);
      });
      expect(runs).toBe(2);
      expect(await shared.value('size').get()).toBe(3);
      expect(await shared.set('s').size()).toBe(3);
    });

    test('over a sorted set has ranges with its own writes, in the order of the store', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const sorted = shared.sortedSet<string>('z');
      await sorted.setAll([
        ['a', 1],
        ['b', 2],
        ['é', 2],
        ['d', 4],
      ]);
      await shared.transaction(async (tx) => {
        const mine = tx.sortedSet<string>('z');
        expect(await mine.range({ start: -2 })).toEqual(await sorted.range({ start: -2 }));
        expect([await mine.set('a', 3), await mine.add('new', 2), await mine.delete('d')]).toEqual([false, 2, true]);
        expect([await mine.score('a'), await mine.has('d'), await mine.size()]).toEqual([3, false, 4]);
        await tx.value('by rank').set(await mine.range());
        await tx.value('from the end').set(await mine.range({ start: -2 }));
        await tx.value('backwards').set(await mine.range({ start: 1, end: 3, reverse: true }));
        await tx.value('by score').set(await mine.rangeByScore({ min: 2, limit: 2 }));
        await tx.value('below').set(await mine.rangeByScore({ below: 3, reverse: true }));
        expect((await failure(mine.set('x', Number.NaN))).code).toBe('INVALID_ARGUMENT');
      });
      expect(await shared.value('by rank').get()).toEqual(await sorted.range());
      expect(await shared.value('from the end').get()).toEqual(await sorted.range({ start: -2 }));
      expect(await shared.value('backwards').get()).toEqual(await sorted.range({ start: 1, end: 3, reverse: true }));
      expect(await shared.value('by score').get()).toEqual(await sorted.rangeByScore({ min: 2, limit: 2 }));
      expect(await shared.value('below').get()).toEqual(await sorted.rangeByScore({ below: 3, reverse: true }));
    });

    test('conflicts with a member that comes into a range that it read, and with no other', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      let runs = 0;
      const within = (score: number): Promise<unknown> =>
        shared.transaction(async (tx) => {
          const found = await tx.sortedSet<string>('z').rangeByScore({ min: 1, max: 2 });
          if (++runs === 1) await other.sortedSet<string>('z').set('new', score);
          await tx.value('found').set(found.length);
        });
      await within(3);
      expect([runs, await shared.value('found').get()]).toEqual([1, 0]);
      runs = 0;
      await within(2);
      expect([runs, await shared.value('found').get()]).toEqual([2, 1]);
    });

    test('over a list takes and adds at both ends as an array does', async () => {
      const shared = await openSession(await openStore(), 'a');
      const list = shared.list<number>('l');
      await list.pushAll([1, 2, 3, 4]);
      const array = [1, 2, 3, 4];
      await shared.transaction(async (tx) => {
        const mine = tx.list<number>('l');
        expect(await mine.at(-1)).toBe(array.at(-1));
        await mine.unshift(0);
        array.unshift(0);
        await mine.push(5);
        array.push(5);
        expect([await mine.shift(), await mine.shift()]).toEqual([array.shift(), array.shift()]);
        expect([await mine.pop(), await mine.pop()]).toEqual([array.pop(), array.pop()]);
        expect([await mine.set(0, 20), await mine.set(-1, 30), await mine.set(7, 0)]).toEqual([true, true, false]);
        array[0] = 20;
        array[1] = 30;
        await mine.unshift(-1);
        array.unshift(-1);
        await mine.push(6);
        array.push(6);
        expect(await mine.length()).toBe(array.length);
        expect(await mine.slice()).toEqual(array);
        expect(await mine.slice(1, -1)).toEqual(array.slice(1, -1));
        expect([await mine.at(0), await mine.at(2), await mine.at(9)]).toEqual([array[0], array[2], array[9]]);
      });
      expect(await list.slice()).toEqual(array);
      await shared.transaction(async (tx) => {
        const mine = tx.list<number>('l');
        for (let i = 0; i < 6; i++)
          expect(await (i % 2 === 0 ? mine.pop() : mine.shift())).toBe(i % 2 === 0 ? array.pop() : array.shift());
        await mine.push(7);
        await mine.unshift(8);
        expect([await mine.pop(), await mine.pop(), await mine.pop()]).toEqual([7, 8, undefined]);
      });
      expect(await list.length()).toBe(0);
    });

    test('moves each element of a list to one of those who compete for it', async () => {
      const store = await openStore();
      const sessions = await Promise.all(['a', 'b'].map((label) => openSession(store, label)));
      const shared = sessions[0]!;
      await shared.list('from').pushAll([1, 2, 3, 4, 5, 6]);
      const moves = sessions.flatMap((each) =>
        Array.from({ length: 4 }, () =>
          each.transaction(async (tx) => {
            const element = await tx.list<number>('from').shift();
            if (element !== undefined) await tx.list<number>('to').push(element);
            return element;
          }),
        ),
      );
      const moved = (await Promise.all(moves)).filter((element) => element !== undefined);
      expect(moved.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(await shared.list('to').slice()).toEqual([1, 2, 3, 4, 5, 6]);
      expect(await shared.list('from').length()).toBe(0);
    });

    test('hands what it pushes to a list to who waits there', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const taken = (await openSession(store, 'b')).list<string>('l').take({ timeout: '10s' });
      await shared.transaction((tx) => tx.list<string>('l').push('for you'));
      expect(await taken).toBe('for you');
    });

    test('on collections of another kind writes nothing and rejects with WRONG_KIND', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      for (const kind of ['set', 'sorted', 'list']) await store.putText(`{test}:${kind}:x`, 'text');
      const codes = await Promise.all([
        failure(shared.transaction((tx) => tx.set('x').size())),
        failure(shared.transaction((tx) => tx.sortedSet('x').set('a', 1))),
        failure(shared.transaction((tx) => tx.list('x').push('a'))),
      ]);
      expect(codes.map(({ code }) => code)).toEqual(['WRONG_KIND', 'WRONG_KIND', 'WRONG_KIND']);
    });
  });
});
