import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isLockstepError } from '../../src/base/errors.ts';
import type { BatchOperation, Reply } from '../../src/operations/tx.ts';
import { randomly } from '../contract/seed.ts';
import { hasRedisServer, type RedisServer, startRedisServer } from './redis-server.ts';
import { embeddedSubject, handClock, memorySubject, redisSubject, type Subject } from './subjects.ts';
import { call, still } from './verbs/verbs.ts';

let server: RedisServer;
beforeAll(async () => {
  if (hasRedisServer) server = await startRedisServer();
});
afterAll(() => server?.stop());

const clock = handClock();
const engines: [name: string, open: () => Promise<Subject>][] = [
  ['memory', () => Promise.resolve(memorySubject(clock))],
  ['embedded', () => embeddedSubject(clock)],
];
if (hasRedisServer) engines.push(['redis', () => Promise.resolve(redisSubject(server, clock))]);

describe.each(engines)('Tx on %s', (name, open) => {
  let subject: Subject;
  beforeEach(async () => {
    subject = await open();
    return () => subject.close();
  });

  const on = (key: string, verb: string, ...args: (string | number)[]): Promise<Reply> =>
    subject.runBatch(call, [key], [verb, ...args.map(String)]);

  /** Calls verbs in order: each is `[reply, key, verb, ...arguments]`. */
  async function expects(...calls: [Reply, string, string, ...(string | number)[]][]): Promise<void> {
    for (const [reply, key, verb, ...args] of calls) {
      expect(await on(key, verb, ...args), `${verb} ${key} ${args.join(' ')}`).toEqual(reply);
    }
  }

  test('strings are set, replaced and deleted', () =>
    expects(
      [[], 'k', 'get'],
      [0, 'k', 'set', 'é😀\u0000"'],
      [['é😀\u0000"'], 'k', 'get'],
      [0, 'k', 'set', ''],
      [[''], 'k', 'get'],
      [1, 'k', 'exists'],
      [1, 'k', 'del'],
      [0, 'k', 'del'],
      [0, 'k', 'exists'],
    ));

  test('integers of 64 bits are added exactly, and keep their life', async () => {
    await expects(
      ['1', 'n', 'incrby', '1'],
      ['-2', 'n', 'incrby', '-3'],
      [['-2'], 'n', 'get'],
      [0, 'n', 'set', '9007199254740991'],
      ['9007199254740993', 'n', 'incrby', '2'],
      ['9223372036854775807', 'n', 'incrby', '9214364837600034814'],
      ['-1', 'n', 'incrby', '-9223372036854775808'],
      [1, 'n', 'pexpire', 50],
      ['0', 'n', 'incrby', '1'],
      [50, 'n', 'pttl'],
    );
    clock.nowUs += 51_000;
    await expects(['4', 'n', 'incrby', '4'], [-1, 'n', 'pttl']);
  });

  test('hashes tell what is new, and vanish when empty', () =>
    expects(
      [1, 'h', 'hset', 'é', '1'],
      [0, 'h', 'hset', 'é', '2'],
      [1, 'h', 'hset', '', ''],
      [['2'], 'h', 'hget', 'é'],
      [[''], 'h', 'hget', ''],
      [[], 'h', 'hget', 'e'],
      [2, 'h', 'hlen'],
      [1, 'h', 'hexists', ''],
      [0, 'h', 'hexists', 'e'],
      [0, 'none', 'hexists', 'e'],
      [1, 'h', 'hdel', 'é'],
      [0, 'h', 'hdel', 'é'],
      [[''], 'h', 'hvals'],
      [['', ''], 'h', 'hgetall'],
      [1, 'h', 'hdel', ''],
      [0, 'h', 'exists'],
      [0, 'h', 'hlen'],
      [[], 'h', 'hvals'],
      [[], 'h', 'hgetall'],
      [[0, 0], 'h', 'hmget', '', 'é'],
      [0, 'h', 'hmset', 'é', ''],
      [['é', 0], 'h', 'hmget', '', 'e'],
      [['', 'é'], 'h', 'hmget', 'é', ''],
      [['', 'é'], 'h', 'hmgetWithin', 'é', ''],
    ));

  test('lists grow and shrink at both ends, and vanish when empty', () =>
    expects(
      [1, 'l', 'rpush', 'b'],
      [2, 'l', 'lpush', 'a'],
      [3, 'l', 'rpush', 'c'],
      [3, 'l', 'llen'],
      [['a', 'b', 'c'], 'l', 'lrange', 0, -1],
      [['b', 'c'], 'l', 'lrange', -2, 9],
      [['a'], 'l', 'lrange', -9, 0],
      [[], 'l', 'lrange', 2, 1],
      [['a'], 'l', 'lpop'],
      [['c'], 'l', 'rpop'],
      [['b'], 'l', 'rpop'],
      [[], 'l', 'lpop'],
      [0, 'l', 'exists'],
    ));

  test('the first few elements of a list, or the first member of a sorted set, are taken at once', () =>
    expects(
      [3, 'l', 'rpushAll', 'a', 'b', 'c'],
      [['a', 'b'], 'l', 'lpopMany', 2],
      [1, 'l', 'llen'],
      [['c'], 'l', 'lpopMany', 5],
      [0, 'l', 'existsAny'],
      [[], 'l', 'lpopMany', 1],
      [1, 'z', 'zadd', 2, 'b'],
      [1, 'z', 'zadd', 1, 'c'],
      [1, 'z', 'existsAny'],
      [['c'], 'z', 'zpopmin'],
      [['b'], 'z', 'zpopmin'],
      [[], 'z', 'zpopmin'],
      [0, 'z', 'exists'],
    ));

  test('a field counts', async () => {
    await expects([5, 'h', 'hincrby', 'f', 5], [3, 'h', 'hincrby', 'f', -2], [['3'], 'h', 'hget', 'f']);
    await expects([0, 'h', 'hset', 'f', 'x'], ['no integer', 'h', 'hincrby', 'f', 1]);
  });

  test('sets hold a member once, and vanish when empty', () =>
    expects(
      [1, 's', 'sadd', 'a'],
      [0, 's', 'sadd', 'a'],
      [1, 's', 'sadd', 'A'],
      [1, 's', 'sismember', 'a'],
      [0, 's', 'sismember', 'b'],
      [2, 's', 'scard'],
      [1, 's', 'srem', 'a'],
      [0, 's', 'srem', 'a'],
      [1, 's', 'srem', 'A'],
      [0, 's', 'exists'],
    ));

  test('sorted sets are ordered by score, then by bytes', () =>
    expects(
      [1, 'z', 'zadd', 2, '😀'],
      [1, 'z', 'zadd', 2, 'ﬀ'],
      [1, 'z', 'zadd', 2, 'a'],
      [1, 'z', 'zadd', 2, 'Z'],
      [1, 'z', 'zadd', -1, 'last'],
      [['last', 'Z', 'a', 'ﬀ', '😀'], 'z', 'zrange', 0, -1],
      [['😀'], 'z', 'zrange', -1, -1],
      [['last', '-1', 'Z', '2'], 'z', 'zrangeWithScores', 0, 1],
      [[], 'none', 'zrangeWithScores', 0, 1],
      [0, 'z', 'zadd', 3, 'Z'],
      [0, 'z', 'zaddNew', 9, 'Z'],
      [1, 'z', 'zaddNew', 4, 'new'],
      ['3', 'z', 'zscore', 'Z'],
      ['none', 'z', 'zscore', 'z'],
      [['a', 'ﬀ', '😀'], 'z', 'zrangeByScore', 2, 2, 9],
      [['a', 'ﬀ'], 'z', 'zrangeByScore', 2, 3, 2],
      [[], 'z', 'zrangeByScore', 5, 9, 2],
      [['a', '2', 'ﬀ', '2'], 'z', 'zrangeByScoreWithScores', 2, 3, 2],
      [['new', '4', 'Z', '3'], 'z', 'zrevrangeByScoreWithScores', 4, 2, 2],
      [[], 'none', 'zrangeByScoreWithScores', 5, 9, 2],
      [3, 'z', 'zcount', 2, 2],
      [0, 'z', 'zcount', 9, 3],
      [0, 'none', 'zcount', 0, 9],
      [['😀'], 'z', 'zbefore', 3],
      [['Z'], 'z', 'zbefore', 4],
      [[], 'z', 'zbefore', -1],
      [6, 'z', 'zcard'],
      [1, 'z', 'zrem', 'Z'],
      [0, 'z', 'zrem', 'Z'],
    ));

  test('several elements go in and out by one call', () =>
    expects(
      [1, 'h', 'hset', 'a', '2'],
      [1, 'h', 'hset', '', ''],
      [1, 'h', 'hset', 'é', '3'],
      [2, 'h', 'hdelAll', 'a', 'b', '', 'a'],
      [1, 'h', 'hdelAll', 'é'],
      [0, 'h', 'exists'],
      [2, 'l', 'rpushAll', 'a', 'b'],
      [3, 'l', 'rpushAll', 'a'],
      [['a', 'b', 'a'], 'l', 'lrange', 0, -1],
      [2, 'z', 'zaddAll', Number.MAX_SAFE_INTEGER, 'a', Number.MAX_SAFE_INTEGER, 'b'],
      [1, 'z', 'zaddAll', 0, 'a', 2, 'c'],
      [['a', 'c', 'b'], 'z', 'zrange', 0, -1],
      [3, 'z', 'zcard'],
    ));

  test('scores are exact up to 2^53', () =>
    expects(
      [1, 'z', 'zadd', Number.MAX_SAFE_INTEGER, 'a'],
      [1, 'z', 'zadd', Number.MAX_SAFE_INTEGER - 1, 'b'],
      [1, 'z', 'zadd', 1_700_000_000_123_457, 'c'],
      [['b'], 'z', 'zbefore', Number.MAX_SAFE_INTEGER],
      [['c'], 'z', 'zrangeByScore', 1_700_000_000_123_457, 1_700_000_000_123_457, 9],
      ['1700000000123457', 'z', 'zscore', 'c'],
    ));

  test('elements of a list are replaced, and cut off at both ends', async () => {
    for (const element of ['a', 'b', 'c', 'd', 'e']) await on('l', 'rpush', element);
    await expects(
      [0, 'l', 'lset', 1, 'B'],
      [0, 'l', 'lset', -1, 'E'],
      ['no such index', 'l', 'lset', 5, 'x'],
      ['no such index', 'l', 'lset', -6, 'x'],
      ['no such index', 'none', 'lset', 0, 'x'],
      [['a', 'B', 'c', 'd', 'E'], 'l', 'lrange', 0, -1],
      [1, 'l', 'pexpire', 50],
      [0, 'l', 'ltrim', 1, -2],
      [['B', 'c', 'd'], 'l', 'lrange', 0, -1],
      [50, 'l', 'pttl'],
      [4, 'l', 'lpush', 'A'],
      [5, 'l', 'rpush', 'e'],
      [0, 'l', 'ltrim', -9, 9],
      [['A', 'B', 'c', 'd', 'e'], 'l', 'lrange', 0, -1],
      [0, 'l', 'ltrim', 3, 2],
      [0, 'l', 'exists'],
      [0, 'l', 'ltrim', 0, -1],
    );
  });

  test('sets are joined, and what is gone has no members', async () => {
    for (const member of ['a', 'b', 'c']) await on('s', 'sadd', member);
    for (const member of ['b', 'c', 'd']) await on('t', 'sadd', member);
    await on('over', 'sadd', 'c');
    await on('over', 'pexpire', 1);
    clock.nowUs += 2_000;
    const of = async (verb: string, ...keys: string[]): Promise<Reply> =>
      ((await subject.runBatch(call, keys, [verb])) as string[]).sort();
    expect(await of('sunion', 's', 't', 'over')).toEqual(['a', 'b', 'c', 'd']);
    expect(await of('sinter', 's', 't')).toEqual(['b', 'c']);
    expect(await of('sinter', 's', 'over')).toEqual([]);
    expect(await of('sdiff', 's', 't', 'over')).toEqual(['a']);
    expect(await of('sdiff', 's')).toEqual(['a', 'b', 'c']);
    expect(await of('sdiff', 'over', 's')).toEqual([]);
    expect(await of('sinter', 's', 's', 't')).toEqual(['b', 'c']);
    await on('l', 'rpush', 'a');
    await expect(of('sunion', 's', 'l')).rejects.toMatchObject({ code: 'WRONG_KIND' });
  });

  test('a member is popped once, and the last one takes the set along', async () => {
    for (const member of ['a', 'b', 'c']) await on('s', 'sadd', member);
    const popped = [await on('s', 'spop'), await on('s', 'spop'), await on('s', 'spop')].flat();
    expect(new Set(popped)).toEqual(new Set(['a', 'b', 'c']));
    await expects([[], 's', 'spop'], [0, 's', 'exists']);
  });

  test('scores are any numbers, and come back exactly', async () => {
    const scores = [
      0.1,
      -2.5,
      1 / 3,
      5e-324,
      Number.MAX_VALUE,
      -1e-7,
      1e21,
      123_456_789_012_345_680,
      628163685357736.625,
    ];
    for (const [i, score] of scores.entries()) {
      await on('z', 'zadd', score, `m${i}`);
      expect(Number(await on('z', 'zscore', `m${i}`))).toBe(score);
    }
    await expects(
      [1, 'y', 'zadd', -0, 'zero'],
      ['0', 'y', 'zscore', 'zero'],
      ['0.10000000000000001', 'y', 'zincrby', 0.1, 'a'],
      ['0.30000000000000004', 'y', 'zincrby', 0.2, 'a'],
      [1, 'y', 'zadd', 0.5, 'b'],
      [1, 'y', 'zrank', 'a'],
      [2, 'y', 'zrank', 'b'],
      ['none', 'y', 'zrank', 'c'],
      [['a', 'b'], 'y', 'zrangeByScore', 0.1, 0.5, 9],
      [['b', 'a'], 'y', 'zrevrangeByScore', 0.5, 0.1, 9],
      [['b'], 'y', 'zrevrangeByScore', Infinity, -Infinity, 1],
      [['zero', 'a', 'b'], 'y', 'zrangeByScore', -Infinity, Infinity, 9],
      [[], 'y', 'zrevrangeByScore', 0.1, 0.5, 9],
      [2, 'y', 'zcount', 0.1, 1],
      [3, 'y', 'zcount', -Infinity, Infinity],
      [0, 'y', 'zcount', 1, 0],
      [['a'], 'y', 'zbefore', 0.5],
    );
  });

  test('a key lives through the last millisecond of its time, and not longer', async () => {
    clock.nowUs = 1_700_000_000_000_999;
    await expects([0, 'k', 'setPx', 'v', 50], [50, 'k', 'pttl']);
    clock.nowUs += 50_000; // ms 50
    await expects([['v'], 'k', 'get'], [0, 'k', 'pttl']);
    clock.nowUs += 1; // ms 51
    await expects([[], 'k', 'get'], [-2, 'k', 'pttl'], [0, 'k', 'exists'], [0, 'k', 'pexpire', 9], [0, 'k', 'del']);
  });

  test('every type expires, and comes back empty', async () => {
    const fill: [string, string, ...string[]][] = [
      ['h', 'hset', 'f', 'v'],
      ['l', 'rpush', 'e'],
      ['s', 'sadd', 'm'],
      ['z', 'zadd', '1', 'm'],
    ];
    for (const [key, verb, ...args] of fill) {
      await on(key, verb, ...args);
      await expects([-1, key, 'pttl'], [1, key, 'pexpire', 10], [10, key, 'pttl']);
    }
    clock.nowUs += 11_000;
    await expects([0, 'h', 'hlen'], [0, 'l', 'llen'], [0, 's', 'scard'], [0, 'z', 'zcard']);
    for (const [key, verb, ...args] of fill) expect(await on(key, verb, ...args)).toBe(1);
    await expects([-1, 'h', 'pttl'], [1, 'h', 'hlen'], [1, 'l', 'llen'], [1, 's', 'scard'], [1, 'z', 'zcard']);
  });

  test('an expiry is replaced, kept by changes, cleared by set and persist', () =>
    expects(
      [0, 'k', 'setPx', 'v', 50],
      [1, 'k', 'pexpire', 20],
      [20, 'k', 'pttl'],
      [0, 'k', 'set', 'w'],
      [-1, 'k', 'pttl'],
      [0, 'k', 'persist'],
      [1, 'k', 'pexpire', 7],
      [1, 'k', 'persist'],
      [-1, 'k', 'pttl'],
      [1, 'h', 'hset', 'a', '1'],
      [1, 'h', 'pexpire', 50],
      [1, 'h', 'hset', 'b', '1'],
      [50, 'h', 'pttl'],
    ));

  test('a life of no length is refused: it would delete what was to be kept', async () => {
    await on('k', 'set', 'v');
    await expect(on('k', 'pexpire', 0)).rejects.toThrow(/at least 1/);
    await expect(on('k', 'setPx', 'w', 0)).rejects.toThrow(/at least 1|invalid expire time/);
    await expects([['v'], 'k', 'get']);
  });

  test('a verb on a key of another type is WRONG_KIND; set and del take any', async () => {
    await on('l', 'rpush', 'a');
    for (const [verb, ...args] of [
      ['get'],
      ['hset', 'f', 'v'],
      ['hincrby', 'f', '1'],
      ['zpopmin'],
      ['hvals'],
      ['hmget', 'f', 'g'],
      ['hmgetWithin', 'f', 'g'],
      ['hmset', 'f', 'g'],
      ['sadd', 'm'],
      ['zadd', '1', 'm'],
      ['zrange', '0', '1'],
      ['getset', 'v'],
    ]) {
      await expect(on('l', verb!, ...args)).rejects.toMatchObject({ code: 'WRONG_KIND' });
    }
    await on('k', 'set', 'v');
    await expect(on('k', 'lpop')).rejects.toMatchObject({ code: 'WRONG_KIND' });
    await expects([0, 'l', 'set', 'v'], [['v'], 'l', 'get'], [1, 'k', 'del']);
  });

  test('numbers and texts are what they are in the other language', () =>
    expects(
      ['1000000000000000', '', 'text', '1000000000000000'],
      ['-9007199254740991', '', 'text', '-9007199254740991'],
      ...halves.map((integer): [string, string, string, string] => [integer, '', 'text', integer]),
      [['0', '1'], '', 'texts', '0', '2'],
      [['9', '10', '11'], '', 'texts', '9', '3'],
      [['99', '100'], '', 'texts', '99', '2'],
      [[], '', 'texts', '5', '0'],
      [['9007199254740989', '9007199254740990', '9007199254740991'], '', 'texts', '9007199254740989', '3'],
      ['0', '', 'decimal', '0'],
      ['0.10000000000000001', '', 'decimal', '0.1'],
      ['-1.0000000000000001e-05', '', 'decimal', '-0.00001'],
      ['0.0001', '', 'decimal', '0.0001'],
      ['12345678901234568', '', 'decimal', '12345678901234568'],
      ['1e+17', '', 'decimal', '100000000000000000'],
      ['628163685357736.62', '', 'decimal', '628163685357736.625'],
      ['4.9406564584124654e-324', '', 'decimal', '5e-324'],
      ['-inf', '', 'decimal', '-Infinity'],
      [0, '', 'integer', '0'],
      [-12, '', 'integer', '-12'],
      ['none', '', 'integer', '-0'],
      ['none', '', 'integer', '007'],
      ['none', '', 'integer', '+1'],
      ['none', '', 'integer', '1e3'],
      ['none', '', 'integer', '0x10'],
      ['none', '', 'integer', '1.0'],
      ['none', '', 'integer', ' 1'],
      ['none', '', 'integer', '1\n'],
      ['none', '', 'integer', '1\u0000'],
      ['none', '', 'integer', ''],
      ['none', '', 'integer', '9007199254740992'],
      ['none', '', 'integer', 'nan'],
      ['none', '', 'integer', 'inf'],
      ['none', '', 'integer', '9'.repeat(400)],
      [1, '', 'within', '0', '0', '0'],
      [1, '', 'within', '-1', '-10', '9'],
      [0, '', 'within', '-11', '-10', '9'],
      [0, '', 'within', '10', '-10', '9'],
      [1, '', 'within', '-9223372036854775808', '-9223372036854775808', '-9'],
      [0, '', 'within', '-8', '-9223372036854775808', '-9'],
      [0, '', 'within', '9223372036854775808', '0', '9223372036854775807'],
      [0, '', 'within', '-0', '-9', '9'],
      [0, '', 'within', '007', '0', '9'],
      [0, '', 'within', '', '0', '9'],
      [0, '', 'within', '1\n', '0', '9'],
      [0, '', 'within', '1\u0000', '0', '9'],
      [0, '', 'within', '1e0', '0', '9'],
      ['a', '', 'part', 'a:é::b', 0],
      ['é', '', 'part', 'a:é::b', 1],
      ['', '', 'part', 'a:é::b', 2],
      ['b', '', 'part', 'a:é::b', 3],
      ['', '', 'part', 'a:é::b', 4],
      ['', '', 'part', '', 0],
      ['x', '', 'part', 'x', 0],
      ['é', '', 'firstPart', 'é:a::b'],
      ['', '', 'firstPart', ':a'],
      ['', '', 'firstPart', ''],
      ['x', '', 'firstPart', 'x'],
      ['é::b', '', 'rest', 'a:é::b', 1],
      ['b', '', 'rest', 'a:é::b', 3],
      ['', '', 'rest', 'a:é::b', 4],
      ['a:b', '', 'rest', 'a:b', 0],
      ['bf15be717ac1b080b4f1c456692825891ff5073d', '', 'sha1hex', 'é'],
      [1, '', 'startsWith', 'é:1', 'é:'],
      [1, '', 'startsWith', 'é', ''],
      [0, '', 'startsWith', 'é', 'é:'],
    ));

  test('numbers of as many digits are in the order of their texts', () =>
    expects(
      [1, '', 'isSmaller', '18', '19'],
      [0, '', 'isSmaller', '19', '19'],
      [0, '', 'isSmaller', '20', '19'],
      [0, '', 'isSmaller', '9', '19'],
      [0, '', 'isSmaller', '100', '19'],
      [0, '', 'isSmaller', '', '19'],
    ));

  test('time stands still in a step, which sees its own writes', async () => {
    expect(await subject.runBatch(still, ['k'], [])).toEqual([1, 1_000, clock.nowUs]);
    expect(await on('', 'nowUs')).toBe(clock.nowUs);
  });

  test('a wake reaches a session that listens, and is refused for one that does not', async () => {
    const heard: string[] = [];
    await subject.connect('one', (text) => heard.push(text));
    expect(await on('', 'wake', 'one', 'é 1')).toBe(1);
    expect(await on('', 'wake', 'one', 'é 2')).toBe(1);
    expect(await on('', 'wake', 'none', 'é 3')).toBe(0);
    await expect.poll(() => heard).toEqual(['é 1', 'é 2']);
    await subject.disconnect('one');
    expect(await on('', 'wake', 'one', 'é 4')).toBe(0);
  });

  test.skipIf(name === 'redis')('a step that throws leaves nothing behind, and wakes nobody', async () => {
    const heard: string[] = [];
    await subject.connect('one', (text) => heard.push(text));
    const keys = ['k', 'h', 'l', 's', 'z', 'gone'];
    for (const [key, verb, ...args] of prepared) await on(key, verb, ...args);
    await expect(subject.runBatch(halfDone, keys, [])).rejects.toThrow('half done');
    await expects(
      [['old'], 'k', 'get'],
      [50, 'k', 'pttl'],
      [['v'], 'h', 'hget', 'f'],
      [1, 'h', 'hlen'],
      [['a', 'b'], 'l', 'lrange', 0, -1],
      [1, 's', 'sismember', 'm'],
      [1, 's', 'scard'],
      [['m', 'n'], 'z', 'zrange', 0, -1],
      ['1', 'z', 'zscore', 'm'],
      [['old'], 'gone', 'get'],
      [0, 'new', 'exists'],
    );
    expect(await on('', 'wake', 'one', 'after')).toBe(1);
    await expect.poll(() => heard).toEqual(['after']);
  });
});

