/** The verbs of `Tx` as prepared statements over the tables of schema.ts. */
import { invalidArgument } from '../../base/errors.ts';
import type { Tx } from '../../operations/tx.ts';
import { type Several, withSeveral } from '../several.ts';
import { textVerbs } from '../text.ts';
import { wrongKind } from '../wrong-kind.ts';
import { type Sqlite, type Statement, texts, type Value } from './driver.ts';
import { widths, withFew } from './few.ts';
import { type Key, absent, keysOf, kinds, list } from './keys.ts';
import { isInRow, listVerbs } from './lists.ts';
import { numbersOf } from './numbers.ts';
import { isCounted, type RankSizes, rankSizes, ranksOf } from './ranks.ts';
import { type Members, hashBits, hashOf, membersOf, rowsOfNumber } from './slots.ts';
import { setVerbs } from './sets.ts';
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
const [string, hash, set, zset] = [0, 1, 3, 4];

/** `Tx` on a connection. It is for the caller to begin and end transactions. */
export function sqliteTx(sqlite: Sqlite, sizes: RankSizes = rankSizes, bits: number = hashBits): SqliteTx {
  const statements = new Map<string, Statement>();
  const hashText = hashOf(sql, bits);
  const numbers = numbersOf(sql, hashText, isTaken);
  const keys = keysOf(sqlite, numbers.forget);
  /** Of members that have rows, by kind; lists have chunks. */
  const inRows: readonly (Members | undefined)[] = [
    undefined,
    membersOf(sql, hashText, 'hashes', 'field', 'value'),
    undefined,
    membersOf(sql, hashText, 'sets', 'member'),
    membersOf(sql, hashText, 'sorted', 'member', 'score'),
  ];
  const [fields, members, scores] = [membersOfKind(hash), membersOfKind(set), membersOfKind(zset)];
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

  function membersOfKind(kind: number): Members {
    return withFew(inRows[kind]!, kind, spill, keys.change);
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
    const clear = clearing[key.kind];
    if (clear !== undefined && hasRows(key)) sql(clear).do(key.number, key.number);
    if (key.kind === zset) ranks.drop(key);
    key.few = kind > string ? [] : undefined;
    key.number = 0;
    key.replaced = true;
    key.kind = kind;
    key.expires = expires;
    key.value = value;
    key.size = 0;
    key.start = 0;
    key.astray = 0;
    keys.change(key);
    return key;
  }

  function remove(key: Key): void {
    replace(key, absent, null, null);
  }

  /** Gives a key the number by which its rows are found. */
  function claim(key: Key): void {
    key.number = numbers.claim(key.key, key.kind);
    key.replaced = true;
  }

  /** They are not few any more: gives each member a row of its own. */
  function spill(key: Key): void {
    const few = key.few!;
    key.few = undefined;
    claim(key);
    const rows = inRows[key.kind]!;
    for (let i = 0; i < few.length; i += widths[key.kind]!) {
      rows.put(key, few[i] as string, true, key.kind === set ? undefined : few[i + 1]!);
    }
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
    setPx: (key, value, ms) => void replace(keys.find(key), string, endMs(Number(ms)), value),
    incrby(key, by) {
      const found = read(key, string);
      const value = String(BigInt(found?.value ?? '0') + BigInt(by));
      replace(found ?? keys.find(key), string, found?.expires ?? null, value);
      return value;
    },

    ...hashVerbs(sql, fields, { read: (key) => read(key, hash), open: (key) => open(key, hash), resize }),

    ...listVerbs(sql, {
      read: (key) => read(key, list),
      open: (key) => open(key, list),
      resize,
      remove,
      claim,
      changed: keys.change,
    }),

    ...setVerbs(sql, { read: (key) => read(key, set), open: (key) => open(key, set), resize, members }),

    ...sortedVerbs(sql, {
      read: (key) => read(key, zset),
      open: (key) => open(key, zset),
      resize,
      members: scores,
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

    hpage: (key, cursor, count) => pageOf(fields, read(key, hash), cursor, count),
    spage: (key, cursor, count) => pageOf(members, read(key, set), cursor, count),
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
      const table = tables[found.kind];
      if (table === undefined || !hasRows(found) || found.size <= count) {
        const rows = hasRows(found) ? found.size + 1 : 1;
        remove(found);
        return rows;
      }
      const some = `SELECT ${table.row} FROM ${table.name} WHERE ${table.where} LIMIT ?`;
      sql(`DELETE FROM ${table.name} WHERE (${table.row}) IN (${some})`).do(found.number, found.number, count);
      // A number without rows is free for another collection: no head may have one.
      if (sql(isTaken[found.kind]!).get(found.number, found.number) === undefined) remove(found);
      else expire(found, 0); // never live again, whatever the clock does
      return count;
    },
    countMembers(count) {
      const [key] = uncounted;
      if (key === undefined) return;
      const found = live(key);
      const counts = found?.kind === zset && found.few === undefined && found.size > sizes.walkMax && !isCounted(found);
      if (counts) keys.change(found);
      if (!counts || ranks.count(found, count)) uncounted.delete(key);
    },
    shrink(pages) {
      sqlite.exec(`PRAGMA incremental_vacuum(${pages})`);
    },
  });
}

