import { Redis } from 'ioredis';
import { afterAll, describe, expect, test } from 'vitest';
import { isLockstepError } from '../../src/base/errors.ts';
import { open } from '../../src/index.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import { checkSerializable, type Step, type Transaction } from '../histories/serializable.ts';
import { startProxy } from '../redis/proxy.ts';
import { hasRedisServer, type RedisServer, startRedisServer } from '../redis/server.ts';
import { eachEngine } from './each-engine.ts';
import { randomly } from './seed.ts';
import { openSession } from './sessions.ts';

/** mulberry32: the same numbers for the same seed. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const lists = ['a', 'b', 'c', 'd'];
let elements = 0;

/** Transactions of a few random reads and appends, one after the other. */
async function program(
  shared: Lockstep,
  id: string,
  random: (below: number) => number,
  count: number,
): Promise<Transaction[]> {
  const history: Transaction[] = [];
  for (let i = 0; i < count; i++) {
    const plan = Array.from({ length: 1 + random(4) }, () => ({
      list: lists[random(lists.length)]!,
      append: random(2) === 0,
    }));
    const aborts = random(10) === 0;
    let steps: Step[] = [];
    let outcome: Transaction['outcome'] = 'committed';
    try {
      await shared.transaction(async (tx) => {
        steps = []; // it may run again
        const map = tx.map<number[]>('lists');
        for (const { list, append } of plan) {
          const before = (await map.get(list)) ?? [];
          if (!append) steps.push({ read: list, list: before });
          else {
            const element = ++elements;
            await map.set(list, [...before, element]);
            steps.push({ read: list, list: before }, { append: list, element });
          }
        }
        if (aborts) throw new Error('on purpose');
      });
    } catch (error) {
      if (aborts && !isLockstepError(error)) outcome = 'aborted';
      else outcome = isLockstepError(error, 'AMBIGUOUS') ? 'unknown' : 'aborted';
    }
    history.push({ id: `${id}${i}`, steps, outcome });
  }
  return history;
}

eachEngine((_, openStore) => {
  test('random transactions of several sessions are serializable, and see who writes beside them', async () => {
    const { seed, numRuns } = randomly(40);
    const store = await openStore();
    const sessions = await Promise.all(['a', 'b', 'c'].map((label) => openSession(store, label)));
    const clients = sessions.flatMap((shared, i) =>
      [0, 1].map((j) => program(shared, `s${i}t${j}:`, chance(seed + i * 2 + j), numRuns)),
    );
    // One who knows nothing of transactions, and writes lists that nobody else does.
    const foreign = sessions[0]!.map<number[]>('lists');
    const written = Array.from({ length: numRuns }, (_each, i) => i);
    for (const i of written) await foreign.set(`foreign`, written.slice(0, i + 1));
    const history = (await Promise.all(clients)).flat();
    expect(checkSerializable(history)).toEqual([]);
    expect(history.filter(({ outcome }) => outcome === 'committed').length).toBeGreaterThan(numRuns);
  });
});

describe.runIf(hasRedisServer)('on a Redis server', () => {
  let server: Promise<RedisServer> | undefined;
  afterAll(async () => (await server)?.remove());

  test('a raw client that writes between a read and the commit is seen each time', { timeout: 60_000 }, async () => {
    const { socket, address } = await (server ??= startRedisServer());
    const shared = await open(address, { space: 'raw', onWarning: () => {} });
    const raw = new Redis(socket);
    let stop = false;
    const key = '{raw}:map:m';
    await raw.hset(key, 'n', '0');
    const bypass = (async () => {
      let added = 0;
      for (; !stop; added++) await raw.hincrby(key, 'n', 1);
      return added;
    })();
    const ours = await Promise.all(
      Array.from({ length: 8 }, () =>
        shared
          .transaction(async (tx) => {
            const map = tx.map<number>('m');
            await map.set('n', ((await map.get('n')) ?? 0) + 1_000_000);
            return 1;
          })
          .catch((error: unknown) => {
            if (!isLockstepError(error, 'CONFLICT')) throw error;
            return 0;
          }),
      ),
    );
    stop = true;
    const added = await bypass;
    const total = Number(await raw.hget(key, 'n'));
    expect(total).toBe(added + 1_000_000 * ours.reduce((sum, one) => sum + one, 0));
    raw.disconnect();
    await shared.close();
  });

  test('transfers are done exactly once although one connection in fifty is cut', { timeout: 60_000 }, async () => {
    const { seed, numRuns } = randomly(150);
    const { socket } = await (server ??= startRedisServer());
    const proxy = await startProxy(socket);
    const shared = await open(proxy.address, { space: 'cut', onWarning: () => {} });
    const random = chance(seed);
    let cuts = 0;
    proxy.cutAfter = (request) => {
      const cut = request.includes('EVAL') && random(50) === 0;
      if (cut) cuts += 1;
      return cut;
    };
    const accounts = 6;
    const done = Array.from({ length: accounts }, () => 0);
    const task = async (): Promise<void> => {
      for (let i = 0; i < numRuns; i++) {
        const from = random(accounts);
        const to = (from + 1 + random(accounts - 1)) % accounts;
        try {
          await shared.transaction(async (tx) => {
            const map = tx.map<number>('accounts');
            await map.set(String(from), ((await map.get(String(from))) ?? 0) - 1);
            await map.set(String(to), ((await map.get(String(to))) ?? 0) + 1);
          });
          done[from]! -= 1;
          done[to]! += 1;
        } catch (error) {
          if (!isLockstepError(error, 'UNAVAILABLE')) throw error; // nothing was written
        }
      }
    };
    await Promise.all([task(), task(), task(), task()]);
    proxy.cutAfter = () => false;
    const raw = new Redis(socket);
    const left = await raw.hgetall('{cut}:map:accounts');
    raw.disconnect();
    expect(done.map((_, i) => Number(left[String(i)] ?? 0))).toEqual(done);
    expect(cuts).toBeGreaterThan(2);
    await shared.close();
    await proxy.close();
  });
});
