/**
 * Random calls of everything that holds data, through the public API, beside what JavaScript's own Map, Set and Array say:
 * each on its own, in transactions, and in batches.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect } from 'vitest';
import type {
  Batch,
  Counter,
  Lockstep,
  SharedList,
  SharedMap,
  SharedSet,
  SharedSortedSet,
  SharedValue,
  Stats,
  Transaction,
} from '../../src/index.ts';
import { collect, failure, until } from './sessions.ts';

/** What a program works on, as one session has it. */
export interface Things {
  readonly value: SharedValue<unknown>;
  readonly map: SharedMap<unknown>;
  readonly a: SharedSet<unknown>;
  readonly b: SharedSet<unknown>;
  readonly sorted: SharedSortedSet<unknown>;
  readonly list: SharedList<unknown>;
  readonly counter: Counter;
  readonly stats: Stats;
  /** Who pushes to a list there is not told how long it is then. */
  readonly inTransaction: boolean;
}

const bound = 5;
const bounds = { min: -bound, max: bound };

export function thingsOf(shared: Lockstep, name: string): Things {
  return { ...kindsOf(shared, name), stats: shared.stats(name, { every: 31_622_400_000 }), inTransaction: false };
}

/** They have a part of the verbs. */
function thingsIn(tx: Transaction | Batch, name: string): Things {
  return { ...kindsOf(tx as unknown as Lockstep, name), inTransaction: true } as Things;
}

function kindsOf(shared: Lockstep, name: string): Pick<Things, Noted> {
  return {
    value: shared.value(name),
    map: shared.map(name),
    a: shared.set(`${name} a`),
    b: shared.set(`${name} b`),
    sorted: shared.sortedSet(name),
    list: shared.list(name),
    counter: shared.counter(name, bounds),
  };
}

type Noted = (typeof noted)[number];
const noted = ['value', 'map', 'a', 'b', 'sorted', 'list', 'counter'] as const;

type Calls = ((things: Things) => void)[];

/** What a call gives that is only noted. */
const unsaid = Symbol('nobody is told');

/** Notes calls, to be made on other things. */
function noting(calls: Calls): Things {
  const notes = noted.map((kind) => [kind, noter(kind, calls)]);
  return { ...Object.fromEntries(notes), inTransaction: true } as Things;
}

function noter(kind: Noted, calls: Calls): object {
  const get =
    (_: object, verb: PropertyKey) =>
    (...args: unknown[]): Promise<unknown> => {
      calls.push((things) => void (things[kind] as unknown as Called)[verb]!(...args));
      return Promise.resolve(unsaid);
    };
  return new Proxy({}, { get });
}

type Called = Readonly<Record<PropertyKey, (...args: unknown[]) => unknown>>;

/** A value, and whether it ends some time. */
interface Kept {
  readonly value: unknown;
  readonly ends: boolean;
}

type Whole = 'a' | 'b' | 'sorted' | 'list';

/** The same in plain JavaScript. Members and elements are there by their JSON. */
export class Model {
  /** Under the key ''. */
  readonly value: Map<string, Kept> = new Map();
  readonly map: Map<string, Kept> = new Map();
  a: Set<string> = new Set();
  b: Set<string> = new Set();
  readonly sorted: Map<string, number> = new Map();
  list: string[] = [];
  counter = 0;
  readonly recorded: number[] = [];
  /** Collections that end some time. */
  readonly ends: Set<Whole> = new Set();

  /** By score, then by the bytes of the text. */
  get ordered(): [member: string, score: number][] {
    return [...this.sorted].sort(
      ([one, low], [other, high]) => low - high || Buffer.compare(Buffer.from(one), Buffer.from(other)),
    );
  }

  copy(): Model {
    return Object.assign(new Model(), structuredClone(this));
  }

  sizeOf(whole: Whole): number {
    return whole === 'list' ? this.list.length : this[whole].size;
  }

