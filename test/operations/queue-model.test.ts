/** Queues, and groups of topics, beside plain JavaScript: who gets what, in which order, how often. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import { acksOf } from '../../src/primitives/queue-record.ts';
import * as queue from '../../src/operations/queue.ts';
import * as topic from '../../src/operations/topic.ts';
import { randomly } from '../contract/seed.ts';
import { type Delivery, deliveriesOf } from './deliveries.ts';
import { type HandClock, handClock, memorySubject, type Subject } from './subjects.ts';

type Command =
  | { do: 'push'; priority: number; delayMs: number; group: string }
  | { do: 'claim'; max: number; ms: number; done: number[] }
  | { do: 'ack' | 'stale' | 'die'; which: number }
  | { do: 'nack'; which: number; delayMs: number; uncounted: boolean }
  | { do: 'pass'; ms: number }
  | { do: 'redrive' | 'discard' };

const which = fc.nat(5);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.oneof(
      fc.record({
        do: fc.constant('push' as const),
        priority: fc.constantFrom(0, 0, 1, -1),
        delayMs: fc.constantFrom(0, 0, 20),
        group: fc.constant(''),
      }),
      fc.record({
        do: fc.constant('push' as const),
        priority: fc.constant(0),
        delayMs: fc.constant(0),
        group: fc.constantFrom('a', 'b'),
      }),
    ),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      max: fc.constantFrom(1, 1, 2, 5),
      ms: fc.constantFrom(10, 1_000),
      done: fc.uniqueArray(which, { maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('ack' as const, 'ack' as const, 'stale' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('nack' as const),
      which,
      delayMs: fc.constantFrom(0, 0, 20),
      uncounted: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 10, 25) }) },
  fc.record({ do: fc.constantFrom('redrive' as const, 'discard' as const) }),
);

interface Program {
  readonly commands: Command[];
  readonly most: number;
  readonly block: boolean;
}

const program: fc.Arbitrary<Program> = fc.record({
  commands: fc.array(command, { minLength: 10, maxLength: 60 }),
  most: fc.constantFrom(0, 1, 3),
  block: fc.boolean(),
});

test.for([false, true])(
  'every message is delivered in its order, counted, and dead after its last time (a topic: %s)',
  { timeout: 120_000 },
  async (isTopic) => {
    const clock = handClock();
    const subject = memorySubject(clock);
    let programs = 0;
    await fc.assert(
      fc.asyncProperty(program, async ({ commands, most, block }) => {
        const store = new Store(subject, clock, `p${++programs}`, isTopic, [most, block]);
        const model = new Model(clock, most, block);
        for (const one of commands) await step(one, store, model, clock, isTopic);
        await drained(store, model, clock);
      }),
      randomly(300),
    );
    await subject.close();
  },
);

async function step(one: Command, store: Store, model: Model, clock: HandClock, isTopic: boolean): Promise<void> {
  if (one.do === 'push') {
    const [priority, delayMs] = isTopic ? [0, 0] : [one.priority, one.delayMs];
    model.push(await store.push(priority, delayMs, one.group), delayMs, one.group);
  }
  if (one.do === 'claim') await claim(store, model, one.max, one.ms, one.done);
  if (one.do === 'pass') clock.nowUs += one.ms * 1_000;
  // In a group of a topic it depends on what the group has taken in behind which of its key a dead message comes again.
  if (one.do === 'redrive' && !isTopic) expect(await store.redrive()).toBe(model.redrive());
  if (one.do === 'discard') expect(await store.discard()).toBe(model.discard());
  if (one.do === 'ack' || one.do === 'stale' || one.do === 'nack' || one.do === 'die') await settle(one, store, model);
  const [ready, , leased, dead] = await store.sizes();
  expect([leased, dead]).toEqual([model.in('leased').length, model.in('dead').length]);
  if (!isTopic) expect(ready).toBe(model.in('ready').length);
}

async function settle(
  one: Extract<Command, { do: 'ack' | 'stale' | 'nack' | 'die' }>,
  store: Store,
  model: Model,
): Promise<void> {
  const { token, groupPart: group } = model.delivery(one.which) ?? { token: '1:9:nobody:9', groupPart: '' };
  const held = model.held(token);
  if (one.do === 'ack') {
    expect(await store.ack(token, group)).toBe(held ? 1 : 0);
    if (held) model.done(token);
  } else if (one.do === 'stale') {
    expect(await store.ack(`${token}9`, group)).toBe(0);
  } else if (one.do === 'nack') {
    const dead = held && model.givenBack(token, one.delayMs, one.uncounted);
    expect(await store.nack(token, group, one.delayMs, one.uncounted)).toBe(!held ? 0 : dead ? 2 : 1);
  } else {
    const session = token.split(':')[2]!;
    await store.die(session);
    model.died(session);
  }
}

/** Among those without a group the lowest place goes first: the higher priority, then the earlier one. */
async function claim(
  store: Store,
  model: Model,
  max: number,
  ms: number,
  done: readonly number[] = [],
): Promise<readonly Delivery[]> {
  const settled = done.map((back) => model.delivery(back)).filter((delivery) => delivery !== undefined);
  const { taken, stale } = await store.claim(max, ms, settled);
  const over = settled.map(({ token }) => token).filter((token) => !model.held(token));
  expect(stale.toSorted()).toEqual(over.toSorted()); // those with a group are told last
  for (const { token } of settled) if (model.held(token)) model.done(token);
  model.comeBack();
  const able = model.able();
  const alone = able.filter(({ group }) => group === '').sort((a, b) => Number(a.id) - Number(b.id));
  const takenAlone = taken.filter(({ groupPart }) => groupPart === '').map(({ id }) => id);
  expect(takenAlone).toEqual(alone.slice(0, takenAlone.length).map(({ id }) => id));
  for (const { id } of taken) expect(able.map((message) => message.id)).toContain(id);
  expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length);
  expect(taken.length).toBe(Math.min(max, able.length));
  for (const { id, token } of taken) {
    const before = able.find((message) => message.id === id)!.deliveries;
    expect(token.split(':')[1]).toBe(String(before + 1));
  }
  model.took(taken, ms);
  return taken;
}

