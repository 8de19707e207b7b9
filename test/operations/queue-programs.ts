/** The part of random programs that is about one queue. */
import fc from 'fast-check';
import { lineKeysOf, type QueueNames } from '../../src/base/names.ts';
import { acksOf } from '../../src/primitives/queue-record.ts';
import * as line from '../../src/operations/line.ts';
import * as queue from '../../src/operations/queue.ts';
import type { BatchOperation, Reply } from '../../src/operations/tx.ts';

/** A delivery, counted back from the last one that the model made. */
type Back = number;

interface Outgoing {
  priority: number;
  delayMs: number;
  ownId: string;
  group: string;
}

export type QueueCommand =
  | { on: 'queue'; do: 'push'; capacity: number; place: number; messages: Outgoing[] }
  | {
      on: 'queue';
      do: 'claim';
      place: number;
      number: string;
      max: number;
      ms: number;
      most: number;
      wait: number;
      ring: string;
      deliveries: Back[];
      group: string;
    }
  | { on: 'queue'; do: 'append'; count: number }
  | {
      on: 'queue';
      do: 'claimLine';
      place: number;
      number: string;
      max: number;
      ms: number;
      ring: string;
      deliveries: Back[];
    }
  | { on: 'queue'; do: 'ack'; deliveries: Back[]; group: string }
  | { on: 'queue'; do: 'nack'; delivery: Back; group: string; delayMs: number; uncounted: number; most: number }
  | { on: 'queue'; do: 'renewJobs'; deliveries: Back[]; ms: number }
  | { on: 'queue'; do: 'stop'; place: number; number: string; most: number; dead: number }
  | { on: 'queue'; do: 'pass'; what: 'ready' | 'room' }
  | { on: 'queue'; do: 'pause'; paused: number }
  | { on: 'queue'; do: 'sizes' }
  | { on: 'queue'; do: 'show'; kind: string; count: number }
  | { on: 'queue'; do: 'revive'; how: 'redrive' | 'discard'; max: number; ids: string[] }
  | { on: 'queue'; do: 'drain'; max: number }
  | { on: 'queue'; do: 'tick'; expected: string; next: string };

const place = fc.nat(2);
const group = fc.constantFrom('', '', 'g', 'g', 'ü');
const number = fc.constantFrom('1.1', '1.1', '2.10');
const back = fc.constantFrom(0, 0, 0, 1, 2, 5);
const most = fc.constantFrom(0, 1, 2);
const outgoing: fc.Arbitrary<Outgoing> = fc.oneof(
  fc.constant({ priority: 0, delayMs: 0, ownId: '', group: '' }),
  fc.record({ priority: fc.constant(0), delayMs: fc.constant(0), ownId: fc.constant(''), group }),
  fc.record({
    priority: fc.constantFrom(0, 0, 1, -1, 100),
    delayMs: fc.constantFrom(0, 0, 1, 50),
    ownId: fc.constantFrom('', '', 'a', '😀'),
    group: fc.constant(''),
  }),
);

function command<Do extends QueueCommand['do']>(
  what: Do,
  rest: { [F in Exclude<keyof Named<Do>, 'on' | 'do'>]: fc.Arbitrary<Named<Do>[F]> },
): fc.Arbitrary<QueueCommand> {
  return fc.record({ on: fc.constant('queue'), do: fc.constant(what), ...rest }, { noNullPrototype: true }) as never;
}

type Named<Do extends QueueCommand['do']> = Extract<QueueCommand, { do: Do }>;

