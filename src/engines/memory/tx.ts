/**
 * The model of a store: Redis's data types as Maps, the verbs of `Tx` over them, and an undo log.
 * What the other engines do is right if it is what this file does.
 */
import { invalidArgument } from '../../base/errors.ts';
import type { Tx } from '../../operations/tx.ts';
import { type Several, withSeveral } from '../several.ts';
import { textVerbs } from '../text.ts';
import { wrongKind } from '../wrong-kind.ts';
import { SortedSet } from './sorted-set.ts';

export interface Values {
  string: string;
  hash: Map<string, string>;
  list: string[];
  set: Set<string>;
  zset: SortedSet;
}

export type Kind = keyof Values;

/** `expiresMs`: the last millisecond (since 1970) of the key's life, as Redis counts; undefined: it has no end. */
export type Entry = { [K in Kind]: { kind: K; value: Values[K]; expiresMs: number | undefined } }[Kind];

export interface Wake {
  session: string;
  message: string;
}

/** Wakes that the steps sent so far, and a step's way back. */
export interface MemoryTx extends Tx {
  /** Begins a step at this time: µs since 1970. */
  begin(nowUs: number): void;
  /** Ends the step: the wakes that it sent. */
  commit(): Wake[];
  /** Ends the step as if it had never begun. */
  rollback(): void;
}

