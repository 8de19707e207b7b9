import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { openSqlite } from '../../../src/engines/embedded/driver.ts';
import { embeddedEngine } from '../../../src/engines/embedded/embedded.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import type { SqliteTx } from '../../../src/engines/embedded/tx.ts';
import { memoryEngine } from '../../../src/engines/memory.ts';
import type { BatchOperation, Tx } from '../../../src/operations/tx.ts';
import { cleanUp, temporaryDirectory } from '../fixtures/processes.ts';

const engines: Engine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  await cleanUp();
});

/** Small steps over few keys, of every kind, some of which fail half-way. */
const verbs: readonly ((tx: Tx, key: string, n: number) => unknown)[] = [
  (tx, key) => tx.del(key),
  (tx, key) => tx.pttl(key),
  (tx, key, n) => tx.pexpire(key, n + 1),
  (tx, key) => tx.persist(key),
  (tx, key) => tx.get(key) ?? '',
  (tx, key, n) => tx.set(key, String(n)),
  (tx, key, n) => tx.setPx(key, String(n), String(n + 1)),
  (tx, key, n) => tx.hget(key, String(n)) ?? '',
  (tx, key, n) => tx.hset(key, String(n), String(n)),
  (tx, key, n) => tx.hdel(key, String(n)),
  (tx, key) => tx.hlen(key),
  (tx, key) => tx.hvals(key).sort().join(),
  (tx, key, n) => tx.lpush(key, String(n)),
  (tx, key, n) => tx.rpush(key, String(n)),
  (tx, key) => tx.lpop(key) ?? '',
  (tx, key) => tx.rpop(key) ?? '',
  (tx, key, n) => tx.lrange(key, -n, n - 2).join(),
  (tx, key, n) => tx.sadd(key, String(n)),
  (tx, key, n) => tx.srem(key, String(n)),
  (tx, key) => tx.scard(key),
  (tx, key, n) => tx.zadd(key, 5 - n, String(n)),
  (tx, key, n) => tx.zaddNew(key, n, String(n)),
  (tx, key, n) => tx.zrem(key, String(n)),
  (tx, key, n) => tx.zrange(key, -n, n - 2).join(),
  (tx, key, n) => tx.zrangeByScore(key, n - 2, n, 2).join(),
  (tx, key, n) => tx.zbefore(key, n) ?? '',
  (tx, key, n) => tx.zincrby(key, n - 2, String(n)),
  (tx, key, n) => tx.zrank(key, String(n)) ?? '',
  (tx, key, n) => tx.zcount(key, n - 3, n),
  // Texts that are no numbers: their places are hashes.
  (tx, key, n) => tx.hset(key, `field ${n}`, String(n)),
  (tx, key, n) => tx.hget(key, `field ${n}`) ?? '',
  (tx, key, n) => tx.hdel(key, `field ${n}`),
  (tx, key, n) => tx.sadd(key, `member ${n}`),
  (tx, key, n) => tx.srem(key, `member ${n}`),
  (tx, key, n) => tx.zadd(key, 5 - n, `member ${n}`),
  (tx, key, n) => tx.zrem(key, `member ${n}`),
  (tx, key, n) => tx.zincrby(key, n - 2, `member ${n}`),
  (tx, key, n) => tx.zrank(key, `member ${n}`) ?? '',
  // What the row of a key has no room for.
  (tx, key, n) => tx.hset(key, String(n), long(n)),
  (tx, key, n) => tx.rpush(key, long(n)),
  (tx, key, n) => tx.sadd(key, long(n)),
  (tx, key, n) => tx.zadd(key, n, long(n)),
  (tx, key, n) => tx.zadd(key, n === 0 ? Infinity : -Infinity, String(n)),
  // Several at once, and parts.
  (tx, key, n) => tx.hmset(key, [String(n), 'one', `field ${n}`, 'two']),
  (tx, key, n) => tx.hmget(key, [String(n), `field ${n}`]).join(),
  (tx, key) => pairs(tx.hgetall(key)),
  (tx, key, n) => tx.hincrby(key, `number ${n}`, n),
  (tx, key, n) => tx.lset(key, n - 3, `element ${n}`),
  (tx, key, n) => tx.ltrim(key, n - 3, -n),
  (tx, key, n) => tx.lpopMany(key, n + 1).join(),
  (tx, key, n) => tx.zrangeWithScores(key, -n, -1).join(),
  (tx, key, n) => tx.zrangeByScoreWithScores(key, n - 4, Infinity, 3).join(),
  (tx, key, n) => tx.zrevrangeByScore(key, n, -Infinity, 3).join(),
  (tx, key, n) => tx.zrevrangeByScoreWithScores(key, n, n - 2, 3).join(),
  (tx, key) => tx.zpopmin(key) ?? '',
  (tx, key, n) =>
    tx
      .sunion([key, `key${n % 4}`])
      .sort()
      .join(),
  (tx, key, n) =>
    tx
      .sinter([key, `key${n % 4}`])
      .sort()
      .join(),
  (tx, key, n) =>
    tx
      .sdiff([key, `key${n % 4}`])
      .sort()
      .join(),
];

