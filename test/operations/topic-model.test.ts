/** A topic, who reads it alone, and a group, beside plain JavaScript: who gets what, what was missed, who is woken. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keysOf } from '../../src/base/names.ts';
import { acksOf } from '../../src/primitives/queue-record.ts';
import * as topic from '../../src/operations/topic.ts';
import { randomly } from '../contract/seed.ts';
import { type Delivery, deliveriesOf } from './deliveries.ts';
import { type HandClock, handClock, memorySubject, type Subject } from './subjects.ts';

type Session = 'a' | 'b' | 'c';

type Alone =
  | { do: 'publish'; session: Session; count: number; keep: number; keepMs: number }
  | { do: 'read'; session: Session; max: number }
  | { do: 'begin'; session: Session; from: string }
  | { do: 'stop'; session: Session };

type Command =
  | Alone
  | { do: 'claim'; session: Session; max: number }
  | { do: 'leave'; session: Session }
  | { do: 'die'; session: Session }
  | { do: 'return'; session: Session }
  | { do: 'pass'; ms: number };

const session = fc.constantFrom<Session>('a', 'b', 'c');
const max = fc.constantFrom(1, 2, 2);
const of = <T extends Command['do']>(...verbs: T[]): fc.Arbitrary<T> => fc.constantFrom(...verbs);

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: of('publish'),
      session,
      count: fc.constantFrom(1, 1, 2, 3),
      keep: fc.constantFrom(3, 100, 100),
      keepMs: fc.constantFrom(0, 0, 1_000),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: of('read'), session, max }) },
  { weight: 8, arbitrary: fc.record({ do: of('claim'), session, max }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: of('begin'), session, from: fc.constantFrom('latest', 'earliest', '2', '1000') }),
  },
  { weight: 2, arbitrary: fc.record({ do: of('stop', 'leave', 'die', 'return', 'return'), session }) },
  // Sums of these are not a time for which something is kept.
  { weight: 1, arbitrary: fc.record({ do: of('pass'), ms: fc.constantFrom(300, 450) }) },
);

interface Message {
  readonly number: number;
  readonly publishedMs: number;
  /** How many were cut off before the group took it in. */
  missed: number;
}

class Model {
  readonly #clock: HandClock;
  seq = 0;
  log: Message[] = [];
  #logEndsMs = Infinity;
  readonly alive: Set<Session> = new Set(['a', 'b', 'c']);
  /** The next number of who reads alone. */
  readonly next: Map<Session, number> = new Map();
  readonly readersWaiting: Set<Session> = new Set();
  /** The last message that the group has taken in; undefined: there is no group. */
  last: number | undefined;
  /** What a member that died brought back, in order. */
  ready: Message[] = [];
  readonly leased: Map<Session, Message[]> = new Map();
  readonly membersWaiting: Set<Session> = new Set();

  constructor(clock: HandClock) {
    this.#clock = clock;
  }

