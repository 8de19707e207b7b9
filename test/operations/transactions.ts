/** Steps of transactions for random programs: a step has several requests, and what they expect is often not so. */
import fc from 'fast-check';
import type { SpaceKeys } from '../../src/base/names.ts';
import { queuePlace } from '../../src/primitives/transaction/queue.ts';

interface Read {
  verb: string;
  parameters: string[];
  expected: string[];
}

interface Write {
  verb: string;
  parameters: string[];
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
const lives = fc.constantFrom('1', '50', '1000');
const bounds = fc.constantFrom<string[]>(
  ['-9007199254740991', '9007199254740991'],
  ['-9223372036854775807', '9223372036854775805'], // so that what is added is an integer of 64 bits
  ['0', '3'],
  ['2', '1'],
);
const one = fc.oneof(
  fc.constant<string[]>([]),
  texts.map((text) => [text]),
);
const none = fc.constant<string[]>([]);
const scores = fc.constantFrom('0', '1', '-1', '0.1', '1e300', '-1e300');
const sides = fc.constantFrom('front', 'back');
const range = fc.oneof(
  fc.constantFrom<string[]>(['ok'], ['over', '2']),
  texts.map((text) => ['ok', text]),
);

function reading(
  verb: string,
  parameters: fc.Arbitrary<string>[],
  expected: fc.Arbitrary<string[]>,
): fc.Arbitrary<Read> {
  return fc.record({ verb: fc.constant(verb), parameters: fc.tuple(...parameters), expected });
}

function writing(verb: string, ...parameters: fc.Arbitrary<string>[]): fc.Arbitrary<Write> {
  return fc.record({ verb: fc.constant(verb), parameters: fc.tuple(...parameters) });
}

/** Counted back from the last one that the model made. */
const delivery = fc.constantFrom('delivery 0', 'delivery 0', 'delivery 1');

const read: fc.Arbitrary<Read> = fc.oneof(
  reading('map.get', [fields], one),
  reading('map.get', [fields], fc.array(texts, { minLength: 2, maxLength: 3 })),
  reading('map.size', [], fc.tuple(small)),
  reading('counter.get', [], one),
  fc.record({ verb: fc.constant('counter.fits'), parameters: bounds, expected: none }),
  reading('value.get', [], one),
  reading('set.has', [texts], fc.constantFrom<string[]>([], ['1'])),
  reading('set.size', [], fc.tuple(small)),
  reading('sorted.score', [texts], fc.constantFrom<string[]>([], ['0'], ['1'])),
  reading('sorted.fits', [texts, scores], none),
  reading('sorted.size', [], fc.tuple(small)),
  reading('sorted.range', [small, small, fc.constantFrom('0', '1'), fc.constantFrom('1', '9')], range),
  reading('sorted.rangeByScore', [scores, scores, fc.constantFrom('0', '1'), small, fc.constantFrom('1', '9')], range),
  reading('list.length', [], fc.tuple(small)),
  reading('list.slice', [small, small, fc.constantFrom('1', '9')], range),
  reading('queue.holds', [delivery], fc.constantFrom<string[]>([], ['over'])),
  reading('guard', [fc.constantFrom('nobody:1:50:1:1', 'x')], fc.constantFrom<string[]>([], ['over'])),
);

const write: fc.Arbitrary<Write> = fc.oneof(
  writing('map.set', fields, texts),
  writing('map.set', fields, texts),
  writing('map.setFor', fields, texts, lives),
  writing('map.delete', fields),
  writing('value.set', texts),
  writing('value.setFor', texts, fc.constantFrom('-1', '1', '50')),
  writing('value.delete'),
  writing('set.add', texts),
  writing('set.delete', texts),
  writing('sorted.set', texts, scores),
  writing('sorted.add', texts, small),
  writing('sorted.delete', texts),
  writing('list.push', sides, texts),
  writing('list.push', sides, texts),
  writing('list.pop', sides),
  writing('list.set', small, texts),
  writing('queue.push', fc.constantFrom('0', '50'), fc.constantFrom('', '0:0:a:', '1:0::', '0:50::', '0:0::g'), texts),
  writing('topic.publish', fc.constantFrom('1', '9'), fc.constantFrom('0', '50'), fc.constantFrom('', 'g'), texts),
  writing('queue.ack', delivery, fc.constantFrom('', 'g')),
  writing('counter.set', small),
  fc.tuple(small, bounds).map(([by, [from, to]]) => ({ verb: 'counter.add', parameters: [by, from!, to!] })),
);

export const requests: fc.Arbitrary<TransactionRequest[]> = fc.array(
  fc.record({
    ticket: fc.constantFrom(undefined, undefined, 0, 1, 2),
    reads: fc.array(read, { maxLength: 3 }),
    writes: fc.array(write, { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 3 },
);

const entry = fc.constantFrom('0', '1', '2');
const cell = fc.constantFrom('0', '0', '1', '2', '3');
const counted = fc.constantFrom('0', '1', '2', '3');

/** Requests over five cells, of which the last may be a counter: it is added to only where it is known. */
export const cellRequests: fc.Arbitrary<string[][]> = fc.array(
  fc
    .array(
      fc.oneof(
        fc.tuple(fc.constant('='), cell, texts),
        fc.tuple(fc.constant('0'), cell),
        fc.tuple(fc.constant('~'), cell, texts, texts),
        fc.tuple(fc.constant('+'), cell, texts),
        fc.tuple(fc.constant('!'), cell, texts),
        fc.tuple(fc.constant('!'), entry, texts),
        fc.tuple(fc.constant('-'), fc.constantFrom('0', '1', '2', '3', '4')),
        fc.tuple(fc.constant('!'), fc.constant('4'), counted),
        fc.tuple(counted, small).map(([now, by]) => ['=', '4', now, '#', '4', by]),
      ),
      { maxLength: 4 },
    )
    .map((tokens) => [...tokens.flat(), ';']),
  { minLength: 1, maxLength: 4 },
);

/** What five cells are: entries of one map, of two, or of one and other things; the last one is a counter but in one map. */
export type CellPlaces = 'mixed' | 'one map' | 'two maps';

/** Keys and arguments of `cells.commit`. `from`: the first cell that is looked at; none if it is undefined. */
export function cellStepOf(
  space: SpaceKeys,
  session: string,
  id: string,
  places: CellPlaces,
  asked: readonly string[][],
  from: number | undefined,
): {
  keys: string[];
  args: string[];
} {
  const { commits, lock } = space.commit;
  const { keys, args } = cellPlaces(space, places);
  const look = from === undefined ? [] : ['?', String(from)];
  const tokens = unnamed(asked);
  // An entry can't be added to.
  const fitting = places === 'one map' ? tokens.map((token) => (token === '#' ? '!' : token)) : tokens;
  return { keys: [commits, lock, ...keys], args: [session, id, ...args, ...fitting, ...look] };
}

/** Keys and arguments of the things of a step. */
function cellPlaces(space: SpaceKeys, places: CellPlaces): { keys: string[]; args: string[] } {
  const { map, expiry, watchers } = space.map('m');
  const entries = [map, expiry, watchers];
  const { counter, watchers: counterWatchers } = space.counter('n');
  if (places === 'one map') return { keys: entries, args: ['1', 'hash', '5', 'x', 'é', '😀', 'y', 'z'] };
  if (places === 'two maps') {
    const other = space.map('other');
    const keys = [other.map, other.expiry, other.watchers, ...entries, counter];
    return { keys, args: ['3', 'hash', '2', 'x', 'é', 'hash', '2', 'é', 'y', 'string'] };
  }
  const { value, watchers: valueWatchers } = space.value('v');
  const keys = [...entries, value, valueWatchers, counter, counterWatchers];
  return { keys, args: ['3', 'hash', '3', 'x', 'é', '😀', 'value', 'value'] };
}

/** Tokens about the cell that is next in order do not name it. */
function unnamed(asked: readonly string[][]): string[] {
  const named = asked.flat();
  const tokens: string[] = [];
  let next = 0;
  let length = 0;
  for (let at = 0; at < named.length; at += length) {
    const [verb, which, ...rest] = named.slice(at) as [string, string, ...string[]];
    length = verb === ';' ? 1 : verb === '~' ? 4 : verb === '0' || verb === '-' ? 2 : 3;
    if (verb !== ';' && which !== String(next)) tokens.push('@', which);
    if (verb !== ';' && which === String(next)) next += 1;
    tokens.push(verb, ...rest.slice(0, Math.max(0, length - 2)));
  }
  return tokens;
}

/** Keys and arguments of `transaction.commit` and `transaction.look`. */
export function stepOf(
  space: SpaceKeys,
  session: (place: number) => string,
  id: string,
  tokens: readonly string[],
  asked: readonly TransactionRequest[],
): { keys: string[]; args: string[]; lookArgs: string[] } {
  const { commits, lock, queue } = space.commit;
  const { map, expiry, watchers } = space.map('m');
  const keys = [commits, lock, queue];
  const kinds: string[] = [];
  const places = new Map<string, string>();
  const enter = (thing: string, ...entries: [key: string, kind: string][]): void => {
    places.set(thing, String(keys.length));
    for (const [key, kind] of entries) {
      keys.push(key);
      kinds.push(kind);
    }
  };
  enter('map', [map, 'hash'], [expiry, '+zset'], [watchers, '+zset']);
  const { value, watchers: valueWatchers } = space.value('v');
  enter('value', [value, 'string'], [valueWatchers, '+zset']);
  const { set, watchers: setWatchers } = space.set('a');
  enter('set', [set, 'set'], [setWatchers, '+zset']);
  const { sorted, watchers: sortedWatchers } = space.sorted('z');
  enter('sorted', [sorted, 'zset'], [sortedWatchers, '+zset']);
  const { list, watchers: listWatchers, waiting, taken, grants, returned } = space.list('l');
  enter(
    'list',
    [list, 'list'],
    [listWatchers, '+zset'],
    [waiting, '+zset'],
    [taken, '+hash'],
    [grants, '+zset'],
    [returned, '+zset'],
  );
  const { counter, watchers: counterWatchers } = space.counter('n');
  enter('counter', [counter, 'string'], [counterWatchers, '+zset']);
  enter('guard', [space.lock('a').owner, 'string']);
  const { keys: queueKeys, kinds: queueKinds } = queuePlace('queue "q"', space.queue('q'));
  enter('queue', ...queueKeys.map((key, i): [string, string] => [key, queueKinds[i]!]));
  const [topic, log, topicWaiting] = space.topic('t');
  enter('topic', [topic!, 'hash'], [log!, '+list'], [topicWaiting!, '+zset']);
  const known = (parameter: string): string => {
    const [, back] = /^delivery (\d)$/.exec(parameter) ?? [];
    return back === undefined ? parameter : (tokens.at(-1 - Number(back)) ?? '1:1:nobody:1');
  };
  const placeOf = (verb: string): string => places.get(verb.split('.')[0]!)!;
  const args = [session(0), id, String(kinds.length), ...kinds];
  const lookArgs = ['', '', String(kinds.length), ...kinds];
  for (const { ticket, reads, writes } of asked) {
    args.push(ticket === undefined ? '' : `${session(ticket)}:1`);
    for (const { verb, parameters, expected } of reads) {
      args.push(verb, placeOf(verb), ...parameters.map(known), ...formOf(expected));
      lookArgs.push(verb, placeOf(verb), ...parameters.map(known));
    }
    args.push('!');
    for (const { verb, parameters } of writes) args.push(verb, placeOf(verb), ...parameters.map(known));
    args.push(';');
  }
  return { keys, args, lookArgs };
}

function formOf(expected: readonly string[]): string[] {
  if (expected.length === 0) return ['0'];
  return expected.length === 1 ? ['=', expected[0]!] : ['*', String(expected.length), ...expected];
}
