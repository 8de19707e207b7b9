import { type Chance, chanceOf, type Dice, diceOf } from './chance.ts';
import { aboutQuorum } from './quorum-plan.ts';
import { things, type Thing, thingTasksOf, type ThingTask } from './things-plan.ts';

/**
 * What happens in one run, as plain data: it can be printed, replayed, and made smaller. What is not told here, such
 * as how long each message takes, the seed decides place by place, so that it stays as it is when a part is left out.
 */
export interface Scenario {
  readonly seed: number;
  /** What most of its tasks do something with. */
  readonly about: About;
  /** `quorum`: three servers that know nothing of each other. `machine`: one clock, and the death of a process is seen, as in a directory. `server`: a clock each, and connections that break. */
  readonly kind: 'machine' | 'server' | 'quorum';
  readonly processes: readonly ProcessPlan[];
  readonly faults: readonly Fault[];
}

export type About = 'locks' | 'quorum' | Thing;

export interface ProcessPlan {
  readonly name: string;
  /** When it opens its session: ms. */
  readonly openMs: number;
  /** `server`: how far its wall clock is off (ms), and how fast its clocks go. */
  readonly skewMs: number;
  readonly rate: number;
  readonly tasks: readonly Task[];
}

interface Timed {
  /** After the process has opened: ms. */
  readonly startMs: number;
}

interface OnLock extends Timed {
  readonly ttlMs: number;
  /** 0: no bound. */
  readonly maxHoldMs: number;
  readonly timeoutMs: number | undefined;
  /** How often the task pauses while it holds the lock, and for how long each: ms. */
  readonly pauses: number;
  readonly pauseMs: number;
  /** Whether it counts up what the lock protects. */
  readonly writes: boolean;
}

export type Task =
  | (OnLock & {
      readonly do: 'lock';
      readonly lock: string;
      readonly keepMs: number;
      readonly abortMs: number | undefined;
    })
  | (OnLock & { readonly do: 'try'; readonly lock: string })
  | (OnLock & { readonly do: 'both'; readonly locks: readonly string[] })
  | (OnLock & { readonly do: 'nest'; readonly locks: readonly string[] })
  | (Timed & { readonly do: 'add' | 'count' | 'reset'; readonly by: number })
  /** In one transaction: reads these lists, and appends to the first of them, or to all. */
  | (Timed & {
      readonly do: 'transact';
      readonly lists: readonly string[];
      readonly appends: number;
      readonly pauseMs: number;
    })
  | (Timed & { readonly do: 'push'; readonly messages: number })
  | (Timed & { readonly do: 'work'; readonly leaseMs: number; readonly concurrency: number; readonly pauseMs: number })
  | (Timed & { readonly do: 'get' | 'set' | 'delete'; readonly key: string; readonly value: string })
  | ThingTask;

export type Fault =
  | { readonly what: 'crash'; readonly process: string; readonly atMs: number; readonly seenMs: number }
  /** The event loop stands still; or the whole process with its threads. */
  | { readonly what: 'stall' | 'stop'; readonly process: string; readonly atMs: number; readonly forMs: number }
  /** The machine sleeps: nothing runs, and the monotonic clock stands still. */
  | { readonly what: 'sleep'; readonly process: string; readonly atMs: number; readonly forMs: number }
  /** Its connections break, and the store sees that; or nothing comes through and nobody sees it. */
  | {
      readonly what: 'cut' | 'hang';
      readonly process: string;
      /** Of several servers: which. */
      readonly server?: number;
      readonly atMs: number;
      readonly forMs: number;
    }
  /** A server starts anew, without what it knew. */
  | {
      readonly what: 'restart';
      readonly process: '';
      readonly server: number;
      readonly atMs: number;
      readonly forMs: number;
    }
  /** The wall clock of the process is set; that of the store, of all, on one machine. */
  | { readonly what: 'set clock'; readonly process: string; readonly atMs: number; readonly byMs: number }
  /** What becomes of one request, counted from the first of that process, on its main connection or the keeper's. */
  | {
      readonly what: 'request';
      readonly process: string;
      readonly by: 'main' | 'keeper';
      /** Of several servers: which. */
      readonly server?: number;
      readonly number: number;
      readonly fate: 'not applied' | 'reply lost' | 'applied later' | 'applied twice' | 'slow';
    }
  /** What becomes of one message in its inbox. */
  | {
      readonly what: 'mail';
      readonly process: string;
      readonly number: number;
      readonly fate: 'lost' | 'twice' | 'late';
    };