const prepared: [string, string, ...(string | number)[]][] = [
  ['k', 'setPx', 'old', 50],
  ['h', 'hset', 'f', 'v'],
  ['l', 'rpush', 'a'],
  ['l', 'rpush', 'b'],
  ['s', 'sadd', 'm'],
  ['z', 'zadd', 1, 'm'],
  ['z', 'zadd', 2, 'n'],
  ['gone', 'set', 'old'],
];

/** Changes everything there is, each in more than one way, and fails. */
const halfDone: BatchOperation<number> = {
  name: 'verbs.halfDone',
  batch: true,
  step(tx) {
    tx.set('k', 'new');
    tx.pexpire('k', 7);
    tx.persist('k');
    tx.hset('h', 'f', 'w');
    tx.hset('h', 'g', 'w');
    tx.hdel('h', 'f');
    tx.hdel('h', 'g');
    tx.hset('h', 'f', 'x');
    tx.lpop('l');
    tx.rpush('l', 'c');
    tx.rpop('l');
    tx.rpop('l');
    tx.lpush('l', 'd');
    tx.rpush('l', 'e');
    tx.lset('l', 0, 'f');
    tx.ltrim('l', 1, 1);
    tx.lpush('l', 'g');
    tx.ltrim('l', 9, 9);
    tx.srem('s', 'm');
    tx.sadd('s', 'n');
    tx.spop('s');
    tx.zadd('z', 3, 'm');
    tx.zincrby('z', 2, 'm');
    tx.zincrby('z', 2, 'new');
    tx.zrem('z', 'n');
    tx.zaddNew('z', 4, 'o');
    tx.del('gone');
    tx.set('new', '');
    tx.wake('one', 'never');
    throw new Error('half done');
  },
};

