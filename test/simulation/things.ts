import type { Lockstep } from '../../src/lockstep.ts';
import type { Process } from './process.ts';
import type { ThingCall, ThingInput, ThingOutput } from './thing-models.ts';
import type { ThingTask } from './things-plan.ts';

/** What the tasks of all processes saw of things. */
export interface ThingsSeen {
  readonly calls: Record<'set' | 'sorted' | 'list' | 'value', ThingCall[]>;
  /** Elements and messages that were surely put in, and those that may have been. */
  readonly put: Set<string>;
  readonly perhaps: Set<string>;
  /** How often each element was taken, and takes under way by process. */
  readonly taken: Map<string, number>;
  readonly takes: Map<string, number>;
  /** Processes of which a task waited for an element to the end. */
  readonly waited: Set<string>;
  /** Values that were recorded, surely and perhaps; windows that were seen when they were over, by their start. */
  readonly recorded: { count: number; sum: number; perhaps: number; perhapsSum: number };
  readonly windows: Map<number, string>;
  /** What each watch has come to, as JSON, and of what. */
  readonly watches: { readonly process: Process; readonly what: 'value' | 'set'; state: string }[];
  /** Messages by their cursor, as publishers and readers know them; how far each reader came; what workers handled. */
  readonly messages: Map<number, string>;
  readonly readers: { readonly process: Process; last: number }[];
  readonly handled: Set<string>;
  readonly workers: Set<Process>;
}

export function noThingsSeen(): ThingsSeen {
  return {
    calls: { set: [], sorted: [], list: [], value: [] },
    put: new Set(),
    perhaps: new Set(),
    taken: new Map(),
    takes: new Map(),
    waited: new Set(),
    recorded: { count: 0, sum: 0, perhaps: 0, perhapsSum: 0 },
    windows: new Map(),
    watches: [],
    messages: new Map(),
    readers: [],
    handled: new Set(),
    workers: new Set(),
  };
}

/** What a program gives to its tasks. */
export interface Around {
  readonly process: Process;
  readonly shared: Lockstep;
  readonly seen: ThingsSeen;
  /** Moments in the order in which they came. */
  moment(): number;
  pause(ms: number): Promise<void>;
  /** Aborts after so long, and is looked at in the end. */
  signal(afterMs: number): AbortSignal;
  /** What a call gives; nothing where it failed with one of these, `UNAVAILABLE` or `AMBIGUOUS`. */
  got<T>(call: () => Promise<T>, codes: readonly string[]): Promise<T | undefined>;
  fail(text: string): void;
}

/**
 * Takers, watches and readers go on so long: past the last fault, and what looks again by itself after it; without
 * faults not as long as that, as nothing may depend on it: ms.
 */
function lastsMs({ isCalm }: ThingTask): number {
  return isCalm ? 3_000 : 12_000;
}

/** Statistics of the simulation: short windows, kept until the end of a run. */
const statsOptions = { every: 200, keep: 1_000 } as const;

export function doThing(around: Around, task: ThingTask): Promise<void> {
  switch (task.thing) {
    case 'set':
    case 'sorted':
    case 'list':
    case 'value':
      return call(around, task.thing, task);
    case 'takers':
      return onTakers(around, task);
    case 'stats':
      return onStats(around, task);
    case 'watch':
      return onWatched(around, task);
    case 'topic':
      return onTopic(around, task);
  }
}

/** Writes down a call and what came of it: nothing known where the store did not answer. */
async function call(around: Around, thing: keyof ThingsSeen['calls'], { verb, member, by }: ThingTask): Promise<void> {
  const calls = around.seen.calls[thing];
  const { name: client } = around.process;
  const input: ThingInput = { do: verb, member: thing === 'list' ? `${member}${around.moment()}` : member, by };
  const start = around.moment();
  const at = calls.push({ client, input, output: undefined, start, end: Infinity }) - 1;
  const output = await around.got(() => send[thing](around.shared, input), ['CONFLICT']);
  if (output !== undefined) calls[at] = { client, input, output, start, end: around.moment() };
}

type Send = (shared: Lockstep, input: ThingInput) => Promise<ThingOutput>;

