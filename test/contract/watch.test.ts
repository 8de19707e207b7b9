import { describe, expect, it } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import { eachEngine } from './each-engine.ts';
import type { SetChanges } from '../../src/index.ts';
import { failure as rejection, openSession, until } from './sessions.ts';

const valueKey = keysOf('test').value('v').value;

describe('a watch', () => {
  eachEngine((_, openStore) => {
    it('gives what there is, then each state that it is asked for', async () => {
      const store = await openStore();
      const watch = (await openSession(store, 'reader')).value<number>('v').watch();
      const value = (await openSession(store, 'writer')).value<number>('v');
      expect(await watch.next()).toEqual({ done: false, value: undefined });
      const next = watch.next();
      await value.set(1);
      expect(await next).toEqual({ done: false, value: 1 });
      for (const n of [2, 3, 4]) await value.set(n);
      expect(await watch.next()).toEqual({ done: false, value: 4 }); // 2 and 3 came while nobody asked
      const gone = watch.next();
      await value.set(4); // nothing new
      await value.delete();
      expect(await gone).toEqual({ done: false, value: undefined });
      await watch.return!();
      expect(await watch.next()).toEqual({ done: true, value: undefined });
    });

    it('sees the end of what has one', async () => {
      const shared = await openSession(await openStore(), 'a');
      const [value, map] = [shared.value<number>('v'), shared.map<number>('m')];
      await value.set(1);
      await map.set('k', 1);
      const [watch, entries] = [value.watch(), map.watch()];
      expect((await watch.next()).value).toBe(1);
      expect((await entries.next()).value).toEqual(new Map([['k', 1]]));
      await Promise.all([value.expire(30), map.expire('k', 30)]);
      expect((await watch.next()).value).toBeUndefined();
      expect((await entries.next()).value).toEqual(new Map([['k', undefined]]));
      await Promise.all([watch.return!(), entries.return!()]);
    });

    it('of a map gives all entries, then those that changed', async () => {
      const store = await openStore();
      const watch = (await openSession(store, 'reader')).map<number>('m').watch();
      const map = (await openSession(store, 'writer')).map<number>('m');
      expect((await watch.next()).value).toEqual(new Map());
      await map.setAll([
        ['a', 1],
        ['b', 2],
      ]);
      expect((await watch.next()).value).toEqual(new Map(Object.entries({ a: 1, b: 2 })));
      const next = watch.next();
      await map.set('b', 3);
      expect((await next).value).toEqual(new Map([['b', 3]]));
      await map.set('c', 4);
      await map.delete('a');
      expect((await watch.next()).value).toEqual(new Map<string, unknown>(Object.entries({ c: 4, a: undefined })));
      await map.clear();
      expect((await watch.next()).value).toEqual(new Map(Object.entries({ b: undefined, c: undefined })));
      await watch.return!();
    });

    it('of a map misses nothing of more changes than are remembered', { timeout: 90_000 }, async () => {
      const shared = await openSession(await openStore(), 'a');
      const map = shared.map<number>('m');
      const watch = map.watch();
      await watch.next();
      const wanted = new Map(Array.from({ length: 2_500 }, (_value, i) => [`k${i}`, i]));
      const entries = [...wanted];
      for (let i = 0; i < entries.length; i += 500) await map.setAll(entries.slice(i, i + 500));
      await map.delete('k7');
      wanted.delete('k7');
      const seen = new Map<string, number>();
      while (seen.size < wanted.size) {
        const { value } = (await watch.next()) as IteratorYieldResult<ReadonlyMap<string, number | undefined>>;
        expect(value.size).toBeLessThanOrEqual(1_000);
        for (const [key, n] of value) {
          if (n === undefined) seen.delete(key);
          else seen.set(key, n);
        }
      }
      expect(seen).toEqual(wanted);
      await watch.return!();
    });

    it('of a set gives all members, then who came and went', async () => {
      const store = await openStore();
      const watch = (await openSession(store, 'reader')).set<string>('s').watch();
      const writer = await openSession(store, 'writer');
      const set = writer.set<string>('s');
      expect((await watch.next()).value).toEqual({ added: [], deleted: [] });
      const next = watch.next();
      await set.addAll(['a', 'b']);
      const { added } = (await next).value as { added: string[] };
      expect(added.sort()).toEqual(['a', 'b']);
      await set.add('a'); // nothing new
      await set.addAll(['c', 'd']);
      await set.deleteAll(['a', 'd']);
      expect((await watch.next()).value).toEqual({ added: ['c'], deleted: ['a'] });
      const popped = watch.next();
      const gone = await set.pop();
      expect((await popped).value).toEqual({ added: [], deleted: [gone] });
      await writer.set<string>('other').addAll(['x', 'y']);
      await set.clear();
      await writer.set<string>('other').unionInto(set, []);
      const all = await news(watch, 3);
      expect(all.flatMap((one) => one.added).sort()).toEqual(['x', 'y']);
      expect(all.flatMap((one) => one.deleted).length).toBe(1);
      await watch.return!();
    });

    it('of a sorted set gives all scores, then those that changed', async () => {
      const store = await openStore();
      const sorted = (await openSession(store, 'writer')).sortedSet<string>('z');
      await sorted.set('a', 1);
      const watch = (await openSession(store, 'reader')).sortedSet<string>('z').watch();
      expect((await watch.next()).value).toEqual([['a', 1]]);
      const next = watch.next();
      await sorted.add('a', 0.5);
      expect((await next).value).toEqual([['a', 1.5]]);
      await sorted.set('a', 2);
      await sorted.set('b', 3);
      expect(new Map((await watch.next()).value as [string, number][])).toEqual(new Map([['a', 2], ['b', 3]])); // prettier-ignore
      const low = watch.next();
      await sorted.popMin();
      expect((await low).value).toEqual([['a', undefined]]);
      const none = watch.next();
      await sorted.clear();
      expect((await none).value).toEqual([['b', undefined]]);
      await watch.return!();
    });

    it('of a list gives the elements, or a part of them, each time that they changed', async () => {
      const store = await openStore();
      const reader = (await openSession(store, 'reader')).list<number>('l');
      const list = (await openSession(store, 'writer')).list<number>('l');
      const [all, last] = [reader.watch(), reader.watch({ start: -2 })];
      expect((await all.next()).value).toEqual([]);
      expect((await last.next()).value).toEqual([]);
      const next = all.next();
      await list.pushAll([1, 2, 3]);
      expect((await next).value).toEqual([1, 2, 3]);
      expect((await last.next()).value).toEqual([2, 3]);
      const ends = last.next();
      await list.shift(); // the last two are the same
      await list.unshift(0);
      await list.set(-1, 4);
      expect((await ends).value).toEqual([2, 4]);
      expect((await all.next()).value).toEqual([0, 2, 4]);
      const taken = all.next();
      expect(await list.take()).toBe(0);
      expect((await taken).value).toEqual([2, 4]);
      await list.clear();
      expect((await last.next()).value).toEqual([]);
      await Promise.all([all.return!(), last.return!()]);
    });

    it('of a counter gives the value, then each that it is asked for, also of transactions and batches', async () => {
      const store = await openStore();
      const watch = (await openSession(store, 'reader')).counter('n').watch();
      const writer = await openSession(store, 'writer');
      const counter = writer.counter('n');
      expect((await watch.next()).value).toBe(0);
      const next = watch.next();
      await counter.add(2);
      expect((await next).value).toBe(2);
      await Promise.all([counter.add(1), counter.add(1), counter.set(7)]);
      expect((await watch.next()).value).toBe(7);
      const added = watch.next();
      await writer.transaction((tx) => tx.counter('n').add());
      expect((await added).value).toBe(8);
      const batched = watch.next();
      await writer.batch((batch) => batch.counter('n').add(1));
      expect((await batched).value).toBe(9);
      const set = watch.next();
      await counter.tryAdd(0); // nothing new
      await counter.compareAndSet(9, 1);
      expect((await set).value).toBe(1);
      await watch.return!();
    });

    it('of a collection sees writes of transactions, and its end as a whole', async () => {
      const store = await openStore();
      const reader = await openSession(store, 'reader');
      const shared = await openSession(store, 'writer');
      const set = reader.set<string>('s').watch();
      const sorted = reader.sortedSet<string>('z').watch();
      const list = reader.list<string>('l').watch();
      for (const watch of [set, sorted, list]) await watch.next();
      const seen = [set.next(), sorted.next(), list.next()];
      await shared.transaction(async (tx) => {
        await tx.set('s').add('a');
        await tx.sortedSet('z').set('a', 1);
        await tx.list('l').push('a');
      });
      const values = (await Promise.all(seen)).map(({ value }) => value as unknown);
      expect(values).toEqual([{ added: ['a'], deleted: [] }, [['a', 1]], ['a']]);
      const gone = [set.next(), sorted.next(), list.next()];
      for (const each of [shared.set('s'), shared.sortedSet('z'), shared.list('l')]) await each.expire(30);
      const ended = (await Promise.all(gone)).map(({ value }) => value as unknown);
      expect(ended).toEqual([{ added: [], deleted: ['a'] }, [['a', undefined]], []]);
      await Promise.all([set.return!(), sorted.return!(), list.return!()]);
    });

    it('of a set that ended and began anew says who is gone', async () => {
      const shared = await openSession(await openStore(), 'a');
      const set = shared.set<string>('s');
      await set.addAll(['a', 'b']);
      const watch = set.watch();
      await watch.next();
      await set.expire(30);
      await until('it ended', async () => (await set.size()) === 0);
      await set.add('b');
      const all = await news(watch, 1);
      expect(all.flatMap((one) => one.deleted)).toEqual(['a']);
      await watch.return!();
    });

    it('notices what other programs write at its next look', async () => {
      const store = await openStore();
      const watch = (await openSession(store, 'a')).value<number>('v').watch({ recheck: 50 });
      expect((await watch.next()).value).toBeUndefined();
      const next = watch.next();
      await store.putText(valueKey, '7');
      expect((await next).value).toBe(7);
      await watch.return!();
    });

    it('ends by its signal, by close, and by return while a call waits', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const value = shared.value<number>('v');
      const own = new Error('enough');
      const abort = new AbortController();
      const watches = [value.watch({ signal: abort.signal }), value.watch(), value.watch()] as const;
      for (const watch of watches) await watch.next();
      const [aborted, returned, closed] = watches.map((watch) => watch.next());
      abort.abort(own);
      await expect(aborted).rejects.toBe(own);
      await watches[1].return!();
      expect(await returned).toEqual({ done: true, value: undefined });
      const refused = rejection(closed!);
      await shared.close();
      const closing = { code: 'CLOSED', message: expect.stringContaining('watching value "') as string };
      expect(await refused).toMatchObject(closing);
      expect(await watches[2].next()).toEqual({ done: true, value: undefined });
      await expect(value.watch({ signal: abort.signal }).next()).rejects.toMatchObject({ code: 'CLOSED' });
    });

    it('of one session does not end with another of the same thing', async () => {
      const shared = await openSession(await openStore(), 'a');
      const value = shared.value<number>('v');
      const [one, other] = [value.watch(), value.watch()];
      await Promise.all([one.next(), other.next()]);
      await one.return!();
      const next = other.next();
      await value.set(1);
      expect((await next).value).toBe(1);
      await other.return!();
    });

    it('leaves nothing that a writer would have to wake', async () => {
      const store = await openStore();
      const reader = await openSession(store, 'reader');
      const value = (await openSession(store, 'writer')).value<number>('v');
      const watch = reader.value<number>('v').watch();
      await watch.next();
      await reader.close(); // a dead session: the next write forgets it
      await value.set(1);
      await value.set(2);
      expect(await value.get()).toBe(2);
    });
  });
});

/** What a watch gives until it told of so many members. */
async function news(watch: AsyncIterator<SetChanges<string>>, members: number): Promise<SetChanges<string>[]> {
  const all: SetChanges<string>[] = [];
  for (let seen = 0; seen < members;) {
    const next = await watch.next();
    if (next.done === true) break;
    seen += next.value.added.length + next.value.deleted.length;
    all.push(next.value);
  }
  return all;
}