  empty(whole: Whole): void {
    if (whole === 'list') this.list = [];
    else this[whole].clear();
  }
}

/** One call. Each verb takes of it what it needs. */
export interface Command {
  readonly do: string;
  readonly session: 0 | 1;
  readonly cell: 'value' | 'map';
  readonly whole: Whole;
  readonly key: string;
  readonly keys: readonly string[];
  readonly value: unknown;
  readonly other: unknown;
  readonly member: unknown;
  readonly members: readonly unknown[];
  readonly ttl: boolean;
  readonly score: number;
  readonly limit: number;
  readonly index: number;
  readonly end: number;
  readonly by: number;
  readonly reverse: boolean;
}

/** Calls that are made each on its own, or together. */
export interface Group {
  readonly how: 'each' | 'transaction' | 'thrown away' | 'batch';
  readonly commands: readonly Command[];
}

type Verb = (things: Things, model: Model, command: Command) => Promise<void>;

/** Runs one call, and checks that it says what the model says. */
async function obey(things: Things, model: Model, command: Command): Promise<void> {
  await verbs[command.do]!(things, model, command);
  for (const whole of model.ends) if (model.sizeOf(whole) === 0) model.ends.delete(whole);
}

/** Runs a group, and checks what its calls say. What is there then. */
export async function obeyAll(
  sessions: readonly [Lockstep, Lockstep],
  name: string,
  model: Model,
  { how, commands }: Group,
): Promise<Model> {
  const shared = sessions[commands[0]!.session];
  if (how === 'each') {
    for (const command of commands) await obey(thingsOf(sessions[command.session], name), model, command);
    return model;
  }
  const before = new Set(model.ends);
  let left = model;
  if (how === 'batch') await obeyInBatch(shared, name, model, commands);
  else left = await obeyInTransaction(shared, name, model, commands, how === 'thrown away');
  if (how !== 'thrown away') await learnEnds(thingsOf(shared, name), left, before, commands);
  return left;
}

/**
 * All writes of a transaction are one, in an order of its own: whether a collection was empty in between, and with that lost
 * its end, is not told by the order of the calls. docs/transactions.md says so.
 */
async function learnEnds(
  things: Things,
  model: Model,
  before: ReadonlySet<Whole>,
  commands: readonly Command[],
): Promise<void> {
  const emptied = new Set(commands.flatMap((command) => takenFrom[command.do]?.(command) ?? []));
  for (const whole of emptied) {
    if (!before.has(whole) || model.sizeOf(whole) === 0) continue;
    if ((await things[whole].ttl()) === undefined) model.ends.delete(whole);
    else model.ends.add(whole);
  }
}

/** What verbs of transactions take members out of. */
const takenFrom: Readonly<Record<string, (command: Command) => Whole>> = {
  pop: () => 'list',
  shift: () => 'list',
  deleteMember: (command) => setsOf(command)[0],
  deleteScore: () => 'sorted',
};

async function obeyInBatch(shared: Lockstep, name: string, model: Model, commands: readonly Command[]): Promise<void> {
  const calls: Calls = [];
  for (const command of commands) await obey(noting(calls), model, command);
  await shared.batch((batch) => {
    const things = thingsIn(batch, name);
    for (const call of calls) call(things);
  });
}

async function obeyInTransaction(
  shared: Lockstep,
  name: string,
  model: Model,
  commands: readonly Command[],
  throws: boolean,
): Promise<Model> {
  let left = model;
  const done = shared.transaction(async (tx) => {
    left = model.copy(); // it may run again
    const things = thingsIn(tx, name);
    for (const command of commands) await obey(things, left, command);
    if (throws) throw new Error('enough');
  });
  if (!throws) {
    await done;
    return left;
  }
  expect((await failure(done)).message).toBe('enough');
  return model;
}

