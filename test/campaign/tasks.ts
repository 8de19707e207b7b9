import { setTimeout as sleep } from 'node:timers/promises';
import { isLockstepError, type ErrorCode } from '../../src/base/errors.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import type { Lease } from '../../src/primitives/lease.ts';
import type { QuorumLease } from '../../src/primitives/quorum-lease.ts';
import type { QuorumLockstep } from '../../src/primitives/quorum.ts';
import { nowMs } from '../faults/programs/now.ts';
import type { Step } from '../histories/serializable.ts';
import type { Dice } from '../simulation/chance.ts';
import type { Outcome, Recorder, Recording } from './record.ts';

/** Things of one window are used for so long, so that each has a short history of its own: ms. */
const windowMs = 2_000;

export const space = 'campaign';
export const queueName = 'work';
export const accounts: readonly string[] = ['ann', 'bob', 'cyd', 'dan'];
const locks: readonly string[] = ['a', 'b'];

/** What a task works with. */
export interface Station {
  readonly shared: Lockstep;
  readonly record: Recorder;
  readonly dice: Dice;
  /** The name of the task, for the history. */
  readonly task: string;
  readonly ttlMs: number;
  /** A number that no other client has. */
  readonly serial: () => number;
  readonly stop: AbortSignal;
  /** No more messages are pushed. */
  readonly draining: () => boolean;
}

export type Kind = 'lock' | 'counter' | 'register' | 'transact' | 'push' | 'work' | 'list' | 'hold' | 'count';

/** One round of each kind of task: whether it went well. */
export const rounds: Readonly<Record<Kind, (at: Station) => Promise<boolean>>> = {
  lock,
  counter,
  register,
  transact,
  push,
  work,
  list,
  hold,
  count,
};

/** Locks over several servers have no data. */
export async function quorumRound(at: Omit<Station, 'shared'>, shared: QuorumLockstep): Promise<boolean> {
  return locked(at, at.dice.pick(locks), (name) =>
    shared.lock(name, { ttl: at.ttlMs }).acquire({ timeout: '20s', signal: at.stop }),
  );
}

function windowNow(): number {
  return Math.floor(nowMs() / windowMs);
}

/** Makes a call and writes down what came of it. What can't be expected is written down as bad. */
async function called<T>(
  { record, task }: Pick<Station, 'record' | 'task'>,
  thing: string,
  input: unknown,
  call: (recording: Recording) => Promise<T>,
  may: readonly ErrorCode[] = [],
): Promise<{ readonly ok: T } | undefined> {
  const recording = record.begin(task, thing, input);
  try {
    const ok = await call(recording);
    recording.ended('ok', ok ?? null);
    return { ok };
  } catch (error) {
    const [outcome, code] = outcomeOf(error);
    if (!['UNAVAILABLE', 'AMBIGUOUS', 'ABORTED', ...may].includes(code)) record.bad(`${thing}: ${describe(error)}`);
    recording.ended(outcome, null, code);
    return undefined;
  }
}

function outcomeOf(error: unknown): [outcome: Outcome, code: string] {
  if (error instanceof Error && error.name === 'AbortError') return ['no', 'ABORTED'];
  if (!isLockstepError(error)) return ['unknown', 'none'];
  const isUnknown = error.code === 'AMBIGUOUS' || error.details['applied'] === 'unknown';
  return [isUnknown ? 'unknown' : 'no', error.code];
}

export function describe(error: unknown): string {
  const code = isLockstepError(error) ? `${error.code}: ` : '';
  return error instanceof Error ? `${code}${error.stack ?? error.message}` : String(error);
}

async function lock(at: Station): Promise<boolean> {
  const { shared, dice, ttlMs } = at;
  const options = dice.isLucky(0.3) ? { timeout: dice.whole(0, 400) } : {};
  const take = (name: string): Promise<Lease> =>
    shared.lock(name, { ttl: ttlMs, keep: dice.isLucky(0.2) ? 20 : 0 }).acquire({ ...options, signal: at.stop });
  return locked(at, dice.pick(locks), take, (lease) => countUp(at, lease));
}

