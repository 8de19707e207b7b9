import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import type { Sqlite } from '../../../src/engines/embedded/driver.ts';
import type { SqliteTx } from '../../../src/engines/embedded/tx.ts';
import { randomly } from '../../contract/seed.ts';
import { type Connection, connect } from '../fixtures/connections.ts';
import { cleanUp, temporaryDirectory } from '../fixtures/processes.ts';

afterEach(cleanUp);

/** All kinds of homes: integers of their own, texts that end in digits, others. */
const member = fc.oneof(
  { weight: 1, arbitrary: fc.nat(12).map(String) },
  { weight: 1, arbitrary: fc.nat(12).map((n) => `text ${n % 4} ${n}`) },
  { weight: 1, arbitrary: fc.constantFrom('', '\0', '😀', '00', '-1', '1.5', '2147483647', '2147483648') },
  { weight: 5, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l') },
);
const key = fc.constantFrom('k', 'k', 'k', 'l', 'm');

const names = ['k', 'l', 'm'];

/** What is done to the collections of all three tables alike. */
type Doing =
  | { do: 'put' | 'remove'; key: string; member: string; value: number }
  | { do: 'several'; key: string; members: string[]; value: number }
  | { do: 'delete' | 'page'; key: string }
  | { do: 'pop' }
  | { do: 'fail'; key: string; members: string[] };

const doing: fc.Arbitrary<Doing> = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({ do: fc.constantFrom('put' as const, 'remove' as const), key, member, value: fc.nat(9) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('several' as const), key, members: fc.array(member), value: fc.nat(9) }),
  },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('page' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pop' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), key, members: fc.array(member) }) },
);

function put(tx: SqliteTx, name: string, one: string, value: number): (number | undefined)[] {
  return [tx.hset(`h${name}`, one, String(value)), tx.sadd(`s${name}`, one), tx.zadd(`z${name}`, value, one)];
}

function take(tx: SqliteTx, name: string, one: string): number[] {
  return [tx.hdel(`h${name}`, one), tx.srem(`s${name}`, one), tx.zrem(`z${name}`, one)];
}

/** An iteration under way: what it has given, and what was there all the time. */
interface Iteration {
  cursor: string;
  readonly given: string[];
  readonly stays: Set<string>;
}

interface Run {
  /** What must be there. */
  model(name: string): Map<string, string>;
  apply(tx: SqliteTx, what: Doing): void;
}

function begin(): Run {
  const all = new Map(names.map((name) => [name, new Map<string, string>()]));
  const iterations = new Map<string, Iteration>();
  const model = (name: string): Map<string, string> => all.get(name)!;

  function remove(name: string, one: string): number {
    for (const kind of ['s', 'h']) iterations.get(kind + name)?.stays.delete(one);
    return model(name).delete(one) ? 1 : 0;
  }

  function pop(tx: SqliteTx): void {
    const one = tx.spop('sk');
    expect(one === undefined).toBe(model('k').size === 0);
    if (one !== undefined) expect([tx.hdel('hk', one), tx.zrem('zk', one), remove('k', one)]).toEqual([1, 1, 1]);
  }

  function page(tx: SqliteTx, name: string): void {
    iterate(`s${name}`, model(name), (cursor) => tx.spage(`s${name}`, cursor, 2));
    iterate(`h${name}`, model(name), (cursor) => {
      const { entries, cursor: next } = tx.hpage(`h${name}`, cursor, 2);
      return { entries: entries.filter((_, i) => i % 2 === 0), cursor: next };
    });
  }

  /** A member that stays is given once. */
  function iterate(
    of: string,
    there: ReadonlyMap<string, string>,
    next: (cursor: string) => { entries: string[]; cursor: string },
  ): void {
    const iteration = iterations.get(of) ?? { cursor: '', given: [], stays: new Set(there.keys()) };
    iterations.set(of, iteration);
    const { entries, cursor } = next(iteration.cursor);
    iteration.given.push(...entries);
    iteration.cursor = cursor;
    if (cursor !== '') return;
    for (const one of iteration.stays) {
      expect(
        iteration.given.filter((given) => given === one),
        `how often ${one} was given`,
      ).toHaveLength(1);
    }
    iterations.delete(of);
  }

  function apply(tx: SqliteTx, what: Doing): void {
    switch (what.do) {
      case 'put': {
        const isNew = model(what.key).has(what.member) ? 0 : 1;
        expect(put(tx, what.key, what.member, what.value)).toEqual([isNew, isNew, isNew]);
        model(what.key).set(what.member, String(what.value));
        return;
      }
      case 'several':
        for (const one of what.members) {
          tx.hmset(`h${what.key}`, [one, String(what.value)]);
          tx.sadd(`s${what.key}`, one);
          tx.zadd(`z${what.key}`, what.value, one);
          model(what.key).set(one, String(what.value));
        }
        return;
      case 'remove':
        return expect(take(tx, what.key, what.member)).toEqual(Array(3).fill(remove(what.key, what.member)));
      case 'delete':
        for (const kind of ['h', 's', 'z']) tx.del(kind + what.key);
        for (const one of model(what.key).keys()) remove(what.key, one);
        return;
      case 'pop':
        return pop(tx);
      case 'page':
        return page(tx, what.key);
      case 'fail':
        for (const one of what.members) take(tx, what.key, one);
        for (const one of what.members) put(tx, what.key, `${one}!`, 1);
        throw new Error('fail');
    }
  }

  return { model, apply };
}

