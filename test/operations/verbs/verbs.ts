/** Operations for tests: each verb of `Tx` by itself, and what a program left behind. */
import type { BatchOperation, Reply, Tx } from '../../../src/operations/tx.ts';

/** keys: the key; args: the verb, and what it takes. Booleans come back as 1 and 0, absence as an empty list. */
export const call: BatchOperation<Reply> = {
  name: 'verbs.call',
  batch: true,
  step(tx, keys, args) {
    const verb = args[0]!;
    const key = keys[0]!;
    const first = args[1] ?? '';
    const second = args[2] ?? '';
    const third = args[3] ?? '';
    const found = onKey(tx, verb, key, number(tx, first)) ?? onCollection(tx, verb, key, first, second);
    const more = found ?? onMany(tx, verb, key, first, second) ?? onSets(tx, verb, keys);
    const several = more ?? onSeveral(tx, verb, key, args) ?? onSteps(tx, verb, keys, first, second);
    return several ?? onSorted(tx, verb, key, first, second, third) ?? onText(tx, verb, key, first, second, third);
  },
};

/** keys: of any type; args: their types, then all fields and members that there may be. All that a store holds of them. */
export const state: BatchOperation<readonly (string | number)[]> = {
  name: 'verbs.state',
  batch: true,
  step(tx, keys, args) {
    const found: (string | number)[] = [];
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      found.push(key);
      found.push(tx.pttl(key));
      if (args[i] === 'string') found.push(tx.get(key) ?? '');
      if (args[i] === 'hash') pushHash(tx, found, key, keys.length, args);
      if (args[i] === 'zset') pushSorted(tx, found, key);
      if (args[i] === 'list') for (const element of tx.lrange(key, 0, -1)) found.push(element);
      if (args[i] === 'set') pushMembers(tx, found, key, keys.length, args);
    }
    return found;
  },
};

/** keys: one; Says whether time stands still within a step, and whether a step sees its own writes. */
export const still: BatchOperation<readonly number[]> = {
  name: 'verbs.still',
  batch: true,
  step(tx, keys) {
    const before = tx.nowUs();
    tx.setPx(keys[0]!, 'a', '1000');
    const ttl = tx.pttl(keys[0]!);
    tx.set(keys[0]!, 'b');
    const same = tx.get(keys[0]!) === 'b' && tx.pttl(keys[0]!) === -1 && tx.nowUs() === before;
    return [same ? 1 : 0, ttl, before];
  },
};

function pushHash(tx: Tx, found: (string | number)[], key: string, from: number, args: readonly string[]): void {
  found.push(tx.hlen(key));
  for (let i = from; i < args.length; i++) {
    const value = tx.hget(key, args[i]!);
    if (value !== undefined) {
      found.push(args[i]!);
      found.push(value);
    }
  }
}

function pushMembers(tx: Tx, found: (string | number)[], key: string, from: number, args: readonly string[]): void {
  found.push(tx.scard(key));
  for (let i = from; i < args.length; i++) if (tx.sismember(key, args[i]!)) found.push(args[i]!);
}

function pushSorted(tx: Tx, found: (string | number)[], key: string): void {
  for (const member of tx.zrange(key, 0, -1)) {
    found.push(member);
    found.push(tx.decimal(tx.zscore(key, member) ?? -1));
  }
}

function onKey(tx: Tx, verb: string, key: string, ms: number): Reply | undefined {
  if (verb === 'del') return tx.del(key);
  if (verb === 'exists') return truth(tx.exists(key));
  if (verb === 'pexpire') return tx.pexpire(key, ms);
  if (verb === 'persist') return tx.persist(key);
  if (verb === 'pttl') return tx.pttl(key);
  if (verb === 'lpop') return maybe(tx.lpop(key));
  if (verb === 'rpop') return maybe(tx.rpop(key));
  if (verb === 'llen') return tx.llen(key);
  if (verb === 'scard') return tx.scard(key);
  if (verb === 'hlen') return tx.hlen(key);
  if (verb === 'hgetall') return tx.hgetall(key);
  if (verb === 'hvals') return tx.hvals(key);
  if (verb === 'zcard') return tx.zcard(key);
  if (verb === 'get') return maybe(tx.get(key));
  return undefined;
}

function onCollection(tx: Tx, verb: string, key: string, first: string, second: string): Reply | undefined {
  if (verb === 'set') {
    tx.set(key, first);
    return 0;
  }
  if (verb === 'setPx') {
    tx.setPx(key, first, second);
    return 0;
  }
  if (verb === 'getset') return maybe(tx.getset(key, first));
  if (verb === 'incrby') return tx.incrby(key, first);
  if (verb === 'hget') return maybe(tx.hget(key, first));
  if (verb === 'hexists') return truth(tx.hexists(key, first));
  if (verb === 'hset') return tx.hset(key, first, second);
  if (verb === 'hdel') return tx.hdel(key, first);
  if (verb === 'lpush') return tx.lpush(key, first);
  if (verb === 'rpush') return tx.rpush(key, first);
  if (verb === 'lrange') return tx.lrange(key, number(tx, first), number(tx, second));
  if (verb === 'sadd') return tx.sadd(key, first);
  if (verb === 'srem') return tx.srem(key, first);
  if (verb === 'sismember') return truth(tx.sismember(key, first));
  return undefined;
}

function textsOf(values: readonly (string | false)[]): Reply {
  const texts: (string | number)[] = [];
  for (const value of values) texts.push(value === false ? 0 : value);
  return texts;
}