function long(n: number): string {
  return `${n}`.repeat(250);
}

function pairs(flat: readonly string[]): string {
  return flat
    .flatMap((field, i) => (i % 2 === 0 ? [`${field}=${flat[i + 1]!}`] : []))
    .sort()
    .join();
}

/** keys: one for each verb; args: the verb's number and its own for each. 'fail' at the end: it throws. */
const program: BatchOperation<string> = {
  name: 'program',
  batch: true,
  step(tx, keys, args) {
    const replies = keys.map((key, i) => verbs[Number(args[2 * i])]!(tx, key, Number(args[2 * i + 1])));
    if (args.at(-1) === 'fail') throw new Error('fail');
    return JSON.stringify(replies);
  },
};

/** What the sweep does: args: of how many members at once. */
const sweep: BatchOperation<number> = {
  name: 'sweep',
  batch: true,
  step(tx, _, [count]) {
    const own = tx as SqliteTx;
    for (const key of own.sweepPage('', 10).expired) own.sweepKey(key, Number(count));
    own.countMembers(1);
    return 0;
  },
};

function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('two connections with what they remember are as one store, whatever steps fail', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e6);
  console.log(`SEED=${seed}`);
  const below = randomNumbers(seed);
  let nowUs = 1_700_000_000_000_000;
  const clock = { ...systemClock, wallUs: () => nowUs };
  const directory = temporaryDirectory();
  const ranks = { walkMax: 1, partMax: 2, groupMax: 2 };
  const connections = [
    await embeddedEngine({ directory, clock, ranks, hashBits: 2 }),
    await embeddedEngine({ directory, clock, hashBits: 2 }),
  ];
  const model = memoryEngine({ clock });
  engines.push(...connections, model);

  const look = openSqlite(join(directory, 'lockstep.db'));
  const kindsOfForms = look.prepare(
    'SELECT kind, CASE kind WHEN 2 THEN size > json_array_length(text) ELSE text IS NULL END FROM keys WHERE kind > 0',
  );
  const forms = new Set<string>();

  for (let turn = 0; turn < 8_000; turn++) {
    const batch = Array.from({ length: 1 + below(4) }, () => {
      const keys = Array.from({ length: 1 + below(3) }, () => `key${below(4)}`);
      const args = keys.flatMap(() => [String(below(verbs.length)), String(below(6))]);
      return { keys, args: below(8) === 0 ? [...args, 'fail'] : args };
    });
    const all = async (engine: Engine): Promise<unknown[]> => {
      const settled = await Promise.allSettled(batch.map(({ keys, args }) => engine.runBatch(program, keys, args)));
      return settled.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error).message));
    };
    expect(await all(connections[below(2)]!), `turn ${turn}`).toEqual(await all(model));
    nowUs += below(3) * 1_000;
    if (below(5) === 0) await connections[below(2)]!.runBatch(sweep, [], [String(1 + below(3))]);
    for (const form of kindsOfForms.all()) forms.add(form.join());
  }
  look.close();
  // Hashes, lists, sets and sorted sets: in the row of their key, and not.
  expect([...forms].sort()).toEqual(['1,0', '1,1', '2,0', '2,1', '3,0', '3,1', '4,0', '4,1']);
}, 60_000);

test('text of any kind comes back as it was', async () => {
  const engine = await embeddedEngine({ directory: temporaryDirectory() });
  engines.push(engine);
  const texts = ['', '\0', 'a\0b', 'ü€😀', "'; DROP TABLE keys; --", '1e400', '-0', 'x'.repeat(100_000)];
  const put: BatchOperation<number> = {
    name: 'put',
    batch: true,
    step(tx, keys, args) {
      args.forEach((text, i) => tx.hset(keys[0]!, `${i}${text}`, text));
      return tx.hlen(keys[0]!);
    },
  };
  expect(await engine.runBatch(put, ['h'], texts)).toBe(texts.length);
  const found: string[] = [];
  let cursor = '';
  do {
    const page = await engine.scan('h', cursor, 3);
    found.push(...page.entries);
    cursor = page.cursor;
  } while (cursor !== '');
  expect(found).toHaveLength(2 * texts.length);
  for (const [i, text] of texts.entries()) expect(found[found.indexOf(`${i}${text}`) + 1]).toBe(text);
});