/** Checks that everything is as the model has it. */
export async function compare(things: Things, model: Model): Promise<void> {
  expect(await things.value.get()).toEqual(model.value.get('')?.value);
  const entries = [...model.map].map(([key, kept]) => [key, kept.value]);
  expect(sortedByKey(await collect(things.map.entries()))).toEqual(sortedByKey(entries));
  expect(await things.map.size()).toBe(model.map.size);
  for (const name of ['a', 'b'] as const) {
    expect(new Set(await collect(things[name].values()))).toEqual(new Set(valuesOf(model[name])));
  }
  expect(await collect(things.sorted.entries())).toEqual(scored(model.ordered));
  expect(await collect(things.list.values())).toEqual(valuesOf(model.list));
  expect(await things.counter.get()).toBe(model.counter);
  if (model.value.has('')) expect(endsIn(await things.value.remaining())).toBe(model.value.get('')!.ends);
  for (const [key, { ends }] of model.map) expect(endsIn(await things.map.remaining(key)), key).toBe(ends);
  for (const whole of ['a', 'b', 'sorted', 'list'] as const) {
    expect(endsIn((await things[whole].ttl()) ?? Infinity), whole).toBe(model.ends.has(whole));
  }
  const { count, sum, min, max, mean } = await things.stats.current();
  const all = model.recorded;
  const total = all.reduce((one, other) => one + other, 0);
  const none = all.length === 0;
  expect({ count, sum, min, max, mean }).toEqual({
    count: all.length,
    sum: total,
    min: none ? undefined : Math.min(...all),
    max: none ? undefined : Math.max(...all),
    mean: none ? undefined : total / all.length,
  });
}

/** Whether what is left is about an hour; false if it is for ever. */
function endsIn(ms: number | undefined): boolean {
  if (ms === Infinity) return false;
  expect(ms).toBeGreaterThan(3_000_000);
  expect(ms).toBeLessThanOrEqual(3_600_000);
  return true;
}

function sortedByKey<T>(all: T[]): T[] {
  return all.sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
}

async function same(reply: Promise<unknown>, expected: unknown): Promise<void> {
  const said = await reply;
  if (said !== unsaid) expect(said).toEqual(expected);
}

const textOf = (value: unknown): string => JSON.stringify(value);
const valueOf = (text: string): unknown => JSON.parse(text) as unknown;
const valuesOf = (texts: Iterable<string>): unknown[] => [...texts].map(valueOf);
const scored = (entries: readonly [string, number][]): [unknown, number][] =>
  entries.map(([text, score]) => [valueOf(text), score]);

// A value and an entry of a map have the same verbs.

type Cell = Pick<
  SharedValue<unknown>,
  'get' | 'exists' | 'set' | 'getAndSet' | 'compareAndSet' | 'update' | 'delete' | 'remaining' | 'expire' | 'persist'
>;

function cellOf({ value, map }: Things, { cell, key }: Command): Cell {
  if (cell === 'value') return value;
  return {
    get: () => map.get(key),
    exists: () => map.has(key),
    set: (to, options) => map.set(key, to, options),
    getAndSet: (to, options) => map.getAndSet(key, to, options),
    compareAndSet: (expected, next, options) => map.compareAndSet(key, expected, next, options),
    update: (change, options) => map.update(key, change, options),
    delete: (options) => map.delete(key, options),
    remaining: () => map.remaining(key),
    expire: (ttl, options) => map.expire(key, ttl, options),
    persist: (options) => map.persist(key, options),
  };
}

/** The cell in the model. */
function keptOf(model: Model, { cell, key }: Command): { now: Kept | undefined; put: (to: Kept | undefined) => void } {
  const [kept, at] = cell === 'value' ? [model.value, ''] : [model.map, key];
  return {
    now: kept.get(at),
    put: (to) => void (to === undefined ? kept.delete(at) : kept.set(at, to)),
  };
}

