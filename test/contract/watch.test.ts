import { describe, expect, it } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import { eachEngine } from './each-engine.ts';
import { failure as rejection, openSession } from './sessions.ts';

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

    it('of a map misses nothing of more changes than are remembered', { timeout: 30_000 }, async () => {
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
      expect(await refused).toMatchObject({ code: 'CLOSED' });
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