/** Nothing goes wrong after this time: ms. */
export const peaceMs = 2_000;
/** After that everybody who waits is served within this time, or after one more check where a clock was set: ms. */
export const progressMs = 15_000;
/** Whatever runs by itself has ended by then: ms. */
export const idleMs = 60_000;

/** `onlyLocks`: whatever the seed says that it is about. */
export function scenarioOf(seed: number, onlyLocks = false): Scenario {
  const dice = diceOf(chanceOf(seed), 'scenario');
  const kind = dice.pick(['machine', 'server'] as const);
  const names = Array.from({ length: dice.whole(2, 4) }, (_, i) => `p${i + 1}`);
  const locks = dice.pick([['a'], ['a'], ['a', 'b']]);
  const terms = { ttlMs: dice.pick([50, 120, 400]), isBusy: dice.isLucky(0.5) };
  const processes = names.map((name, i) => ({
    name,
    openMs: i === 0 || dice.isLucky(0.7) ? 0 : dice.whole(1, 500),
    skewMs: kind === 'server' ? dice.whole(-90_000, 90_000) : 0,
    rate: kind === 'server' ? dice.between(0.997, 1.003) : 1,
    tasks: [
      ...Array.from({ length: dice.whole(1, 6) }, () => taskOf(dice, locks, terms)),
      ...transactionsOf(chanceOf(seed), name),
      ...queueTasksOf(chanceOf(seed), name),
    ],
  }));
  const drawn = Array.from({ length: dice.whole(0, 8) }, () => faultOf(dice, kind, names));
  const faults = drawn.filter((fault) => isNoticed(fault, drawn));
  const scenario: Scenario = { seed, about: 'locks', kind, processes, faults };
  return onlyLocks ? scenario : aboutThings(scenario);
}

/**
 * Nearly half of the scenarios are about one thing that is not a lock, with few other tasks, and some about locks over
 * several servers. Drawn apart from the rest.
 */
function aboutThings(scenario: Scenario): Scenario {
  const chance = chanceOf(scenario.seed);
  if (chance('theme') >= 0.95) return aboutQuorum(scenario, chance);
  const thing = thingOf(chance);
  if (thing === undefined) return scenario;
  const drawn = chance('calm') < 0.25 ? [] : scenario.faults;
  const isCalm = drawn.length === 0;
  const processes = scenario.processes.map((process) => {
    const others = chance(`others ${process.name}`) < 0.3 ? process.tasks.slice(0, 1) : [];
    return { ...process, tasks: [...others, ...thingTasksOf(chance, process.name, thing, isCalm)] };
  });
  // Less is asked of the store than by locks.
  const faults = drawn.map((fault) =>
    fault.what === 'request' ? { ...fault, number: Math.floor(fault.number / 3) } : fault,
  );
  return { ...scenario, about: thing, processes, faults };
}

function thingOf(chance: Chance): Thing | undefined {
  return chance('theme') < 0.5 ? undefined : things[Math.floor(chance('thing') * things.length)];
}

/**
 * A machine that sleeps while its wall clock is set back can't know how long that was. And a clock of the store that is
 * set forward and back while a lease lasts ends it, with nobody the wiser.
 */
function isNoticed(fault: Fault, all: readonly Fault[]): boolean {
  if (fault.what !== 'set clock' || fault.byMs > 0) return true;
  return !all.some(
    (other) =>
      (other.what === 'sleep' && other.process === fault.process) || (other.what === 'set clock' && other.byMs > 0),
  );
}

/** Drawn apart from the rest: transactions in a scenario of three. */
function transactionsOf(chance: Chance, process: string): Task[] {
  if (chance('has transactions') > 0.35) return [];
  const dice = diceOf(chance, `transactions ${process}`);
  return Array.from({ length: dice.whole(0, 5) }, () => ({
    do: 'transact' as const,
    startMs: dice.isLucky(0.7) ? dice.whole(0, 40) : dice.whole(0, 600),
    lists: dice.pick([['x', 'y'], ['y', 'x'], ['y', 'z'], ['z', 'x', 'y'], ['x']]),
    appends: dice.whole(0, 2),
    pauseMs: dice.pick([0, 0.3, 3]),
  }));
}