const life = ({ ttl }: Command): { ttl?: '1h' } => (ttl ? { ttl: '1h' } : {});
const next = (now: unknown): unknown => (typeof now === 'number' ? now + 1 : 0);

const ofCells: Record<string, Verb> = {
  get: (t, m, c) => same(cellOf(t, c).get(), keptOf(m, c).now?.value),
  exists: (t, m, c) => same(cellOf(t, c).exists(), keptOf(m, c).now !== undefined),
  async put(t, m, c) {
    await cellOf(t, c).set(c.value, life(c));
    keptOf(m, c).put({ value: c.value, ends: c.ttl });
  },
  async getAndSet(t, m, c) {
    const { now, put } = keptOf(m, c);
    await same(cellOf(t, c).getAndSet(c.value, life(c)), now?.value);
    put({ value: c.value, ends: c.ttl });
  },
  async compareAndSet(t, m, c) {
    const { now, put } = keptOf(m, c);
    const isSame = isDeepStrictEqual(now?.value, c.other);
    await same(cellOf(t, c).compareAndSet(c.other, c.value, life(c)), isSame);
    if (isSame) put({ value: c.value, ends: c.ttl || now?.ends === true });
  },
  async update(t, m, c) {
    const { now, put } = keptOf(m, c);
    const value = next(now?.value);
    await same(cellOf(t, c).update(next, life(c)), value);
    put({ value, ends: c.ttl || now?.ends === true });
  },
  async delete(t, m, c) {
    const { now, put } = keptOf(m, c);
    await same(cellOf(t, c).delete(), now !== undefined);
    put(undefined);
  },
  async remaining(t, m, c) {
    const { now } = keptOf(m, c);
    const ms = await cellOf(t, c).remaining();
    if (now === undefined) expect(ms).toBeUndefined();
    else expect(endsIn(ms)).toBe(now.ends);
  },
  async expire(t, m, c) {
    const { now, put } = keptOf(m, c);
    await same(cellOf(t, c).expire('1h'), now !== undefined);
    if (now !== undefined) put({ ...now, ends: true });
  },
  async persist(t, m, c) {
    const { now, put } = keptOf(m, c);
    await same(cellOf(t, c).persist(), now !== undefined);
    if (now !== undefined) put({ ...now, ends: false });
  },
  async end(t, m, c) {
    const cell = cellOf(t, c);
    await cell.expire(1);
    await until('its end', async () => !(await cell.exists()));
    keptOf(m, c).put(undefined);
  },
};

const ofMaps: Record<string, Verb> = {
  size: (t, m) => same(t.map.size(), m.map.size),
  getAll: (t, m, c) =>
    same(
      t.map.getAll(c.keys),
      new Map([...m.map].filter(([key]) => c.keys.includes(key)).map(([k, v]) => [k, v.value])),
    ),
  async setAll(t, m, c) {
    await t.map.setAll(
      c.keys.map((key) => [key, c.value]),
      life(c),
    );
    for (const key of c.keys) m.map.set(key, { value: c.value, ends: c.ttl });
  },
  async setIfAbsent(t, m, c) {
    await same(t.map.setIfAbsent(c.key, c.value, life(c)), !m.map.has(c.key));
    if (!m.map.has(c.key)) m.map.set(c.key, { value: c.value, ends: c.ttl });
  },
  async deleteIf(t, m, c) {
    const isSame = m.map.has(c.key) && isDeepStrictEqual(m.map.get(c.key)!.value, c.value);
    await same(t.map.deleteIf(c.key, c.value), isSame);
    if (isSame) m.map.delete(c.key);
  },
  async clearMap(t, m) {
    await t.map.clear();
    m.map.clear();
  },
};

// Collections

const setsOf = ({ whole, reverse }: Command): ['a', 'b'] | ['b', 'a'] =>
  (whole === 'a') !== reverse ? ['a', 'b'] : ['b', 'a'];

