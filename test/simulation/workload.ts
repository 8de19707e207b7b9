import { isLockstepError } from '../../src/base/errors.ts';
import { createLockstep, type Lockstep } from '../../src/lockstep.ts';
import type { HeldLease, Lease } from '../../src/primitives/lease.ts';
import type { Job } from '../../src/primitives/job.ts';
import type { AcquireOptions } from '../../src/primitives/lock.ts';
import { Session } from '../../src/session/session.ts';
import type { Call } from '../histories/call.ts';
import type { Step, Transaction } from '../histories/serializable.ts';
import type { CounterInput, MapInput, MapOutput } from '../histories/models.ts';
import type { RemoteEngine } from './engine.ts';
import type { Process } from './process.ts';
import type { ProcessPlan, Task } from './scenario.ts';
import { Aborted, type Around, doThing, noThingsSeen, type ThingsSeen } from './things.ts';
import type { Witness } from './witness.ts';

/** What the tasks of all processes saw. */
export interface Seen {
  /** Moments in the order in which they came. */
  moment: number;
  readonly counter: Call<CounterInput, number>[];
  readonly map: Call<MapInput, MapOutput>[];
  /** By lock: how often what it protects was counted up, surely and perhaps. */
  readonly counted: Record<string, { sure: number; perhaps: number }>;
  /** Signals that were given to waits. */
  readonly signals: { readonly process: Process; readonly signal: AbortSignal }[];
  readonly transactions: Transaction[];
  /** Messages that were surely pushed, and those whose handler fulfilled. */
  readonly pushed: Set<string>;
  readonly handled: Set<string>;
  readonly things: ThingsSeen;
  /** Leases that tasks got. */
  grants: number;
}

export function nothingSeen(): Seen {
  return {
    moment: 0,
    counter: [],
    map: [],
    counted: {},
    signals: [],
    transactions: [],
    pushed: new Set(),
    handled: new Set(),
    things: noThingsSeen(),
    grants: 0,
  };
}

const space = 's';

/** How long a worker works: past the last fault, and the lease of whoever died: ms. */
const workMs = 9_000;

/** The program of one process: opens its session, and does its tasks. */
export class Program {
  readonly process: Process;
  /** Tasks that are not done, in words. */
  readonly left: Set<string> = new Set();
  shared: Lockstep | undefined;
  readonly #plan: ProcessPlan;
  readonly #remote: RemoteEngine;
  readonly #witness: Witness;
  readonly #seen: Seen;
  /** What a task may meet that takes a second lock, if any task does so in an order of its own. */
  readonly #deadlock: readonly string[];

  constructor(plan: ProcessPlan, remote: RemoteEngine, witness: Witness, seen: Seen, mayDeadlock: boolean) {
    this.#deadlock = mayDeadlock ? ['DEADLOCK'] : [];
    this.process = remote.process;
    this.#plan = plan;
    this.#remote = remote;
    this.#witness = witness;
    this.#seen = seen;
    this.left.add('open');
    this.process.main.after(plan.openMs * 1_000, 'opens', () => this.#settled('open', this.#open()));
  }

  /** Closes the session; true once that is done. */
  close(): { done: boolean } {
    const state = { done: false };
    const closed = this.shared?.close() ?? Promise.resolve();
    closed.then(
      () => (state.done = true),
      (error: unknown) => this.#witness.fail('expected errors', `close: ${String(error)}`),
    );
    return state;
  }

  async #open(): Promise<void> {
    const id = this.process.name;
    for (;;) {
      try {
        const session = await Session.open(this.#remote.view(), { space, label: id, maxStallMs: 0, id });
        this.shared = createLockstep(session);
        break;
      } catch (error) {
        this.#expect(error, ['UNAVAILABLE']);
        await this.#pause(20);
      }
    }
    for (const [i, task] of this.#plan.tasks.entries()) {
      const name = `${i} ${task.do}`;
      this.left.add(name);
      this.process.main.after(task.startMs * 1_000, name, () => this.#settled(name, this.#do(task)));
    }
  }

  #settled(name: string, task: Promise<void>): void {
    task.then(
      () => this.left.delete(name),
      (error: unknown) => {
        this.left.delete(name);
        this.#witness.fail('expected errors', `${this.process.name} ${name}: ${describe(error)}`);
      },
    );
  }

  #do(task: Task): Promise<void> {
    switch (task.do) {
      case 'lock':
      case 'try':
        return this.#lock(task);
      case 'both':
        return this.#both(task);
      case 'nest':
        return this.#nest(task);
      case 'add':
      case 'count':
      case 'reset':
        return this.#count(task);
      case 'get':
      case 'set':
      case 'delete':
        return this.#map(task);
      case 'push':
        return this.#push(task);
      case 'work':
        return this.#work(task);
      case 'transact':
        return this.#transact(task);
      case 'thing':
        return doThing(this.#around(), task);
    }
  }

  #around(): Around {
    return {
      process: this.process,
      shared: this.shared!,
      seen: this.#seen.things,
      moment: () => ++this.#seen.moment,
      pause: (ms) => this.#pause(ms),
      signal: (afterMs) => this.#signal(afterMs),
      got: (call, codes) => this.#got(call, codes),
      fail: (text) => this.#witness.fail('exact', text),
    };
  }