const send: Record<keyof ThingsSeen['calls'], Send> = {
  async set(shared, { do: verb, member }) {
    const set = shared.set<string>('t');
    if (verb === 'pop') return (await set.pop()) ?? null;
    if (verb === 'size') return set.size();
    return set[verb as 'add' | 'delete' | 'has'](member);
  },
  async sorted(shared, { do: verb, member, by }) {
    const sorted = shared.sortedSet<string>('t');
    if (verb === 'popMin') return (await sorted.popMin())[0] ?? null;
    if (verb === 'raise') return sorted.setIfGreater(member, by);
    if (verb === 'set' || verb === 'add') return sorted[verb](member, by);
    if (verb === 'delete') return sorted.delete(member);
    return (await sorted[verb as 'score' | 'rank'](member)) ?? null;
  },
  async list(shared, { do: verb, member }) {
    const list = shared.list<string>('t');
    if (verb === 'push' || verb === 'unshift') return list[verb](member);
    if (verb === 'length') return list.length();
    return (await list[verb as 'pop' | 'shift']()) ?? null;
  },
  async value(shared, { do: verb, by }) {
    const value = shared.value<number>('t');
    if (verb === 'set') return value.set(by).then(() => null);
    if (verb === 'compareAndSet') return value.compareAndSet(by - 1 === 0 ? undefined : by - 1, by);
    if (verb === 'update') return value.update((now) => (now ?? 0) + by);
    if (verb === 'getAndSet') return (await value.getAndSet(by)) ?? null;
    return (await value[verb as 'get' | 'delete']()) ?? null;
  },
};

/** Puts in something that no other task puts in. */
async function put(around: Around, how: (one: string) => Promise<unknown>): Promise<void> {
  const { put: sure, perhaps } = around.seen;
  const one = `${around.process.name} ${around.moment()}`;
  perhaps.add(one);
  if ((await around.got(() => how(one), [])) !== undefined) sure.add(one);
}

async function onTakers(around: Around, task: ThingTask): Promise<void> {
  const { verb, by, pauseMs } = task;
  const { seen, process } = around;
  const list = around.shared.list<string>('takers');
  if (verb === 'push') {
    for (let i = 0; i < by; i++) await put(around, (one) => list.push(one));
    return;
  }
  const signal = around.signal(verb === 'give up' ? 10 * by : lastsMs(task));
  const taking = (change: number): void => {
    seen.takes.set(process.name, (seen.takes.get(process.name) ?? 0) + change);
  };
  while (!signal.aborted) {
    taking(1);
    const take = verb === 'takeLast' ? list.takeLast({ signal }) : list.take({ signal });
    const element = await around.got(() => take, ['aborted']);
    taking(-1);
    if (element === undefined) {
      if (signal.aborted && verb !== 'give up') seen.waited.add(process.name);
      await around.pause(10);
    } else seen.taken.set(element, (seen.taken.get(element) ?? 0) + 1);
    await around.pause(pauseMs);
  }
}

async function onStats(around: Around, { verb, by }: ThingTask): Promise<void> {
  const stats = around.shared.stats('t', statsOptions);
  const { recorded, windows } = around.seen;
  if (verb === 'last') {
    const last = await around.got(() => stats.last(), []);
    if (last === undefined) return;
    const now = JSON.stringify([last.count, last.sum, last.min, last.max]);
    const before = windows.get(last.start) ?? now;
    if (before !== now && !before.startsWith('[0,'))
      around.fail(`the window of ${last.start} was over with ${before}, and is now ${now}`);
    windows.set(last.start, before);
    return;
  }
  const records = Array.from({ length: by }, async (_, i) => {
    recorded.perhaps += 1;
    recorded.perhapsSum += i + 1;
    if ((await around.got(() => stats.record(i + 1).then(() => true), [])) === undefined) return;
    recorded.perhaps -= 1;
    recorded.perhapsSum -= i + 1;
    recorded.count += 1;
    recorded.sum += i + 1;
  });
  await Promise.all(records);
}