/** Integers that a server writes by halves, and where that begins. */
const halves = [
  '999999999',
  '1000000000',
  '1000000001',
  '1999999999',
  '-999999999',
  '-1000000000',
  '9007199000000000',
  '9007198999999999',
];

const text = fc.constantFrom('', 'a', 'b', 'é', 'ﬀ', '😀');
const score = fc.constantFrom(-1, 0, 1, 2, 1e15, Number.MAX_SAFE_INTEGER - 1, 0.5, 0.1, -1e-7, 1e300);
const end = fc.oneof(score, fc.constantFrom(-Infinity, Infinity));
const index = fc.integer({ min: -4, max: 4 });
const ms = fc.constantFrom(1, 2, 50);
const verbs: Record<string, fc.Arbitrary<string | number>[]> = {
  del: [],
  exists: [],
  existsAny: [],
  pexpire: [ms],
  persist: [],
  pttl: [],
  get: [],
  set: [text],
  getset: [text],
  setPx: [text, ms],
  hget: [text],
  hset: [text, text],
  hdel: [text],
  hincrby: [text, fc.constantFrom(1, -1, 5)],
  hlen: [],
  lpush: [text],
  rpush: [text],
  lpop: [],
  lpopMany: [fc.integer({ min: 1, max: 4 })],
  rpop: [],
  llen: [],
  lrange: [index, index],
  lset: [index, text],
  ltrim: [index, index],
  sadd: [text],
  srem: [text],
  sismember: [text],
  scard: [],
  sunion: [],
  sinter: [],
  sdiff: [],
  zadd: [score, text],
  zaddNew: [score, text],
  zrem: [text],
  zpopmin: [],
  zincrby: [score, text],
  zscore: [text],
  zrank: [text],
  zcard: [],
  zrange: [index, index],
  zrangeWithScores: [index, index],
  zrangeByScore: [end, end, fc.nat(3)],
  zrevrangeByScore: [end, end, fc.nat(3)],
  zrangeByScoreWithScores: [end, end, fc.nat(3)],
  zrevrangeByScoreWithScores: [end, end, fc.nat(3)],
  zcount: [end, end],
  hexists: [text],
  zbefore: [score],
};
const anyCall = fc
  .constantFrom(...Object.keys(verbs))
  .chain((verb) => fc.tuple(fc.constantFrom('k', 'é'), fc.constant(verb), fc.tuple(...verbs[verb]!)));