const sorted = (texts: readonly string[]): string[] => [...texts].sort();

/** The members of a collection go one by one. */
function removeAll({ sqlite, does }: Connection, name: string, there: ReadonlyMap<string, string>): void {
  const members = [...there.keys()];
  does((tx) => members.slice(1).forEach((one) => take(tx, name, one)));
  expectCounted(sqlite);
  does((tx) => members.slice(0, 1).forEach((one) => expect(take(tx, name, one)).toEqual([1, 1, 1])));
}

const firstAstray = 2 ** 31 + 2 ** 32;

/** The heads say how many are astray. */
function expectCounted(sqlite: Sqlite): void {
  const tables = new Map([
    [1, 'hashes'],
    [3, 'sets'],
    [4, 'sorted'],
  ]);
  const heads = 'SELECT kind, number, astray FROM keys WHERE kind > 0 AND text IS NULL';
  for (const [kind, number, astray] of sqlite.prepare(heads).all()) {
    const rows = `SELECT count(*) FROM ${tables.get(kind as number)!} WHERE id >> 33 = ? AND (id & 8589934591) >= ?`;
    expect(sqlite.prepare(rows).get(number!, firstAstray)).toEqual([astray]);
  }
}

/** All is there, and can be found. */
function check(tx: SqliteTx, name: string, there: ReadonlyMap<string, string>): void {
  const members = sorted([...there.keys()]);
  expect([tx.hlen(`h${name}`), tx.scard(`s${name}`), tx.zcard(`z${name}`)]).toEqual(Array(3).fill(there.size));
  expect(sorted(tx.sunion([`s${name}`, 'none']))).toEqual(members);
  expect(sorted(tx.zrange(`z${name}`, 0, -1))).toEqual(members);
  expect(sorted(tx.hgetall(`h${name}`).filter((_, i) => i % 2 === 0))).toEqual(members);
  for (const one of [...members, 'absent', '3!', '77']) {
    expect(tx.hget(`h${name}`, one)).toBe(there.get(one));
    expect(tx.hexists(`h${name}`, one)).toBe(there.has(one));
    expect(tx.sismember(`s${name}`, one)).toBe(there.has(one));
    expect(tx.zscore(`z${name}`, one)).toBe(there.has(one) ? Number(there.get(one)) : undefined);
  }
}

test.for([1, 2, 3, 32])(
  'members are found, and given once to who iterates, with hashes of %i bit(s), whoever adds and removes',
  (hashBits) => {
    const run = randomly(40);
    console.log(`SEED=${run.seed}`);
    const directory = temporaryDirectory();
    const connections = [connect(directory, undefined, hashBits), connect(directory, undefined, hashBits)];
    connections[0]!.sqlite.exec(`UPDATE salt SET salt = ${run.seed}`);
    let astray = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1), doing), { minLength: 1, maxLength: 150, size: 'max' }), (program) => {
        const all = begin();
        for (const [who, what] of program) {
          try {
            connections[who]!.does((tx) => all.apply(tx, what));
          } catch (error) {
            if (what.do !== 'fail' || (error as Error).message !== 'fail') throw error;
          }
        }
        for (const { sqlite, does } of connections) {
          does((tx) => names.forEach((name) => check(tx, name, all.model(name))));
          expectCounted(sqlite);
          astray += sqlite.prepare('SELECT total(astray) FROM keys').get()![0] as number;
        }
        for (const name of names) removeAll(connections[1]!, name, all.model(name));
      }),
      run,
    );
    expect(astray > 0).toBe(hashBits < 32);
    for (const table of ['hashes', 'sets', 'sorted']) {
      expect(connections[0]!.sqlite.prepare(`SELECT count(*) FROM ${table}`).get()).toEqual([0]);
    }
  },
);