/** The result of an algebra over both sets, the first of which is the one that is asked. */
function combined(m: Model, c: Command, how: 'union' | 'intersection' | 'difference'): Set<string> {
  const [one, other] = setsOf(c);
  if (how === 'union') return new Set([...m[one], ...m[other]]);
  return new Set([...m[one]].filter((member) => m[other].has(member) === (how === 'intersection')));
}

const into =
  (how: 'union' | 'intersection' | 'difference'): Verb =>
  async (t, m, c) => {
    const [one, other] = setsOf(c);
    const target = c.ttl ? one : other;
    const members = combined(m, c, how);
    await same(t[one][`${how}Into`](t[target], [t[other]]), members.size);
    m[target] = members;
    m.ends.delete(target);
  };

const ofSets: Record<string, Verb> = {
  async add(t, m, c) {
    const [set] = setsOf(c);
    await same(t[set].add(c.member), !m[set].has(textOf(c.member)));
    m[set].add(textOf(c.member));
  },
  async addAll(t, m, c) {
    const [set] = setsOf(c);
    const before = m[set].size;
    const reply = t[set].addAll(c.members);
    for (const member of c.members) m[set].add(textOf(member));
    await same(reply, m[set].size - before);
  },
  has: (t, m, c) => same(t[setsOf(c)[0]].has(c.member), m[setsOf(c)[0]].has(textOf(c.member))),
  sizeOfSet: (t, m, c) => same(t[setsOf(c)[0]].size(), m[setsOf(c)[0]].size),
  deleteMember: (t, m, c) => same(t[setsOf(c)[0]].delete(c.member), m[setsOf(c)[0]].delete(textOf(c.member))),
  deleteAll: (t, m, c) =>
    same(
      t[setsOf(c)[0]].deleteAll(c.members),
      c.members.filter((member) => m[setsOf(c)[0]].delete(textOf(member))).length,
    ),
  async popAny(t, m, c) {
    const [set] = setsOf(c);
    const empty = m[set].size === 0;
    const found = await t[set].pop();
    expect(empty ? found === undefined : m[set].delete(textOf(found))).toBe(true);
  },
  union: (t, m, c) => same(t[setsOf(c)[0]].union(t[setsOf(c)[1]]), new Set(valuesOf(combined(m, c, 'union')))),
  intersection: (t, m, c) =>
    same(t[setsOf(c)[0]].intersection(t[setsOf(c)[1]]), new Set(valuesOf(combined(m, c, 'intersection')))),
  difference: (t, m, c) =>
    same(t[setsOf(c)[0]].difference(t[setsOf(c)[1]]), new Set(valuesOf(combined(m, c, 'difference')))),
  symmetricDifference: (t, m, c) =>
    same(
      t[setsOf(c)[0]].symmetricDifference(t[setsOf(c)[1]]),
      new Set(valuesOf([...m.a, ...m.b].filter((member) => m.a.has(member) !== m.b.has(member)))),
    ),
  isSubsetOf: (t, m, c) => same(t[setsOf(c)[0]].isSubsetOf(t[setsOf(c)[1]]), combined(m, c, 'difference').size === 0),
  isSupersetOf: (t, m, c) =>
    same(t[setsOf(c)[1]].isSupersetOf(t[setsOf(c)[0]]), combined(m, c, 'difference').size === 0),
  isDisjointFrom: (t, m, c) =>
    same(t[setsOf(c)[0]].isDisjointFrom(t[setsOf(c)[1]]), combined(m, c, 'intersection').size === 0),
  unionInto: into('union'),
  intersectionInto: into('intersection'),
  differenceInto: into('difference'),
};

const setIf =
  (
    verb: 'set' | 'setIfAbsent' | 'setIfGreater' | 'setIfLess',
    wanted: (before: number, now: number) => boolean,
  ): Verb =>
  async (t, m, c) => {
    const before = m.sorted.get(textOf(c.member));
    const does = before === undefined || wanted(before, c.score);
    await same(t.sorted[verb](c.member, c.score), verb === 'set' ? before === undefined : does);
    if (does) m.sorted.set(textOf(c.member), c.score);
  };