/** µs that pass, or a call. */
const anyVerbs = fc.array(fc.oneof({ weight: 6, arbitrary: anyCall }, fc.constantFrom(1, 999, 1_000, 2_001, 51_000)), {
  minLength: 1,
  maxLength: 60,
  size: 'max',
});

test('random verbs on keys of any type reply alike on every engine', { timeout: 600_000 }, async () => {
  const subjects = await Promise.all(engines.map(([, open]) => open()));
  let runs = 0;
  try {
    await fc.assert(
      fc.asyncProperty(anyVerbs, async (calls) => {
        const space = `${++runs}:`;
        for (const one of calls) {
          if (typeof one === 'number') clock.nowUs += one;
          else {
            const [key, verb, args] = one;
            const replies = await Promise.all(
              subjects.map((each) => outcome(each, space + key, verb, args.map(String))),
            );
            expect([one, replies]).toEqual([one, replies.map(() => replies[0])]);
          }
        }
      }),
      randomly(150),
    );
  } finally {
    for (const subject of subjects) await subject.close();
  }
});

/** Of two keys, in no order. */
const joining: ReadonlySet<string> = new Set(['sunion', 'sinter', 'sdiff']);

async function outcome(subject: Subject, key: string, verb: string, args: string[]): Promise<Reply> {
  try {
    if (!joining.has(verb)) return await subject.runBatch(call, [key], [verb, ...args]);
    const other = key.replace(/.$/, (name) => (name === 'k' ? 'é' : 'k'));
    return ((await subject.runBatch(call, [key, other], [verb])) as string[]).sort();
  } catch (error) {
    if (isLockstepError(error)) return error.code;
    throw error;
  }
}

