/** The verbs of `Tx` as prepared statements over the tables of schema.ts. */
import { invalidArgument } from '../../base/errors.ts';
import type { Tx } from '../../operations/tx.ts';
import { type Several, withSeveral } from '../several.ts';
import { textVerbs } from '../text.ts';
import { wrongKind } from '../wrong-kind.ts';
import type { Row, Sqlite, Statement, Value } from './driver.ts';
import { type Key, absent, keysOf } from './keys.ts';
import { rangeOf } from './range.ts';
import { isCounted, type RankSizes, rankSizes, ranksOf } from './ranks.ts';
import { kinds } from './schema.ts';
import { sortedVerbs } from './sorted.ts';

export interface Wake {
  session: string;
  message: string;
}

/** What the sweep finds in a page of keys. */
export interface SweepPage {
  /** The last key of the page; '' after the last page. */
  cursor: string;
  seen: number;
  expired: string[];
  /** Much of the file is free. */
  sparse: boolean;
  /** Somebody asked for ranks of a large set that is not counted. */
  uncounted: boolean;
}

export interface SqliteTx extends Tx {
  /** A transaction was begun in SQLite: see `Keys.begin`. */
  begin(isSame: boolean): boolean;
  /** Begins a step at this time, µs since 1970. `listens`: see `Tx.wake`. */
  beginStep(nowUs: number, listens: (session: string) => boolean): void;
  /** All steps were made: SQLite may commit. */
  flush(): void;
  /** The transaction was rolled back. */
  forget(): void;
  /** The wakes of the step. Empty ones are one and the same. */
  wakes(): readonly Wake[];

  /** A page of a hash: fields and values, flat. */
  hpage(key: string, cursor: string, count: number): { cursor: string; entries: string[] };
  /** A page of a set. */
  spage(key: string, cursor: string, count: number): { cursor: string; entries: string[] };
  /** A page of the live keys that begin with `prefix`, behind `cursor`. */
  keysPage(prefix: string, cursor: string, count: number): { cursor: string; keys: string[] };
  /** A page of all keys behind `cursor`: those that are expired. */
  sweepPage(cursor: string, count: number): SweepPage;
  /** Removes an expired key with its members, or so many of its members: the number of rows. */
  sweepKey(key: string, count: number): number;
  /** Counts so many members of a sorted set whose ranks somebody asked for. */
  countMembers(members: number): void;
  /** Gives so many free pages of the file back. */
  shrink(pages: number): void;
}

const noWakes: readonly Wake[] = [];
/** Places in `kinds`. */
const [string, hash, list, set, zset] = [0, 1, 2, 3, 4];

