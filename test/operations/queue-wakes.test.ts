/** Of a queue: no consumer waits while there is a message for it, and no pusher while there is room; in any program. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import { acksOf } from '../../src/primitives/queue-record.ts';
import * as queue from '../../src/operations/queue.ts';
import type { BatchOperation, Reply } from '../../src/operations/tx.ts';
import { randomly } from '../contract/seed.ts';
import { type Delivery, deliveriesOf } from './deliveries.ts';
import { type HandClock, handClock, memorySubject, type Subject } from './subjects.ts';
import { call } from './verbs/verbs.ts';

type Session = 'a' | 'b' | 'c';

/** `which`: counted back from the session's last delivery. */
interface Command {
  readonly do:
    | 'push'
    | 'claim'
    | 'ack'
    | 'nack'
    | 'leave'
    | 'die'
    | 'return'
    | 'pause'
    | 'discard'
    | 'redrive'
    | 'drain'
    | 'pass';
  readonly session: Session;
  readonly count: number;
  readonly group: string;
  readonly priority: number;
  readonly delayMs: number;
  readonly which: number;
  readonly isDone: boolean;
}

const command: fc.Arbitrary<Command> = fc.record({
  do: fc.oneof(
    { weight: 4, arbitrary: fc.constant('push' as const) },
    { weight: 5, arbitrary: fc.constant('claim' as const) },
    { weight: 4, arbitrary: fc.constantFrom('ack' as const, 'nack' as const) },
    { weight: 2, arbitrary: fc.constantFrom('die' as const, 'return' as const, 'return' as const) },
    {
      weight: 5,
      arbitrary: fc.constantFrom<Command['do']>('leave', 'pause', 'discard', 'redrive', 'drain', 'pass'),
    },
  ),
  session: fc.constantFrom<Session>('a', 'b', 'c'),
  count: fc.constantFrom(1, 1, 2, 3),
  group: fc.constantFrom('', '', 'g', 'h'),
  priority: fc.constantFrom(0, 0, 0, 1, -1),
  delayMs: fc.constantFrom(0, 0, 0, 20),
  which: fc.nat(3),
  isDone: fc.boolean(),
});

const capacity = 3;
const keys = keysOf('test').queue('q');

class Store {
  readonly #subject: Subject;
  readonly #clock: HandClock;
  readonly #limit: readonly [string, string];
  readonly #held: Map<Session, Delivery[]> = new Map();
  #claims = 0;
  readonly alive: Set<Session> = new Set();
  /** Who waits, as far as it knows. */
  readonly consumers: Set<Session> = new Set();
  readonly pushers: Set<Session> = new Set();
  /** Who heard that it is worth another try, and has not tried since. */
  readonly hopefulConsumers: Set<Session> = new Set();
  readonly hopefulPushers: Set<Session> = new Set();
  isPaused = false;

  constructor(subject: Subject, clock: HandClock, most: number, block: boolean) {
    this.#subject = subject;
    this.#clock = clock;
    this.#limit = [String(most), block ? '1' : '0'];
  }