describe.runIf(hasRedisServer)('the verbs of time, on a server with its own clock', () => {
  let subject: Subject;
  beforeEach(() => {
    subject = redisSubject(server);
    return () => subject.close();
  });

  test('its time is that of the day, in µs, and stands still within a step', async () => {
    const before = Date.now();
    const [same, ttl, nowUs] = await subject.runBatch(still, ['k'], []);
    expect(same).toBe(1);
    expect(ttl).toBeGreaterThan(0); // a server before 7.2 counts on within a script
    expect(ttl).toBeLessThanOrEqual(1_000);
    expect(nowUs).toBeGreaterThanOrEqual((before - 1) * 1_000);
    expect(nowUs).toBeLessThanOrEqual((Date.now() + 1) * 1_000);
  });

  test('keys expire by themselves', async () => {
    const on = (key: string, ...verb: string[]): Promise<Reply> => subject.runBatch(call, [key], verb);
    await on('k', 'setPx', 'v', '30');
    await on('h', 'hset', 'f', 'v');
    await on('h', 'pexpire', '30');
    expect(await on('k', 'pttl')).toBeLessThanOrEqual(30);
    const deadline = Date.now() + 30_000;
    while ((await on('k', 'exists')) === 1 || (await on('h', 'exists')) === 1) {
      expect(Date.now()).toBeLessThan(deadline);
      await sleep(5);
    }
    expect(await on('k', 'pttl')).toBe(-2);
  });
});
