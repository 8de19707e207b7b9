import { keysOf } from '../../src/base/names.ts';
import { limits } from '../../src/base/limits.ts';
import type { Lease } from '../../src/index.ts';
import { acquire, leave, release, type LockKeys } from '../../src/operations/lock.ts';
import type { Act } from './cost.ts';
import { type Grown, type Growth, grow, growthPlan } from './growing.ts';
import type { Stage } from './report.ts';
import { openStore, type Store, type StoreKind } from './stores.ts';

const keys = keysOf('default');
const leaseMs = 3_600_000;
const ask = { ttlMs: String(leaseMs), fences: limits.handOversInARow, queueMs: leaseMs, gives: '' };

/** Waiters of one lock: sessions, each of which has its place in the store; and tasks of one session, which has one. */
export async function growthOfWaiters(stage: Stage, kind: StoreKind, sizes: readonly number[]): Promise<Growth[]> {
  const store = await openStore(stage, kind, `waiters-${kind}`);
  const sessions: Grown[] = [];
  const tasks: Grown[] = [];
  for (const size of sizes) {
    sessions.push({ size, store, acts: await waitingSessions(store, size) });
    tasks.push({ size, store, acts: await waitingTasks(store, size) });
  }
  const grown = [
    await grow(`Waiting sessions, ${kind}`, sessions, growthPlan),
    await grow(`Waiting tasks of one session, ${kind}`, tasks, growthPlan),
  ];
  await store.close();
  return grown;
}

/** The steps that sessions would make, with one inbox for all: a place in the line is the token, whosever it is. */
async function waitingSessions({ engine }: Store, size: number): Promise<Record<string, Act>> {
  const session = `line${size}`;
  const lock = locked(`line-${size}`);
  let granted: (owner: string) => void = () => {};
  await engine.listen(session, {
    message(text) {
      const [verb, owner] = text.split(' ');
      if (verb === 'granted') granted(owner!);
    },
    undelivered() {},
    resync() {},
  });
  let asks = 0;
  const token = (): string => `${session}:${(asks += 1)}:${leaseMs}`;
  const join = (mine: string): ReturnType<typeof engine.run> =>
    engine.run(acquire, lock, { ...ask, token: mine, wait: 1 });
  let owner = (await join(token())) as string;
  for (let joined = 0; joined < size; joined += 500) {
    await Promise.all(Array.from({ length: Math.min(500, size - joined) }, () => join(token())));
  }
  return {
    'hand over, and stand in line again': async () => {
      const next = new Promise<string>((resolve) => (granted = resolve));
      await engine.run(release, lock, { owner, fences: ask.fences, openEveryMs: 0 });
      owner = await next;
      await join(token());
    },
    'join and leave': async () => {
      const mine = token();
      await join(mine);
      await engine.run(leave, lock, { token: mine, fences: ask.fences });
    },
  };
}

async function waitingTasks({ shared }: Store, size: number): Promise<Record<string, Act>> {
  const lock = shared.lock(`tasks-${size}`, { ttl: leaseMs });
  let held = await lock.acquire();
  const line: Promise<Lease>[] = [];
  let first = 0;
  const join = (): void => {
    const waiting = lock.acquire();
    waiting.catch(() => {}); // at the end
    line.push(waiting);
  };
  for (let i = 0; i < size; i++) join();
  return {
    'hand over, and wait again': async () => {
      const next = line[first++]!;
      await held.release();
      held = await next;
      join();
    },
  };
}

/** So many locks that are held, and one that is not. */
export async function growthOfKeys(stage: Stage, kind: StoreKind, sizes: readonly number[]): Promise<Growth> {
  const all: Grown[] = [];
  for (const size of sizes) {
    const store = await openStore(stage, kind, `keys-${kind}-${size}`);
    await holdMany(store, size);
    all.push({ size, store, acts: amongMany(store, size) });
  }
  const growth = await grow(`Locks that are held, ${kind}`, all, growthPlan);
  for (const { store } of all) await store.close();
  return growth;
}

/** As if other sessions held them: in Redis written as docs/keys.md has them. */
async function holdMany({ engine, server }: Store, size: number): Promise<void> {
  if (server !== undefined) {
    await server.eval(
      `for i = 0, ARGV[1] - 1 do redis.call('SET', KEYS[1] .. i, 'other:' .. i .. ':${leaseMs}:1:1', 'PX', ${leaseMs}) end`,
      1,
      keys.lock('held-').owner,
      size,
    );
    return;
  }
  await engine.listen('other', { message() {}, undelivered() {}, resync() {} }); // it lives
  for (let from = 0; from < size; from += 1_000) {
    const some = Array.from({ length: Math.min(1_000, size - from) }, (_, i) => from + i);
    await Promise.all(
      some.map((i) => engine.run(acquire, locked(`held-${i}`), { ...ask, token: `other:${i}:${leaseMs}`, wait: 0 })),
    );
  }
}

function amongMany({ shared }: Store, size: number): Record<string, Act> {
  return {
    'acquire and release': async (turn) => (await shared.lock(`free-${turn}`).acquire()).release(),
    'try one that is held': async (turn) => {
      const lease = await shared.lock(`held-${(turn * 7_919) % size}`).tryAcquire();
      if (lease !== undefined) throw new Error('two have one lock');
    },
  };
}

/** Values of so many bytes. */
export async function growthOfValues(stage: Stage, kind: StoreKind, sizes: readonly number[]): Promise<Growth> {
  const store = await openStore(stage, kind, `values-${kind}`);
  const all = sizes.map((size): Grown => {
    const value = store.shared.value<string>(`value-${size}`);
    const map = store.shared.map<string>(`map-${size}`);
    const text = 'x'.repeat(size - 2); // and two quotes
    return {
      size,
      store,
      acts: {
        'value.set': () => value.set(text),
        'value.get': () => value.get(),
        'map.set': (turn) => map.set(`field-${turn % 10}`, text),
        'map.get': (turn) => map.get(`field-${turn % 10}`),
      },
    };
  });
  const growth = await grow(`Bytes of a value, ${kind}`, all, growthPlan);
  await store.close();
  return growth;
}

function locked(name: string): LockKeys {
  const { owner, queue, fences } = keys.lock(name);
  return { owner, queue, fences };
}