  async #lock(task: Extract<Task, { do: 'lock' | 'try' }>): Promise<void> {
    const { ttlMs, maxHoldMs, lock: name } = task;
    const keep = task.do === 'lock' ? task.keepMs : 0;
    const lock = this.shared!.lock(name, { ttl: ttlMs, keep, ...(maxHoldMs > 0 ? { maxHold: maxHoldMs } : {}) });
    if (task.do === 'try') {
      const tried = await this.#got(() => lock.tryAcquire(), []);
      if (tried !== undefined) await this.#inside(task, name, tried);
      return;
    }
    const options = this.#optionsOf(task.timeoutMs, task.abortMs);
    const isBounded = options.timeout !== undefined || options.signal !== undefined;
    const ended = this.#witness.waits(this.process, name, isBounded);
    const lease = await this.#got(() => lock.acquire(options), ['TIMEOUT', 'aborted']);
    ended(lease !== undefined);
    if (lease !== undefined) await this.#inside(task, name, lease);
  }

  async #both(task: Extract<Task, { do: 'both' }>): Promise<void> {
    const options = { ...this.#optionsOf(task.timeoutMs, undefined), ttl: task.ttlMs };
    const set = await this.#got(() => this.shared!.lockAll(task.locks, options), ['TIMEOUT', ...this.#deadlock]);
    if (set === undefined) return;
    await Promise.all(set.leases.map((lease, i) => this.#inside(task, task.locks[i]!, lease)));
    await set.release();
  }

  async #nest(task: Extract<Task, { do: 'nest' }>): Promise<void> {
    const [outer = '', inner = ''] = task.locks;
    const lockOf = (name: string) => this.shared!.lock(name, { ttl: task.ttlMs });
    const options = this.#optionsOf(task.timeoutMs, undefined);
    const first = await this.#got(() => lockOf(outer).acquire(options), ['TIMEOUT']);
    if (first === undefined) return;
    this.#witness.acquired(this.process, outer, first as HeldLease);
    const second = await this.#got(
      () => lockOf(inner).acquire({ ...options, holding: first }),
      ['TIMEOUT', ...this.#deadlock],
    );
    if (second !== undefined) await this.#inside(task, inner, second);
    await first.release();
  }

  /** What the lock protects: counted up under its guard, as long as the lease lasts. */
  async #inside(
    task: Extract<Task, { do: 'lock' | 'try' | 'both' | 'nest' }>,
    lock: string,
    lease: Lease,
  ): Promise<void> {
    this.#witness.acquired(this.process, lock, lease as HeldLease);
    this.#seen.grants += 1;
    for (let i = 0; i < task.pauses; i++) {
      await this.#pause(task.pauseMs);
      if (lease.signal.aborted) this.#expect(lease.signal.reason, ['LEASE_LOST']);
      if (lease.signal.aborted || (task.writes && !(await this.#countUp(lock, lease)))) break;
    }
    await lease.release();
  }

  async #countUp(lock: string, lease: Lease): Promise<boolean> {
    const map = this.shared!.map<number>('protected');
    const counted = (this.#seen.counted[lock] ??= { sure: 0, perhaps: 0 });
    const before = await this.#got(async () => [await map.get(lock)] as const, []);
    if (before === undefined) return false;
    try {
      await map.set(lock, (before[0] ?? 0) + 1, { guard: lease });
      counted.sure += 1;
      return true;
    } catch (error) {
      this.#expect(error, ['LEASE_LOST', 'UNAVAILABLE', 'AMBIGUOUS']);
      if (codeOf(error) !== 'LEASE_LOST') counted.perhaps += 1;
      return false;
    }
  }

  async #count({ do: verb, by }: Extract<Task, { do: 'add' | 'count' | 'reset' }>): Promise<void> {
    const counter = this.shared!.counter('c');
    if (verb === 'add') {
      const adds = [by, 1].map((each) =>
        this.#call(this.#seen.counter, { do: 'add', by: each }, () => counter.add(each)),
      );
      await Promise.all(adds);
    } else if (verb === 'count') await this.#call(this.#seen.counter, { do: 'get' }, () => counter.get());
    else await this.#call(this.#seen.counter, { do: 'set', value: by }, () => counter.set(by));
  }

  async #map({ do: verb, key, value }: Extract<Task, { do: 'get' | 'set' | 'delete' }>): Promise<void> {
    const map = this.shared!.map<string>('m');
    const calls = this.#seen.map;
    if (verb === 'get') await this.#call(calls, { do: verb, key }, async () => (await map.get(key)) ?? null);
    else if (verb === 'delete') await this.#call(calls, { do: verb, key }, () => map.delete(key));
    else await this.#call(calls, { do: verb, key, value }, () => map.set(key, value).then(() => 'ok'));
  }

  async #transact({ lists, appends, pauseMs }: Extract<Task, { do: 'transact' }>): Promise<void> {
    const place = this.#seen.transactions.length;
    const id = `${this.process.name} ${place}`;
    let steps: Step[] = [];
    this.#seen.transactions.push({ id, steps, outcome: 'unknown' });
    const told = (outcome: Transaction['outcome']): void =>
      void (this.#seen.transactions[place] = { id, steps, outcome });
    try {
      await this.shared!.transaction(async (tx) => {
        steps = []; // what an earlier try of the body saw never happened
        told('unknown');
        const map = tx.map<number[]>('lists');
        for (const [i, read] of lists.entries()) {
          const list = (await map.get(read)) ?? [];
          steps.push({ read, list });
          if (pauseMs > 0) await this.#pause(pauseMs);
          if (i >= appends) continue;
          const element = ++this.#seen.moment;
          steps.push({ append: read, element });
          await map.set(read, [...list, element]);
        }
      });
      told('committed');
    } catch (error) {
      this.#expect(error, ['UNAVAILABLE', 'AMBIGUOUS', 'CONFLICT']);
      told(codeOf(error) === 'AMBIGUOUS' ? 'unknown' : 'aborted');
    }
  }

  async #push({ messages, startMs }: Extract<Task, { do: 'push' }>): Promise<void> {
    const queue = this.shared!.queue<string>('q');
    const pushes = Array.from({ length: messages }, async (_, i) => {
      const id = `${this.process.name} ${startMs} ${i}`;
      if ((await this.#got(() => queue.push(id), [])) !== undefined) this.#seen.pushed.add(id);
    });
    await Promise.all(pushes);
  }

  async #work({ leaseMs, concurrency, pauseMs }: Extract<Task, { do: 'work' }>): Promise<void> {
    const stop = new AbortController();
    this.process.main.after(workMs * 1_000, 'stops work', () => stop.abort());
    const queue = this.shared!.queue<string>('q', { lease: leaseMs, maxDeliveries: Infinity, backoff: 20 });
    const handler = async (job: Job<string>): Promise<void> => {
      await this.#pause(pauseMs);
      if (this.process.chance(`fails ${job.data} ${job.deliveries}`) < 0.1) throw new Aborted();
      if (!job.signal.aborted) this.#seen.handled.add(job.data);
    };
    const onError = (error: unknown): void =>
      this.#expect(error, ['aborted', 'LEASE_LOST', 'UNAVAILABLE', 'AMBIGUOUS']);
    await queue.work(handler, { concurrency, signal: stop.signal, onError });
  }

  /** Writes down a call and what came of it: nothing known where the store did not answer. */
  async #call<Input, Output>(calls: Call<Input, Output>[], input: Input, send: () => Promise<Output>): Promise<void> {
    const client = this.process.name;
    const start = ++this.#seen.moment;
    const place = calls.push({ client, input, output: undefined, start, end: Infinity }) - 1;
    const output = await this.#got(send, []);
    if (output !== undefined) calls[place] = { client, input, output, start, end: ++this.#seen.moment };
  }

  /** What a call gives; nothing where it failed in a way that it may. */
  async #got<T>(call: () => Promise<T>, codes: readonly string[]): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      this.#expect(error, ['UNAVAILABLE', 'AMBIGUOUS', ...codes]);
      return undefined;
    }
  }

  #expect(error: unknown, codes: readonly string[]): void {
    if (codes.includes(codeOf(error))) return;
    this.#witness.fail('expected errors', `${this.process.name}: ${describe(error)}`);
  }

  #optionsOf(timeoutMs: number | undefined, abortMs: number | undefined): AcquireOptions {
    const options: AcquireOptions = timeoutMs === undefined ? {} : { timeout: timeoutMs };
    if (abortMs === undefined) return options;
    return { ...options, signal: this.#signal(abortMs) };
  }

  #signal(afterMs: number): AbortSignal {
    const abort = new AbortController();
    this.#seen.signals.push({ process: this.process, signal: abort.signal });
    this.process.main.after(afterMs * 1_000, 'aborts', () => abort.abort(new Aborted()));
    return abort.signal;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.process.main.after(ms * 1_000, 'goes on', resolve));
  }
}

function codeOf(error: unknown): string {
  return isLockstepError(error) || error instanceof Aborted ? error.code : 'none';
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