/** `Tx` on a connection. It is for the caller to begin and end transactions. */
export function sqliteTx(sqlite: Sqlite, sizes: RankSizes = rankSizes): SqliteTx {
  const keys = keysOf(sqlite);
  const statements = new Map<string, Statement>();
  const ranks = ranksOf(sql, sizes);
  /** Sorted sets that are to be counted. */
  const uncounted = new Set<string>();
  let [nowUs, nowMs] = [0, 0];
  let listens: (session: string) => boolean = () => true;
  let wakes: Wake[] | undefined;

  /** Prepared at its first use: a process uses few of them. */
  function sql(text: string): Statement {
    let statement = statements.get(text);
    if (statement === undefined) statements.set(text, (statement = sqlite.prepare(text)));
    return statement;
  }

  function isPast(expires: Value | undefined): boolean {
    return typeof expires === 'number' && expires < nowMs;
  }

  function isLive(key: Key): boolean {
    return key.kind !== absent && !isPast(key.expires);
  }

  function live(key: string): Key | undefined {
    const found = keys.find(key);
    return isLive(found) ? found : undefined;
  }

  /** A live key, which must be of this kind. */
  function read(key: string, kind: number): Key | undefined {
    const found = keys.find(key);
    if (!isLive(found)) return undefined;
    if (found.kind !== kind) throw wrongKind(key, kinds[found.kind]!, kinds[kind]!);
    return found;
  }

  /** As `read`, to add to: a new collection where there is none. */
  function open(key: string, kind: number): Key {
    return read(key, kind) ?? replace(keys.find(key), kind, null, null);
  }

  /** Puts something new in the place of whatever is there. */
  function replace(key: Key, kind: number, expires: number | null, value: string | null): Key {
    const members = membersOf[key.kind];
    if (members !== undefined) sql(`DELETE FROM ${members.table} WHERE key = ?`).run(key.key);
    if (key.kind === zset) ranks.drop(key);
    key.kind = kind;
    key.expires = expires;
    key.value = value;
    key.size = 0;
    key.first = 0;
    keys.change(key);
    return key;
  }

  function remove(key: Key): void {
    replace(key, absent, null, null);
  }

  /** One member more or less. An empty collection is none. */
  function resize(key: Key, by: 1 | -1): number {
    key.size += by;
    if (key.size === 0) {
      if (key.kind === zset) ranks.drop(key);
      key.kind = absent;
    }
    keys.change(key);
    return key.size;
  }

  function expire(key: Key | undefined, expires: number | null): number {
    if (key === undefined) return 0;
    key.expires = expires;
    keys.change(key);
    return 1;
  }

  function endMs(ms: number): number {
    if (!(Number.isSafeInteger(ms) && ms > 0)) throw invalidArgument('ms', ms, 'a whole number of at least 1');
    return nowMs + ms;
  }

  function pop(key: string, end: 'first' | 'last'): string | undefined {
    const found = read(key, list);
    if (found === undefined) return undefined;
    const position = end === 'first' ? found.first++ : found.first + found.size - 1;
    const element = sql('SELECT value FROM lists WHERE key = ? AND position = ?').get(key, position)![0] as string;
    sql('DELETE FROM lists WHERE key = ? AND position = ?').run(key, position);
    resize(found, -1);
    return element;
  }

  function push(key: string, end: 'first' | 'last', element: string): number {
    const found = open(key, list);
    const position = end === 'first' ? --found.first : found.first + found.size;
    sql('INSERT INTO lists (key, position, value) VALUES (?, ?, ?)').run(key, position, element);
    return resize(found, 1);
  }

  /** Sets of expired keys may still have rows: those keys take no part. */
  function combine(of: readonly string[], operator: 'UNION' | 'INTERSECT' | 'EXCEPT'): string[] {
    const names = of.map((key) => (read(key, set) === undefined ? null : key)); // null has no members
    const parts = names.map(() => 'SELECT member FROM sets WHERE key = ?');
    return texts(sql(parts.join(` ${operator} `)).all(...names));
  }

  function put(key: string, field: string, value: string): number {
    const found = open(key, hash);
    if (sql('UPDATE hashes SET value = ? WHERE key = ? AND field = ?').run(value, key, field).changes !== 0) return 0;
    sql('INSERT INTO hashes (key, field, value) VALUES (?, ?, ?)').run(key, field, value);
    resize(found, 1);
    return 1;
  }

  return withSeveral<Omit<SqliteTx, Several>>({
    begin: keys.begin,
    flush: keys.flush,
    forget: keys.forget,
    beginStep(us, hears) {
      nowUs = us;
      nowMs = Math.floor(us / 1_000);
      listens = hears;
      wakes = undefined;
    },
    wakes: () => wakes ?? noWakes,

    nowUs: () => nowUs,

    del(key) {
      const found = live(key);
      if (found === undefined) return 0;
      remove(found);
      return 1;
    },
    exists: (key) => live(key) !== undefined,
    type(key) {
      const found = live(key);
      return found === undefined ? 'none' : kinds[found.kind]!;
    },
    pexpire: (key, ms) => expire(live(key), endMs(ms)),
    persist(key) {
      const found = live(key);
      return found?.expires === null ? 0 : expire(found, null);
    },
    pttl(key) {
      const found = live(key);
      if (found === undefined) return -2;
      return found.expires === null ? -1 : found.expires - nowMs;
    },

    get: (key) => read(key, string)?.value ?? undefined,
    set: (key, value) => void replace(keys.find(key), string, null, value),
    getset(key, value) {
      const found = read(key, string);
      const was = found?.value ?? undefined;
      replace(found ?? keys.find(key), string, null, value);
      return was;
    },
    setPx: (key, value, ms) => void replace(keys.find(key), string, endMs(ms), value),
    incrby(key, by) {
      const found = read(key, string);
      const value = String(BigInt(found?.value ?? '0') + BigInt(by));
      replace(found ?? keys.find(key), string, found?.expires ?? null, value);
      return value;
    },

    ...hashVerbs(sql, read, put),
    hdel(key, field) {
      const found = read(key, hash);
      if (found === undefined) return 0;
      if (sql('DELETE FROM hashes WHERE key = ? AND field = ?').run(key, field).changes === 0) return 0;
      resize(found, -1);
      return 1;
    },
    hlen: (key) => read(key, hash)?.size ?? 0,
    hgetall(key) {
      if (read(key, hash) === undefined) return [];
      return sql('SELECT field, value FROM hashes WHERE key = ?').all(key).flat() as string[];
    },
    hvals(key) {
      if (read(key, hash) === undefined) return [];
      return texts(sql('SELECT value FROM hashes WHERE key = ?').all(key));
    },

    lpush: (key, element) => push(key, 'first', element),
    rpush: (key, element) => push(key, 'last', element),
    lpop: (key) => pop(key, 'first'),
    rpop: (key) => pop(key, 'last'),
    llen: (key) => read(key, list)?.size ?? 0,
    lrange(key, from, to) {
      const found = read(key, list);
      const range = found === undefined ? undefined : rangeOf(found.size, from, to);
      if (found === undefined || range === undefined) return [];
      const [first, last] = range;
      const between = sql('SELECT value FROM lists WHERE key = ? AND position BETWEEN ? AND ? ORDER BY position');
      return texts(between.all(key, found.first + first, found.first + last));
    },
    lset(key, index, element) {
      const found = read(key, list);
      const range = found === undefined ? undefined : rangeOf(found.size, index, index);
      if (found === undefined || range === undefined) throw invalidArgument('index', index, 'an index of the list');
      const there = sql('UPDATE lists SET value = ? WHERE key = ? AND position = ?');
      there.run(element, key, found.first + range[0]);
    },
    ltrim(key, from, to) {
      const found = read(key, list);
      if (found === undefined) return;
      const range = rangeOf(found.size, from, to);
      if (range === undefined) return remove(found);
      const [first, last] = range.map((index) => found.first + index) as [number, number];
      sql('DELETE FROM lists WHERE key = ? AND position < ?').run(key, first);
      sql('DELETE FROM lists WHERE key = ? AND position > ?').run(key, last);
      found.first = first;
      found.size = last - first + 1;
      keys.change(found);
    },

    sadd(key, member) {
      const found = open(key, set);
      if (sql('INSERT OR IGNORE INTO sets (key, member) VALUES (?, ?)').run(key, member).changes === 0) return 0;
      resize(found, 1);
      return 1;
    },
    srem(key, member) {
      const found = read(key, set);
      if (found === undefined) return 0;
      if (sql('DELETE FROM sets WHERE key = ? AND member = ?').run(key, member).changes === 0) return 0;
      resize(found, -1);
      return 1;
    },
    sismember(key, member) {
      if (read(key, set) === undefined) return false;
      return sql('SELECT 1 FROM sets WHERE key = ? AND member = ?').get(key, member) !== undefined;
    },
    scard: (key) => read(key, set)?.size ?? 0,
    spop(key) {
      const found = read(key, set);
      if (found === undefined) return undefined;
      const member = sql('SELECT member FROM sets WHERE key = ? LIMIT 1').get(key)![0] as string;
      sql('DELETE FROM sets WHERE key = ? AND member = ?').run(key, member);
      resize(found, -1);
      return member;
    },
    sunion: (all) => combine(all, 'UNION'),
    sinter: (all) => combine(all, 'INTERSECT'),
    sdiff: (all) => combine(all, 'EXCEPT'),

    ...sortedVerbs(sql, {
      read: (key) => read(key, zset),
      open: (key) => open(key, zset),
      resize,
      ranks,
      sizes,
      uncounted: (key) => uncounted.add(key),
    }),

    wake(session, message) {
      if (!listens(session)) return false;
      (wakes ??= []).push({ session, message });
      return true;
    },

    ...textVerbs,

    hpage(key, cursor, count) {
      if (read(key, hash) === undefined) return { cursor: '', entries: [] };
      const than = cursor === '' ? '>=' : '>'; // a field may be called ''
      const page = sql(`SELECT field, value FROM hashes WHERE key = ? AND field ${than} ? ORDER BY field LIMIT ?`);
      const rows = page.all(key, cursor.slice(1), count);
      return { cursor: rows.length < count ? '' : `>${rows.at(-1)![0] as string}`, entries: rows.flat() as string[] };
    },
    spage(key, cursor, count) {
      if (read(key, set) === undefined) return { cursor: '', entries: [] };
      const than = cursor === '' ? '>=' : '>'; // a member may be ''
      const page = sql(`SELECT member FROM sets WHERE key = ? AND member ${than} ? ORDER BY member LIMIT ?`);
      const entries = texts(page.all(key, cursor.slice(1), count));
      return { cursor: entries.length < count ? '' : `>${entries.at(-1)!}`, entries };
    },
    keysPage(prefix, cursor, count) {
      keys.flush();
      const page = sql('SELECT key, expires FROM keys WHERE key > ? AND key >= ? ORDER BY key LIMIT ?');
      const rows = page.all(cursor, prefix, count);
      const inside = rows.filter((row) => (row[0] as string).startsWith(prefix));
      const more = rows.length === count && inside.length === count;
      return { cursor: more ? (rows.at(-1)![0] as string) : '', keys: texts(inside.filter((row) => !isPast(row[1]))) };
    },
    sweepPage(cursor, count) {
      keys.flush();
      const rows = sql('SELECT key, expires FROM keys WHERE key > ? ORDER BY key LIMIT ?').all(cursor, count);
      const next = rows.length < count ? '' : (rows.at(-1)![0] as string);
      const [[pages], [free]] = [sql('PRAGMA page_count').get()!, sql('PRAGMA freelist_count').get()!];
      return {
        cursor: next,
        seen: rows.length,
        expired: texts(rows.filter((row) => isPast(row[1]))),
        sparse: (free as number) > freePages && (free as number) * 4 > (pages as number),
        uncounted: uncounted.size > 0,
      };
    },
    sweepKey(key, count) {
      const found = keys.find(key);
      if (isLive(found)) return 0;
      if (found.kind === absent) {
        keys.bury(found);
        return 1;
      }
      const members = membersOf[found.kind];
      if (members === undefined || found.size <= count) {
        const rows = found.size + 1;
        remove(found);
        return rows;
      }
      const some = `SELECT ${members.column} FROM ${members.table} WHERE key = ? LIMIT ?`;
      sql(`DELETE FROM ${members.table} WHERE key = ? AND ${members.column} IN (${some})`).run(key, key, count);
      found.size -= count;
      expire(found, 0); // never live again, whatever the clock does
      return count;
    },
    countMembers(members) {
      const [key] = uncounted;
      if (key === undefined) return;
      const found = live(key);
      const counts = found?.kind === zset && found.size > sizes.walkMax && !isCounted(found);
      if (counts) keys.change(found);
      if (!counts || ranks.count(found, members)) uncounted.delete(key);
    },
    shrink(pages) {
      sqlite.exec(`PRAGMA incremental_vacuum(${pages})`);
    },
  });
}

