import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import type { Lease } from '../../src/primitives/lease.ts';
import { eachEngine } from './each-engine.ts';
import { failure, gate, openSession, until } from './sessions.ts';

eachEngine((_, openStore) => {
  async function open(...labels: string[]): Promise<Lockstep[]> {
    const store = await openStore();
    return Promise.all(labels.map((label) => openSession(store, label)));
  }

  test('asking for a lock that an enclosing run holds is a deadlock at once, unless the wait is detached', async () => {
    const [a] = (await open('a')) as [Lockstep];
    const error = await failure(a.lock('x').run(() => a.lock('x').acquire()));
    expect(error).toMatchObject({ code: 'DEADLOCK', details: { lock: 'x' } });
    expect(error.message.match(/lock\.test\.ts[?=\w]*:\d+/g)).toHaveLength(2);
    const inner = await a
      .lock('x')
      .run(() => a.lock('x').run(() => 1))
      .catch((e: Error) => e.message);
    expect(String(inner).match(/lock\.test\.ts[?=\w]*:\d+/g)).toHaveLength(2);
    const { signal } = new AbortController();
    await failure(a.lock('x').run(() => a.lock('x').acquire({ timeout: '1m', signal })));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    let detached: Promise<Lease> | undefined;
    await a.lock('x').run(() => {
      detached = a.lock('x').acquire({ detached: true });
    });
    await (await detached)?.release();
  });

  test('siblings inside a run are not taken for re-entry', async () => {
    const [a] = (await open('a')) as [Lockstep];
    const order: number[] = [];
    await a.lock('outer').run(() => Promise.all([1, 2, 3].map((i) => a.lock('inner').run(() => order.push(i)))));
    expect(order).toEqual([1, 2, 3]);
  });

  test('a cycle of two sessions is found, the youngest wait is rejected with the cycle, the other goes on', async () => {
    const [a, b] = (await open('Anna', 'Bert')) as [Lockstep, Lockstep];
    const both = [gate(), gate()] as const;
    const one = a.lock('A').run(async () => {
      both[0].open();
      await both[1].opened;
      return a.lock('B').run(() => 'one');
    });
    const two = b.lock('B').run(async () => {
      both[1].open();
      await both[0].opened;
      return b.lock('A').run(() => 'two');
    });
    const results = await Promise.allSettled([one, two]);
    const rejected = results.filter((result) => result.status === 'rejected');
    expect(rejected).toHaveLength(1);
    expect(rejected[0]?.reason).toMatchObject({ code: 'DEADLOCK' });
    const [message = ''] = rejected.map(({ reason }) => (reason as Error).message);
    expect(message).toContain('"A"');
    expect(message).toContain('"B"');
    expect(message).toContain('"Anna"');
    expect(message).toContain('"Bert"');
  });

  test('a cycle of three tasks of one session is found', async () => {
    const [a] = (await open('a')) as [Lockstep];
    const names = ['A', 'B', 'C'];
    let holding = 0;
    const task = (i: number): Promise<number> =>
      a.lock(names[i]!).run(async () => {
        holding += 1;
        await until('all hold one', () => holding === 3);
        return a.lock(names[(i + 1) % 3]!).run(() => i);
      });
    const results = await Promise.allSettled([task(0), task(1), task(2)]);
    const rejected = results.filter((result) => result.status === 'rejected');
    expect(rejected).toHaveLength(1);
    expect(rejected[0]?.reason).toMatchObject({ code: 'DEADLOCK' });
    expect(rejected.map(({ reason }) => (reason as { details: { cycle: unknown[] } }).details.cycle)[0]).toHaveLength(
      3,
    );
  });

  test('a cycle through leases that the caller names is found', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const cross = async (shared: Lockstep, name: string, holding: Lease): Promise<void> => {
      try {
        await (await shared.lock(name).acquire({ holding: [holding] })).release();
      } finally {
        await holding.release();
      }
    };
    const heldA = await a.lock('A').acquire();
    const heldB = await b.lock('B').acquire();
    const waits = await Promise.allSettled([cross(a, 'B', heldA), cross(b, 'A', heldB)]);
    expect(waits.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });

  test('a long wait without a cycle is no deadlock', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const held = await b.lock('B').acquire();
    const nested = a.lock('A').run(() => a.lock('B').run(() => 'done'));
    const end = performance.now() + 500;
    await until('several checks are over', () => performance.now() > end);
    await held.release();
    expect(await nested).toBe('done');
  });

  test('a cycle through two sessions of one task is found by leases of both', async () => {
    const [a, b] = (await open('a', 'b')) as [Lockstep, Lockstep];
    const both = [gate(), gate()] as const;
    const one = a.lock('A').run(async () => {
      both[0].open();
      await both[1].opened;
      return b.lock('B').run(() => 1);
    });
    const two = b.lock('B').run(async () => {
      both[1].open();
      await both[0].opened;
      return a.lock('A').run(() => 2);
    });
    const codes = (await Promise.allSettled([one, two])).map((result) =>
      result.status === 'rejected' ? (result.reason as { code: string }).code : 'fulfilled',
    );
    expect(codes.sort()).toEqual(['DEADLOCK', 'fulfilled']);
  });
});
