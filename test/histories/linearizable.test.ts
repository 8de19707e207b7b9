import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomly } from '../contract/seed.ts';
import type { Call, Model } from './call.ts';
import { checkLinearizable } from './linearizable.ts';
import { counter, map, mutex, queue, register, type RegisterInput, type RegisterOutput } from './models.ts';

/** `[client, start, end, input, output]`; no output: not known. */
type Row<Input, Output> = readonly [
  client: string,
  start: number,
  end: number,
  input: Input,
  output?: Output | undefined,
];

function verdict<State, Input, Output>(
  model: Model<State, Input, Output>,
  rows: readonly Row<Input, Output>[],
): string {
  const calls = rows.map(([client, start, end, input, output]) => ({ client, start, end, input, output }));
  return checkLinearizable(model, calls).verdict;
}

const yes = 'linearizable';
const no = 'not linearizable';
const never = Infinity;
const read = { do: 'read' } as const;
const write = (value: number): RegisterInput => ({ do: 'write', value });
const cas = (from: number, to: number): RegisterInput => ({ do: 'cas', from, to });

/** `a 0-1 write 1`, `b 2-3 read nil`, `c 2-5 cas 1 2 false`; `a 0- write 1`: no reply. */
function registerCall(text: string): Row<RegisterInput, RegisterOutput> {
  const [client = '', times = '', verb = '', ...values] = text.split(' ');
  const [start = '', end = ''] = times.split('-');
  const [first, second] = values.map((value) => (value === 'nil' ? null : Number(value)));
  const span = [client, Number(start), end === '' ? never : Number(end)] as const;
  if (verb === 'write') return [...span, write(first!), end === '' ? undefined : 'ok'];
  if (verb === 'cas') return [...span, cas(first!, second!), end === '' ? undefined : values[2] === 'true'];
  return [...span, read, first];
}

describe('a register', () => {
  test.each<[string, string, string[]]>([
    ['an empty history is fine', yes, []],
    ['a read sees what was written before', yes, ['a 0-1 write 1', 'b 2-3 read 1']],
    ['a read may see a write under way', yes, ['a 0-9 write 1', 'b 1-2 read 1']],
    ['a read may not see it yet', yes, ['a 0-9 write 1', 'b 1-2 read nil']],
    ['what two readers saw does not go back', no, ['a 0-9 write 1', 'b 1-2 read 1', 'c 3-4 read nil']],
    ['a stale read is none', no, ['a 0-1 write 1', 'a 2-3 write 2', 'b 4-5 read 1']],
    ['a write without a reply may show up late', yes, ['a 0- write 1', 'b 5-6 read nil', 'b 7-8 read 1']],
    ['it does not happen twice', no, ['a 0- write 1', 'b 1-2 read 1', 'b 3-4 write 2', 'b 5-6 read 1']],
    ['one of two exchanges finds the value', no, ['a 0-1 write 1', 'b 2-5 cas 1 2 true', 'c 2-5 cas 1 3 true']],
    ['the other finds it gone', yes, ['a 0-1 write 1', 'b 2-5 cas 1 2 true', 'c 2-5 cas 1 3 false']],
  ])('%s', (_, wanted, calls) => {
    expect(verdict(register, calls.map(registerCall))).toBe(wanted);
  });
});

test('a mutex has one holder at a time, and fences that grow', () => {
  const acquire = { do: 'acquire' } as const;
  const release = (fence: number) => ({ do: 'release', fence }) as const;
  const expire = (fence: number) => ({ do: 'expire', fence }) as const;
  expect(
    verdict(mutex, [
      ['a', 0, 1, acquire, 5],
      ['a', 2, 5, release(5), true],
      ['b', 1, 4, acquire, 7],
    ]),
  ).toBe(yes);
  expect(
    verdict(mutex, [
      ['a', 0, 1, acquire, 5],
      ['b', 2, 3, acquire, 7],
      ['a', 4, 5, release(5), true],
    ]),
  ).toBe(no);
  expect(
    verdict(mutex, [
      ['a', 0, 1, acquire, 5],
      ['a', 2, 3, release(5), true],
      ['b', 4, 5, acquire, 5],
    ]),
  ).toBe(no);
  expect(
    verdict(mutex, [
      ['a', 0, 1, acquire, 5],
      ['a', 2, never, expire(5)],
      ['b', 3, 4, acquire, 7],
      ['a', 5, 6, release(5), false],
    ]),
  ).toBe(yes);
  expect(
    verdict(mutex, [
      ['a', 0, 1, acquire, 5],
      ['a', 3, never, expire(5)],
      ['b', 1, 2, acquire, 7],
    ]),
  ).toBe(no);
  expect(
    verdict(mutex, [
      ['a', 0, 1, acquire, 5],
      ['b', 2, 3, acquire, 0],
      ['a', 4, 5, release(5), true],
    ]),
  ).toBe(yes);
  expect(verdict(mutex, [['b', 2, 3, acquire, 0]])).toBe(no);
});