const fieldsOfNumber = `SELECT field, value FROM hashes WHERE ${rowsOfNumber}`;
const valuesOfNumber = `SELECT value FROM hashes WHERE ${rowsOfNumber}`;

type HashVerb = 'hget' | 'hmget' | 'hmgetWithin' | 'hexists' | 'hset' | 'hdel' | 'hmset' | 'hlen' | 'hgetall' | 'hvals';

interface HashParts {
  /** A live hash, if there is one. */
  read(key: string): Key | undefined;
  /** As `read`: a new one where there is none. */
  open(key: string): Key;
  resize(key: Key, by: 1 | -1): void;
}

/** Verbs of hashes. */
function hashVerbs(
  sql: (text: string) => Statement,
  fields: Members,
  { read, open, resize }: HashParts,
): Pick<Tx, HashVerb> {
  function hmget(key: string, of: readonly string[]): (string | false)[] {
    const found = read(key);
    if (found === undefined) return of.map(() => false);
    return of.map((field) => (fields.get(found, field) as string | undefined) ?? false);
  }

  return {
    hget(key, field) {
      const found = read(key);
      return found === undefined ? undefined : (fields.get(found, field) as string | undefined);
    },
    hmget,
    hmgetWithin: (key, of, from, stop) => hmget(key, of.slice(from, stop)),
    hexists(key, field) {
      const found = read(key);
      return found !== undefined && fields.has(found, field);
    },
    hset(key, field, value) {
      const found = open(key);
      if (!fields.put(found, field, false, value)) return 0;
      resize(found, 1);
      return 1;
    },
    hdel(key, field) {
      const found = read(key);
      if (found === undefined || !fields.remove(found, field)) return 0;
      resize(found, -1);
      return 1;
    },
    hmset(key, entries) {
      const found = open(key);
      for (let i = 0; i < entries.length; i += 2) {
        found.grows = fields.put(found, entries[i]!, found.grows, entries[i + 1]);
        if (found.grows) resize(found, 1);
      }
    },
    hlen: (key) => read(key)?.size ?? 0,
    hgetall(key) {
      const found = read(key);
      if (found === undefined) return [];
      if (found.few !== undefined) return [...found.few] as string[];
      return sql(fieldsOfNumber).all(found.number, found.number).flat() as string[];
    },
    hvals(key) {
      const found = read(key);
      if (found === undefined) return [];
      if (found.few !== undefined) return found.few.filter((_, i) => i % 2 === 1) as string[];
      return texts(sql(valuesOfNumber).all(found.number, found.number));
    },
  };
}

/** Whether some of its members stand elsewhere than in the row of their key. */
function hasRows(key: Key): boolean {
  return key.few === undefined || (key.kind === list && !isInRow(key));
}

/** Fields and values, or members; where the next page begins. */
function pageOf(
  of: Members,
  found: Key | undefined,
  cursor: string,
  count: number,
): { cursor: string; entries: string[] } {
  if (found === undefined) return { cursor: '', entries: [] };
  const { rows, next } = of.page(found, Number(cursor), count);
  const entries: string[] = [];
  for (const row of rows) for (let i = 1; i < row.length; i++) entries.push(row[i] as string);
  return { cursor: next === 0 ? '' : String(next), entries };
}

/** Where the rows of collections are, by kind: a number is to be given twice. */
const tables: readonly ({ name: string; row: string; where: string } | undefined)[] = [
  undefined,
  { name: 'hashes', row: 'id', where: rowsOfNumber },
  { name: 'lists', row: 'number, position', where: 'number = ? AND number = ?' },
  { name: 'sets', row: 'id', where: rowsOfNumber },
  { name: 'sorted', row: 'id', where: rowsOfNumber },
];
/** Whether a number has rows. */
const isTaken = tables.map((table) => table && `SELECT 1 FROM ${table.name} WHERE ${table.where} LIMIT 1`);
const clearing = tables.map((table) => table && `DELETE FROM ${table.name} WHERE ${table.where}`);

/** So many free pages stay in the file for new data. */
const freePages = 1_000;
