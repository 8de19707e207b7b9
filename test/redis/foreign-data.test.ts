import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Lockstep, open, type Transaction } from '../../src/index.ts';
import { failure } from '../contract/sessions.ts';
import { hasRedisPy, python } from './python.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

/** One command of another program, and its reply. */
type Foreigner = (server: RedisServer, ...command: string[]) => unknown;

const foreigners: Record<string, Foreigner> = {
  'redis-cli': (server, ...command) => replyOf('redis-cli', ['-s', server.socket, '--json', ...command]),
  'redis-py': (server, ...command) => {
    const program = join(import.meta.dirname, 'programs/redis_py_command.py');
    return replyOf(python, [program, server.socket, ...command]);
  },
};

function replyOf(program: string, args: readonly string[]): unknown {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as unknown;
}

const hasRedisCli = hasRedisServer && spawnSync('redis-cli', ['--version']).status === 0;
const there = Object.keys(foreigners).filter((name) => (name === 'redis-py' ? hasRedisPy : hasRedisCli));

describe.skipIf(!hasRedisServer).each(there)('data shared with %s', (name) => {
  let server: RedisServer;
  let shared: Lockstep;
  const they = (...command: string[]): unknown => foreigners[name]!(server, ...command);
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.remove());
  beforeEach(async () => {
    await server.client().flushall();
    shared = await open(server.address, { space: 'shop', onWarning: () => {} });
    onTestFinished(() => shared.close());
  });

  test('is read by them as plain Redis data with JSON in it', async () => {
    await shared.value('config').set({ rate: 1 });
    await shared.map('stock').set('apple', { left: 3 });
    await shared.map('stock').set('ice', 'é', { ttl: '1h' });
    await shared.set('tags').addAll(['new', 7]);
    await shared.sortedSet('scores').setAll([
      ['ada', 2.5],
      ['alan', 1],
    ]);
    await shared.list('jobs').pushAll([{ id: 1 }, null]);
    await shared.counter('visits').add(41);
    expect(they('GET', '{shop}:value:config')).toBe('{"rate":1}');
    expect(they('HGETALL', '{shop}:map:stock')).toEqual({ apple: '{"left":3}', ice: '"é"' });
    expect(new Set(they('SMEMBERS', '{shop}:set:tags') as string[])).toEqual(new Set(['"new"', '7']));
    expect(they('ZRANGE', '{shop}:sorted:scores', '0', '-1')).toEqual(['"alan"', '"ada"']);
    expect(they('LRANGE', '{shop}:list:jobs', '0', '-1')).toEqual(['{"id":1}', 'null']);
    expect(they('INCRBY', '{shop}:counter:visits', '1')).toBe(42);
  });

  test('is read by us where they wrote it, and refused where it is no JSON', async () => {
    they('SET', '{shop}:value:config', '{ "rate": 2 }', 'PX', '100000');
    they('HSET', '{shop}:map:stock', 'apple', '1', 'pear', '[2]');
    they('HDEL', '{shop}:map:stock', 'pear');
    they('SADD', '{shop}:set:tags', '"new"', '7');
    they('ZADD', '{shop}:sorted:scores', '2.5', '"ada"', '-inf', '"nobody"');
    they('RPUSH', '{shop}:list:jobs', '{"id":1}', '"x"');
    they('SET', '{shop}:counter:visits', '7');
    expect(await shared.value('config').get()).toEqual({ rate: 2 });
    expect(await shared.value('config').remaining()).toBeLessThanOrEqual(100_000);
    expect(await shared.value('config').compareAndSet({ rate: 2 }, { rate: 3 })).toBe(true); // other spaces
    expect(await shared.map('stock').getAll(['apple', 'pear'])).toEqual(new Map([['apple', 1]]));
    expect(await shared.set('tags').union()).toEqual(new Set(['new', 7]));
    expect(await shared.sortedSet('scores').range()).toEqual([
      ['nobody', -Infinity],
      ['ada', 2.5],
    ]);
    expect(await shared.list('jobs').slice()).toEqual([{ id: 1 }, 'x']);
    expect(await shared.counter('visits').add()).toBe(8);
    they('HSET', '{shop}:map:stock', 'apple', 'many');
    expect(await failure(shared.map('stock').get('apple'))).toMatchObject({ code: 'INVALID_VALUE' });
    they('DEL', '{shop}:map:stock');
    expect(await shared.map('stock').size()).toBe(0);
    they('SET', '{shop}:map:stock', '1');
    expect(await failure(shared.map('stock').get('apple'))).toMatchObject({ code: 'WRONG_KIND' });
  });

  const conflicts: [what: string, read: (tx: Transaction) => Promise<unknown>, write: string[], now: unknown][] = [
    ['a value', (tx) => tx.value('x').get(), ['SET', '{shop}:value:x', '5'], 5],
    ['an entry', (tx) => tx.map('x').get('k'), ['HSET', '{shop}:map:x', 'k', '5'], 5],
    ['a member', (tx) => tx.set('x').has(5), ['SADD', '{shop}:set:x', '5'], true],
    ['a score', (tx) => tx.sortedSet('x').score('k'), ['ZADD', '{shop}:sorted:x', '5', '"k"'], 5],
    ['a range', (tx) => tx.sortedSet('x').range(), ['ZADD', '{shop}:sorted:x', '5', '"k"'], [['k', 5]]],
    ['a list', (tx) => tx.list('x').slice(), ['RPUSH', '{shop}:list:x', '5'], [5]],
    ['a counter', (tx) => tx.counter('x').get(), ['INCRBY', '{shop}:counter:x', '5'], 5],
  ];
  test.each(conflicts)(
    'is read anew by a transaction, where they write %s before its commit',
    async (_, read, write, now) => {
      let runs = 0;
      await shared.transaction(async (tx) => {
        const found = await read(tx);
        runs += 1;
        if (runs === 1) they(...write);
        await tx.value('found').set(found ?? null);
      });
      expect(runs).toBe(2);
      expect(await shared.value('found').get()).toEqual(now);
    },
  );

  test('is seen by a watch at its next look, and by a taker that waits', async () => {
    const watch = shared.map<number>('stock').watch({ recheck: 50 });
    const list = shared.list<number>('jobs');
    await watch.next();
    const [next, taken] = [watch.next(), list.take({ timeout: '15s' })];
    await list.length(); // the taker is in line
    they('HSET', '{shop}:map:stock', 'apple', '1');
    expect((await next).value).toEqual(new Map([['apple', 1]]));
    they('RPUSH', '{shop}:list:jobs', '1');
    expect(await taken).toBe(1);
    await watch.return!();
  });
});
