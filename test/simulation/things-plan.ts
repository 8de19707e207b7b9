import { type Chance, type Dice, diceOf } from './chance.ts';

/** A call on one thing that all processes of a scenario share. */
export interface ThingTask {
  readonly do: 'thing';
  /** After the process has opened: ms. */
  readonly startMs: number;
  readonly thing: Thing;
  readonly verb: string;
  readonly member: string;
  readonly by: number;
  /** How long a taker or a worker is busy with each: ms. */
  readonly pauseMs: number;
  /** Nothing goes wrong: whoever waits hears of all, without a look by itself. */
  readonly isCalm: boolean;
}

export type Thing = keyof typeof verbs;

/** What is done with each, the more often the more often it stands here. Takers, watches and readers go on to the end. */
const verbs = {
  set: ['add', 'add', 'add', 'delete', 'has', 'pop', 'size'],
  sorted: ['set', 'add', 'add', 'raise', 'delete', 'score', 'popMin', 'rank'],
  list: ['push', 'push', 'unshift', 'pop', 'shift', 'length'],
  value: ['get', 'set', 'set', 'delete', 'compareAndSet', 'update', 'update', 'getAndSet'],
  takers: ['push', 'push', 'push', 'take', 'take', 'takeLast', 'give up'],
  stats: ['record', 'record', 'record', 'last'],
  watch: ['raise', 'raise', 'add', 'add', 'delete', 'watch value', 'watch set'],
  topic: ['publish', 'publish', 'publish', 'publish in order', 'read', 'work'],
} as const;

export const things: readonly Thing[] = Object.keys(verbs) as Thing[];

export function thingTasksOf(chance: Chance, process: string, thing: Thing, isCalm: boolean): ThingTask[] {
  const dice = diceOf(chance, `${thing} ${process}`);
  return Array.from({ length: dice.whole(1, 6) }, () => thingTaskOf(dice, thing, isCalm));
}

function thingTaskOf(dice: Dice, thing: Thing, isCalm: boolean): ThingTask {
  return {
    do: 'thing',
    startMs: dice.isLucky(0.6) ? dice.whole(0, 30) : dice.whole(0, 600),
    thing,
    verb: dice.pick<string>(verbs[thing]),
    member: dice.pick(['x', 'y', 'z']),
    by: dice.whole(1, 4),
    pauseMs: dice.pick([0.1, 5, 60]),
    isCalm,
  };
}