/** Drawn apart from the rest: a queue in one scenario of three. */
function queueTasksOf(chance: Chance, process: string): Task[] {
  if (chance('has a queue') > 0.35) return [];
  const dice = diceOf(chance, `queue ${process}`);
  const startMs = dice.whole(0, 400);
  const worker = { leaseMs: dice.pick([60, 200]), concurrency: dice.whole(1, 3), pauseMs: dice.pick([0.1, 5, 60]) };
  const tasks: Task[] = [];
  if (dice.isLucky(0.6)) tasks.push({ do: 'push', startMs, messages: dice.whole(1, 6) });
  if (dice.isLucky(0.7)) tasks.push({ do: 'work', startMs: dice.whole(0, 200), ...worker });
  return tasks;
}

function taskOf(dice: Dice, locks: readonly string[], { ttlMs, isBusy }: { ttlMs: number; isBusy: boolean }): Task {
  const startMs = isBusy ? dice.whole(0, 30) : dice.whole(0, 600);
  const onLock: OnLock = {
    startMs,
    ttlMs: dice.isLucky(0.9) ? ttlMs : dice.pick([50, 200]),
    maxHoldMs: dice.isLucky(0.05) ? dice.whole(20, 300) : 0,
    timeoutMs: dice.isLucky(0.25) ? dice.whole(0, 300) : undefined,
    pauses: dice.whole(0, 4),
    pauseMs: dice.pick([0.05, 2, 2, 40]),
    writes: dice.isLucky(0.8),
  };
  const lock = dice.pick(locks);
  const drawn = dice.between(0, 1);
  if (drawn < 0.6) {
    const keepMs = dice.isLucky(0.15) ? dice.whole(5, 200) : 0;
    return { do: 'lock', ...onLock, lock, keepMs, abortMs: dice.isLucky(0.15) ? dice.whole(0, 200) : undefined };
  }
  if (drawn < 0.68) return { do: 'try', ...onLock, lock };
  if (drawn < 0.74) return { do: 'both', ...onLock, locks };
  if (drawn < 0.78 && locks.length > 1) {
    return { do: 'nest', ...onLock, locks: dice.isLucky(0.5) ? locks : locks.toReversed() };
  }
  if (drawn < 0.9) return { do: dice.pick(['add', 'add', 'count', 'reset'] as const), startMs, by: dice.whole(-2, 3) };
  const key = dice.pick(['x', 'y']);
  return { do: dice.pick(['get', 'set', 'delete'] as const), startMs, key, value: String(dice.whole(0, 9)) };
}

function faultOf(dice: Dice, kind: Scenario['kind'], names: readonly string[]): Fault {
  const process = dice.pick(names);
  const atMs = dice.isLucky(0.5) ? dice.between(0, 60) : dice.between(0, 900);
  const forMs = dice.pick([dice.between(1, 60), dice.between(60, 900)]);
  const drawn = dice.between(0, 1);
  if (drawn < 0.1) return { what: 'crash', process, atMs, seenMs: dice.pick([0.1, 2, kind === 'machine' ? 2 : 400]) };
  if (drawn < 0.2) return { what: dice.pick(['stall', 'stop'] as const), process, atMs, forMs };
  if (drawn < 0.25 && kind === 'server') return { what: 'sleep', process, atMs, forMs };
  if (drawn < 0.35 && kind === 'server') return { what: dice.pick(['cut', 'hang'] as const), process, atMs, forMs };
  if (drawn < 0.4) {
    return { what: 'set clock', process, atMs, byMs: dice.pick([-1, 1]) * dice.pick([dice.whole(1, 500), 3_600_000]) };
  }
  if (drawn < 0.75) {
    const by = dice.isLucky(0.8) ? ('main' as const) : ('keeper' as const);
    const number = by === 'main' ? dice.whole(0, 40) : dice.whole(0, 8);
    const fates = ['not applied', 'reply lost', 'reply lost', 'applied later', 'applied twice', 'slow'] as const;
    return { what: 'request', process, by, number, fate: dice.pick(fates) };
  }
  return {
    what: 'mail',
    process,
    number: dice.whole(0, 6),
    fate: dice.pick(['lost', 'lost', 'twice', 'late'] as const),
  };
}