  get nowMs(): number {
    return Math.floor(this.#clock.nowUs / 1_000);
  }

  get first(): number {
    return this.seq - this.log.length + 1;
  }

  get behind(): number {
    return this.last === undefined ? -1 : Math.min(this.seq - this.last, this.log.length);
  }

  publish(count: number, keep: number, keepMs: number): void {
    for (let i = 0; i < count; i++) this.log.push({ number: ++this.seq, publishedMs: this.nowMs, missed: 0 });
    this.log = this.log.slice(-keep);
    if (keepMs > 0) this.log = this.log.filter(({ publishedMs }) => publishedMs > this.nowMs - keepMs);
    this.#logEndsMs = keepMs > 0 ? this.nowMs + keepMs : Infinity;
  }

  passed(): void {
    if (this.nowMs > this.#logEndsMs) this.log = [];
  }

  startOf(from: string): number {
    if (from === 'latest') return this.seq + 1;
    return from === 'earliest' ? this.first : Math.min(Number(from), this.seq) + 1;
  }

  /** Of who waits at `next` in the log: where it goes on. */
  startAt(next: number): number {
    return next < this.first || next > this.seq + 1 ? this.first : next;
  }

  from(start: number, most: number): Message[] {
    return this.log.filter(({ number }) => number >= start).slice(0, Math.max(0, most));
  }

  read(reader: Session, most: number): { missed: number; from: number; found: Message[] } {
    const next = this.next.get(reader) ?? 1;
    const from = this.startAt(next);
    const found = this.from(from, most);
    this.next.set(reader, from + found.length);
    if (found.length === 0) this.readersWaiting.add(reader);
    else this.readersWaiting.delete(reader);
    return { missed: Math.max(0, from - next), from, found };
  }

  claim(member: Session, most: number): Message[] {
    this.last ??= this.first - 1; // a new group has missed nothing
    this.leased.delete(member); // it acknowledges them
    const start = this.startAt(this.last + 1);
    const taken = this.from(start, most - this.ready.length).map((message) => ({ ...message }));
    if (taken.length > 0) taken[0]!.missed = start - this.last - 1;
    if (taken.length > 0) this.last = taken.at(-1)!.number;
    this.ready = [...this.ready, ...taken];
    const given = this.ready.splice(0, most);
    this.leased.set(member, given);
    if (given.length < most) this.membersWaiting.add(member);
    else this.membersWaiting.delete(member);
    return given;
  }

  died(member: Session): void {
    this.alive.delete(member);
    const back = this.leased.get(member) ?? [];
    this.leased.delete(member);
    this.ready = [...this.ready, ...back].sort((one, other) => one.number - other.number);
  }
}

const names = keysOf('test').topic('t');
const keys = [...names, ...keysOf('test').group('t', 'g')];
const field = 'group:g';

class Store {
  readonly #subject: Subject;
  readonly #held: Map<Session, Delivery[]> = new Map();
  readonly mail: string[] = [];
  #claims = 0;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  connect(its: Session): Promise<void> {
    return this.#subject.connect(its, (text) => this.mail.push(text));
  }

  publish(count: number, keep: number, keepMs: number): Promise<number> {
    const messages = Array.from({ length: count }, () => ['', 'payload']).flat();
    return this.#subject.runBatch(topic.publish, names, [String(keep), String(keepMs), ...messages]);
  }

  begin(from: string): Promise<number> {
    return this.#subject.runBatch(topic.begin, names, [from, '']);
  }

  read(its: Session, next: number, most: number): Promise<readonly (string | number)[]> {
    return this.#subject.runBatch(topic.read, names, [String(next), String(most), `${its}:7`]);
  }

  stop(its: Session): Promise<number> {
    return this.#subject.runBatch(topic.stop, names, [`${its}:7`]);
  }

  /** What it took before is done. */
  async claim(its: Session, most: number): Promise<{ taken: Delivery[]; stale: string }> {
    const acks = acksOf(this.#held.get(its) ?? []);
    const args = [`${its}:2`, String(++this.#claims), String(most), '1000000000', '0', '0', '1', ''];
    const reply = await this.#subject.runBatch(topic.claim, keys, [...args, field, 'earliest', ...acks]);
    const taken = deliveriesOf(reply);
    this.#held.set(its, taken);
    return { taken, stale: reply.at(-1)! };
  }

  async leave(its: Session, isDead: boolean): Promise<void> {
    if (isDead) this.#held.delete(its);
    await this.#subject.runBatch(topic.leave, keys, [`${its}:2`, '0', '0', '0', isDead ? '1' : '0', field]);
  }

  async die(its: Session): Promise<void> {
    await this.#subject.disconnect(its);
    await this.leave(its, true); // as whoever finds it dead does for it
  }

  sizes(): Promise<readonly number[]> {
    return this.#subject.runBatch(topic.sizes, names, [field]);
  }
}

/** What happened at all. */
const found = { missed: 0, back: 0, woken: 0 };

/** Runs one command on both. `woken`: members that heard of something and did not claim since. */
async function step(one: Command, store: Store, model: Model, woken: Set<Session>): Promise<void> {
  if (one.do === 'pass') return;
  if (one.do === 'return') {
    if (model.alive.has(one.session)) return;
    model.alive.add(one.session);
    return store.connect(one.session);
  }
  if (!model.alive.has(one.session)) return; // the dead do nothing
  if (one.do === 'claim') return claim(one.session, one.max, store, model, woken);
  if (one.do === 'leave' || one.do === 'die') return end(one.session, one.do === 'die', store, model, woken);
  return stepAlone(one, store, model);
}

async function stepAlone(one: Alone, store: Store, model: Model): Promise<void> {
  switch (one.do) {
    case 'publish':
      model.publish(one.count, one.keep, one.keepMs);
      expect(await store.publish(one.count, one.keep, one.keepMs)).toBe(model.seq);
      return expectReadersWoken(store, model);
    case 'begin':
      model.next.set(one.session, model.startOf(one.from));
      expect(await store.begin(one.from)).toBe(model.next.get(one.session));
      return;
    case 'read': {
      const reply = await store.read(one.session, model.next.get(one.session) ?? 1, one.max);
      const { missed, from, found: messages } = model.read(one.session, one.max);
      const texts = messages.map(({ publishedMs }) => `${publishedMs}::payload`);
      expect(reply).toEqual([missed, from, ...texts]);
      return;
    }
    case 'stop':
      expect(await store.stop(one.session)).toBe(model.readersWaiting.delete(one.session) ? 1 : 0);
      return;
  }
}

/** Of a member, or of its session. */
function end(its: Session, isDead: boolean, store: Store, model: Model, woken: Set<Session>): Promise<void> {
  woken.delete(its);
  model.membersWaiting.delete(its);
  if (!isDead) return store.leave(its, false);
  found.back += model.leased.get(its)?.length ?? 0;
  model.died(its);
  return store.die(its);
}

/** All who read alone and live hear of it, once; those who don't are forgotten. */
function expectReadersWoken(store: Store, model: Model): void {
  const wanted = [...model.readersWaiting]
    .filter((its) => model.alive.has(its))
    .map((its) => `ready ${its}:7 0 ${names[0]}`);
  expect(store.mail.filter((text) => text.endsWith(` ${names[0]}`)).sort()).toEqual(wanted.sort());
  model.readersWaiting.clear();
}

async function claim(member: Session, most: number, store: Store, model: Model, woken: Set<Session>): Promise<void> {
  woken.delete(member);
  const { taken, stale } = await store.claim(member, most);
  expect(stale).toBe(''); // all was still its own
  const wanted = model.claim(member, most);
  expect(taken.map(({ id }) => Number(id))).toEqual(wanted.map(({ number }) => number));
  const heads = wanted.map(({ publishedMs, missed }) => `${publishedMs}:${missed === 0 ? '' : missed}::payload`);
  expect(taken.map(({ record }) => record)).toEqual(heads);
  found.missed += wanted.filter(({ missed }) => missed > 0).length;
}

/** What random programs seldom come to. */
const examples: [Command[]][] = [
  // Who was woken for a message leaves without having claimed it; whom the ring tells of that is busy.
  [
    [
      { do: 'publish', session: 'c', count: 1, keep: 100, keepMs: 0 },
      { do: 'claim', session: 'c', max: 1 },
      { do: 'claim', session: 'a', max: 1 },
      { do: 'claim', session: 'b', max: 1 },
      { do: 'publish', session: 'c', count: 1, keep: 100, keepMs: 0 },
      { do: 'leave', session: 'a' },
    ],
  ],
];

test('everybody gets all in order, hears what was missed, and nobody waits while there is something', async () => {
  const run = { ...randomly(500), examples };
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60, size: 'max' }), async (commands) => {
      const clock = handClock();
      const subject = memorySubject(clock);
      const store = new Store(subject);
      const model = new Model(clock);
      for (const its of model.alive) await store.connect(its);
      const woken = new Set<Session>();
      for (const one of commands) {
        clock.nowUs += one.do === 'pass' ? one.ms * 1_000 : 1;
        model.passed();
        await step(one, store, model, woken);
        const members = store.mail.splice(0).filter((text) => !text.endsWith(` ${names[0]}`));
        for (const text of members) {
          const its = text.split(' ')[1]!.split(':')[0] as Session;
          if (!model.membersWaiting.has(its)) continue; // it is told whom to look after
          woken.add(its);
          found.woken += 1;
        }
        expect(await store.sizes()).toEqual([model.log.length, model.seq, model.behind]);
        const isThere = model.behind > 0 || model.ready.length > 0;
        if (isThere && model.membersWaiting.size > 0) expect([...woken], 'somebody hears of it').not.toEqual([]);
      }
      await subject.close();
    }),
    run,
  );
  expect(Math.min(found.missed, found.back, found.woken)).toBeGreaterThan(run.numRuns / 20);
});
