/** Steps of transactions for random programs: a step has several requests, and what they expect is often not so. */
import fc from 'fast-check';
import type { SpaceKeys } from '../../src/base/names.ts';

interface Read {
  verb: 'map.get' | 'map.size' | 'counter.get' | 'counter.fits' | 'guard';
  parameter: string;
  expected: string[];
}

interface Write {
  verb: 'map.set' | 'map.delete' | 'counter.set' | 'counter.add';
  parameter: string;
  value: string;
}

export interface TransactionRequest {
  /** Of the session in this place, or nobody's. */
  ticket: number | undefined;
  reads: Read[];
  writes: Write[];
}

const fields = fc.constantFrom('x', 'x', 'é', '😀');
const texts = fc.constantFrom('', 'a', '1', '!', ';', '=');
const small = fc.constantFrom('0', '1', '2', '-1');
const one = fc.oneof(
  fc.constant<string[]>([]),
  texts.map((text) => [text]),
);

const read: fc.Arbitrary<Read> = fc.oneof(
  fc.record({ verb: fc.constant('map.get' as const), parameter: fields, expected: one }),
  fc.record({ verb: fc.constant('map.size' as const), parameter: fc.constant(''), expected: fc.tuple(small) }),
  fc.record({ verb: fc.constant('counter.get' as const), parameter: fc.constant(''), expected: one }),
  fc.record({
    verb: fc.constant('counter.fits' as const),
    parameter: fc.constantFrom('1', '-1', '9007199254740991'),
    expected: fc.constant<string[]>([]),
  }),
  fc.record({
    verb: fc.constant('guard' as const),
    parameter: fc.constantFrom('nobody:1:50:1:1', 'x'),
    expected: fc.constantFrom<string[]>([], ['over']),
  }),
  fc.record({
    verb: fc.constant('map.get' as const),
    parameter: fields,
    expected: fc.array(texts, { minLength: 2, maxLength: 3 }),
  }),
);

const write: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ verb: fc.constant('map.set' as const), parameter: fields, value: texts }),
  fc.record({ verb: fc.constant('map.set' as const), parameter: fields, value: texts }),
  fc.record({ verb: fc.constant('map.delete' as const), parameter: fields, value: fc.constant('') }),
  fc.record({
    verb: fc.constantFrom('counter.set' as const, 'counter.add' as const),
    parameter: small,
    value: fc.constant(''),
  }),
);

export const requests: fc.Arbitrary<TransactionRequest[]> = fc.array(
  fc.record({
    ticket: fc.constantFrom(undefined, undefined, 0, 1, 2),
    reads: fc.array(read, { maxLength: 3 }),
    writes: fc.array(write, { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 3 },
);

/** Keys and arguments of `transaction.commit` and `transaction.look`. */
export function stepOf(
  space: SpaceKeys,
  session: (place: number) => string,
  id: string,
  asked: readonly TransactionRequest[],
): { keys: string[]; args: string[]; lookArgs: string[] } {
  const { commits, lock, queue } = space.commit;
  const { map, watchers } = space.map('m');
  const keys = [commits, lock, queue, map, watchers, space.counter('n'), space.lock('a').owner];
  const head = ['4', 'hash', '+zset', 'string', 'string'];
  const args = [session(0), id, ...head];
  const lookArgs = ['', '', ...head];
  for (const { ticket, reads, writes } of asked) {
    args.push(ticket === undefined ? '' : `${session(ticket)}:1`);
    for (const { verb, parameter, expected } of reads) {
      const step = [verb, placeOf(verb), ...(verb === 'map.size' || verb === 'counter.get' ? [] : [parameter])];
      args.push(...step, ...formOf(expected));
      lookArgs.push(...step);
    }
    args.push('!');
    for (const { verb, parameter, value } of writes) {
      args.push(verb, placeOf(verb), parameter, ...(verb === 'map.set' ? [value] : []));
    }
    args.push(';');
  }
  return { keys, args, lookArgs };
}

function placeOf(verb: string): string {
  if (verb === 'guard') return '6';
  return verb.startsWith('map') ? '3' : '5';
}

function formOf(expected: readonly string[]): string[] {
  if (expected.length === 0) return ['0'];
  return expected.length === 1 ? ['=', expected[0]!] : ['*', String(expected.length), ...expected];
}