function onMany(tx: Tx, verb: string, key: string, first: string, second: string): Reply | undefined {
  if (verb === 'hmget') return textsOf(tx.hmget(key, [first, second]));
  if (verb === 'hmgetWithin') return textsOf(tx.hmgetWithin(key, [second, first, second, first], 1, 3));
  if (verb === 'hmset') {
    tx.hmset(key, [first, second, second, first]);
    return 0;
  }
  if (verb === 'lset') {
    const place = number(tx, first);
    const length = tx.llen(key);
    if (place >= length || place < -length) return 'no such index';
    tx.lset(key, place, second);
    return 0;
  }
  if (verb === 'ltrim') {
    tx.ltrim(key, number(tx, first), number(tx, second));
    return 0;
  }
  return undefined;
}

function onSets(tx: Tx, verb: string, keys: readonly string[]): Reply | undefined {
  if (verb === 'spop') return maybe(tx.spop(keys[0]!));
  if (verb === 'sunion') return tx.sunion(keys);
  if (verb === 'sinter') return tx.sinter(keys);
  if (verb === 'sdiff') return tx.sdiff(keys);
  return undefined;
}

/** Verbs that stand for several steps. */
function onSteps(tx: Tx, verb: string, keys: readonly string[], first: string, second: string): Reply | undefined {
  const key = keys[0]!;
  if (verb === 'zpopmin') return maybe(tx.zpopmin(key));
  if (verb === 'lpopMany') return tx.lpopMany(key, number(tx, first));
  if (verb === 'existsAny') return truth(tx.existsAny(keys));
  if (verb !== 'hincrby') return undefined;
  const there = tx.hget(key, first);
  if (there !== undefined && tx.integer(there) === undefined) return 'no integer';
  return tx.hincrby(key, first, number(tx, second));
}

function onSeveral(tx: Tx, verb: string, key: string, args: readonly string[]): Reply | undefined {
  const several: string[] = [];
  for (let i = 1; i < args.length; i++) several.push(args[i]!);
  if (verb === 'hdelAll') return tx.hdelAll(key, several);
  if (verb === 'rpushAll') return tx.rpushAll(key, several);
  return verb === 'zaddAll' ? tx.zaddAll(key, several) : undefined;
}

function onSorted(tx: Tx, verb: string, key: string, a: string, b: string, c: string): Reply | undefined {
  if (verb === 'zadd') return tx.zadd(key, tx.number(a), b);
  if (verb === 'zaddNew') return tx.zaddNew(key, tx.number(a), b);
  if (verb === 'zincrby') return tx.decimal(tx.zincrby(key, tx.number(a), b));
  if (verb === 'zrem') return tx.zrem(key, a);
  if (verb === 'zscore') return scoreOf(tx, key, a);
  if (verb === 'zrank') return tx.zrank(key, a) ?? 'none';
  if (verb === 'zrange') return tx.zrange(key, number(tx, a), number(tx, b));
  if (verb === 'zrangeWithScores') return scored(tx, tx.zrangeWithScores(key, number(tx, a), number(tx, b)));
  if (tx.startsWith(verb, 'zrangeByScore') || tx.startsWith(verb, 'zrevrangeByScore')) {
    return onScores(tx, verb, key, tx.number(a), tx.number(b), number(tx, c));
  }
  if (verb === 'zcount') return tx.zcount(key, tx.number(a), tx.number(b));
  if (verb === 'zbefore') return maybe(tx.zbefore(key, tx.number(a)));
  return undefined;
}

function onScores(tx: Tx, verb: string, key: string, first: number, last: number, limit: number): Reply {
  if (verb === 'zrangeByScore') return tx.zrangeByScore(key, first, last, limit);
  if (verb === 'zrevrangeByScore') return tx.zrevrangeByScore(key, first, last, limit);
  if (verb === 'zrangeByScoreWithScores') return scored(tx, tx.zrangeByScoreWithScores(key, first, last, limit));
  return scored(tx, tx.zrevrangeByScoreWithScores(key, first, last, limit));
}

/** Engines write a score differently. */
function scored(tx: Tx, found: readonly string[]): string[] {
  const same: string[] = [];
  for (let i = 0; i < found.length; i += 2) {
    same.push(found[i]!);
    same.push(tx.decimal(tx.number(found[i + 1]!)));
  }
  return same;
}

function scoreOf(tx: Tx, key: string, member: string): Reply {
  const score = tx.zscore(key, member);
  return score === undefined ? 'none' : tx.decimal(score);
}

function onText(tx: Tx, verb: string, key: string, first: string, second: string, third: string): Reply {
  if (verb === 'wake') return truth(tx.wake(first, second));
  if (verb === 'text') return tx.text(number(tx, first));
  if (verb === 'texts') return tx.texts(number(tx, first), number(tx, second));
  if (verb === 'integer') return tx.integer(first) ?? 'none';
  if (verb === 'decimal') return tx.decimal(tx.number(first));
  if (verb === 'part') return tx.part(first, number(tx, second));
  if (verb === 'firstPart') return tx.firstPart(first);
  if (verb === 'rest') return tx.rest(first, number(tx, second));
  if (verb === 'sha1hex') return tx.sha1hex(first);
  if (verb === 'startsWith') return truth(tx.startsWith(first, second));
  if (verb === 'isSmaller') return truth(tx.isSmaller(first, second));
  if (verb === 'within') return truth(tx.within(first, second, third));
  if (verb === 'nowUs') return tx.nowUs();
  return 'no verb ' + verb + ' ' + key;
}

function number(tx: Tx, text: string): number {
  return tx.integer(text) ?? 0;
}

function truth(value: boolean): number {
  return value ? 1 : 0;
}

function maybe(text: string | undefined): Reply {
  return text === undefined ? [] : [text];
}