test('those that are astray move up when one of them goes', () => {
  const { sqlite, does } = connect(temporaryDirectory(), undefined, 1);
  const letters = 'abcdefghijklmnop'.split('');
  const slots = sqlite.prepare('SELECT id & 8589934591, member FROM sets ORDER BY id');
  does((tx) => letters.forEach((letter) => tx.sadd('s', letter)));
  for (let there = slots.all(); there.length > 0; there = slots.all()) {
    const astray = there.filter(([slot]) => (slot as number) >= firstAstray);
    expect(astray.map(([slot]) => slot)).toEqual(astray.map((_, i) => firstAstray + i));
    expectCounted(sqlite);
    const [, gone] = astray[astray.length >> 1] ?? there[0]!;
    expect(does((tx) => tx.srem('s', gone as string))).toBe(1);
    for (const [, letter] of there) expect(does((tx) => tx.sismember('s', letter as string))).toBe(letter !== gone);
  }
});

test('what is numbered stands side by side, also in JSON', () => {
  const { sqlite, does } = connect(temporaryDirectory());
  const side = (named: (i: number) => string): number => {
    does((tx) => Array.from({ length: 100 }, (_, i) => tx.sadd(named(0), named(i))));
    const [first, last] = sqlite.prepare('SELECT min(id & 8589934591), max(id & 8589934591) FROM sets').get()!;
    does((tx) => tx.del(named(0)));
    return (last as number) - (first as number);
  };
  expect(side((i) => String(1_000 + i))).toBe(99);
  expect(side((i) => `order ${1_000 + i}`)).toBe(99);
  expect(side((i) => `"order ${1_000 + i}"`)).toBe(99);
  expect(side((i) => `${i} orders`)).toBeGreaterThan(1_000);
});

test('a text does not take the home of one that has two digits more', () => {
  const { sqlite, does } = connect(temporaryDirectory());
  sqlite.exec('UPDATE salt SET salt = 1');
  does((tx) => Array.from({ length: 1_000 }, (_, i) => tx.hset('h', `field-${i}`, 'x')));
  expect(sqlite.prepare("SELECT size, astray FROM keys WHERE key = 'h'").get()).toEqual([1_000, 0]);
});

test('collections whose keys have the same hash have different numbers, and only members of their own', () => {
  const { sqlite, does } = connect(temporaryDirectory(), undefined, 1);
  const long = (name: string): string => name.repeat(250); // it has no room in the row of its key
  const add = (name: string, text = long(name)): void =>
    void does((tx) => [tx.hset(`h${name}`, name, text), tx.rpush(`l${name}`, text)]);
  const expectThere = (name: string, text = long(name)): void => {
    expect(does((tx) => tx.hgetall(`h${name}`))).toEqual([name, text]);
    expect(does((tx) => tx.lrange(`l${name}`, 0, -1))).toEqual([text]);
  };
  for (const name of ['a', 'b', 'c']) add(name);
  const numbers = sqlite.prepare('SELECT kind, number FROM keys ORDER BY kind, number').all();
  expect(numbers).toEqual([[1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]]); // prettier-ignore
  for (const name of ['a', 'b', 'c']) expectThere(name);
  does((tx) => [tx.del('ha'), tx.del('la')]);
  add('d');
  add('a', long('z')); // back again, where another one is now
  for (const name of ['b', 'c', 'd']) expectThere(name);
  expectThere('a', long('z'));
});

test('what a table refuses is an error, not a member that is counted and not there', () => {
  const { does } = connect(temporaryDirectory());
  expect(() => does((tx) => tx.zadd('z', Number.NaN, 'member'))).toThrow(/NOT NULL/);
  expect(() => does((tx) => tx.hset('h', 'field', undefined as unknown as string))).toThrow(/NOT NULL/);
  expect(does((tx) => [tx.zcard('z'), tx.hlen('h')])).toEqual([0, 0]);
});
