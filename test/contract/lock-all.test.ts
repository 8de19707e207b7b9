import { expect, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { eachEngine } from './each-engine.ts';
import { failure, openSession, until } from './sessions.ts';

eachEngine((_, openStore) => {
  async function open(...labels: string[]): Promise<Lockstep[]> {
    const store = await openStore();
    return Promise.all(labels.map((label) => openSession(store, label)));
  }

  test('lockAll takes all or none, in any order, without deadlock', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const held = new Set<string>();
    const names = ['p', 'q', 'r', 's'];
    const task = async (shared: Lockstep, seed: number): Promise<void> => {
      for (let i = 0; i < 25; i++) {
        const wanted = names.filter((_unused, n) => ((i + seed + n) * 7) % 3 !== 0);
        if ((i + seed) % 2 === 0) wanted.reverse();
        const set = await shared.lockAll(wanted, { timeout: 20_000 });
        for (const name of wanted) {
          expect(held.has(name)).toBe(false);
          held.add(name);
        }
        expect(set.leases.map(({ lock }) => lock)).toEqual(wanted);
        await Promise.resolve();
        for (const name of wanted) held.delete(name);
        await set.release();
      }
    };
    await Promise.all([task(a, 0), task(a, 1), task(b, 2), task(b, 3), task(b, 4)]);
    for (const name of names) expect((await a.lock(name).inspect()).holder).toBeUndefined();
    expect(await failure(a.lockAll(['p', 'p']))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await failure(a.lockAll([]))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('a waiter that gives up does not take a lock from a lockAll that is on its way', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const controller = new AbortController();
    const both = a.lockAll(['p', 'q']);
    const waits = failure(a.lock('p').acquire({ signal: controller.signal }));
    const behind = a.lock('p').acquire();
    controller.abort(new Error('enough'));
    expect((await waits).message).toBe('enough');
    const set = await both;
    expect(await b.lock('p').tryAcquire()).toBeUndefined();
    expect(set.leases.every((lease) => lease.remaining() > 0)).toBe(true);
    expect(set.signal).toBe(set.signal);
    await set.release();
    await (await behind).release();
    expect((await b.lock('p').inspect()).holder).toBeUndefined();
  });

  test('a lockAll that is overtaken by close holds nothing', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const both = failure(a.lockAll(['p', 'q']));
    await a.close();
    expect(await both).toMatchObject({ code: 'CLOSED' });
    await until('nobody holds p or q', async () => {
      const seen = await Promise.all([b.lock('p').inspect(), b.lock('q').inspect()]);
      return seen.every(({ holder }) => holder === undefined);
    });
  });

  test('lockAll keeps its timeout and its signal, and then holds nothing', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const held = await b.lock('q').acquire();
    expect(await failure(a.lockAll(['p', 'q'], { timeout: 30 }))).toMatchObject({ code: 'TIMEOUT' });
    expect(await failure(a.lockAll(['p', 'q'], { timeout: 0 }))).toMatchObject({ code: 'TIMEOUT' });
    const reason = new Error('enough');
    const controller = new AbortController();
    const aborted = failure(a.lockAll(['p', 'q'], { signal: controller.signal }));
    controller.abort(reason);
    expect(await aborted).toBe(reason);
    await held.release();
    await until('p is free', async () => (await b.lock('p').inspect()).holder === undefined);
    await (await b.lockAll(['q', 'p'])).release();
  });
});