const popAt =
  (verb: 'popMin' | 'popMax'): Verb =>
  async (t, m, c) => {
    const { ordered } = m;
    const out = (verb === 'popMin' ? ordered : ordered.reverse()).slice(0, c.limit);
    await same(t.sorted[verb](c.limit), scored(out));
    for (const [member] of out) m.sorted.delete(member);
  };

/** The scores from one end to the other, as asked. */
function ranged(m: Model, { score, limit, reverse, ttl }: Command): [string, number][] {
  const found = m.ordered.filter(([, each]) => (ttl ? each >= score : each < score));
  return (reverse ? found.reverse() : found).slice(0, limit);
}

const ofSorted: Record<string, Verb> = {
  setScore: setIf('set', () => true),
  setIfAbsentScore: setIf('setIfAbsent', () => false),
  setIfGreater: setIf('setIfGreater', (before, now) => now > before),
  setIfLess: setIf('setIfLess', (before, now) => now < before),
  async setAllScores(t, m, c) {
    const before = m.sorted.size;
    const reply = t.sorted.setAll(c.members.map((member, i) => [member, c.score + i]));
    c.members.forEach((member, i) => m.sorted.set(textOf(member), c.score + i));
    await same(reply, m.sorted.size - before);
  },
  async addScore(t, m, c) {
    const sum = (m.sorted.get(textOf(c.member)) ?? 0) + c.score;
    const reply = t.sorted.add(c.member, c.score);
    if (Number.isFinite(sum)) m.sorted.set(textOf(c.member), sum);
    if (Number.isFinite(sum)) await same(reply, sum);
    else expect(await failure(reply)).toMatchObject({ code: 'INVALID_VALUE' });
  },
  score: (t, m, c) => same(t.sorted.score(c.member), m.sorted.get(textOf(c.member))),
  hasScore: (t, m, c) => same(t.sorted.has(c.member), m.sorted.has(textOf(c.member))),
  async rank(t, m, c) {
    const { ordered } = m;
    const rank = (c.reverse ? ordered.reverse() : ordered).findIndex(([member]) => member === textOf(c.member));
    await same(t.sorted.rank(c.member, { reverse: c.reverse }), rank === -1 ? undefined : rank);
  },
  deleteScore: (t, m, c) => same(t.sorted.delete(c.member), m.sorted.delete(textOf(c.member))),
  deleteScores: (t, m, c) =>
    same(t.sorted.deleteAll(c.members), c.members.filter((member) => m.sorted.delete(textOf(member))).length),
  sizeOfSorted: (t, m) => same(t.sorted.size(), m.sorted.size),
  count: (t, m, c) =>
    same(
      t.sorted.count(c.reverse ? { above: c.score } : { max: c.score }),
      [...m.sorted.values()].filter((score) => score > c.score === c.reverse).length,
    ),
  async range(t, m, c) {
    const { ordered } = m;
    const wanted = (c.reverse ? ordered.reverse() : ordered).slice(c.index, c.end);
    await same(t.sorted.range({ start: c.index, end: c.end, reverse: c.reverse }), scored(wanted));
  },
  rangeByScore: (t, m, c) =>
    same(
      t.sorted.rangeByScore({
        ...(c.ttl ? { min: c.score } : { below: c.score }),
        reverse: c.reverse,
        limit: c.limit,
      }),
      scored(ranged(m, c)),
    ),
  popMin: popAt('popMin'),
  popMax: popAt('popMax'),
};