async function onWatched(around: Around, task: ThingTask): Promise<void> {
  const { verb, member } = task;
  const value = around.shared.value<number>('w');
  const set = around.shared.set<string>('w');
  if (verb === 'raise') return void (await around.got(() => value.update((now = 0) => now + 1), ['CONFLICT']));
  if (verb === 'add' || verb === 'delete') return void (await around.got(() => set[verb](member), []));
  const seen = { process: around.process, what: verb === 'watch set' ? 'set' : 'value', state: '' } as const;
  const watch: { -readonly [Key in keyof typeof seen]: ThingsSeen['watches'][number][Key] } = seen;
  around.seen.watches.push(watch);
  const options = { signal: around.signal(lastsMs(task)), recheck: task.isCalm ? '60s' : '1s' } as const;
  while (!options.signal.aborted) {
    const how = verb === 'watch set' ? follow(set.watch(options), watch) : rise(around, value.watch(options), watch);
    await around.got(() => how, ['aborted']);
    await around.pause(10);
  }
}

/** A value that is only raised is never seen to fall. */
async function rise(
  around: Around,
  values: AsyncIterable<number | undefined>,
  watch: ThingsSeen['watches'][number],
): Promise<void> {
  for await (const found of values) {
    const now = found ?? 0;
    if (now < Number(watch.state)) around.fail(`a watch saw ${now} after ${watch.state}`);
    watch.state = String(now);
  }
}

async function follow(
  changes: AsyncIterable<{ added: readonly string[]; deleted: readonly string[] }>,
  watch: ThingsSeen['watches'][number],
): Promise<void> {
  const members = new Set<string>();
  for await (const { added, deleted } of changes) {
    for (const member of added) members.add(member);
    for (const member of deleted) members.delete(member);
    watch.state = JSON.stringify([...members].sort());
  }
}

async function onTopic(around: Around, task: ThingTask): Promise<void> {
  const topic = around.shared.topic<string>('t');
  const { verb, by } = task;
  const isKeyed = verb === 'publish in order';
  if (verb === 'read') return readAll(around, task);
  if (verb === 'work') return workOn(around, task);
  await Promise.all(
    Array.from({ length: by }, () =>
      put(around, async (one) => {
        const cursor = await topic.publish(one, isKeyed ? { key: 'k' } : {});
        place(around, cursor, one);
      }),
    ),
  );
}

/** Every message has one place, for everybody. */
function place({ seen, fail }: Around, cursor: string, message: string): void {
  const other = seen.messages.get(Number(cursor)) ?? message;
  if (other !== message) fail(`message ${cursor} is ${message} for one, and ${other} for another`);
  seen.messages.set(Number(cursor), message);
}

async function readAll(around: Around, task: ThingTask): Promise<void> {
  const topic = around.shared.topic<string>('t');
  const reader = { process: around.process, last: 0 };
  around.seen.readers.push(reader);
  const signal = around.signal(lastsMs(task));
  while (!signal.aborted) {
    const from = reader.last === 0 ? 'earliest' : String(reader.last);
    const reading = async (): Promise<void> => {
      for await (const { cursor, data, missed } of topic.subscribe({ from, signal })) {
        if (Number(cursor) !== reader.last + 1 || missed > 0) {
          around.fail(`a reader got message ${cursor} after ${reader.last}, and ${missed} missed`);
        }
        reader.last = Number(cursor);
        place(around, cursor, data);
      }
    };
    await around.got(reading, []);
    await around.pause(10);
  }
}

async function workOn(around: Around, task: ThingTask): Promise<void> {
  const { by, pauseMs } = task;
  const { process, seen } = around;
  const terms = { from: 'earliest', lease: 60 * by, maxDeliveries: Infinity, backoff: 20 } as const;
  const group = around.shared.topic<string>('t').group('g', terms);
  seen.workers.add(process);
  const onError = (error: unknown): void =>
    void around.got(() => Promise.reject(error as Error), ['aborted', 'LEASE_LOST']);
  const work = group.work(
    async ({ data, signal, deliveries }) => {
      await around.pause(pauseMs);
      if (process.chance(`fails ${data} ${deliveries}`) < 0.1) return Promise.reject(new Aborted());
      if (!signal.aborted) seen.handled.add(data);
    },
    { concurrency: by, signal: around.signal(lastsMs(task)), onError },
  );
  await around.got(() => work, ['aborted']);
}

/** What tasks give up with. */
export class Aborted extends Error {
  readonly code = 'aborted';
}