/** In the end all that is not dead, or behind what is dead, can be taken and done. */
async function drained(store: Store, model: Model, clock: HandClock): Promise<void> {
  clock.nowUs += 10_000_000;
  for (let i = 0; i < 1_000; i++) {
    const taken = await claim(store, model, 5, 1_000);
    if (taken.length === 0) break;
    for (const { token, groupPart } of taken) {
      expect(await store.ack(token, groupPart)).toBe(1);
      model.done(token);
    }
  }
  expect([...model.able(), ...model.in('delayed'), ...model.in('leased')]).toEqual([]);
}

/** The real one: each claim is a session's own. */
class Store {
  readonly #subject: Subject;
  readonly #clock: HandClock;
  readonly #keys: readonly string[];
  readonly #topic: readonly string[];
  readonly #limit: readonly [string, string];
  readonly #isTopic: boolean;
  #claims = 0;

  constructor(subject: Subject, clock: HandClock, space: string, isTopic: boolean, limit: [number, boolean]) {
    this.#subject = subject;
    this.#clock = clock;
    this.#isTopic = isTopic;
    this.#topic = keysOf(space).topic('t');
    this.#keys = isTopic ? keysOf(space).group('t', 'g') : keysOf(space).queue('q');
    this.#limit = [String(limit[0]), limit[1] ? '1' : '0'];
  }

