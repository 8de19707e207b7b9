import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { neighbour } from '../../../src/base/neighbour.ts';
import type { Sqlite } from '../../../src/engines/embedded/driver.ts';
import { embeddedEngine } from '../../../src/engines/embedded/embedded.ts';
import type { SqliteTx } from '../../../src/engines/embedded/tx.ts';
import { SortedSet } from '../../../src/engines/memory/sorted-set.ts';
import { randomly } from '../../contract/seed.ts';
import { call } from '../../operations/verbs/verbs.ts';
import { type Connection, connect } from '../fixtures/connections.ts';
import { cleanUp, talker, temporaryDirectory, until } from '../fixtures/processes.ts';

afterEach(cleanUp);

const sizes = { walkMax: 4, partMax: 3, groupMax: 3 };

type Doing =
  | { do: 'add'; count: number; score: number; from: number }
  | { do: 'set' | 'increase'; member: number; score: number }
  | { do: 'remove'; member: number; count: number }
  | { do: 'pop'; at: 0 | -1; count: number }
  | { do: 'delete' }
  | { do: 'count'; members: number }
  | { do: 'fail'; member: number; score: number };

const memberAt = (n: number): string => ['', 'é', 'ﬀ', '😀'][n] ?? `member-${n}`;
const score = fc.constantFrom(0, -0, 1, 1, 2, 0.5, -1e-7, 1e300, Number.MAX_VALUE, -Number.MAX_VALUE, 3, 4, 5, 6, 7);
const member = fc.nat(60);

const doing: fc.Arbitrary<Doing> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('add' as const), count: fc.nat(20), score, from: member }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('set' as const, 'increase' as const), member, score }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), member, count: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('pop' as const),
      at: fc.constantFrom(0 as const, -1 as const),
      count: fc.nat(4),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('count' as const), members: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), member, score }) },
  fc.constant({ do: 'delete' as const }),
);

function apply(tx: SqliteTx, one: Doing): void {
  switch (one.do) {
    case 'add':
      for (let i = 0; i < one.count; i++) tx.zadd('z', one.score / 2 + (i % 3), memberAt((one.from + i) % 61));
      return;
    case 'set':
      return void tx.zadd('z', one.score, memberAt(one.member));
    case 'increase':
      return void tx.zincrby('z', one.score / 4, memberAt(one.member));
    case 'remove':
      for (let i = 0; i <= one.count; i++) tx.zrem('z', memberAt((one.member + i) % 61));
      return;
    case 'pop':
      for (let i = 0; i < one.count; i++) for (const first of tx.zrange('z', one.at, one.at)) tx.zrem('z', first);
      return;
    case 'count':
      tx.zrank('z', tx.zrange('z', 0, 0)[0] ?? '');
      return tx.countMembers(one.members);
    case 'delete':
      return void tx.del('z');
    case 'fail':
      tx.zadd('z', one.score, memberAt(one.member));
      throw new Error('fail');
  }
}

/** See `Key.start`. */
function startOf(sqlite: Sqlite): number {
  return Number(sqlite.prepare("SELECT start FROM keys WHERE key = 'z'").get()?.[0] ?? 0);
}

/** 1: all are counted; -1: some; 0: none. All ranks, counts and ranges are those of the members; and nothing is counted that is not there. */
function check({ sqlite, does }: Connection): number {
  does((tx) => {
    const all = tx.zrangeWithScores('z', 0, -1);
    const model = new SortedSet();
    for (let i = 0; i < all.length; i += 2) model.set(all[i]!, Number(all[i + 1]));
    const members = model.members();
    expect(all.filter((_, i) => i % 2 === 0)).toEqual(members);
    for (const [rank, one] of members.entries()) {
      expect(tx.zrank('z', one), one).toBe(rank);
      expect(tx.zrange('z', rank, rank + 2)).toEqual(members.slice(rank, rank + 3));
    }
    for (const from of [-Infinity, -1, 0, 0.5, 1, 2, neighbour(2, 1), 4]) {
      for (const to of [-Infinity, 0, 1, 1.5, 2, 5, 1e300, Infinity]) {
        expect(tx.zcount('z', from, to), `${from} to ${to}`).toBe(model.count(from, to));
      }
    }
  });
  const size = sqlite.prepare("SELECT size FROM keys WHERE key = 'z'").get()?.[0];
  const start = startOf(sqlite);
  const sums = sqlite.prepare('SELECT node % 4, sum(count) FROM ranks WHERE node % 4 > 0 GROUP BY node').all();
  if (start === 0) expect(sums).toEqual([]);
  if (start > 0) expect(sums).toEqual([[1, size], [2, size]]); // prettier-ignore
  expect(sqlite.prepare('SELECT count(*) FROM ranks WHERE node % 4 = 0').get()![0]).toBe(start < 0 ? 1 : 0);
  return Math.sign(start);
}

test('ranks of sets that are counted, or being counted, are those of the members, whoever writes', () => {
  const run = randomly(60);
  console.log(`SEED=${run.seed}`);
  const directory = temporaryDirectory();
  const connections = [connect(directory, sizes), connect(directory, sizes)];
  const seen = new Set<number>();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1), doing), { minLength: 1, maxLength: 40 }), (program) => {
      connections[1]!.does((tx) => tx.del('z'));
      for (const [who, what] of program) {
        try {
          connections[who]!.does((tx) => apply(tx, what));
        } catch (error) {
          expect((error as Error).message).toBe('fail');
        }
        seen.add(Math.sign(startOf(connections[0]!.sqlite)));
      }
      check(connections[0]!);
    }),
    run,
  );
  expect(seen).toEqual(new Set([-1, 0, 1]));
});

test('members are counted behind who asks for a rank, and stay counted', { timeout: 60_000 }, async () => {
  const directory = temporaryDirectory();
  const engine = await embeddedEngine({ directory, ranks: sizes });
  onTestFinished(() => engine.close());
  const on = (...verb: string[]): Promise<unknown> => engine.runBatch(call, ['z'], verb);
  for (let i = 0; i < 100; i++) await on('zadd', String(i % 7), `m${i}`);
  const connection = connect(directory, sizes);
  expect(check(connection)).toBe(0);
  expect(await on('zrank', 'm99')).toBe(29);
  await until('all members are counted', () => startOf(connection.sqlite) > 0);
  expect(await on('zrank', 'm99')).toBe(29);
  await on('zincrby', '0.5', 'm99');
  expect(await on('zrank', 'm99')).toBe(29);
  expect(await on('zcount', '1', '1.5')).toBe(15);
  expect(check(connection)).toBe(1);
  for (let i = 0; i < 100; i++) await on('zrem', `m${i}`);
  expect(check(connection)).toBe(0);
});

test('counts are those of the members whenever a process that writes is killed', { timeout: 120_000 }, async () => {
  const directory = temporaryDirectory();
  const connection = connect(directory, sizes);
  for (let kill = 0; kill < 8; kill++) {
    const { child, said } = talker('scorer.ts', directory);
    await until('it scores', () => said.length > kill % 3);
    const exited = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await exited;
    check(connection);
  }
});

test('parameters of statements have no numbers, which better-sqlite3 takes for names', () => {
  const directory = 'src/engines/embedded';
  const numbered = readdirSync(directory).filter((file) => /\?\d/.test(readFileSync(join(directory, file), 'utf8')));
  expect(numbered).toEqual([]);
});