/** Claims are the commonest: what they find depends on all that came before. */
export const queueCommand: fc.Arbitrary<QueueCommand> = fc.oneof(
  {
    weight: 6,
    arbitrary: command('push', {
      capacity: fc.constantFrom(0, 0, 0, 2),
      place,
      messages: fc.array(outgoing, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 9,
    arbitrary: command('claim', {
      place,
      number,
      max: fc.constantFrom(0, 1, 1, 2, 5),
      ms: fc.constantFrom(1, 50, 1_000),
      most,
      wait: fc.constantFrom(0, 1, 1),
      ring: fc.constantFrom('', '1', '2'),
      deliveries: fc.array(back, { maxLength: 2 }),
      group,
    }),
  },
  { weight: 4, arbitrary: command('append', { count: fc.constantFrom(1, 1, 3) }) },
  {
    weight: 6,
    arbitrary: command('claimLine', {
      place,
      number,
      max: fc.constantFrom(0, 1, 2),
      ms: fc.constantFrom(1, 50, 1_000),
      ring: fc.constantFrom('1', '1', '2'),
      deliveries: fc.array(back, { maxLength: 2 }),
    }),
  },
  { weight: 3, arbitrary: command('ack', { deliveries: fc.array(back, { minLength: 1, maxLength: 3 }), group }) },
  {
    weight: 3,
    arbitrary: command('nack', {
      delivery: back,
      group,
      delayMs: fc.constantFrom(0, 0, 1, 50),
      uncounted: fc.constantFrom(0, 0, 1),
      most,
    }),
  },
  command('renewJobs', { deliveries: fc.array(back, { minLength: 1, maxLength: 3 }), ms: fc.constantFrom(1, 50) }),
  command('stop', { place, number, most, dead: fc.constantFrom(0, 1) }),
  command('pass', { what: fc.constantFrom('ready', 'room') }),
  command('pause', { paused: fc.constantFrom(0, 0, 1) }),
  command('sizes', {}),
  command('show', { kind: fc.constantFrom('ready', 'delayed', 'leased', 'dead'), count: fc.constantFrom(1, 5) }),
  command('revive', {
    how: fc.constantFrom('redrive', 'discard'),
    max: fc.constantFrom(0, 1, 5),
    ids: fc.array(fc.constantFrom('1', '2', '3'), { maxLength: 2 }),
  }),
  command('drain', { max: fc.constantFrom(0, 1, 5) }),
  command('tick', { expected: fc.constantFrom('', '', '5', '9'), next: fc.constantFrom('5', '9') }),
);

/** What of a queue's hashes a program can have written, as far as the final state is compared. */
export const queueFields: readonly string[] = [
  'seq',
  'paused',
  'ring',
  'tick:t',
  'g',
  'ü',
  ...Array.from({ length: 12 }, (_, i) => String(i + 1)),
];

const kinds = 'hash hash list zset zset zset zset hash hash hash zset zset zset zset'.split(' ');

/** The keys of a queue with their types. */
export function queueState(keys: QueueNames): [key: string, kind: string][] {
  return keys.map((key, i) => [key, kinds[i]!]);
}

type Step = [operation: BatchOperation<Reply>, keys: readonly string[], args: readonly string[]];
type LineCommand = Named<'append'> | Named<'claimLine'>;

/** What a command is to a store: an operation and what it takes. `tokens`: of all deliveries, in order. */
export function queueStepOf(
  one: QueueCommand,
  keys: QueueNames,
  tokens: readonly string[],
  claims: number,
  sessionOf: (place: number) => string,
): Step {
  const token = (delivery: Back): string => tokens.at(-1 - delivery) ?? '1:1:nobody:1';
  return one.do === 'append' || one.do === 'claimLine'
    ? lineStepOf(one, lineKeysOf(keys), token, claims, sessionOf)
    : fullStepOf(one, keys, token, claims, sessionOf);
}

function fullStepOf(
  one: Exclude<QueueCommand, LineCommand>,
  keys: QueueNames,
  token: (delivery: Back) => string,
  claims: number,
  sessionOf: (place: number) => string,
): Step {
  const settled = (done: Back[], its: string): string[] =>
    acksOf(done.map((delivery) => ({ token: token(delivery), groupPart: its })));
  switch (one.do) {
    case 'push':
      return [queue.push, keys, pushArgs(one, sessionOf(one.place))];
    case 'claim': {
      const { max, ms, most: limit, wait } = one;
      const consumer = `${sessionOf(one.place)}:${one.number}`;
      const terms = [claims, max, ms, limit, limit, wait].map(String);
      return [queue.claim, keys, [consumer, ...terms, one.ring, ...settled(one.deliveries, one.group)]];
    }
    case 'ack':
      return [queue.ack, keys, settled(one.deliveries, one.group)];
    case 'nack': {
      const { delivery, group: its, delayMs, uncounted, most: limit } = one;
      const args = [String(limit), '1', token(delivery), its, String(delayMs), String(uncounted), 'a: reason'];
      return [queue.nack, keys, args];
    }
    case 'renewJobs': {
      const leases = one.deliveries.map(() => keys[5]!);
      return [queue.renew, leases, one.deliveries.flatMap((delivery) => [token(delivery), String(one.ms)])];
    }
    case 'stop': {
      const consumer = `${sessionOf(one.place)}:${one.number}`;
      return [queue.leave, keys, [consumer, '0', String(one.most), '0', String(one.dead)]];
    }
    case 'pass':
      return [queue.pass, keys, [one.what]];
    case 'pause':
      return [queue.pause, keys, [String(one.paused)]];
    case 'sizes':
      return [queue.sizes, keys, []];
    case 'show':
      return [queue.look, keys, [one.kind, String(one.count)]];
    case 'revive':
      return [queue.revive, keys, [one.how, String(one.max), ...one.ids]];
    case 'drain':
      return [queue.drain, keys, [String(one.max)]];
    case 'tick':
      return [queue.tick, keys, ['t', one.expected, one.next, 't@5', '1', 't@9', '2']];
  }
}

function lineStepOf(
  one: LineCommand,
  keys: readonly string[],
  token: (delivery: Back) => string,
  claims: number,
  sessionOf: (place: number) => string,
): Step {
  if (one.do === 'append') return [line.append, keys.slice(0, 4), Array.from({ length: one.count }, () => '{"a":":"}')];
  const terms = [claims, one.max, one.ms].map(String);
  const consumer = `${sessionOf(one.place)}:${one.number}`;
  return [line.claim, keys, [consumer, ...terms, one.ring, ...one.deliveries.map((delivery) => token(delivery))]];
}

/** Heads only where one is needed, as those who push do it. */
function pushArgs({ capacity, messages }: Named<'push'>, session: string): string[] {
  const heads = messages.map(({ priority, delayMs, ownId, group: its }) =>
    priority + delayMs === 0 && ownId + its === '' ? '' : `${priority}:${delayMs}:${ownId}:${its}`,
  );
  const hasHeads = heads.some((head) => head !== '');
  const texts = heads.flatMap((head) => [...(hasHeads ? [head] : []), '{"a":":"}']);
  return [String(capacity), '50', capacity === 0 ? '' : session, hasHeads ? '1' : '0', ...texts];
}