  async push(priority: number, delayMs: number, group: string): Promise<string> {
    this.#clock.nowUs += 1;
    if (this.#isTopic) {
      return String(await this.#subject.runBatch(topic.publish, this.#topic, ['1000', '0', group, 'x']));
    }
    const head = `${priority}:${delayMs}::${group}`;
    return (await this.#subject.runBatch(queue.push, this.#keys, ['0', '0', '', '1', head, 'x']))[0]!;
  }

  async claim(max: number, ms: number, done: readonly Delivery[]): Promise<{ taken: Delivery[]; stale: string[] }> {
    this.#clock.nowUs += 1;
    const number = String(++this.#claims);
    const args = [`s${number}:1`, number, String(max), String(ms), ...this.#limit, '0', ''];
    const acks = acksOf(done);
    const all = [...this.#topic, ...this.#keys];
    const reply = this.#isTopic
      ? await this.#subject.runBatch(topic.claim, all, [...args, 'group:g', 'earliest', ...acks])
      : await this.#subject.runBatch(queue.claim, this.#keys, [...args, ...acks]);
    const taken = deliveriesOf(reply);
    // A step takes in so much; where that stands behind messages of the same keys, a member is to ask again at once.
    const more = this.#isTopic && taken.length < max && reply.at(-3) === '0';
    if (more) taken.push(...(await this.claim(max - taken.length, ms, [])).taken);
    return { taken, stale: reply.at(-1)!.split(' ').filter(Boolean) };
  }

  async ack(token: string, group: string): Promise<number> {
    const stale = await this.#subject.runBatch(queue.ack, this.#keys, acksOf([{ token, groupPart: group }]));
    return stale === '' ? 1 : stale === `${token} ` ? 0 : -1;
  }

  async nack(token: string, group: string, delayMs: number, uncounted: boolean): Promise<number> {
    const args = [...this.#limit, token, group, String(delayMs), uncounted ? '1' : '0', 'why'];
    return (await this.#subject.runBatch(queue.nack, this.#keys, args))[0]!;
  }

  async die(session: string): Promise<void> {
    await this.#subject.runBatch(queue.leave, this.#keys, [`${session}:1`, '0', ...this.#limit, '1']);
  }

  async sizes(): Promise<readonly number[]> {
    return this.#subject.runBatch(queue.sizes, this.#keys, []);
  }

  async redrive(): Promise<number> {
    return this.#subject.runBatch(queue.revive, this.#keys, ['redrive', '1000']);
  }

  async discard(): Promise<number> {
    return this.#subject.runBatch(queue.revive, this.#keys, ['discard', '1000']);
  }
}

interface Message {
  readonly id: string;
  readonly group: string;
  state: 'ready' | 'delayed' | 'leased' | 'dead' | 'done';
  deliveries: number;
  token: string;
  /** When it is due, or its lease ends: µs. */
  untilUs: number;
}

/** What a queue should be. A message of a group that is not its first is ready, and behind it. */
class Model {
  readonly #clock: HandClock;
  readonly #most: number;
  readonly #block: boolean;
  readonly #messages = new Map<string, Message>();
  readonly #groups = new Map<string, string[]>();
  readonly #deliveries: Delivery[] = [];

  constructor(clock: HandClock, most: number, block: boolean) {
    this.#clock = clock;
    this.#most = most;
    this.#block = block;
  }

  push(id: string, delayMs: number, group: string): void {
    const untilUs = this.#clock.nowUs + delayMs * 1_000;
    const state = delayMs > 0 ? 'delayed' : 'ready';
    this.#messages.set(id, { id, group, state, deliveries: 0, token: '', untilUs });
    if (group !== '') this.#groups.set(group, [...(this.#groups.get(group) ?? []), id]);
  }

  /** What a claim took. */
  took(taken: readonly Delivery[], ms: number): void {
    for (const delivery of taken) {
      const message = this.#messages.get(delivery.id)!;
      message.deliveries += 1;
      message.state = 'leased';
      message.token = delivery.token;
      message.untilUs = this.#clock.nowUs + ms * 1_000;
      this.#deliveries.push(delivery);
    }
  }

  delivery(back: number): Delivery | undefined {
    return this.#deliveries.at(-1 - back);
  }

  /** A lease that is over is its holder's still, until somebody claims. */
  held(token: string): boolean {
    return this.in('leased').some((message) => message.token === token);
  }

  done(token: string): void {
    const message = this.#of(token);
    message.state = 'done';
    this.#advance(message);
  }

  /** True if it is dead. */
  givenBack(token: string, delayMs: number, uncounted: boolean): boolean {
    const message = this.#of(token);
    if (uncounted) message.deliveries -= 1;
    else if (this.#ended(message)) return true;
    message.state = uncounted || delayMs === 0 ? 'ready' : 'delayed';
    message.untilUs = this.#clock.nowUs + delayMs * 1_000;
    return false;
  }

  died(session: string): void {
    const held = this.in('leased').filter(({ token }) => token.split(':')[2] === session);
    for (const message of held) if (!this.#ended(message)) message.state = 'ready';
  }

  redrive(): number {
    const dead = this.in('dead');
    for (const message of dead) {
      message.state = 'ready';
      message.deliveries = 0;
      const group = this.#groups.get(message.group);
      if (group !== undefined && !group.includes(message.id)) group.push(message.id);
    }
    return dead.length;
  }

  discard(): number {
    const dead = this.in('dead');
    for (const message of dead) {
      message.state = 'done';
      this.#advance(message);
    }
    return dead.length;
  }

  in(state: Message['state']): Message[] {
    return [...this.#messages.values()].filter((message) => message.state === state);
  }

  /** Those that can be taken. */
  able(): Message[] {
    return this.in('ready').filter(({ id, group }) => group === '' || this.#groups.get(group)![0] === id);
  }

  comeBack(): void {
    for (const message of this.#messages.values()) {
      const over = message.untilUs <= this.#clock.nowUs;
      if (message.state === 'leased' && over && !this.#ended(message)) message.state = 'ready';
      if (message.state === 'delayed' && over) message.state = 'ready';
    }
  }

  /** A delivery ended without an ack: true if it was the last one. */
  #ended(message: Message): boolean {
    if (this.#most === 0 || message.deliveries < this.#most) return false;
    message.state = 'dead';
    if (!this.#block) this.#advance(message);
    return true;
  }

  #advance({ id, group }: Message): void {
    const others = this.#groups.get(group)?.filter((other) => other !== id);
    if (others !== undefined) this.#groups.set(group, others);
  }

  #of(token: string): Message {
    return this.in('leased').find((message) => message.token === token)!;
  }
}
