import { expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import type { Lockstep, Topic, TopicGroup, TopicJob, TopicMessage } from '../../src/index.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { size } from '../../src/operations/sorted.ts';
import { claim } from '../../src/operations/topic.ts';
import { eachEngine } from './each-engine.ts';
import { failure, openSession, soon, until } from './sessions.ts';

/** The next `count` messages of a subscription, which stays open until the test is finished. */
async function take<T>(messages: AsyncIterableIterator<TopicMessage<T>>, count: number): Promise<TopicMessage<T>[]> {
  const taken: TopicMessage<T>[] = [];
  while (taken.length < count) {
    const next = await messages.next();
    if (next.done === true) throw new Error(`it ended after ${taken.length}`);
    taken.push(next.value);
  }
  return taken;
}

function dataOf<T>(messages: readonly { data: T }[]): T[] {
  return messages.map(({ data }) => data);
}

function subscribed<T>(
  topic: Topic<T>,
  options?: Parameters<Topic<T>['subscribe']>[0],
): AsyncIterableIterator<TopicMessage<T>> {
  const { group: _, ...rest } = { group: '', ...options };
  const messages = topic.subscribe(rest);
  onTestFinished(async () => void (await messages.return!()));
  return messages;
}

/** Works until the test is finished, or until it is told to end. */
function working<T>(
  group: TopicGroup<T>,
  handler: (job: TopicJob<T>) => unknown,
  concurrency = 1,
): () => Promise<void> {
  const stop = new AbortController();
  const worked = group.work(handler, { concurrency, signal: stop.signal });
  const end = async (): Promise<void> => {
    stop.abort();
    await worked;
  };
  onTestFinished(end);
  return end;
}

eachEngine((_engine, openStore) => {
  async function open(label = 'one'): Promise<Lockstep> {
    return openSession(await openStore(), label);
  }

  test('everybody gets all that is published after the subscription, in one order, woken by the publisher', async () => {
    const store = await openStore();
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => openSession(store, name)));
    const mine = subscribed(a!.topic<number>('t'));
    const others = [subscribed(b!.topic<number>('t')), subscribed(b!.topic<number>('t'))];
    const first = [...others.map((messages) => take(messages, 3)), take(mine, 3)];
    // They wait for messages: the store knows of each.
    const waiting = keysOf('test').topic('t')[2]!;
    const engine = await store.engine();
    await until('they wait', async () => (await sizeOf(engine, waiting)) === 3);
    await c!.topic<number>('t').publish(1);
    await c!.topic<number>('t').publishAll([2, 3]);
    for (const messages of await Promise.all(first)) expect(dataOf(messages)).toEqual([1, 2, 3]);
    // A waiting reader looks by itself after 5 s.
    await soon(4_000, async () => {
      const next = [...others, mine].map((messages) => take(messages, 1));
      await until('they wait again', async () => (await sizeOf(engine, waiting)) === 3);
      const began = performance.now();
      await c!.topic<number>('t').publish(4);
      await Promise.all(next);
      return performance.now() - began;
    });
    const [message] = await take(subscribed(c!.topic<number>('t'), { from: 'earliest' }), 1);
    expect(message).toMatchObject({ data: 1, cursor: '1', key: undefined, missed: 0 });
    expect(Math.abs(message!.publishedAt - Date.now())).toBeLessThan(60_000);
  });

  test('a subscription sees what its own session publishes right behind it', async () => {
    const topic = (await open()).topic<string>('t');
    await topic.publish('before');
    const messages = subscribed(topic);
    await topic.publish('behind', { key: 'a:ü%' });
    expect(await take(messages, 1)).toMatchObject([{ data: 'behind', cursor: '2', key: 'a:ü%' }]);
  });

  test('one goes on behind a cursor, or begins with the first message that is kept', async () => {
    const topic = (await open()).topic<number>('t');
    const cursors = await topic.publishAll([1, 2, 3, 4]);
    expect(cursors).toEqual(['1', '2', '3', '4']);
    expect(dataOf(await take(subscribed(topic, { from: cursors[1]! }), 2))).toEqual([3, 4]);
    expect(dataOf(await take(subscribed(topic, { from: 'earliest' }), 4))).toEqual([1, 2, 3, 4]);
    const late = subscribed(topic, { from: '1000' }); // of a log that was lost
    await topic.publish(5);
    expect(dataOf(await take(late, 1))).toEqual([5]);
    expect(await topic.size()).toEqual({ messages: 5, last: '5' });
  });

  test('a slow subscriber holds up nobody, and is told how many messages were cut off', async () => {
    const store = await openStore();
    const shared = await openSession(store, 'publisher');
    const topic = shared.topic<number>('t', { keep: 10 });
    const slow = subscribed((await openSession(store, 'slow')).topic<number>('t'));
    const none = subscribed((await openSession(store, 'none')).topic<number>('t'));
    const waiting = take(none, 1);
    await topic.publish(1);
    await waiting;
    expect(await take(slow, 1)).toMatchObject([{ data: 1, missed: 0 }]);
    for (let i = 2; i <= 50; i++) await topic.publish(i);
    expect(await topic.size()).toEqual({ messages: 10, last: '50' });
    const rest = await take(slow, 10);
    expect(dataOf(rest)).toEqual([41, 42, 43, 44, 45, 46, 47, 48, 49, 50]);
    expect(rest.map(({ missed }) => missed)).toEqual([39, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    await topic.publishAll(Array.from({ length: 300 }, (_, i) => 51 + i));
    expect(await topic.size()).toEqual({ messages: 10, last: '350' });
  });

  test('messages are kept as long as they are to be kept, and what was missed is told', async () => {
    const shared = await open();
    const topic = shared.topic<number>('t', { keepFor: 1_000 });
    const messages = subscribed(topic);
    await topic.publishAll([1, 2]);
    expect(await topic.size()).toEqual({ messages: 2, last: '2' });
    await until('they are gone', async () => (await topic.size()).messages === 0);
    const next = take(messages, 1);
    await topic.publish(3);
    expect(await next).toMatchObject([{ data: 3, cursor: '3', missed: 2 }]);
    // Who publishes without an end makes them stay.
    await shared.topic<number>('t').publish(4);
    await new Promise((late) => setTimeout(late, 1_100));
    await shared.topic<number>('t').publish(5);
    expect((await topic.size()).messages).toBe(3);
    await topic.publish(6);
    expect((await topic.size()).messages).toBeLessThanOrEqual(2);
  });

  test('the members of a group share the messages, each once, and a group goes on where it was', async () => {
    const store = await openStore();
    const [publisher, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => openSession(store, name)));
    const topic = publisher!.topic<number>('t');
    await topic.publish(-1);
    const seen: number[] = [];
    const mine = [b!, c!].map((shared) => shared.topic<number>('t').group('g'));
    const stops = mine.map((group) => working(group, ({ data }) => void seen.push(data), 2));
    await until('it has begun', async () => (await topic.groups()).length === 1);
    const all: number[] = [];
    const other = topic.group('all', { from: 'earliest' });
    working(other, ({ data }) => void all.push(data));
    for (let i = 0; i < 20; i++) await topic.publish(i);
    await topic.publishAll(Array.from({ length: 200 }, (_, i) => 20 + i));
    await until('all are handled', () => seen.length === 220 && all.length === 221);
    expect(seen.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 220 }, (_, i) => i));
    expect(all).toEqual(Array.from({ length: 221 }, (_, i) => i - 1));
    await Promise.all(stops.map((stop) => stop()));
    expect(await topic.groups()).toEqual([
      { name: 'all', behind: 0 },
      { name: 'g', behind: 0 },
    ]);
    await topic.publishAll([300, 301]);
    await until('the others have them', () => all.length === 223);
    expect(await mine[0]!.size()).toEqual({ ready: 0, delayed: 0, leased: 0, dead: 0, paused: false, behind: 2 });
    working(mine[1]!, ({ data }) => void seen.push(data));
    await until('it went on', () => seen.length === 222);
    expect(seen.slice(-2)).toEqual([300, 301]);
    await until('all are acknowledged', async () => (await mine[0]!.size()).leased === 0);
    expect(await other.remove()).toBe(true);
    expect(await topic.groups()).toEqual([{ name: 'g', behind: 0 }]);
  });

  test('what a member did not acknowledge comes again, counted, and is dead after the last time', async () => {
    const topic = (await open()).topic<string>('t');
    const group = topic.group('g', { maxDeliveries: 2, backoff: 1 });
    const jobs = topic.subscribe({ group: 'g' });
    await topic.publishAll(['a', 'b']);
    const first = await jobs.next();
    expect(first.value).toMatchObject({ id: '1', data: 'a', deliveries: 1, missed: 0 });
    await jobs.return!();
    expect(await group.size()).toMatchObject({ ready: 1, behind: 1 });
    const seen: string[] = [];
    working(group, ({ data, deliveries }) => {
      seen.push(`${data}${deliveries}`);
      if (data === 'a') throw new TypeError('no good');
    });
    await until('it is dead', async () => (await group.size()).dead === 1 && seen.length === 2);
    expect(seen.toSorted()).toEqual(['a2', 'b1']);
    expect(await group.peek(10, 'dead')).toMatchObject([{ id: '1', data: 'a', reason: 'TypeError: no good' }]);
    expect(await group.redrive()).toBe(1);
    await until('it is dead again', async () => (await group.size()).dead === 1 && seen.length === 4);
    expect(await group.discard()).toBe(1);
  });

  test('a member whose back-off function fails hears of it, and its message does not stay with it', async () => {
    const topic = (await open()).topic<number>('t');
    await topic.publish(1);
    const group = topic.group('g', { from: 'earliest', backoff: () => NaN, maxDeliveries: 1 });
    const [stop, errors] = [new AbortController(), [] as unknown[]];
    const handler = (): void => {
      throw new RangeError('no good');
    };
    const worked = group.work(handler, { signal: stop.signal, onError: (error) => errors.push(error) });
    await until('it is dead', async () => (await group.size()).dead === 1);
    stop.abort();
    await worked;
    expect(errors).toMatchObject([{ message: 'no good' }, { details: { argument: 'backoff' } }]);
  });

  test('messages of one key are handled one after the other, in their order, whoever handles them', async () => {
    const store = await openStore();
    const shared = await Promise.all(['a', 'b', 'c'].map((name) => openSession(store, name)));
    const topic = shared[0]!.topic<number>('t');
    const seen = new Map<string, number[]>();
    const running = new Set<string>();
    let together = 0;
    for (const one of shared) {
      const handler = async ({ data, group: key = '' }: TopicJob<number>): Promise<void> => {
        expect(running.has(key)).toBe(false);
        running.add(key);
        together = Math.max(together, running.size);
        await new Promise((turn) => setTimeout(turn, 1));
        running.delete(key);
        seen.set(key, [...(seen.get(key) ?? []), data]);
      };
      working(one.topic<number>('t').group('g', { from: 'earliest' }), handler, 4);
    }
    // Many of one key stand before the others.
    await topic.publishAll(
      Array.from({ length: 30 }, (_, i) => i),
      { key: 'x' },
    );
    for (let i = 0; i < 30; i++) await topic.publish(i, { key: 'yz'[i % 2]! });
    await until('all are handled', () => [...seen.values()].flat().length === 60);
    expect(seen.get('x')).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(seen.get('y')).toEqual(Array.from({ length: 15 }, (_, i) => 2 * i));
    expect(seen.get('z')).toEqual(Array.from({ length: 15 }, (_, i) => 2 * i + 1));
    expect(together).toBeGreaterThan(1);
  });

  test('a group is told how many messages were cut off before it came to them, also when that message comes again', async () => {
    const topic = (await open()).topic<number>('t', { keep: 3 });
    const group = topic.group('g', { from: 'earliest' });
    await topic.publish(1);
    const jobs = group.consume();
    const first = await jobs.next();
    await (first.value as TopicJob<number>).ack();
    for (let i = 2; i <= 10; i++) await topic.publish(i);
    expect((await group.size()).behind).toBe(3);
    const second = await jobs.next();
    expect(second.value).toMatchObject({ data: 8, missed: 6, deliveries: 1 });
    await (second.value as TopicJob<number>).nack();
    const again = await jobs.next();
    expect(again.value).toMatchObject({ data: 8, missed: 6, deliveries: 2 });
    // What it has begun to deliver stays, whatever is cut off.
    for (let i = 11; i <= 20; i++) await topic.publish(i);
    await (again.value as TopicJob<number>).nack();
    expect((await jobs.next()).value).toMatchObject({ data: 8, deliveries: 3 });
    await jobs.return!();
  });

  test('nothing is delivered to a group that is paused; the others go on', async () => {
    const topic = (await open()).topic<number>('t');
    const group = topic.group('g');
    const seen: number[] = [];
    working(group, ({ data }) => void seen.push(data));
    expect(await group.pause()).toBe(true);
    const alone = subscribed(topic);
    await topic.publish(1);
    expect(dataOf(await take(alone, 1))).toEqual([1]);
    expect(seen).toEqual([]);
    expect(await group.resume()).toBe(true);
    await until('it goes on', () => seen.length === 1);
  });

  test('a transaction publishes with what it writes, and acknowledges what it handled, or neither', async () => {
    const shared = await open();
    const topic = shared.topic<{ n: number }>('t');
    const group = topic.group('g', { backoff: 1, from: 'earliest' });
    const messages = subscribed(topic);
    await failure(
      shared.transaction(async (tx) => {
        await tx.topic('t').publish({ n: 0 });
        throw new Error('not so');
      }),
    );
    await shared.transaction(async (tx) => {
      await tx.map('m').set('n', 0);
      await tx.topic<{ n: number }>('t', { keep: 5 }).publish({ n: 1 }, { key: 'k' });
      await tx.topic<{ n: number }>('t').publish({ n: 2 });
    });
    expect(await take(messages, 2)).toMatchObject([{ data: { n: 1 }, key: 'k' }, { data: { n: 2 } }]);
    working(group, (job) =>
      shared.transaction(async (tx) => {
        const map = tx.map<number>('m');
        await map.set('n', (await map.get('n'))! + job.data.n);
        if (job.data.n < 10) await tx.topic('t').publish({ n: job.data.n * 10 });
        await tx.ack(job);
        if (job.deliveries === 1 && job.data.n === 2) throw new Error('once more');
      }),
    );
    await until('all are done', async () => (await shared.map('m').get('n')) === 33);
    expect(
      dataOf(await take(messages, 2))
        .map(({ n }) => n)
        .toSorted((x, y) => x - y),
    ).toEqual([10, 20]);
    await until('all are acknowledged', async () => (await group.size()).leased === 0);
    expect(await group.size()).toMatchObject({ ready: 0, delayed: 0, dead: 0, behind: 0 });
  });

  test('a message that does not fit the schema is refused, or told to whoever reads it, and what follows is read', async () => {
    const shared = await open();
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) => (typeof value === 'number' ? { value } : { issues: [{ message: 'no number' }] }),
      },
    };
    const topic = shared.topic('t', { schema });
    const messages = subscribed(topic);
    expect(await failure(topic.publish('x' as never))).toMatchObject({ code: 'INVALID_VALUE' });
    await shared.topic('t').publish('x');
    await topic.publish(1);
    const error = await failure(messages.next());
    expect(error).toMatchObject({ code: 'INVALID_VALUE' });
    expect(error.message).toMatch(/topic "t", message 1/);
    expect(dataOf(await take(messages, 1))).toEqual([1]);
  });

  test('a subscription ends by its signal, by return, and with its session', async () => {
    const store = await openStore();
    const shared = await openSession(store, 'a');
    const topic = shared.topic<number>('t');
    const stop = new AbortController();
    const byName = topic.subscribe({ signal: stop.signal });
    const pending = byName.next();
    stop.abort();
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(await topic.subscribe({ signal: stop.signal }).next()).toEqual({ done: true, value: undefined });
    const returned = topic.subscribe();
    const waits = returned.next();
    await returned.return!();
    expect(await waits).toEqual({ done: true, value: undefined });
    const closed = topic.subscribe();
    const call = failure(closed.next());
    await shared.close();
    expect(await call).toMatchObject({ code: 'CLOSED' });
    expect(() => topic.subscribe()).toThrow(/closed/);
  });

  test('the wake-up of a member that went away goes to another one', async () => {
    const store = await openStore();
    const [a, b] = await Promise.all(['a', 'b'].map((name) => openSession(store, name)));
    const engine = await store.engine();
    const group = keysOf('test').group('t', 'g');
    const keys = [...keysOf('test').topic('t'), ...group];
    const seen: number[] = [];
    // A member that is first in line and whose session is no more.
    const join = (): Promise<unknown> =>
      engine.runBatch(claim, keys, ['nobody:1', '1', '1', '10000', '0', '0', '1', '', 'group:g', 'latest']);
    await join();
    working(a!.topic<number>('t').group('g'), ({ data }) => void seen.push(data));
    // Who waits looks by itself after 5 s.
    await soon(4_500, async () => {
      // In a directory its end is seen at once.
      await until('both wait', async () => !engine.name.startsWith('redis') || (await sizeOf(engine, keys[2]!)) === 2);
      const [before, began] = [seen.length, performance.now()];
      await b!.topic<number>('t').publish(1);
      await until('it is handled', () => seen.length > before);
      const tookMs = performance.now() - began;
      await join();
      return tookMs;
    });
    expect(new Set(seen)).toEqual(new Set([1]));
  });

  test('bad input is refused, before anything is sent', async () => {
    const shared = await open();
    const refused: [string, () => unknown][] = [
      ['topic name', () => shared.topic('')],
      ['topic name', () => shared.topic('x'.repeat(101))],
      ['keep', () => shared.topic('t', { keep: 0 })],
      ['keepFor', () => shared.topic('t', { keepFor: -1 })],
      ['from', () => shared.topic('t').subscribe({ from: 'now' })],
      ['from', () => shared.topic('t').subscribe({ from: 5 as never })],
      ['group', () => shared.topic('t').group('')],
      ['group', () => shared.topic('t').group(':'.repeat(40))],
      ['maxDeliveries', () => shared.topic('t').group('g', { maxDeliveries: 0 })],
      ['capacity', () => shared.topic('t').group('g', { capacity: 1 } as never)],
      ['"lese": use from, lease', () => shared.topic('t').group('g', { lese: 5 } as never)],
      ['the options of group is null', () => shared.topic('t').group('g', null as never)],
      ['signal', () => shared.topic('t').subscribe({ signal: {} as never })],
    ];
    for (const [argument, call] of refused) {
      expect(call, argument).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
      expect(call).toThrow(argument);
    }
    expect(await failure(shared.topic('t').publish(1, { key: '' }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await failure(shared.topic('t').publishAll('ab' as never))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await shared.topic('t').size()).toEqual({ messages: 0, last: '0' });
  });

  test('a key that holds something else is WRONG_KIND, and nothing is written', async () => {
    const store = await openStore();
    const shared = await openSession(store, 'a');
    await store.putText(keysOf('test').topic('t')[1]!, 'text');
    expect(await failure(shared.topic('t').publish(1))).toMatchObject({ code: 'WRONG_KIND' });
    expect(await failure(shared.transaction((tx) => tx.topic('t').publish(1)))).toMatchObject({ code: 'WRONG_KIND' });
    expect(await failure(subscribed(shared.topic('t')).next())).toMatchObject({ code: 'WRONG_KIND' });
    await store.putText(keysOf('test').group('u', 'g')[5]!, 'text');
    await shared.topic('u').publish(1);
    expect(
      await failure(
        shared
          .topic('u')
          .group('g')
          .work(() => {}),
      ),
    ).toMatchObject({ code: 'WRONG_KIND' });
  });
});

function sizeOf(engine: Engine, sorted: string): Promise<number> {
  return engine.run(size, { sorted }, {});
}