/** Takes a lock, stays for a while, and writes down each moment in which the lease was certainly valid. */
async function locked<L extends Lease | QuorumLease>(
  at: Omit<Station, 'shared'>,
  name: string,
  take: (name: string) => Promise<L>,
  inside: (lease: L, isValid: () => boolean) => Promise<void> = async () => {},
): Promise<boolean> {
  const { record, task, dice } = at;
  const recording = record.begin(task, `lock:${name}`, { do: 'acquire' });
  let lease: L;
  try {
    lease = await take(name);
  } catch (error) {
    const [, code] = outcomeOf(error);
    if (!['UNAVAILABLE', 'TIMEOUT', 'ABORTED'].includes(code)) record.bad(`lock ${name}: ${describe(error)}`);
    recording.ended('no', null, code);
    return false;
  }
  recording.ended('ok', 'fence' in lease ? lease.fence : null);
  const { signal } = lease;
  const isValid = (): boolean => {
    const now = nowMs(); // before it is asked: a process may be stopped in between
    if (lease.remaining() === 0 || signal.aborted) return false;
    recording.lease('valid', now);
    return true;
  };
  for (let i = dice.whole(0, 3); i >= 0 && isValid(); i--) {
    await inside(lease, isValid);
    if (dice.isLucky(0.3)) await sleep(dice.between(0, 15));
  }
  const inTime = isValid();
  await lease.release();
  if (inTime) recording.lease('released', nowMs());
  return true; // a lease that was too short for a busy machine is well, too
}

/** What the lease guards: one more, each time. */
async function countUp(at: Station, lease: Lease): Promise<void> {
  const entry = `${lease.lock}.${windowNow()}`;
  const map = at.shared.map<number>('guarded');
  const next = at.serial();
  await called(
    at,
    `register:guarded.${entry}`,
    { do: 'update' },
    async (recording) => {
      const from = (await map.get(entry)) ?? null;
      recording.tried({ from, to: next });
      await map.set(entry, next, { guard: lease });
      return true;
    },
    ['LEASE_LOST'],
  );
}

async function counter(at: Station): Promise<boolean> {
  const name = `c.${windowNow()}`;
  const shared = at.shared.counter(name);
  if (at.dice.isLucky(0.2)) {
    return (await called(at, `counter:${name}`, { do: 'get' }, () => shared.get())) !== undefined;
  }
  const by = at.dice.pick([1, 1, 2, -1]);
  return (await called(at, `counter:${name}`, { do: 'add', by }, () => shared.add(by))) !== undefined;
}

/** One counter for all the time. */
async function count(at: Station): Promise<boolean> {
  return (await called(at, 'counter:all', { do: 'add', by: 1 }, () => at.shared.counter('all').add())) !== undefined;
}

async function register(at: Station): Promise<boolean> {
  const entry = `r${at.dice.whole(0, 1)}.${windowNow()}`;
  const thing = `register:map.${entry}`;
  const map = at.shared.map<number>('map');
  const drawn = at.dice.between(0, 1);
  const value = at.serial();
  if (drawn < 0.2) {
    return (await called(at, thing, { do: 'write', value }, () => map.set(entry, value))) !== undefined;
  }
  const read = await called(at, thing, { do: 'read' }, () => map.get(entry));
  if (drawn < 0.4 || read === undefined) return read !== undefined;
  if (drawn < 0.7) {
    const input = { do: 'cas', from: read.ok ?? null, to: value };
    return (await called(at, thing, input, () => map.compareAndSet(entry, read.ok, value))) !== undefined;
  }
  const update = async (recording: Recording): Promise<true> => {
    await map.update(entry, (from) => {
      recording.tried({ from: from ?? null, to: value });
      return value;
    });
    return true;
  };
  return (await called(at, thing, { do: 'update' }, update, ['CONFLICT'])) !== undefined;
}

