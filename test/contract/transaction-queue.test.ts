import { describe, expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import type { Job, Queue, Transaction } from '../../src/index.ts';
import { leave } from '../../src/operations/queue.ts';
import { eachEngine } from './each-engine.ts';
import { failure, gate, openSession, soon, until } from './sessions.ts';

/** Works until the test is finished. */
function working<T>(queue: Queue<T>, handler: (job: Job<T>) => unknown, onError?: (error: unknown) => void): void {
  const stop = new AbortController();
  const worked = queue.work(handler, { signal: stop.signal, concurrency: 4, ...(onError && { onError }) });
  onTestFinished(async () => {
    stop.abort();
    await worked;
  });
}

async function takeOne<T>(queue: Queue<T>): Promise<Job<T>> {
  const jobs = queue.consume();
  const next = await jobs.next();
  if (next.done === true) throw new Error('no job');
  // Left open: to return would give the job back.
  onTestFinished(async () => void (await jobs.return?.()));
  return next.value;
}

const empty = { ready: 0, delayed: 0, leased: 0, dead: 0, paused: false };

eachEngine((_, openStore) => {
  describe('a transaction with queues', () => {
    test('commits the state, the acknowledgement and new messages in one step', async () => {
      const shared = await openSession(await openStore(), 'a');
      const orders = shared.queue<number>('orders');
      const mails = shared.queue<string>('mails');
      await orders.push(7);
      const job = await takeOne(orders);
      await shared.transaction(async (tx) => {
        await tx.counter('sum').add(job.data);
        await tx.queue('mails').push('one');
        await tx.queue<string>('mails').push('first', { priority: 1 });
        await tx.queue('mails').push('later', { delay: '1h' });
        await tx.ack(job);
        await tx.ack(job);
        expect([await orders.size(), await mails.size()]).toEqual([{ ...empty, leased: 1 }, empty]);
      });
      expect([await orders.size(), await mails.size()]).toEqual([empty, { ...empty, ready: 2, delayed: 1 }]);
      expect((await mails.peek()).map(({ data }) => data)).toEqual(['first', 'one']);
      expect(await shared.counter('sum').get()).toBe(7);
      expect(job.signal.aborted).toBe(false);
      const error = await failure(job.nack());
      expect(error).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'settled' } });
      expect(error.message).toMatch(/acknowledged before; it is done, and not delivered again$/);
    });

    test('that does not commit pushes and acknowledges nothing', async () => {
      const shared = await openSession(await openStore(), 'a');
      const queue = shared.queue<string>('q');
      await queue.push('job');
      const job = await takeOne(queue);
      const mine = new Error('mine');
      const run = shared.transaction(async (tx) => {
        await tx.queue('q').push('new');
        await tx.ack(job);
        throw mine;
      });
      expect(await failure(run)).toBe(mine);
      expect(await queue.size()).toEqual({ ...empty, leased: 1 });
      await job.ack();
      expect(await queue.size()).toEqual(empty);
    });

    test('runs again after a conflict and does everything once', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      const queue = shared.queue<number>('q');
      await queue.push(1);
      const job = await takeOne(queue);
      let runs = 0;
      await shared.transaction(async (tx) => {
        const balance = (await tx.map<number>('m').get('a')) ?? 0;
        if (++runs === 1) await other.map('m').set('a', 10);
        await tx.map('m').set('a', balance + job.data);
        await tx.queue('out').push(balance);
        await tx.ack(job);
      });
      expect(runs).toBe(2);
      expect(await shared.map('m').get('a')).toBe(11);
      expect((await shared.queue('out').peek()).map(({ data }) => data)).toEqual([10]);
      expect(await queue.size()).toEqual(empty);
    });

    test('whose job is somebody else’s by now rejects with LEASE_LOST and writes nothing', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const engine = await store.engine();
      const queue = shared.queue<number>('q', { maxDeliveries: 9 });
      await queue.push(1);
      const job = await takeOne(queue);
      const between = gate();
      const late = failure(
        shared.transaction(async (tx) => {
          await tx.counter('n').add();
          await tx.queue('out').push('new');
          await tx.ack(job);
          await between.opened;
        }),
      );
      // As if it were dead: all that its session holds comes back.
      await engine.runBatch(leave, keysOf('test').queue('q'), [`${shared.session.id}:1`, '0', '9', '0', '1']);
      between.open();
      const error = await late;
      expect([error.code, error.details?.['queue']]).toEqual(['LEASE_LOST', 'q']);
      expect(await shared.counter('n').get()).toBe(0);
      expect(await shared.queue('out').size()).toEqual(empty);
      expect(await queue.size()).toMatchObject({ dead: 0 });
      expect((await queue.size()).ready + (await queue.size()).leased).toBe(1);
    });

    test('of several that acknowledge one job only one commits', async () => {
      const shared = await openSession(await openStore(), 'a');
      const queue = shared.queue<number>('q');
      await queue.push(1);
      const job = await takeOne(queue);
      const add = (): Promise<void> =>
        shared.transaction(async (tx) => {
          await tx.ack(job);
          await tx.counter('n').add();
        });
      const results = await Promise.allSettled([add(), add(), add()]);
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results) {
        if (result.status === 'rejected') expect((result.reason as { code: string }).code).toBe('LEASE_LOST');
      }
      expect(await shared.counter('n').get()).toBe(1);
    });

    test('wakes who waits for its messages, for the next of a group, or for room', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b');
      const seen: string[] = [];
      working(other.queue<string>('out'), ({ data }) => void seen.push(data));
      // Who waits looks by itself after 5 s.
      await soon(4_000, async () => {
        const began = performance.now();
        seen.length = 0;
        const name = `in ${began}`;
        const bounded = shared.queue<string>(name, { capacity: 2 });
        await bounded.push('g1', { group: 'g' });
        await bounded.push('g2', { group: 'g' });
        const third = other.queue<string>(name, { capacity: 2 }).push('g3', { group: 'g' });
        working(bounded, (job) =>
          shared.transaction(async (tx) => {
            await tx.queue('out').push(job.data);
            await tx.ack(job);
          }),
        );
        await third;
        await until('all went through', () => seen.length === 3);
        const tookMs = performance.now() - began;
        expect(seen.toSorted()).toEqual(['g1', 'g2', 'g3']);
        await until('nothing is left', async () => (await bounded.size()).leased === 0);
        expect(await bounded.size()).toEqual(empty);
        return tookMs;
      });
    });

    test('many at once take each message once, and leave out duplicates by their ids', async () => {
      const store = await openStore();
      const sessions = await Promise.all(['a', 'b'].map((label) => openSession(store, label)));
      const [first] = sessions as [(typeof sessions)[0]];
      const errors: unknown[] = [];
      await first.queue<number>('in').pushAll([...Array(60).keys()]);
      for (const shared of sessions) {
        const work = (job: Job<number>): Promise<void> =>
          shared.transaction(async (tx) => {
            await tx.ack(job);
            await tx.counter('sum').add(job.data);
            await tx.queue('out').push(job.data, { id: `half:${job.data >> 1}` });
          });
        working(shared.queue<number>('in'), work, (error) => errors.push(error));
      }
      const left = async (): Promise<number> => {
        const { ready, leased, delayed } = await first.queue('in').size();
        return ready + leased + delayed;
      };
      await until('all are done', async () => (await left()) === 0, 10_000);
      expect(errors).toEqual([]);
      expect(await first.counter('sum').get()).toBe((59 * 60) / 2);
      expect((await first.queue('out').size()).ready).toBe(30);
    });

    test('on a queue of which a key holds something else writes nothing and rejects with WRONG_KIND', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      await store.putText('{test}:queue-line:q', 'no list');
      const wrong = shared.transaction(async (tx) => {
        await tx.counter('c').add();
        await tx.queue('q').push(1);
      });
      expect((await failure(wrong)).code).toBe('WRONG_KIND');
      expect(await shared.counter('c').get()).toBe(0);
    });

    test('refuses options that it does not know, and what is no job of its store and space', async () => {
      const store = await openStore();
      const shared = await openSession(store, 'a');
      const other = await openSession(store, 'b', 'elsewhere');
      await other.queue('q').push(1);
      const job = await takeOne(other.queue('q'));
      const wrong: ((tx: Transaction) => unknown)[] = [
        (tx) => tx.queue('q', { capacity: 1 } as never),
        (tx) => tx.queue('q').push(1, { timeout: 1 } as never),
        (tx) => tx.queue('q').push(1, { group: 'g', delay: 1 }),
        (tx) => tx.queue('').push(1),
        (tx) => tx.ack({ id: '1' } as never),
        (tx) => tx.ack(job),
      ];
      for (const body of wrong) {
        const error = await failure(shared.transaction((tx) => body(tx)));
        expect(error.code, String(body)).toBe('INVALID_ARGUMENT');
      }
    });
  });
});