test('a counter gives no two adds the same value', () => {
  const add = { do: 'add', by: 1 } as const;
  const get = { do: 'get' } as const;
  const set = { do: 'set', value: 9 } as const;
  expect(
    verdict(counter, [
      ['a', 0, 5, add, 2],
      ['b', 0, 5, add, 1],
      ['c', 6, 7, get, 2],
    ]),
  ).toBe(yes);
  expect(
    verdict(counter, [
      ['a', 0, 5, add, 1],
      ['b', 0, 5, add, 1],
    ]),
  ).toBe(no);
  expect(
    verdict(counter, [
      ['a', 0, never, add],
      ['b', 6, 7, get, 0],
      ['b', 8, 9, add, 2],
      ['c', 8, 9, set, 2],
    ]),
  ).toBe(yes);
  expect(
    verdict(counter, [
      ['a', 0, 1, add, 1],
      ['b', 2, 3, set, 0],
    ]),
  ).toBe(no);
});

test('the keys of a map do not touch each other', () => {
  const set = (key: string, value: string) => ({ do: 'set', key, value }) as const;
  const get = (key: string) => ({ do: 'get', key }) as const;
  const remove = (key: string) => ({ do: 'delete', key }) as const;
  const good = [
    ['a', 0, 1, set('x', '1'), 'ok'],
    ['a', 2, 3, set('y', '1'), 'ok'],
    ['b', 4, 5, get('x'), '1'],
  ] as const;
  expect(verdict(map, good)).toBe(yes);
  expect(verdict(map, [...good, ['b', 6, 7, remove('y'), true], ['c', 8, 9, get('y'), null]])).toBe(yes);
  expect(verdict(map, [...good, ['b', 6, 7, remove('y'), false]])).toBe(no);
  expect(verdict(map, [...good, ['b', 6, 7, remove('y'), true], ['c', 8, 9, { do: 'has', key: 'y' }, true]])).toBe(no);
});

test('a queue gives first what came first', () => {
  const push = (value: string) => ({ do: 'push', value }) as const;
  const pop = { do: 'pop' } as const;
  const two = [
    ['a', 0, 1, push('1'), 'ok'],
    ['a', 2, 3, push('2'), 'ok'],
  ] as const;
  expect(verdict(queue, [...two, ['b', 4, 9, pop, '2'], ['c', 4, 9, pop, '1'], ['c', 10, 11, pop, null]])).toBe(yes);
  expect(verdict(queue, [...two, ['b', 4, 5, pop, '2']])).toBe(no);
  expect(verdict(queue, [...two, ['b', 4, 9, pop, '1'], ['c', 4, 9, pop, '1']])).toBe(no);
  expect(verdict(queue, [...two, ['b', 4, never, pop], ['c', 5, 6, pop, '2']])).toBe(yes);
  expect(verdict(queue, [...two, ['b', 4, 5, pop, null]])).toBe(no);
});

test('a search ends when its time is over', () => {
  const writes = Array.from({ length: 40 }, (_, i) => ['a', 0, 1_000, write(i), 'ok'] as const);
  const calls = [...writes, ['b', 2_000, 2_001, read, 99] as const];
  const history = calls.map(([client, start, end, input, output]) => ({ client, start, end, input, output }));
  expect(checkLinearizable(register, history, 50).verdict).toBe('undecided');
});

test('a search is right about random histories: it finds what trying every order finds', () => {
  const input = fc.oneof(
    fc.constant(read),
    fc.integer({ min: 0, max: 1 }).map(write),
    fc.tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 1 })).map(([from, to]) => cas(from, to)),
  );
  const call = fc
    .record({
      input,
      start: fc.integer({ min: 0, max: 12 }),
      lasts: fc.integer({ min: 1, max: 6 }),
      luck: fc.integer({ min: 0, max: 5 }),
    })
    .map(({ input: asked, start, lasts, luck }): Call<RegisterInput, RegisterOutput> => {
      const output = asked.do === 'write' ? 'ok' : asked.do === 'cas' ? luck % 2 === 0 : luck < 2 ? luck : null;
      const isOpen = luck === 5;
      return {
        client: 'x',
        input: asked,
        output: isOpen ? undefined : output,
        start,
        end: isOpen ? Infinity : start + lasts,
      };
    });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 6 }), (calls) => {
      expect(checkLinearizable(register, calls).verdict).toBe(hasOrder(calls, register.initial) ? yes : no);
    }),
    randomly(2_000),
  );
});

/** Every order that time allows, without any cleverness. */
function hasOrder(calls: readonly Call<RegisterInput, RegisterOutput>[], value: number | null): boolean {
  if (calls.every((call) => call.end === Infinity)) return true;
  return calls.some((call) => {
    const others = calls.filter((other) => other !== call);
    if (others.some((other) => other.end < call.start)) return false;
    const after = register.step(value, call.input, call.output);
    return after !== undefined && hasOrder(others, after);
  });
}