/** Reads lists and appends to some of them, and moves money, in one transaction. */
async function transact(at: Station): Promise<boolean> {
  const { shared, dice } = at;
  const window = windowNow();
  const names = dice.pick([['x', 'y'], ['y', 'x'], ['y', 'z'], ['z', 'x', 'y'], ['x']]);
  const appends = dice.whole(0, 2);
  const [from, to] = dice.pick([accounts, accounts.toReversed(), [...accounts.slice(2), ...accounts]]) as [
    string,
    string,
  ];
  const amount = dice.whole(1, 9);
  const pauseMs = dice.pick([0, 0, 3]);
  const made = await called(
    at,
    `transactions:${window}`,
    {},
    (recording) =>
      shared.transaction(async (tx) => {
        const steps: Step[] = [];
        const map = tx.map<number[]>('lists');
        for (const [i, name] of names.entries()) {
          const read = `${window}.${name}`;
          const before = (await map.get(read)) ?? [];
          steps.push({ read, list: before });
          if (pauseMs > 0) await sleep(pauseMs);
          if (i >= appends) continue;
          const element = at.serial();
          steps.push({ append: read, element });
          await map.set(read, [...before, element]);
        }
        if (appends > 0) {
          const money = tx.map<number>('accounts');
          await money.set(from, ((await money.get(from)) ?? 0) - amount);
          await money.set(to, ((await money.get(to)) ?? 0) + amount);
        }
        recording.tried(steps);
        return steps;
      }),
    ['CONFLICT'],
  );
  return made !== undefined;
}

async function push(at: Station): Promise<boolean> {
  if (at.draining()) return true;
  const id = String(at.serial());
  const queue = at.shared.queue<string>(queueName);
  return (await called(at, 'queue', { push: id }, () => queue.push(id))) !== undefined;
}

/** Handles messages until the client stops: what each does and its acknowledgement are one transaction. */
async function work(at: Station): Promise<boolean> {
  const { shared, dice, record, stop } = at;
  const queue = shared.queue<string>(queueName, { lease: '2s', maxDeliveries: Infinity, backoff: 50 });
  const expected = new Set(['UNAVAILABLE', 'AMBIGUOUS', 'LEASE_LOST', 'CONFLICT']);
  await queue.work(
    async (job) => {
      if (dice.isLucky(0.5)) await sleep(dice.between(0, 10));
      await shared.transaction(async (tx) => {
        const effects = tx.map<number>('effects');
        await effects.set(job.data, ((await effects.get(job.data)) ?? 0) + 1);
        await tx.ack(job);
      });
    },
    {
      concurrency: 2,
      signal: stop,
      onError(error) {
        if (!isLockstepError(error) || !expected.has(error.code)) record.bad(`queue: ${describe(error)}`);
      },
    },
  );
  return true;
}

async function list(at: Station): Promise<boolean> {
  const name = `l.${windowNow()}`;
  const shared = at.shared.list<string>(name);
  const thing = `list:${name}`;
  if (at.dice.isLucky(0.5)) {
    const value = String(at.serial());
    return (await called(at, thing, { do: 'push', value }, () => shared.push(value))) !== undefined;
  }
  return (await called(at, thing, { do: 'pop' }, () => shared.shift())) !== undefined;
}

/** Holds a lock until it is lost, or until the client stops, and then writes under its guard. */
async function hold(at: Station): Promise<boolean> {
  const take = (name: string): Promise<Lease> => at.shared.lock(name, { ttl: at.ttlMs }).acquire({ signal: at.stop });
  return locked(at, 'held', take, async (lease, isValid) => {
    while (isValid() && !at.stop.aborted) await sleep(20);
    await countUp(at, lease);
  });
}
