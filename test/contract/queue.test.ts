import { expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import type { Job, Lockstep, Queue } from '../../src/index.ts';
import { ack, claim, leave, look, tick } from '../../src/operations/queue.ts';
import { acksOf } from '../../src/primitives/queue-record.ts';
import { eachEngine } from './each-engine.ts';
import { failure, gate, openSession, soon, until } from './sessions.ts';

/** Works until the test is finished. */
function working<T>(queue: Queue<T>, handler: (job: Job<T>) => unknown, concurrency = 1): () => Promise<void> {
  const stop = new AbortController();
  const worked = queue.work(handler, { concurrency, signal: stop.signal });
  const end = async (): Promise<void> => {
    stop.abort();
    await worked;
  };
  onTestFinished(end);
  return end;
}

/** Takes jobs until there are none, acknowledging each. */
async function takeAll<T>(queue: Queue<T>): Promise<T[]> {
  const taken: T[] = [];
  const { ready } = await queue.size();
  if (ready === 0) return taken;
  for await (const job of queue.consume()) {
    taken.push(job.data);
    await job.ack();
    if ((await queue.size()).ready === 0) break;
  }
  return taken;
}

async function takeOne<T>(queue: Queue<T>): Promise<Job<T>> {
  const jobs = queue.consume();
  const next = await jobs.next();
  if (next.done === true) throw new Error('no job');
  // Left open: to return would give the job back.
  onTestFinished(async () => void (await jobs.return?.()));
  return next.value;
}

const size = { ready: 0, delayed: 0, leased: 0, dead: 0, paused: false };

eachEngine((_engine, openStore) => {
  async function open(label = 'one'): Promise<Lockstep> {
    return openSession(await openStore(), label);
  }

  test('a handler is no part of the transaction whose body pushed its message', async () => {
    const shared = await openSession(await openStore(), 'a');
    const queue = shared.queue<string>('q');
    const [handled, errors] = [gate(), [] as unknown[]];
    const stop = new AbortController();
    const handler = async ({ data }: Job<string>): Promise<void> => {
      await shared.lock('inner').run(() => shared.transaction((tx) => tx.map('handled').set('data', data)));
    };
    const worked = queue.work(
      (job) =>
        handler(job)
          .catch((error: unknown) => errors.push(error))
          .finally(handled.open),
      { signal: stop.signal },
    );
    await shared.transaction(async () => {
      await shared.lock('inner').run(() => queue.push('x'));
      await handled.opened;
    });
    stop.abort();
    await worked;
    expect(errors).toEqual([]);
    expect(await shared.map('handled').get('data')).toBe('x');
  });

  test('messages come in the order in which they were pushed, higher priorities first', async () => {
    const queue = (await open()).queue<string>('q');
    await queue.push('a');
    await queue.push('low', { priority: -1 });
    await queue.push('high', { priority: 2 });
    await Promise.all([queue.push('b'), queue.pushAll(['c', 'd'])]);
    expect(await queue.size()).toEqual({ ...size, ready: 6 });
    expect((await queue.peek()).map(({ data }) => data)).toEqual(['high', 'a', 'b', 'c', 'd', 'low']);
    expect(await takeAll(queue)).toEqual(['high', 'a', 'b', 'c', 'd', 'low']);
    expect(await queue.size()).toEqual(size);
  });

  test('a worker that waits is woken by the push, and several share the messages, each once', async () => {
    const store = await openStore();
    const queues = await Promise.all(['a', 'b', 'c'].map(async (name) => openSession(store, name)));
    const seen: number[] = [];
    for (const shared of queues.slice(1)) working(shared.queue<number>('q'), ({ data }) => void seen.push(data), 4);
    const pushing = queues[0]!.queue<number>('q');
    await new Promise((turn) => setImmediate(turn));
    for (let i = 0; i < 20; i++) await pushing.push(i);
    await pushing.pushAll(Array.from({ length: 200 }, (_, i) => 20 + i));
    await until('all are handled', () => seen.length === 220);
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 220 }, (_, i) => i));
    await until('all are acknowledged', async () => (await pushing.size()).leased === 0);
    // Who waits looks by itself after 5 s.
    await soon(4_000, async () => {
      const [before, began] = [seen.length, performance.now()];
      await pushing.push(-1);
      await until('it is handled', () => seen.length > before);
      return performance.now() - began;
    });
    await until('that is acknowledged', async () => (await pushing.size()).leased === 0);
    expect(await pushing.size()).toEqual(size);
  });

  test('a message whose handler fails comes again after the back-off, and is dead after the last time', async () => {
    const shared = await open();
    const queue = shared.queue<string>('q', { maxDeliveries: 3, backoff: 1 });
    const deliveries: number[] = [];
    const { id } = await queue.push('poison');
    const stop = working(queue, (job) => {
      deliveries.push(job.deliveries);
      throw new TypeError('no good');
    });
    await until('it is dead', async () => (await queue.size()).dead === 1);
    expect(deliveries).toEqual([1, 2, 3]);
    const [dead] = await queue.peek(1, 'dead');
    expect(dead).toMatchObject({ id, data: 'poison', deliveries: 3, reason: 'TypeError: no good' });
    expect(dead!.holder).toBe(shared.session.id);
    await stop();
    expect(await queue.redrive({ ids: ['nobody'] })).toBe(0);
    expect(await queue.redrive({ ids: [id] })).toBe(1);
    const job = await takeOne(queue);
    expect(job).toMatchObject({ id, data: 'poison', deliveries: 1 });
    await job.ack();
    expect(await queue.size()).toEqual(size);
  });

  test('a back-off function that fails is told of, and the message comes again after the default, until it is dead', async () => {
    const shared = await open();
    const fails = (): number => {
      throw new TypeError('no idea');
    };
    const backoffs: unknown[] = [
      fails,
      () => NaN,
      () => -5,
      () => Infinity,
      () => undefined,
      async () => 5,
      () => 1e12,
    ];
    const check = async (backoff: unknown, i: number): Promise<void> => {
      const queue = shared.queue<number>(`q${i}`, { backoff: backoff as () => number, maxDeliveries: 2 });
      await queue.push(i);
      const [stop, errors] = [new AbortController(), [] as unknown[]];
      const handler = (): void => {
        throw i === 0 ? Object.create(null) : new RangeError('no good'); // the first is nothing that can be made text
      };
      const worked = queue.work(handler, { signal: stop.signal, onError: (error) => errors.push(error) });
      await until('it is dead', async () => (await queue.size()).dead === 1);
      stop.abort();
      await worked;
      const told = { code: 'INVALID_ARGUMENT', details: { argument: 'backoff' } };
      const thrown = i === 0 ? {} : { message: 'no good' };
      expect(errors).toMatchObject([thrown, told, thrown, told]);
    };
    await Promise.all(backoffs.map(check));
  });

  test('a job that was ended says how', async () => {
    const queue = (await open()).queue<number>('q');
    await queue.pushAll([1, 2]);
    const jobs = queue.consume();
    const job = (await jobs.next()).value as Job<number>;
    await job.ack();
    expect(await failure(job.extend(-5))).toMatchObject({ code: 'INVALID_ARGUMENT', details: { argument: 'lease' } });
    for (const again of [() => job.ack(), () => job.nack(), () => job.extend()]) {
      const error = await failure(again());
      expect(error).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'settled' } });
      expect(error.message).toMatch(/as it was acknowledged before; it is done, and not delivered again$/);
    }
    const other = (await jobs.next()).value as Job<number>;
    expect(await failure(other.nack({ dealy: '3s' } as never))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await failure(other.nack(null as never))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    await other.nack({ delay: '1h' });
    expect((await failure(other.ack())).message).toMatch(/as it was given back before; .*it is delivered again$/);
    await jobs.return?.();
    expect(await queue.size()).toEqual({ ...size, delayed: 1 });
  });

  test('dead messages are deleted by nobody but discard', async () => {
    const queue = (await open()).queue<number>('q', { maxDeliveries: 1 });
    await queue.pushAll([1, 2, 3]);
    for (let i = 0; i < 3; i++) await (await takeOne(queue)).nack({ reason: 'a: b' });
    expect(await queue.drain()).toBe(0);
    expect((await queue.peek(10, 'dead')).map(({ data, reason }) => [data, reason])).toEqual([
      [1, 'a: b'],
      [2, 'a: b'],
      [3, 'a: b'],
    ]);
    expect(await queue.discard({ limit: 1 })).toBe(1);
    expect(await queue.discard()).toBe(2);
    expect(await queue.size()).toEqual(size);
  });

  test('a message is delivered after its delay, and a job given back with one too', async () => {
    const queue = (await open()).queue<string>('q');
    const pushedAt = performance.now();
    await queue.push('late', { delay: 60 });
    expect(await queue.size()).toEqual({ ...size, delayed: 1 });
    const first = await takeOne(queue);
    expect(performance.now() - pushedAt).toBeGreaterThan(58);
    const given = performance.now();
    await first.nack({ delay: 40 });
    const second = await takeOne(queue);
    expect(performance.now() - given).toBeGreaterThan(38);
    expect(second.deliveries).toBe(2);
    await second.ack();
  });

  test('a message of an id that came before is not taken while its window lasts', async () => {
    const shared = await open();
    const queue = shared.queue<number>('q', { deduplicate: '1h' });
    expect(await queue.push(1, { id: 'a:b%' })).toEqual({ id: 'a:b%', duplicate: false });
    expect(await queue.push(2, { id: 'a:b%' })).toEqual({ id: 'a:b%', duplicate: true });
    expect(await queue.push(3, { id: 'c' })).toEqual({ id: 'c', duplicate: false });
    expect((await queue.peek()).map(({ id, data }) => [id, data])).toEqual([
      ['a:b%', 1],
      ['c', 3],
    ]);
    const short = shared.queue<number>('q', { deduplicate: 50 });
    expect(await short.push(4, { id: 'd' })).toEqual({ id: 'd', duplicate: false });
    await until('the window is over', async () => !(await short.push(5, { id: 'd' })).duplicate);
    expect(await takeAll(queue)).toEqual([1, 3, 4, 5]);
    const off = shared.queue<number>('off', { deduplicate: 0 });
    for (const n of [6, 7]) expect(await off.push(n, { id: 'e' })).toEqual({ id: 'e', duplicate: false });
    expect(await takeAll(off)).toEqual([6, 7]);
  });

  test('messages of a group are handled one after the other, and groups take turns', async () => {
    const queue = (await open()).queue<string>('q');
    await queue.pushAll(['a1', 'a2', 'a3'], { group: 'a' });
    await queue.pushAll(['b1', 'b2'], { group: 'b:%' });
    await queue.push('free');
    const order: string[] = [];
    const inside = new Set<string | undefined>();
    working(
      queue,
      async ({ data, group }) => {
        expect(group !== undefined && inside.has(group)).toBe(false);
        inside.add(group);
        await new Promise((turn) => setImmediate(turn));
        inside.delete(group);
        order.push(data);
      },
      3,
    );
    await until('all are handled', () => order.length === 6);
    expect(order.filter((one) => one.startsWith('a'))).toEqual(['a1', 'a2', 'a3']);
    expect(order.filter((one) => one.startsWith('b'))).toEqual(['b1', 'b2']);
    expect(order.indexOf('b2')).toBeLessThan(order.indexOf('a3'));
  });

  test.for(['park', 'block'] as const)('a dead message of a group: %s', async (onPoison) => {
    const queue = (await open()).queue<number>('q', { maxDeliveries: 1, onPoison });
    await queue.pushAll([1, 2], { group: 'g' });
    await (await takeOne(queue)).nack();
    expect(await queue.size()).toEqual({ ...size, ready: 1, dead: 1 });
    expect((await queue.peek()).map(({ data }) => data)).toEqual(onPoison === 'park' ? [2] : []);
    expect(await queue.redrive()).toBe(1);
    expect(await takeAll(queue)).toEqual(onPoison === 'park' ? [2, 1] : [1, 2]);
    expect(await queue.size()).toEqual(size);
  });

  test('a recurring message is pushed once a tick, however many repeat it', async () => {
    const store = await openStore();
    const [one, two] = [await openSession(store, 'one'), await openSession(store, 'two')];
    const queue = one.queue<string>('q');
    const stop = new AbortController();
    const options = { every: 100, signal: stop.signal } as const;
    const repeating = [one, two].map((shared) => shared.queue<string>('q').repeat('r:1', 'tick', options));
    await until('some ticks came', async () => (await queue.size()).ready >= 4);
    stop.abort();
    await Promise.all(repeating);
    const ids = (await queue.peek(100)).map(({ id }) => id);
    const ticks = ids.map((id) => Number(/^r:1@(\d+)$/.exec(id)?.[1]));
    expect(ticks.every((ms) => ms % 100 === 0)).toBe(true);
    expect(new Set(ticks).size).toBe(ticks.length);
    expect(ticks).toEqual([...ticks].sort((a, b) => a - b));
  });

  test.for([
    ['skip', 0],
    ['last', 1],
    ['all', 3],
  ] as const)('ticks that nobody was there for: %s', async ([missed, count]) => {
    const store = await openStore();
    const queue = (await openSession(store, 'one')).queue<string>('q');
    const now = Date.now();
    const every = 1_728_000_000; // 20 days: no boundary is near for long
    const latest = now - (now % every);
    const engine = await store.engine();
    await engine.runBatch(tick, keysOf('test').queue('q'), ['r', '', String(latest - 3 * every)]);
    const stop = new AbortController();
    const repeating = queue.repeat('r', 'tick', { every, missed, signal: stop.signal });
    const stored = ['r', 'nobody knows', '0'];
    const last = async (): Promise<unknown> => (await engine.runBatch(tick, keysOf('test').queue('q'), stored))[0];
    await until('it was seen to', async () => (await last()) === String(latest));
    stop.abort();
    await repeating;
    const wasLate = now - latest > every / 10;
    expect((await queue.size()).ready).toBe(missed === 'skip' && !wasLate ? 1 : count);
  });

  test("no tick is pushed before its time by the store's clock", async () => {
    const store = await openStore();
    const engine = await store.engine();
    const keys = keysOf('test').queue('q');
    const later = String(Date.now() + 3_600_000);
    const [last, now] = await engine.runBatch(tick, keys, ['r', '', later, `r@${later}`, '"x"']);
    expect(last).toBe('');
    expect(Math.abs(Number(now) - Date.now())).toBeLessThan(60_000);
    expect(await (await openSession(store, 'one')).queue('q').size()).toEqual(size);
  });

  test('a push to a full queue waits for room, or gives up', async () => {
    const store = await openStore();
    const [one, two] = [await openSession(store, 'one'), await openSession(store, 'two')];
    const queue = one.queue<number>('q', { capacity: 2 });
    await queue.pushAll([1, 2]);
    expect(await failure(queue.push(3, { timeout: 0 }))).toMatchObject({ code: 'TIMEOUT' });
    expect(await failure(queue.push(3, { timeout: 10 }))).toMatchObject({ code: 'TIMEOUT' });
    const abort = new AbortController();
    const given = failure(queue.push(3, { signal: abort.signal }));
    abort.abort(new Error('enough'));
    expect((await given).message).toBe('enough');
    const waiting = queue.pushAll([3, 4, 5]);
    const seen: number[] = [];
    working(two.queue<number>('q'), ({ data }) => void seen.push(data));
    await waiting;
    await until('all are handled', () => seen.length === 5);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  test('nothing is delivered while a queue is paused', async () => {
    const queue = (await open()).queue<number>('q');
    const seen: number[] = [];
    expect(await queue.pause()).toBe(true);
    expect(await queue.pause()).toBe(false);
    working(queue, ({ data }) => void seen.push(data));
    await queue.pushAll([1, 2]);
    expect(await queue.size()).toEqual({ ...size, ready: 2, paused: true });
    expect(seen).toEqual([]);
    expect(await queue.resume()).toBe(true);
    await until('all are handled', () => seen.length === 2);
  });

  test('drain deletes what is ready or delayed, with what waits in groups', async () => {
    const queue = (await open()).queue<number>('q');
    await queue.pushAll([1, 2, 3]);
    const job = await takeOne(queue);
    await queue.pushAll([4, 5], { group: 'g' });
    await queue.push(6, { delay: '1h' });
    expect(await queue.drain()).toBe(5);
    expect(await queue.size()).toEqual({ ...size, leased: 1 });
    await job.ack();
    await queue.push(7, { group: 'g' });
    expect(await takeAll(queue)).toEqual([7]);
  });

  test('what a consumer left behind comes back although all others always have more to do', async () => {
    const store = await openStore();
    const queue = (await openSession(store, 'one')).queue<number>('q');
    let handled = 0;
    const again: number[] = [];
    await queue.pushAll([1, 2]);
    const end = working(queue, async ({ deliveries }) => {
      handled += 1;
      if (deliveries > 1) again.push(deliveries);
      else await queue.push(handled); // before the job ends: there is always one more
      await new Promise((resolve) => setImmediate(resolve));
    });
    await until('it works', () => handled > 0);
    const engine = await store.engine();
    // As a consumer takes it that is cut off from then on. The ring is the first one: nobody watches that consumer.
    const args = ['nobody:1.1', '1', '1', '300', '0', '0', '0', '1', '0'];
    await until('one is taken', async () => (await engine.runBatch(claim, keysOf('test').queue('q'), args)).length > 3);
    await until('it is handled', () => again.length > 0);
    expect(again[0]).toBe(2);
    await end();
  });

  test('a job that takes longer than its lease is kept', async () => {
    const queue = (await open()).queue<number>('q', { lease: 1_500 });
    const counts: number[] = [];
    await queue.push(1);
    const { opened, open: end } = gate();
    working(
      queue,
      async (job) => {
        counts.push(job.deliveries);
        setTimeout(end, 2_000);
        await opened;
      },
      2,
    );
    await opened;
    await until('it is acknowledged', async () => (await queue.size()).leased === 0);
    expect(counts).toEqual([1]);
  });

  test('a message of a higher priority goes first, also behind many that had none', async () => {
    const shared = await open();
    const queue = shared.queue<number>('q');
    const seen: number[] = [];
    working(queue, async ({ data }) => {
      if (data === 5) {
        await queue.push(100, { priority: 1 });
        await queue.push(101, { group: 'g' });
        await queue.push(102, { group: 'g' });
      }
      seen.push(data);
    });
    for (let i = 0; i < 10; i++) await queue.push(i);
    await until('all are handled', () => seen.length === 13);
    expect(seen.indexOf(100)).toBe(seen.indexOf(5) + 1);
    expect(seen.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 101, 102]);
  });

  test('a job whose lease is lost aborts its signal, and can change nothing any more', async () => {
    const store = await openStore();
    const shared = await openSession(store, 'one');
    const queue = shared.queue<number>('q', { lease: 1_000 });
    await queue.push(1);
    const job = await takeOne(queue);
    const { signal } = job;
    // As if its session had been found dead.
    const engine = await store.engine();
    await engine.runBatch(leave, keysOf('test').queue('q'), [`${shared.session.id}:99`, '0', '0', '0', '1']);
    await until('the signal aborts', () => signal.aborted);
    expect(signal.reason).toMatchObject({ code: 'LEASE_LOST' });
    expect(await failure(job.ack())).toMatchObject({ code: 'LEASE_LOST' });
    expect(await failure(job.nack())).toMatchObject({ code: 'LEASE_LOST' });
    expect(await failure(job.extend())).toMatchObject({ code: 'LEASE_LOST' });
    const again = await takeOne(queue);
    expect(again).toMatchObject({ data: 1, deliveries: 2 });
    await again.ack();
    expect(await failure(again.ack())).toMatchObject({ code: 'LEASE_LOST' });
  });

  test('of jobs that end together, those whose lease was lost are told so, and the others are acknowledged', async () => {
    const store = await openStore();
    const queue = (await openSession(store, 'one')).queue<number>('q');
    const errors: unknown[] = [];
    const stop = new AbortController();
    const { opened, open: end } = gate();
    await queue.pushAll([1, 2, 3]);
    const worked = queue.work(() => opened, {
      concurrency: 3,
      signal: stop.signal,
      onError: (error, job) => errors.push([(error as { code?: unknown }).code, job?.data]),
    });
    await until('all are held', async () => (await queue.size()).leased === 3, 15_000);
    const engine = await store.engine();
    const keys = keysOf('test').queue('q');
    const token = (await engine.runBatch(look, keys, ['leased', '3']))[4] as string;
    expect(await engine.runBatch(ack, keys, acksOf([{ token, groupPart: '' }]))).toBe('');
    end();
    await until('it is told', () => errors.length > 0, 15_000);
    stop.abort();
    await worked;
    expect(errors).toEqual([['LEASE_LOST', Number(token.split(':')[0])]]);
    expect(await queue.size()).toEqual(size);
  });

  test('a session that is closed gives its jobs back at once', async () => {
    const store = await openStore();
    const [one, two] = [await openSession(store, 'one'), await openSession(store, 'two')];
    const { opened: begun, open: begin } = gate();
    const queue = two.queue<number>('q');
    await queue.push(1);
    let signal: AbortSignal | undefined;
    const worked = one.queue<number>('q').work(async (job) => {
      signal = job.signal;
      begin();
      await new Promise((resolve) => job.signal.addEventListener('abort', resolve));
    });
    await begun;
    await one.close();
    await worked;
    expect(signal?.reason).toMatchObject({ code: 'LEASE_LOST' });
    expect(await takeOne(queue)).toMatchObject({ data: 1, deliveries: 2 });
    expect(await failure(one.queue('q').push(1))).toMatchObject({ code: 'CLOSED' });
  });

  test('an iteration gives back what it did not work on, uncounted, and what nobody acknowledged', async () => {
    const queue = (await open()).queue<number>('q');
    await queue.pushAll([1, 2, 3]);
    for await (const job of queue.consume({ prefetch: 2 })) {
      expect(job).toMatchObject({ data: 1, deliveries: 1 });
      break;
    }
    await until('all are back', async () => (await queue.size()).ready === 3);
    const seen: [number, number][] = [];
    for await (const job of queue.consume()) {
      seen.push([job.data, job.deliveries]);
      await job.ack();
      if (seen.length === 3) break;
    }
    expect(seen).toEqual([
      [1, 2],
      [2, 1],
      [3, 1],
    ]);
  });

  test('a message that does not fit the schema is not given to a handler, and dies', async () => {
    const shared = await open();
    await shared.queue('q').pushAll(['text', 7]);
    const numbers = shared.queue<number>('q', {
      maxDeliveries: 1,
      schema: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value) => (typeof value === 'number' ? { value } : { issues: [{ message: 'no number' }] }),
        },
      },
    });
    const seen: number[] = [];
    const errors: unknown[] = [];
    const stop = new AbortController();
    const worked = numbers.work(({ data }) => void seen.push(data), {
      signal: stop.signal,
      onError: (error) => void errors.push(error),
    });
    await until('both are seen to', async () => (await numbers.size()).dead === 1 && seen.length === 1);
    stop.abort();
    await worked;
    expect(errors).toMatchObject([{ code: 'INVALID_VALUE' }]);
    const [dead] = await numbers.peek(1, 'dead');
    expect(dead).toMatchObject({ data: undefined, text: '"text"' });
    expect(dead!.reason).toContain('no number');
  });

  test('a push whose signal has aborted already, or whose timeout is none, pushes nothing, also where there is room', async () => {
    const queue = (await open()).queue<number>('q');
    const reason = new Error('too late');
    const aborted = { signal: AbortSignal.abort(reason) };
    const invalid = { code: 'INVALID_ARGUMENT' };
    expect(await failure(queue.push(1, aborted))).toBe(reason);
    expect(await failure(queue.pushAll([1, 2], aborted))).toBe(reason);
    expect(await failure(queue.push(1, { timeout: 'soon' as never }))).toMatchObject(invalid);
    expect(await failure(queue.pushAll([1], { signal: {} as never }))).toMatchObject(invalid);
    expect(await queue.size()).toMatchObject({ ready: 0 });
  });

  test('what can not be used is refused before anything is sent', async () => {
    const shared = await open();
    const queue = shared.queue<unknown>('q');
    const invalid = { code: 'INVALID_ARGUMENT' };
    expect(() => shared.queue('')).toThrow(expect.objectContaining(invalid));
    expect(() => shared.queue('q', { lease: 0 })).toThrow(expect.objectContaining(invalid));
    for (const capacity of [-1, 0]) {
      expect(() => shared.queue('q', { capacity })).toThrow(expect.objectContaining(invalid));
    }
    expect(() => shared.queue('q', { maxDeliveries: 0 })).toThrow(expect.objectContaining(invalid));
    expect(() => shared.queue('q', { leese: 1 } as never)).toThrow(expect.objectContaining(invalid));
    expect(await failure(queue.push(1, { priority: 1.5 }))).toMatchObject(invalid);
    expect(await failure(queue.push(1, { group: 'g', delay: 1 }))).toMatchObject(invalid);
    expect(await failure(queue.push(1, { id: '' }))).toMatchObject(invalid);
    const several = { id: 'a', priority: 0 };
    expect((await failure(queue.pushAll([1, 2], several))).message).toMatch(/^id is "a": .*one by one$/);
    expect((await failure(queue.peek(10, 'deed' as never))).message).toMatch(
      /^kind is "deed": .*ready, delayed, leased, dead$/,
    );
    expect(await failure(queue.push(undefined))).toMatchObject({ code: 'INVALID_VALUE' });
    expect(await failure(queue.work(() => {}, { concurrency: 0 }))).toMatchObject(invalid);
    expect(await failure(queue.work(() => {}, { onError: 5 } as never))).toMatchObject(invalid);
    expect(() => shared.lock('l', null as never)).toThrow(expect.objectContaining(invalid));
    expect(await queue.size()).toEqual(size);
  });

  test('a key that something else uses is said to be so, and nothing is written', async () => {
    const store = await openStore();
    const shared = await openSession(store, 'one');
    await store.putText(keysOf('test').queue('q')[2]!, 'mine');
    const queue = shared.queue<number>('q');
    expect(await failure(queue.push(1))).toMatchObject({ code: 'WRONG_KIND' });
    expect(await failure(queue.work(() => {}))).toMatchObject({ code: 'WRONG_KIND' });
    expect(await queue.peek(1, 'dead')).toEqual([]);
  });
});