/** Verbs of hashes. `put` is HSET. */
function hashVerbs(
  sql: (text: string) => Statement,
  read: (key: string, kind: number) => Key | undefined,
  put: Tx['hset'],
): Pick<Tx, 'hget' | 'hmget' | 'hexists' | 'hset' | 'hmset'> {
  return {
    hget(key, field) {
      if (read(key, hash) === undefined) return undefined;
      return sql('SELECT value FROM hashes WHERE key = ? AND field = ?').get(key, field)?.[0] as string | undefined;
    },
    hmget(key, fields) {
      if (read(key, hash) === undefined) return fields.map(() => false);
      const one = sql('SELECT value FROM hashes WHERE key = ? AND field = ?');
      return fields.map((field) => (one.get(key, field)?.[0] as string | undefined) ?? false);
    },
    hexists(key, field) {
      if (read(key, hash) === undefined) return false;
      return sql('SELECT 1 FROM hashes WHERE key = ? AND field = ?').get(key, field) !== undefined;
    },
    hset: put,
    hmset(key, entries) {
      for (let i = 0; i < entries.length; i += 2) put(key, entries[i]!, entries[i + 1]!);
    },
  };
}

/** Where the members of a collection are, by kind. */
const membersOf: readonly ({ table: string; column: string } | undefined)[] = [
  undefined,
  { table: 'hashes', column: 'field' },
  { table: 'lists', column: 'position' },
  { table: 'sets', column: 'member' },
  { table: 'sorted', column: 'member' },
];

/** So many free pages stay in the file for new data. */
const freePages = 1_000;

function texts(rows: readonly Row[]): string[] {
  return rows.map((row) => row[0] as string);
}
