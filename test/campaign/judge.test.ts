import { expect, test } from 'vitest';
import { type End, judge, type Promised } from './judge.ts';
import type { Loss } from './places.ts';
import type { Recorded } from './record.ts';

const end: End = { effects: new Map(), accounts: [], lists: new Map() };

function call(thing: string, input: unknown, start: number, rest: Partial<Recorded> = {}): Recorded {
  const defaults = { end: start + 1, outcome: 'ok', output: null, tried: undefined } as const;
  return { client: 'c', thing, input, start, validAt: start, releasedAt: Infinity, ...defaults, ...rest };
}

function hold(start: number, fence: number | null, until: number): Recorded {
  return call('lock:a', { do: 'acquire' }, start, { output: fence, validAt: until, releasedAt: until + 1 });
}

function broken(calls: readonly Recorded[], last: Partial<End> = {}, losses: readonly Loss[] = []): Promised[] {
  return judge({ calls, bad: [] }, { ...end, ...last }, losses).problems.map(({ promise }) => promise);
}

const lossAt20: readonly Loss[] = [{ from: 20, to: 30, reachMs: 10 }];

test('two leases that were valid at one moment are found, with and without fences; one after the other is right', () => {
  expect(broken([hold(0, 1, 10), hold(2, 2, 8)])).toEqual(['exclusion']);
  expect(broken([hold(0, null, 10), hold(2, null, 8)])).toEqual(['exclusion']);
  expect(broken([hold(0, 1, 10), hold(9, 2, 18)])).toEqual([]);
  expect(broken([hold(0, null, 10), hold(11, null, 18)])).toEqual([]);
});

test('a lease that nobody saw to be valid may have been over when the next one was granted', () => {
  const stopped = call('lock:a', { do: 'acquire' }, 0, { output: 1, end: 50 });
  expect(broken([stopped, hold(10, 2, 20)])).toEqual([]);
  expect(broken([{ ...stopped, validAt: 51 }, hold(10, 2, 20)])).toContain('exclusion');
});

test('a lease may go on over a loss, and its fence must be passed all the same', () => {
  expect(broken([hold(0, 5, 60), hold(40, 6, 50)], {}, lossAt20)).toEqual([]);
  expect(broken([hold(0, 5, 60), hold(40, 4, 50)], {}, lossAt20)).toEqual(['fences grow']);
  expect(broken([hold(0, 5, 60), hold(40, 6, 50)])).toEqual(['exclusion']);
});

test('a lost update is found, one under a guard too; what is not known may have happened or not', () => {
  const update = (from: number | null, to: number, start: number, rest: Partial<Recorded> = {}): Recorded =>
    call('register:guarded.a.1', { do: 'update' }, start, { output: true, tried: { from, to }, ...rest });
  expect(broken([update(null, 1, 0), update(null, 2, 5)])).toEqual(['linearizable']);
  expect(broken([update(null, 1, 0), update(1, 2, 5)])).toEqual([]);
  const unknown = { outcome: 'unknown', end: Infinity } as const;
  expect(broken([update(null, 1, 0, unknown), update(1, 2, 5)])).toEqual([]);
  expect(broken([update(null, 1, 0, unknown), update(null, 2, 5)])).toEqual([]);
  expect(broken([update(null, 1, 0, { outcome: 'no' }), update(1, 2, 5)])).toEqual(['linearizable']);
});

test('a count that is gone is found, unless a loss was in between', () => {
  const counts = [
    call('counter:c', { do: 'add', by: 1 }, 0, { output: 1 }),
    call('counter:c', { do: 'get' }, 40, { output: 0 }),
  ];
  expect(broken(counts)).toEqual(['linearizable']);
  expect(broken(counts, {}, lossAt20)).toEqual([]);
});

test('a transaction that is gone, or that was applied twice, is found', () => {
  const tried = [
    { read: '1.x', list: [] },
    { append: '1.x', element: 7 },
  ];
  const appended = call('transactions:1', {}, 0, { tried });
  expect(broken([appended], { lists: new Map([['1.x', [7]]]) })).toEqual([]);
  expect(broken([appended], { lists: new Map([['1.x', []]]) })).toContain('serializable');
  expect(broken([appended], { lists: new Map([['1.x', [7, 7]]]) })).toContain('serializable');
  expect(broken([], { accounts: [5, -4] })).toEqual(['sums']);
});

test('a message without its effect, with two, or that nobody pushed is found', () => {
  const pushed = call('queue', { push: 'm' }, 0);
  expect(broken([pushed], { effects: new Map([['m', 1]]) })).toEqual([]);
  expect(broken([pushed])).toEqual(['messages']);
  expect(broken([pushed], { effects: new Map([['m', 2]]) })).toEqual(['messages']);
  expect(
    broken([pushed], {
      effects: new Map([
        ['m', 1],
        ['n', 1],
      ]),
    }),
  ).toEqual(['messages']);
  expect(broken([call('queue', { push: 'm' }, 15)], {}, lossAt20)).toEqual([]);
  expect(broken([pushed], {}, lossAt20)).toEqual(['messages']);
});
