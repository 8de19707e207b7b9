/** The part of random programs that is about one topic and its group. */
import fc from 'fast-check';
import type { SpaceKeys } from '../../src/base/names.ts';
import { acksOf } from '../../src/primitives/queue-record.ts';
import * as queue from '../../src/operations/queue.ts';
import * as topic from '../../src/operations/topic.ts';
import type { BatchOperation, Reply } from '../../src/operations/tx.ts';
import { queueState } from './queue-programs.ts';

export type TopicCommand =
  | { on: 'topic'; do: 'publish'; count: number; ms: number; keys: string[] }
  | { on: 'topic'; do: 'begin'; from: string; field: string }
  | { on: 'topic'; do: 'read'; next: number; max: number; place: number; number: number }
  | { on: 'topic'; do: 'stop'; place: number; number: number }
  | {
      on: 'topic';
      do: 'claim';
      place: number;
      number: number;
      max: number;
      ms: number;
      most: number;
      ring: string;
      from: string;
      deliveries: number[];
      group: string;
    }
  | { on: 'topic'; do: 'ack'; deliveries: number[]; group: string }
  | { on: 'topic'; do: 'pause'; paused: number }
  | { on: 'topic'; do: 'leave'; place: number; number: number; dead: number }
  | { on: 'topic'; do: 'pass' }
  | { on: 'topic'; do: 'drop' }
  | { on: 'topic'; do: 'sizes' };

type Named<Do extends TopicCommand['do']> = Extract<TopicCommand, { do: Do }>;

function command<Do extends TopicCommand['do']>(
  what: Do,
  rest: { [F in Exclude<keyof Named<Do>, 'on' | 'do'>]: fc.Arbitrary<Named<Do>[F]> },
): fc.Arbitrary<TopicCommand> {
  return fc.record({ on: fc.constant('topic'), do: fc.constant(what), ...rest }, { noNullPrototype: true }) as never;
}

const place = fc.nat(2);
const number = fc.constantFrom(1, 1, 2);
const from = fc.constantFrom('latest', 'earliest', 'earliest', '0', '2', '99');
const key = fc.constantFrom('', '', 'g', 'g', 'ü');

export const topicCommand: fc.Arbitrary<TopicCommand> = fc.oneof(
  {
    weight: 6,
    arbitrary: command('publish', {
      count: fc.constantFrom(1, 3, 100, 100),
      ms: fc.constantFrom(0, 0, 1, 50),
      keys: fc.array(key, { minLength: 1, maxLength: 4 }),
    }),
  },
  command('begin', { from, field: fc.constantFrom('', 'group:g') }),
  {
    weight: 4,
    arbitrary: command('read', { next: fc.constantFrom(1, 1, 2, 5, 9), max: fc.constantFrom(1, 3), place, number }),
  },
  command('stop', { place, number }),
  {
    weight: 8,
    arbitrary: command('claim', {
      place,
      number,
      max: fc.constantFrom(0, 1, 1, 2, 5),
      ms: fc.constantFrom(1, 50, 1_000),
      most: fc.constantFrom(0, 1, 2),
      ring: fc.constantFrom('', '1', '2'),
      from,
      deliveries: fc.array(fc.constantFrom(0, 0, 1, 2), { maxLength: 2 }),
      group: fc.constantFrom('', 'a'),
    }),
  },
  {
    weight: 3,
    arbitrary: command('ack', {
      deliveries: fc.array(fc.constantFrom(0, 0, 1, 2), { minLength: 1, maxLength: 3 }),
      group: key,
    }),
  },
  command('pause', { paused: fc.constantFrom(0, 0, 1) }),
  command('leave', { place, number, dead: fc.constantFrom(0, 1) }),
  command('pass', {}),
  command('drop', {}),
  command('sizes', {}),
);

/** What of a topic's hash a program can have written. */
export const topicFields: readonly string[] = ['seq', 'group:g'];

/** The keys of the topic and of its group with their types. */
export function topicState(space: SpaceKeys): [key: string, kind: string][] {
  const [hash, log, waiting] = space.topic('t');
  return [[hash!, 'hash'], [log!, 'list'], [waiting!, 'zset'], ...queueState(space.group('t', 'g'))];
}

/** What a command is to a store. `tokens`: of all deliveries of the group, in order. */
export function topicStepOf(
  one: TopicCommand,
  space: SpaceKeys,
  tokens: readonly string[],
  claims: number,
  sessionOf: (place: number) => string,
): [operation: BatchOperation<Reply>, keys: readonly string[], args: readonly string[]] {
  const alone = space.topic('t');
  const group = space.group('t', 'g');
  const keys = [...alone, ...group];
  const settled = ({ deliveries, group: its }: { deliveries: number[]; group: string }): string[] =>
    acksOf(deliveries.map((back) => ({ token: tokens.at(-1 - back) ?? '1:1:nobody:1', groupPart: its })));
  switch (one.do) {
    case 'publish':
      return [topic.publish, alone, [String(one.count), String(one.ms), ...one.keys.flatMap((at) => [at, 'a:"ü"'])]];
    case 'begin':
      return [topic.begin, one.field === '' ? alone : keys, [one.from, one.field]];
    case 'read':
      return [topic.read, alone, [String(one.next), String(one.max), `${sessionOf(one.place)}:${one.number}`]];
    case 'stop':
      return [topic.stop, alone, [`${sessionOf(one.place)}:${one.number}`]];
    case 'claim': {
      const member = `${sessionOf(one.place)}:${one.number}`;
      const terms = [claims, one.max, one.ms, one.most, 0, 1].map(String);
      return [topic.claim, keys, [member, ...terms, one.ring, 'group:g', one.from, ...settled(one)]];
    }
    case 'ack':
      return [queue.ack, group, settled(one)];
    case 'pause':
      return [queue.pause, group, [String(one.paused)]];
    case 'leave':
      return [topic.leave, keys, [`${sessionOf(one.place)}:${one.number}`, '0', '2', '0', String(one.dead), 'group:g']];
    case 'pass':
      return [topic.pass, keys, ['group:g']];
    case 'drop':
      return [topic.drop, keys, ['group:g']];
    case 'sizes':
      return [topic.sizes, alone, ['group:g', 'group:nobody']];
  }
}