  async connect(its: Session): Promise<void> {
    if (this.alive.has(its)) return;
    this.alive.add(its);
    await this.#subject.connect(its, (text) => {
      if (text.startsWith('room ')) this.hopefulPushers.add(its);
      if (text.startsWith('ready ')) this.hopefulConsumers.add(its);
    });
  }

  async do(one: Command): Promise<void> {
    this.#clock.nowUs += one.do === 'pass' ? 25_000 : 1;
    if (one.do === 'return') return this.connect(one.session);
    if (one.do !== 'pass' && this.alive.has(one.session)) await this[one.do](one);
  }

  async push({ session, count, group, priority, delayMs }: Command): Promise<void> {
    this.hopefulPushers.delete(session);
    const head = group === '' ? `${priority}:${delayMs}::` : `0:0::${group}`;
    const messages = Array.from({ length: count }, () => [head, 'x']).flat();
    const ids = await this.#run(queue.push, [String(capacity), '0', session, '1', ...messages]);
    if (ids.includes('full')) this.pushers.add(session);
    else this.pushers.delete(session);
  }

  async claim({ session, count, isDone }: Command): Promise<void> {
    this.hopefulConsumers.delete(session);
    const done = isDone ? (this.#held.get(session)?.splice(0) ?? []) : [];
    const number = String(++this.#claims);
    const args = [`${session}:2`, number, String(count), '1000000', ...this.#limit, '1', '', ...acksOf(done)];
    const reply = await this.#run(queue.claim, args);
    const taken = deliveriesOf(reply);
    this.#held.set(session, [...(this.#held.get(session) ?? []), ...taken]);
    if (taken.length < count) this.consumers.add(session);
    else this.consumers.delete(session);
  }

  async ack({ session, which }: Command): Promise<void> {
    const delivery = this.#held.get(session)?.splice(which, 1)[0];
    if (delivery !== undefined) await this.#run(queue.ack, acksOf([delivery]));
  }

  async nack({ session, which, delayMs, isDone }: Command): Promise<void> {
    const delivery = this.#held.get(session)?.splice(which, 1)[0];
    if (delivery === undefined) return;
    const { token, groupPart } = delivery;
    await this.#run(queue.nack, [...this.#limit, token, groupPart, String(delayMs), isDone ? '1' : '0', 'why']);
  }

  async leave({ session }: Command): Promise<void> {
    this.consumers.delete(session);
    this.hopefulConsumers.delete(session);
    await this.#run(queue.leave, [`${session}:2`, '0', ...this.#limit, '0']);
  }

  async die({ session }: Command): Promise<void> {
    this.alive.delete(session);
    this.#held.delete(session);
    const wasHopeful = this.hopefulPushers.delete(session);
    for (const one of [this.consumers, this.pushers, this.hopefulConsumers]) one.delete(session);
    await this.#subject.disconnect(session);
    // As whoever finds it dead does for it.
    await this.#run(queue.leave, [`${session}:2`, '0', ...this.#limit, '1']);
    if (wasHopeful) await this.#run(queue.pass, ['room']);
  }

  async pause(): Promise<void> {
    this.isPaused = !this.isPaused;
    await this.#run(queue.pause, [this.isPaused ? '1' : '0']);
  }

  async discard(): Promise<void> {
    await this.#run(queue.revive, ['discard', '1']);
  }

  async redrive(): Promise<void> {
    await this.#run(queue.revive, ['redrive', '1']);
  }

  async drain({ count }: Command): Promise<void> {
    await this.#run(queue.drain, [String(count)]);
  }

  /** Messages that can be taken, and how many more there is room for. */
  async open(): Promise<{ ready: number; room: number }> {
    const count = async (verb: string, place: number): Promise<number> =>
      Number(await this.#subject.runBatch(call, [keys[place]!], [verb]));
    const [all, dead] = [await count('hlen', 1), await count('zcard', 6)];
    return { ready: (await count('llen', 2)) + (await count('zcard', 3)), room: capacity - all + dead };
  }

  #run<R extends Reply>(operation: BatchOperation<R>, args: string[]): Promise<R> {
    return this.#subject.runBatch(operation, keys, args);
  }
}

const plain: Command = {
  do: 'push',
  session: 'a',
  count: 1,
  group: '',
  priority: 0,
  delayMs: 0,
  which: 0,
  isDone: false,
};

/** What random programs seldom come to. */
const examples: [{ commands: Command[]; most: number; block: boolean }][] = [
  // The first of a group is deleted while it is delayed: the next one is ready by that.
  [
    {
      commands: [
        { ...plain, group: 'g' },
        { ...plain, do: 'claim', session: 'b' },
        { ...plain, do: 'nack', session: 'b', delayMs: 20 },
        { ...plain, group: 'g' },
        { ...plain, do: 'claim', session: 'b' },
        { ...plain, do: 'drain' },
      ],
      most: 0,
      block: false,
    },
  ],
];

test('nobody waits for a message while one is ready, nor for room while there is some', async () => {
  const seen = { ready: 0, room: 0 };
  const run = { ...randomly(500), examples };
  const program = fc.record({
    commands: fc.array(command, { minLength: 10, maxLength: 60, size: 'max' }),
    most: fc.constantFrom(0, 1, 2),
    block: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(program, async ({ commands, most, block }) => {
      const clock = handClock();
      const subject = memorySubject(clock);
      const store = new Store(subject, clock, most, block);
      for (const its of ['a', 'b', 'c'] as const) await store.connect(its);
      for (const one of commands) {
        await store.do(one);
        const { ready, room } = await store.open();
        if (ready > 0 && store.consumers.size > 0 && !store.isPaused) {
          seen.ready += 1;
          expect([...store.hopefulConsumers], `a consumer hears of one of ${ready}`).not.toEqual([]);
        }
        if (room > 0 && store.pushers.size > 0) {
          seen.room += 1;
          expect([...store.hopefulPushers], `a pusher hears of room for ${room}`).not.toEqual([]);
        }
      }
      await subject.close();
    }),
    run,
  );
  expect(Math.min(seen.ready, seen.room)).toBeGreaterThan(run.numRuns / 20);
});

test('whoever waits for room keeps its place in the line when the dead are discarded, as that makes no room', async () => {
  const clock = handClock();
  const subject = memorySubject(clock);
  onTestFinished(() => subject.close());
  const store = new Store(subject, clock, 1, false);
  for (const its of ['a', 'b', 'c'] as const) await store.connect(its);
  await store.do({ ...plain, session: 'c' });
  await store.do({ ...plain, do: 'claim', session: 'c' });
  await store.do({ ...plain, do: 'nack', session: 'c' }); // it is dead
  await store.do({ ...plain, session: 'c', count: capacity });
  for (const session of ['a', 'b'] as const) await store.do({ ...plain, session });
  await store.do({ ...plain, do: 'discard' });
  expect([...store.hopefulPushers]).toEqual([]);
  await store.do({ ...plain, do: 'claim', session: 'c' });
  await store.do({ ...plain, do: 'ack', session: 'c' });
  expect([...store.hopefulPushers]).toEqual(['a']);
});