/** `Tx` over `entries`. `listens` says whether a session has an inbox. */
export function memoryTx(entries: Map<string, Entry>, listens: (session: string) => boolean): MemoryTx {
  let nowUs = 0;
  let undo: (() => void)[] = [];
  let wakes: Wake[] = [];

  function entry(key: string): Entry | undefined {
    const found = entries.get(key);
    if (found === undefined || !isExpired(found, nowUs)) return found;
    entries.delete(key);
    return undefined;
  }

  /** The value of a key, which must be of this kind. */
  function read<K extends Kind>(key: string, kind: K): Values[K] | undefined {
    const found = entry(key);
    if (found === undefined) return undefined;
    if (found.kind !== kind) throw wrongKind(key, found.kind, kind);
    return found.value as Values[K];
  }

  /** The collection under a key, to add to: a new one where there is none. */
  function open<K extends Exclude<Kind, 'string'>>(key: string, kind: K): Values[K] {
    const found = read(key, kind);
    if (found !== undefined) return found;
    const value = empty[kind]() as Values[K];
    put(key, { kind, value, expiresMs: undefined } as Entry);
    return value;
  }

  /** Members of a sorted set, each followed by its score. */
  function withScores(key: string, members: readonly string[]): string[] {
    return members.flatMap((member) => [member, String(read(key, 'zset')?.score(member))]);
  }

  function put(key: string, next: Entry): void {
    const before = entries.get(key);
    undo.push(() => (before === undefined ? entries.delete(key) : entries.set(key, before)));
    entries.set(key, next);
  }

  function drop(key: string): void {
    const before = entries.get(key)!;
    undo.push(() => entries.set(key, before));
    entries.delete(key);
  }

  function expire(found: Entry, expiresMs: number | undefined): void {
    const before = found.expiresMs;
    undo.push(() => (found.expiresMs = before));
    found.expiresMs = expiresMs;
  }

  /** When a life of `ms` that begins now ends. */
  function endMs(ms: number): number {
    if (!(Number.isSafeInteger(ms) && ms > 0)) throw invalidArgument('ms', ms, 'a whole number of at least 1');
    return Math.floor(nowUs / 1_000) + ms;
  }

  function pop(key: string, end: 'first' | 'last'): string | undefined {
    const list = read(key, 'list');
    if (list === undefined) return undefined;
    const element = (end === 'first' ? list.shift() : list.pop())!;
    undo.push(() => (end === 'first' ? list.unshift(element) : list.push(element)));
    if (list.length === 0) drop(key);
    return element;
  }

  function push(key: string, end: 'first' | 'last', element: string): number {
    const list = open(key, 'list');
    undo.push(() => (end === 'first' ? list.shift() : list.pop()));
    return end === 'first' ? list.unshift(element) : list.push(element);
  }

  function zput(key: string, score: number, member: string): number {
    const sorted = open(key, 'zset');
    const before = sorted.score(member);
    undo.push(() => (before === undefined ? sorted.delete(member) : sorted.set(member, before)));
    sorted.set(member, score + 0); // no -0
    return before === undefined ? 1 : 0;
  }

  /** The members of each of these sets. */
  function sets(keys: readonly string[]): ReadonlySet<string>[] {
    return keys.map((key) => read(key, 'set') ?? noMembers);
  }

  function hmget(key: string, fields: readonly string[]): (string | false)[] {
    const hash = read(key, 'hash');
    return fields.map((field) => hash?.get(field) ?? false);
  }

  function hset(key: string, field: string, value: string): number {
    const hash = open(key, 'hash');
    const before = hash.get(field);
    undo.push(() => (before === undefined ? hash.delete(field) : hash.set(field, before)));
    hash.set(field, value);
    return before === undefined ? 1 : 0;
  }

  return withSeveral<Omit<MemoryTx, Several>>({
    begin(us: number) {
      nowUs = us;
      undo = [];
      wakes = [];
    },
    commit: () => wakes,
    rollback() {
      for (let i = undo.length - 1; i >= 0; i--) undo[i]!();
    },

    nowUs: () => nowUs,

    del(key) {
      if (entry(key) === undefined) return 0;
      drop(key);
      return 1;
    },
    exists: (key) => entry(key) !== undefined,
    type: (key) => entry(key)?.kind ?? 'none',
    pexpire(key, ms) {
      const expiresMs = endMs(ms);
      const found = entry(key);
      if (found === undefined) return 0;
      expire(found, expiresMs);
      return 1;
    },
    persist(key) {
      const found = entry(key);
      if (found?.expiresMs === undefined) return 0;
      expire(found, undefined);
      return 1;
    },
    pttl(key) {
      const found = entry(key);
      if (found === undefined) return -2;
      return found.expiresMs === undefined ? -1 : found.expiresMs - Math.floor(nowUs / 1_000);
    },

    get: (key) => read(key, 'string'),
    set: (key, value) => put(key, { kind: 'string', value, expiresMs: undefined }),
    getset(key, value) {
      const was = read(key, 'string');
      put(key, { kind: 'string', value, expiresMs: undefined });
      return was;
    },
    setPx: (key, value, ms) => put(key, { kind: 'string', value, expiresMs: endMs(Number(ms)) }),

    incrby(key, by) {
      const value = String(BigInt(read(key, 'string') ?? '0') + BigInt(by));
      put(key, { kind: 'string', value, expiresMs: entry(key)?.expiresMs });
      return value;
    },

    hget: (key, field) => read(key, 'hash')?.get(field),
    hmget,
    hmgetWithin: (key, texts, from, stop) => hmget(key, texts.slice(from, stop)),
    hexists: (key, field) => read(key, 'hash')?.has(field) ?? false,
    hset,
    hmset(key, pairs) {
      for (let i = 0; i < pairs.length; i += 2) hset(key, pairs[i]!, pairs[i + 1]!);
    },
    hdel(key, field) {
      const hash = read(key, 'hash');
      const before = hash?.get(field);
      if (hash === undefined || before === undefined) return 0;
      undo.push(() => hash.set(field, before));
      hash.delete(field);
      if (hash.size === 0) drop(key);
      return 1;
    },
    hlen: (key) => read(key, 'hash')?.size ?? 0,
    hgetall: (key) => [...(read(key, 'hash') ?? [])].flat(),
    hvals: (key) => [...(read(key, 'hash')?.values() ?? [])],

    lpush: (key, element) => push(key, 'first', element),
    rpush: (key, element) => push(key, 'last', element),
    lpop: (key) => pop(key, 'first'),
    rpop: (key) => pop(key, 'last'),
    lpopMany(key, count) {
      const popped: string[] = [];
      for (let i = 0; i < count; i++) {
        const element = pop(key, 'first');
        if (element === undefined) break;
        popped.push(element);
      }
      return popped;
    },
    llen: (key) => read(key, 'list')?.length ?? 0,
    lrange: (key, from, to) => slice(read(key, 'list') ?? [], from, to),
    lset(key, index, element) {
      const list = read(key, 'list') ?? [];
      const place = index < 0 ? list.length + index : index;
      const before = list[place];
      if (before === undefined) throw invalidArgument('index', index, 'an index of the list');
      undo.push(() => (list[place] = before));
      list[place] = element;
    },
    ltrim(key, from, to) {
      const list = read(key, 'list');
      if (list === undefined) return;
      const kept = slice(list, from, to);
      if (kept.length === 0) drop(key);
      else put(key, { kind: 'list', value: kept, expiresMs: entry(key)?.expiresMs });
    },

    sadd(key, member) {
      const set = open(key, 'set');
      if (set.has(member)) return 0;
      undo.push(() => set.delete(member));
      set.add(member);
      return 1;
    },
    srem(key, member) {
      const set = read(key, 'set');
      if (set === undefined || !set.delete(member)) return 0;
      undo.push(() => set.add(member));
      if (set.size === 0) drop(key);
      return 1;
    },
    sismember: (key, member) => read(key, 'set')?.has(member) ?? false,
    scard: (key) => read(key, 'set')?.size ?? 0,
    spop(key) {
      const set = read(key, 'set');
      if (set === undefined) return undefined;
      const [member] = set as Iterable<string> as [string];
      undo.push(() => set.add(member));
      set.delete(member);
      if (set.size === 0) drop(key);
      return member;
    },
    sunion: (keys) => [...new Set(sets(keys).flatMap((set) => [...set]))],
    sinter(keys) {
      const [first = noMembers, ...others] = sets(keys).sort((a, b) => a.size - b.size);
      return [...first].filter((member) => others.every((set) => set.has(member)));
    },
    sdiff(keys) {
      const [first = noMembers, ...others] = sets(keys);
      return [...first].filter((member) => !others.some((set) => set.has(member)));
    },

    zadd: zput,
    zaddNew: (key, score, member) => (read(key, 'zset')?.score(member) === undefined ? zput(key, score, member) : 0),
    zrem(key, member) {
      const sorted = read(key, 'zset');
      const before = sorted?.score(member);
      if (sorted === undefined || before === undefined) return 0;
      undo.push(() => sorted.set(member, before));
      sorted.delete(member);
      if (sorted.size === 0) drop(key);
      return 1;
    },
    zincrby(key, by, member) {
      const score = (read(key, 'zset')?.score(member) ?? 0) + by;
      zput(key, score, member);
      return score;
    },
    zscore: (key, member) => read(key, 'zset')?.score(member),
    zrank: (key, member) => read(key, 'zset')?.rank(member),
    zcard: (key) => read(key, 'zset')?.size ?? 0,
    zrange: (key, from, to) => slice(read(key, 'zset')?.members() ?? [], from, to),
    zrangeWithScores: (key, from, to) => withScores(key, slice(read(key, 'zset')?.members() ?? [], from, to)),
    zrangeByScore: (key, from, to, limit) => read(key, 'zset')?.between(from, to, limit) ?? [],
    zrevrangeByScore: (key, to, from, limit) => read(key, 'zset')?.betweenReversed(to, from, limit) ?? [],
    zrangeByScoreWithScores: (key, from, to, limit) =>
      withScores(key, read(key, 'zset')?.between(from, to, limit) ?? []),
    zrevrangeByScoreWithScores: (key, to, from, limit) =>
      withScores(key, read(key, 'zset')?.betweenReversed(to, from, limit) ?? []),
    zcount: (key, from, to) => read(key, 'zset')?.count(from, to) ?? 0,
    zbefore: (key, score) => read(key, 'zset')?.before(score),

    wake(session, message) {
      if (!listens(session)) return false;
      wakes.push({ session, message });
      return true;
    },

    ...textVerbs,
  });
}

/** As Redis has it: a key lives through the whole of its last millisecond. */
export function isExpired(entry: Entry, nowUs: number): boolean {
  return entry.expiresMs !== undefined && Math.floor(nowUs / 1_000) > entry.expiresMs;
}

const noMembers: ReadonlySet<string> = new Set();

const empty = {
  hash: () => new Map<string, string>(),
  list: () => [] as string[],
  set: () => new Set<string>(),
  zset: () => new SortedSet(),
} as const;

/** Redis's LRANGE and ZRANGE: both ends inclusive, negative from the end. */
function slice(elements: readonly string[], from: number, to: number): string[] {
  const first = from < 0 ? Math.max(0, elements.length + from) : from;
  const last = to < 0 ? elements.length + to : to;
  return elements.slice(first, Math.max(0, last + 1)); // below 0, slice would count from the end again
}
