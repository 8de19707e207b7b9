import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import type { Sqlite } from '../../../src/engines/embedded/driver.ts';
import type { SqliteTx } from '../../../src/engines/embedded/tx.ts';
import { randomly } from '../../contract/seed.ts';
import { connect } from '../fixtures/connections.ts';
import { cleanUp, temporaryDirectory } from '../fixtures/processes.ts';

afterEach(cleanUp);

const element = fc.oneof(
  { weight: 6, arbitrary: fc.nat(99_999).map(String) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom('', '\0', 'x'.repeat(180), 'y'.repeat(1_000)) },
);

type Doing =
  | { do: 'rpush' | 'lpush'; elements: string[] }
  | { do: 'lpop' | 'rpop'; times: number }
  | { do: 'lpopMany'; count: number }
  | { do: 'lset'; index: number; element: string }
  | { do: 'ltrim'; from: number; to: number };

const index = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.integer({ min: -200, max: 200 }));
const doing: fc.Arbitrary<Doing> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('rpush' as const, 'rpush' as const, 'lpush' as const),
      elements: fc.array(element, { minLength: 1, maxLength: 60, size: 'max' }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('lpop' as const, 'rpop' as const), times: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lpopMany' as const), count: fc.integer({ min: 1, max: 90 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('lset' as const), index, element }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ltrim' as const), from: index, to: index }) },
);

/** As Redis counts: from the end where it is negative, both ends inclusive. */
function part(all: readonly string[], from: number, to: number): string[] {
  const first = from < 0 ? Math.max(0, all.length + from) : from;
  const last = to < 0 ? all.length + to : to;
  return all.slice(first, Math.max(0, last + 1));
}

function apply(tx: SqliteTx, all: string[], what: Doing): void {
  switch (what.do) {
    case 'rpush':
      for (const one of what.elements) expect(tx.rpush('l', one)).toBe(all.push(one));
      return;
    case 'lpush':
      for (const one of what.elements) expect(tx.lpush('l', one)).toBe(all.unshift(one));
      return;
    case 'lpop':
      for (let i = 0; i < what.times; i++) expect(tx.lpop('l')).toBe(all.shift());
      return;
    case 'rpop':
      for (let i = 0; i < what.times; i++) expect(tx.rpop('l')).toBe(all.pop());
      return;
    case 'lpopMany':
      return expect(tx.lpopMany('l', what.count)).toEqual(all.splice(0, what.count));
    case 'lset': {
      const place = what.index < 0 ? all.length + what.index : what.index;
      if (place < 0 || place >= all.length) return;
      tx.lset('l', what.index, what.element);
      all[place] = what.element;
      return;
    }
    case 'ltrim':
      tx.ltrim('l', what.from, what.to);
      all.splice(0, all.length, ...part(all, what.from, what.to));
      return;
  }
}

/** Chunks follow each other, and are few: what is in the row of the key, and what a page of it has room for. */
function expectWhole(sqlite: Sqlite, all: readonly string[]): number {
  const head = sqlite.prepare('SELECT text, size, start, number, astray FROM keys').get();
  if (all.length === 0) {
    expect(sqlite.prepare('SELECT count(*) FROM lists').get()).toEqual([0]);
    return 0;
  }
  const [text, size, start, number, astray] = head as [string, number, number, number, number];
  const row = JSON.parse(text) as string[];
  expect(size).toBe(all.length);
  expect(row.length === 0 || row.join('___').length <= 208).toBe(true);
  const chunks = sqlite.prepare('SELECT number, position, value FROM lists ORDER BY position').all();
  const stored = row.slice(0, chunks.length === 0 ? row.length : astray);
  for (const [its, position, value] of chunks) {
    const elements = JSON.parse(value as string) as string[];
    expect([its, position, elements.length > 0]).toEqual([number, start + stored.length, true]);
    stored.push(...elements);
  }
  if (chunks.length > 0) stored.push(...row.slice(astray));
  expect(stored).toEqual(all);
  return chunks.length;
}

test('a list is the same as an array, wherever its elements stand, whoever pushes and pops', () => {
  const run = randomly(100);
  console.log(`SEED=${run.seed}`);
  let chunks = 0;
  const directory = temporaryDirectory();
  const connections = [connect(directory), connect(directory)];
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(1), doing), { minLength: 1, maxLength: 60, size: 'max' }),
      fc.array(fc.tuple(index, index), { minLength: 5, maxLength: 5 }),
      (program, ranges) => {
        const all: string[] = [];
        for (const [who, what] of program) {
          const { does, sqlite } = connections[who]!;
          does((tx) => apply(tx, all, what));
          chunks = Math.max(chunks, expectWhole(sqlite, all));
          does((tx) => {
            expect(tx.llen('l')).toBe(all.length);
            expect(tx.lrange('l', 0, -1)).toEqual(all);
            for (const [from, to] of ranges) expect(tx.lrange('l', from, to)).toEqual(part(all, from, to));
          });
        }
        connections[0]!.does((tx) => tx.del('l'));
        expectWhole(connections[1]!.sqlite, []);
      },
    ),
    run,
  );
  expect(chunks).toBeGreaterThan(20);
});