const take =
  (verb: 'take' | 'takeLast' | 'pop' | 'shift'): Verb =>
  async (t, m, c) => {
    const isEmpty = m.list.length === 0;
    const text = verb === 'take' || verb === 'shift' ? m.list.shift() : m.list.pop();
    if (verb === 'pop' || verb === 'shift') await same(t.list[verb](), text === undefined ? text : valueOf(text));
    else if (!isEmpty) await same(t.list[verb]({ timeout: c.ttl ? 0 : '5s' }), valueOf(text!));
    else expect(await failure(t.list[verb]({ timeout: 0 }))).toMatchObject({ code: 'TIMEOUT' });
  };

const lengthThen = ({ inTransaction }: Things, length: number): number | undefined =>
  inTransaction ? undefined : length;

const ofLists: Record<string, Verb> = {
  push: (t, m, c) => same(t.list.push(c.member), lengthThen(t, m.list.push(textOf(c.member)))),
  pushAll: (t, m, c) => same(t.list.pushAll(c.members), m.list.push(...c.members.map(textOf))),
  unshift: (t, m, c) => same(t.list.unshift(c.member), lengthThen(t, m.list.unshift(textOf(c.member)))),
  unshiftAll: (t, m, c) => same(t.list.unshiftAll(c.members), m.list.unshift(...c.members.map(textOf))),
  pop: take('pop'),
  shift: take('shift'),
  take: take('take'),
  takeLast: take('takeLast'),
  at: (t, m, c) => same(t.list.at(c.index), valuesOf(m.list.slice(c.index)).at(c.index >= -m.list.length ? 0 : 1e9)),
  async setAt(t, m, c) {
    const index = c.index < 0 ? m.list.length + c.index : c.index;
    const is = index >= 0 && index < m.list.length;
    await same(t.list.set(c.index, c.member), is);
    if (is) m.list[index] = textOf(c.member);
  },
  slice: (t, m, c) => same(t.list.slice(c.index, c.end), valuesOf(m.list.slice(c.index, c.end))),
  async trim(t, m, c) {
    const kept = m.list.slice(c.index, c.end);
    await same(t.list.trim(c.index, c.end), m.list.length - kept.length);
    m.list = kept;
  },
  length: (t, m) => same(t.list.length(), m.list.length),
};

/** What every collection has. */
const ofWholes: Record<string, Verb> = {
  async expireAll(t, m, c) {
    const is = m.sizeOf(c.whole) > 0;
    await same(t[c.whole].expire('1h'), is);
    if (is) m.ends.add(c.whole);
  },
  async persistAll(t, m, c) {
    await same(t[c.whole].persist(), m.sizeOf(c.whole) > 0);
    m.ends.delete(c.whole);
  },
  async ttl(t, m, c) {
    expect(endsIn((await t[c.whole].ttl()) ?? Infinity)).toBe(m.ends.has(c.whole));
  },
  async clear(t, m, c) {
    await t[c.whole].clear();
    m.empty(c.whole);
  },
  async endAll(t, m, c) {
    const { list, [c.whole]: whole } = t;
    await whole.expire(1);
    await until('its end', async () => (await ('size' in whole ? whole : { size: () => list.length() }).size()) === 0);
    m.empty(c.whole);
  },
};

const ofCounters: Record<string, Verb> = {
  async addToCounter(t, m, c) {
    const sum = m.counter + c.by;
    const fits = c.by > 0 ? sum <= bound : sum >= -bound || c.by === 0;
    const reply = t.counter.add(c.by);
    if (!fits) expect(await failure(reply)).toMatchObject({ code: 'INVALID_VALUE' });
    else await same(reply, (m.counter = sum));
  },
  async tryAdd(t, m, c) {
    const fits = Math.abs(m.counter + c.by) <= bound;
    await same(t.counter.tryAdd(c.by), fits ? (m.counter += c.by) : undefined);
  },
  async addMany(t, m) {
    // They go as one step, or each on its own: those that fit.
    const parts = [1, 2, -1, 3];
    const replies = await Promise.all(parts.map((by) => t.counter.tryAdd(by)));
    expect(replies).toEqual(parts.map((by) => (Math.abs(m.counter + by) <= bound ? (m.counter += by) : undefined)));
  },
  getCounter: (t, m) => same(t.counter.get(), m.counter),
  async setCounter(t, m, c) {
    await same(t.counter.set(c.index), m.counter);
    m.counter = c.index;
  },
  async getAndReset(t, m) {
    await same(t.counter.getAndReset(), m.counter);
    m.counter = 0;
  },
  async compareAndSetCounter(t, m, c) {
    await same(t.counter.compareAndSet(c.limit, c.index), m.counter === c.limit);
    if (m.counter === c.limit) m.counter = c.index;
  },
  async record(t, m, c) {
    await t.stats.record(c.by / 8);
    m.recorded.push(c.by / 8);
  },
};

