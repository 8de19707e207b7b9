import { describe, expect, test } from 'vitest';
import { eachEngine } from './each-engine.ts';
import { failure, openSession } from './sessions.ts';

eachEngine((_, openStore) => {
  describe('a batch', () => {
    test('writes many things at once', async () => {
      const shared = await openSession(await openStore(), 'a');
      await shared.map('m').set('gone', 1);
      await shared.sortedSet('z').set('a', 1);
      await shared.counter('c').add(5);
      await shared.batch((batch) => {
        batch.value('v').set(1, { ttl: '1h' });
        const map = batch.map<number>('m');
        map.set('a', 1);
        map.set('a', 2);
        map.delete('gone');
        batch.set('s').add('x');
        batch.sortedSet('z').add('a', 2);
        batch.sortedSet('z').set('b', 1);
        batch.list('l').push(2);
        batch.list('l').unshift(1);
        batch.counter('c').add(2);
        batch.counter('c').add(-1);
      });
      expect(await shared.value('v').get()).toBe(1);
      expect([await shared.map('m').get('a'), await shared.map('m').size()]).toEqual([2, 1]);
      expect(await shared.set('s').has('x')).toBe(true);
      expect([await shared.sortedSet('z').score('a'), await shared.sortedSet('z').score('b')]).toEqual([3, 1]);
      expect(await shared.list('l').slice()).toEqual([1, 2]);
      expect(await shared.counter('c').get()).toBe(6);
    });

    test('writes nothing where a counter would get beyond its bounds, or the guard is over', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const batch = (by: number): Promise<void> =>
        shared.batch((all) => {
          all.map('m').set('a', by);
          all.counter('c', { max: 3 }).add(by);
        });
      await batch(3);
      expect((await failure(batch(1))).code).toBe('INVALID_VALUE');
      expect([await shared.map('m').get('a'), await shared.counter('c').get()]).toEqual([3, 3]);
      const lease = await shared.lock('l').acquire();
      await (await openSession(store, 'b')).lock('l').forceRelease();
      const late = shared.batch((all) => all.map('m').set('a', 4), { guard: lease });
      expect((await failure(late)).code).toBe('LEASE_LOST');
      expect(await shared.map('m').get('a')).toBe(3);
    });

    test('of many at once loses no addition', async () => {
      const store = await openStore();
      const sessions = await Promise.all(['a', 'b'].map((label) => openSession(store, label)));
      await Promise.all(
        sessions.flatMap((shared) =>
          Array.from({ length: 50 }, () => shared.batch((batch) => batch.counter('c').add(2))),
        ),
      );
      expect(await sessions[0]!.counter('c').get()).toBe(200);
    });

    test('takes no async function', async () => {
      const shared = await openSession(await openStore(), 'a');
      const fill = async (): Promise<void> => {};
      expect((await failure(shared.batch(() => fill() as unknown as void))).code).toBe('INVALID_ARGUMENT');
    });
  });
});
