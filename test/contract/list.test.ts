import { describe, expect, it } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import type { Engine } from '../../src/engines/engine.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import * as operations from '../../src/operations/list.ts';
import * as sorted from '../../src/operations/sorted.ts';
import { failure } from '../failure.ts';
import { eachEngine } from './each-engine.ts';
import { openSession, until } from './sessions.ts';

const keys = keysOf('test').list('jobs');

describe('a list', () => {
  eachEngine((_, openStore) => {
    const open = async (): Promise<Lockstep> => openSession(await openStore(), 'one');

    it('grows and shrinks at both ends, as an array', async () => {
      const jobs = (await open()).list<string>('jobs');
      expect(await jobs.push('c')).toBe(1);
      expect(await jobs.pushAll(['d', 'e'])).toBe(3);
      expect(await jobs.unshift('b')).toBe(4);
      expect(await jobs.unshiftAll(['0', 'a'])).toBe(6);
      expect(await jobs.slice()).toEqual(['0', 'a', 'b', 'c', 'd', 'e']);
      expect(await jobs.slice(1, -1)).toEqual(['a', 'b', 'c', 'd']);
      expect(await jobs.slice(4, 2)).toEqual([]);
      expect([await jobs.at(0), await jobs.at(-1), await jobs.at(6), await jobs.at(-7)]).toEqual(['0', 'e', undefined, undefined]); // prettier-ignore
      expect(await jobs.set(-1, 'E')).toBe(true);
      expect(await jobs.set(6, 'x')).toBe(false);
      expect([await jobs.shift(), await jobs.pop()]).toEqual(['0', 'E']);
      expect(await jobs.length()).toBe(4);
      expect(await jobs.trim(-3, 9)).toBe(1);
      expect(await jobs.trim(0, 2)).toBe(1);
      expect(await jobs.slice()).toEqual(['b', 'c']);
      await jobs.clear();
      expect([await jobs.shift(), await jobs.pop(), await jobs.length()]).toEqual([undefined, undefined, 0]);
      expect(await jobs.pushAll([])).toBe(0);
    });

    it('is iterated by pages', async () => {
      const jobs = (await open()).list<number>('jobs');
      const all = Array.from({ length: 450 }, (_value, i) => i);
      await jobs.pushAll(all);
      const seen: number[] = [];
      for await (const job of jobs) seen.push(job);
      expect(seen).toEqual(all);
    });

    it('gives at once what is there, and what comes to those who wait, in the order of their arrival', async () => {
      const store = await openStore();
      const engine = await store.engine();
      const sessions = [await openSession(store, 'one'), await openSession(store, 'two')];
      const lists = sessions.map((shared) => shared.list<number>('jobs'));
      await lists[0]!.push(0);
      expect(await lists[1]!.take()).toBe(0);
      const took: [taker: number, job: number][] = [];
      const takers: Promise<unknown>[] = [];
      for (let i = 0; i < 6; i++) {
        takers.push(lists[i % 2]!.take().then((job) => took.push([i, job])));
        await until('it waits', async () => (await waiting(engine)) === i + 1);
      }
      for (let i = 1; i <= 4; i++) await lists[i % 2]!.push(i);
      await lists[0]!.pushAll([5, 6, 7]);
      await Promise.all(takers);
      expect(took.sort(([a], [b]) => a - b)).toEqual([0, 1, 2, 3, 4, 5].map((i) => [i, i + 1]));
      expect(await lists[0]!.slice()).toEqual([7]);
      expect(await left(engine)).toEqual([0, 0, 0]);
    });

    it('takes from the end too', async () => {
      const store = await openStore();
      const engine = await store.engine();
      const shared = await openSession(store, 'one');
      const jobs = shared.list<string>('jobs');
      await jobs.pushAll(['a', 'b']);
      expect(await jobs.takeLast()).toBe('b');
      expect(await jobs.take()).toBe('a');
      const waits = [jobs.takeLast(), jobs.take()];
      await until('both wait', async () => (await waiting(engine)) === 2);
      await jobs.pushAll(['c', 'd', 'e']);
      expect(await Promise.all(waits)).toEqual(['e', 'c']);
    });

    it('lets each element out once, at any number of takers and pushers', async () => {
      const store = await openStore();
      const engine = await store.engine();
      const sessions = await Promise.all(['one', 'two', 'three'].map((label) => openSession(store, label)));
      const took: number[] = [];
      const takers = sessions.flatMap((shared) =>
        Array.from({ length: 4 }, async () => {
          for (let i = 0; i < 10; i++) took.push(await shared.list<number>('jobs').take());
        }),
      );
      for (let i = 0; i < 120; i++) await sessions[i % 3]!.list<number>('jobs').push(i);
      await Promise.all(takers);
      expect(took.sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_value, i) => i));
      expect(await left(engine)).toEqual([0, 0, 0]);
    });

    it('gives up after its time or by its signal, and then takes nothing', async () => {
      const store = await openStore();
      const engine = await store.engine();
      const shared = await openSession(store, 'one');
      const jobs = shared.list<string>('jobs');
      await expect(jobs.take({ timeout: 0 })).rejects.toEqual(failure('TIMEOUT', '"jobs" is empty'));
      await expect(jobs.take({ timeout: 20 })).rejects.toEqual(failure('TIMEOUT', 'taking from list "jobs"'));
      const stop = new AbortController();
      const reason = new Error('no more');
      const waits = jobs.take({ signal: stop.signal });
      await until('it waits', async () => (await waiting(engine)) === 1);
      stop.abort(reason);
      await expect(waits).rejects.toBe(reason);
      await expect(jobs.take({ signal: stop.signal })).rejects.toBe(reason);
      await expect(jobs.take({ timeuot: 1 } as never)).rejects.toEqual(failure('INVALID_ARGUMENT', 'timeuot'));
      await until('nobody waits', async () => (await waiting(engine)) === 0);
      await jobs.push('a');
      expect(await jobs.take({ timeout: 0 })).toBe('a');
    });

    it('loses nothing to takers that give up at the moment when elements come', async () => {
      const store = await openStore();
      const engine = await store.engine();
      const [one, two] = [await openSession(store, 'one'), await openSession(store, 'two')];
      const took: number[] = [];
      for (let i = 0; i < 60; i++) {
        const stop = new AbortController();
        const wait = two.list<number>('jobs').take({ signal: stop.signal });
        const settled = wait.then(
          (job) => took.push(job),
          () => {},
        );
        const pushed = one.list<number>('jobs').push(i);
        for (let turns = i % 7; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        stop.abort(new Error('enough'));
        await Promise.all([pushed, settled]);
      }
      await until('all is given back', async () => (await left(engine)).every((many) => many === 0));
      const rest = await one.list<number>('jobs').slice();
      expect([...took, ...rest].sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_value, i) => i));
    });

    it('brings back what was handed to a session that is gone, and passes it by in the line', async () => {
      const store = await openStore();
      const [here, there] = [await openSession(store, 'here'), await openSession(store, 'there')];
      const engine = await store.engine();
      const jobs = here.list<string>('jobs');
      // It stands in the line, and is gone.
      const dead = `${there.session.id}:1:0:front`;
      await engine.run(operations.take, keys, { token: dead, wait: 1 });
      await jobs.pushAll(['a', 'b']);
      const held = await engine.run(operations.take, keys, { token: dead, wait: 1 });
      expect(held).toEqual(['taken', '"a"']);
      const second = `${there.session.id}:2:0:back`;
      expect(await engine.run(operations.take, keys, { token: second, wait: 1 })).toEqual(['taken', '"b"']);
      const behind = `${there.session.id}:3:0:front`;
      await engine.run(operations.take, keys, { token: behind, wait: 1 });
      await there.close();
      expect([await jobs.take({ timeout: '10s' }), await jobs.take({ timeout: '10s' })].sort()).toEqual(['a', 'b']);
      expect(await left(engine)).toEqual([0, 0, 0]);
      // Who was taken for dead hears that it is not its own.
      expect(await engine.run(operations.confirm, keys, { token: dead })).toBe(0);
    });

    it('closes with takers that wait: they reject, and nothing is handed to them', async () => {
      const store = await openStore();
      const engine = await store.engine();
      const [one, two] = [await openSession(store, 'one'), await openSession(store, 'two')];
      const wait = one.list('jobs').take();
      await until('it waits', async () => (await waiting(engine)) === 1);
      const rejected = wait.catch((error: unknown) => error);
      await one.close();
      expect(await rejected).toEqual(failure('CLOSED'));
      await two.list('jobs').push('a');
      expect(await two.list('jobs').take()).toBe('a');
    });

    it('is written under a guard while its lease is the owner, and not after', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'one');
      const jobs = shared.list<string>('jobs');
      const lease = await shared.lock('filling').acquire();
      await jobs.push('a', { guard: lease });
      await shared.lock('filling').forceRelease();
      const other = await shared.lock('filling').acquire();
      for (const write of [
        () => jobs.push('b', { guard: lease }),
        () => jobs.unshiftAll(['b'], { guard: lease }),
        () => jobs.shift({ guard: lease }),
        () => jobs.set(0, 'b', { guard: lease }),
        () => jobs.trim(1, undefined, { guard: lease }),
        () => jobs.clear({ guard: lease }),
      ]) {
        await expect(write()).rejects.toEqual(failure('LEASE_LOST', '"filling"'));
      }
      expect(await jobs.slice()).toEqual(['a']);
      await other.release();
    });
  });
});

/** How many wait to take. */
async function waiting(engine: Engine): Promise<number> {
  return engine.run(sorted.size, { sorted: keys.waiting }, {});
}

/** What there is beside the list: who waits, what was handed over and not confirmed, and since when. */
async function left(engine: Engine): Promise<number[]> {
  const taken = await engine.scan(keys.taken, '', 200);
  return [await waiting(engine), taken.entries.length / 2, await engine.run(sorted.size, { sorted: keys.grants }, {})];
}