export const verbs: Readonly<Record<string, Verb>> = {
  ...ofCells,
  ...ofMaps,
  ...ofSets,
  ...ofSorted,
  ...ofLists,
  ...ofWholes,
  ...ofCounters,
};

const key = fc.constantFrom('a', 'b', 'c:d', '\u{1f600}');
const value = fc.constantFrom<unknown>(0, 'x', null, { a: 1, b: [2] }, { b: [2], a: 1 }, [0.1]);
const member = fc.constantFrom<unknown>('x', 'é', '\u{1f600}', '', 7, [1], { a: null });

const commandOf = (names: readonly string[]): fc.Arbitrary<Command> =>
  fc.record(
    {
      do: fc.constantFrom(...names),
      session: fc.constantFrom(0 as const, 1 as const),
      cell: fc.constantFrom('value' as const, 'map' as const, 'map' as const),
      whole: fc.constantFrom<Whole>('a', 'b', 'sorted', 'list'),
      key,
      keys: fc.uniqueArray(key, { maxLength: 4 }),
      value,
      other: fc.oneof(value, fc.constant(undefined)),
      member,
      members: fc.array(member, { maxLength: 5 }),
      ttl: fc.boolean(),
      score: fc.constantFrom(0, 1, 2, -1.5, 0.1, 1e300, 1.7976931348623157e308),
      limit: fc.nat(4),
      index: fc.integer({ min: -4, max: 4 }),
      end: fc.integer({ min: -4, max: 6 }),
      by: fc.integer({ min: -4, max: 4 }),
      reverse: fc.boolean(),
    },
    { noNullPrototype: true },
  );

const blind = ['put', 'delete', 'add', 'deleteMember', 'setScore', 'deleteScore', 'push', 'unshift', 'setCounter'];
const seeing = ['get', 'exists', 'update', 'size', 'has', 'sizeOfSet', 'addScore', 'score', 'hasScore', 'sizeOfSorted'];
const ordering = ['range', 'rangeByScore', 'pop', 'shift', 'at', 'setAt', 'slice', 'length'];

const group = (how: Group['how'], names: readonly string[], maxLength: number): fc.Arbitrary<Group> =>
  fc.record(
    { how: fc.constant(how), commands: fc.array(commandOf(names), { minLength: 1, maxLength, size: 'max' }) },
    { noNullPrototype: true },
  );

const inTransactions = [...blind, ...seeing, ...ordering, 'addToCounter', 'tryAdd', 'getCounter'];

/** What most transactions are about, for which the store has a way of its own. */
const cellsAlone = ['get', 'put', 'update', 'delete', 'exists', 'addToCounter', 'tryAdd', 'getCounter', 'setCounter'];

export const dataProgram: fc.Arbitrary<Group[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: group('each', Object.keys(verbs), 10) },
    { weight: 2, arbitrary: group('transaction', inTransactions, 8) },
    { weight: 1, arbitrary: group('transaction', cellsAlone, 3) },
    { weight: 1, arbitrary: group('thrown away', inTransactions, 4) },
    { weight: 1, arbitrary: group('batch', blind, 6) },
  ),
  { maxLength: 12, size: 'max' },
);
