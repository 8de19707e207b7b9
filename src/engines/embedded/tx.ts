/** The verbs of `Tx` as prepared statements over the tables of schema.ts. */
import { LockstepError, invalidArgument } from '../../base/errors.ts';
import type { Tx } from '../../operations/tx.ts';
import type { Row, Sqlite, Statement } from './driver.ts';
import { type Kind, kinds } from './schema.ts';

export interface Wake {
  session: string;
  message: string;
}

/** A key with an end that the sweep came by. */
export interface SweepPage {
  /** The last key of the page; '' after the last page. */
  cursor: string;
  seen: number;
  expired: string[];
}

export interface SqliteTx extends Tx {
  /** Begins a step at this time, µs since 1970. `listens`: see `Tx.wake`. */
  begin(nowUs: number, listens: (session: string) => boolean): void;
  /** The wakes of the step. Empty ones are one and the same. */
  wakes(): readonly Wake[];

  /** A page of a hash: fields and values, flat. */
  hpage(key: string, cursor: string, count: number): { cursor: string; entries: string[] };
  /** A page of the live keys that begin with `prefix`, behind `cursor`. */
  keysPage(prefix: string, cursor: string, count: number): { cursor: string; keys: string[] };
  /** A page of all keys behind `cursor`: those that are expired. */
  sweepPage(cursor: string, count: number): SweepPage;
  /** Removes an expired key, at most `count` members of it. What was removed: rows; 0 when nothing is left. */
  sweepKey(key: string, count: number): number;
}

/** The head of a live key. */
interface Head {
  size: number;
  first: number;
}

const noWakes: readonly Wake[] = [];
/** Places in `kinds`. */
const [string, hash, list, set, zset] = [0, 1, 2, 3, 4];

/** `Tx` on a connection. It is for the caller to begin and end transactions. */
export function sqliteTx(sqlite: Sqlite): SqliteTx {
  const statements = new Map<string, Statement>();
  let nowUs = 0;
  let nowMs = 0;
  let listens: (session: string) => boolean = () => true;
  let wakes: Wake[] | undefined;

  /** Prepared at its first use: a process uses few of them. */
  function sql(text: string): Statement {
    let statement = statements.get(text);
    if (statement === undefined) statements.set(text, (statement = sqlite.prepare(text)));
    return statement;
  }

  const selectKey = sqlite.prepare('SELECT kind, expires, value FROM keys WHERE key = ?1');
  const putString = sqlite.prepare(
    `INSERT INTO keys (key, kind, expires, value) VALUES (?1, ${string}, ?2, ?3)
     ON CONFLICT (key) DO UPDATE SET expires = ?2, value = ?3 WHERE kind = ${string}`,
  );
  const deleteString = sqlite.prepare(
    `DELETE FROM keys WHERE key = ?1 AND kind = ${string} AND (expires IS NULL OR expires >= ?2)`,
  );
  const selectHead = sqlite.prepare('SELECT kind, expires, size, first FROM keys WHERE key = ?1');

  function isLive(row: Row): boolean {
    return row[1] === null || (row[1] as number) >= nowMs;
  }

  function liveRow(key: string): Row | undefined {
    const row = selectKey.get(key);
    return row !== undefined && isLive(row) ? row : undefined;
  }

  /** The head of a live collection, which must be of this kind. */
  function head(key: string, kind: number): Head | undefined {
    const row = selectHead.get(key);
    if (row === undefined || !isLive(row)) return undefined;
    if (row[0] !== kind) throw wrongKind(key, row[0] as number, kind);
    return { size: row[2] as number, first: row[3] as number };
  }

  /** As `head`, to add to: an expired key is taken out of the way, and a new head made where there is none. */
  function open(key: string, kind: number): Head {
    const found = head(key, kind);
    if (found !== undefined) return found;
    remove(key);
    sql('INSERT INTO keys (key, kind, size, first) VALUES (?1, ?2, 0, 0)').run(key, kind);
    return { size: 0, first: 0 };
  }

  function resize(key: string, size: number): void {
    if (size === 0) sql('DELETE FROM keys WHERE key = ?1').run(key);
    else sql('UPDATE keys SET size = ?2 WHERE key = ?1').run(key, size);
  }

  /** Removes a key of any kind, expired or not. Whether it was there and live. */
  function remove(key: string): boolean {
    const row = selectKey.get(key);
    if (row === undefined) return false;
    const members = memberTables[row[0] as number];
    if (members !== undefined) sql(`DELETE FROM ${members} WHERE key = ?1`).run(key);
    sql('DELETE FROM keys WHERE key = ?1').run(key);
    return isLive(row);
  }

  function put(key: string, expires: number | null, value: string): void {
    if (putString.run(key, expires, value).changes !== 0) return;
    remove(key); // it was a collection
    putString.run(key, expires, value);
  }

  function endMs(ms: number): number {
    if (!(Number.isSafeInteger(ms) && ms > 0)) throw invalidArgument('ms', ms, 'a whole number of at least 1');
    return nowMs + ms;
  }

  function pop(key: string, end: 'first' | 'last'): string | undefined {
    const found = head(key, list);
    if (found === undefined) return undefined;
    const position = end === 'first' ? found.first : found.first + found.size - 1;
    const element = sql('SELECT value FROM lists WHERE key = ?1 AND position = ?2').get(key, position)![0] as string;
    sql('DELETE FROM lists WHERE key = ?1 AND position = ?2').run(key, position);
    if (end === 'first') sql('UPDATE keys SET first = first + 1 WHERE key = ?1').run(key);
    resize(key, found.size - 1);
    return element;
  }

  function push(key: string, end: 'first' | 'last', element: string): number {
    const found = open(key, list);
    const first = end === 'first' ? found.first - 1 : found.first;
    const position = end === 'first' ? first : first + found.size;
    sql('INSERT INTO lists (key, position, value) VALUES (?1, ?2, ?3)').run(key, position, element);
    sql('UPDATE keys SET size = ?2, first = ?3 WHERE key = ?1').run(key, found.size + 1, first);
    return found.size + 1;
  }

  /** `before`: the score that the member has. */
  function zput(key: string, score: number, member: string, before: number | undefined): number {
    if (before !== undefined) {
      if (before !== score) sql('UPDATE zsets SET score = ?3 WHERE key = ?1 AND member = ?2').run(key, member, score);
      return 0;
    }
    const { size } = open(key, zset);
    sql('INSERT INTO zsets (key, member, score) VALUES (?1, ?2, ?3)').run(key, member, score);
    resize(key, size + 1);
    return 1;
  }

  function zscore(key: string, member: string): number | undefined {
    if (head(key, zset) === undefined) return undefined;
    return sql('SELECT score FROM zsets WHERE key = ?1 AND member = ?2').get(key, member)?.[0] as number | undefined;
  }

  return {
    begin(us, hears) {
      nowUs = us;
      nowMs = Math.floor(us / 1_000);
      listens = hears;
      wakes = undefined;
    },
    wakes: () => wakes ?? noWakes,

    nowUs: () => nowUs,

    del(key) {
      if (deleteString.run(key, nowMs).changes !== 0) return 1;
      return remove(key) ? 1 : 0;
    },
    exists: (key) => liveRow(key) !== undefined,
    pexpire(key, ms) {
      const changed = sql('UPDATE keys SET expires = ?2 WHERE key = ?1 AND (expires IS NULL OR expires >= ?3)');
      return Number(changed.run(key, endMs(ms), nowMs).changes);
    },
    persist(key) {
      return Number(sql('UPDATE keys SET expires = NULL WHERE key = ?1 AND expires >= ?2').run(key, nowMs).changes);
    },
    pttl(key) {
      const row = liveRow(key);
      if (row === undefined) return -2;
      return row[1] === null ? -1 : (row[1] as number) - nowMs;
    },

    get(key) {
      const row = liveRow(key);
      if (row === undefined) return undefined;
      if (row[0] !== string) throw wrongKind(key, row[0] as number, string);
      return row[2] as string;
    },
    set: (key, value) => put(key, null, value),
    setPx: (key, value, ms) => put(key, endMs(ms), value),

    hget(key, field) {
      if (head(key, hash) === undefined) return undefined;
      return sql('SELECT value FROM hashes WHERE key = ?1 AND field = ?2').get(key, field)?.[0] as string | undefined;
    },
    hset(key, field, value) {
      const { size } = open(key, hash);
      if (sql('UPDATE hashes SET value = ?3 WHERE key = ?1 AND field = ?2').run(key, field, value).changes !== 0)
        return 0;
      sql('INSERT INTO hashes (key, field, value) VALUES (?1, ?2, ?3)').run(key, field, value);
      resize(key, size + 1);
      return 1;
    },
    hdel(key, field) {
      const found = head(key, hash);
      if (found === undefined) return 0;
      if (sql('DELETE FROM hashes WHERE key = ?1 AND field = ?2').run(key, field).changes === 0) return 0;
      resize(key, found.size - 1);
      return 1;
    },
    hlen: (key) => head(key, hash)?.size ?? 0,
    hvals(key) {
      if (head(key, hash) === undefined) return [];
      return texts(sql('SELECT value FROM hashes WHERE key = ?1').all(key));
    },

    lpush: (key, element) => push(key, 'first', element),
    rpush: (key, element) => push(key, 'last', element),
    lpop: (key) => pop(key, 'first'),
    rpop: (key) => pop(key, 'last'),
    llen: (key) => head(key, list)?.size ?? 0,
    lrange(key, from, to) {
      const found = head(key, list);
      const range = found === undefined ? undefined : rangeOf(found.size, from, to);
      if (found === undefined || range === undefined) return [];
      const [first, last] = range;
      const between = sql('SELECT value FROM lists WHERE key = ?1 AND position BETWEEN ?2 AND ?3 ORDER BY position');
      return texts(between.all(key, found.first + first, found.first + last));
    },

    sadd(key, member) {
      const { size } = open(key, set);
      if (sql('INSERT OR IGNORE INTO sets (key, member) VALUES (?1, ?2)').run(key, member).changes === 0) return 0;
      resize(key, size + 1);
      return 1;
    },
    srem(key, member) {
      const found = head(key, set);
      if (found === undefined) return 0;
      if (sql('DELETE FROM sets WHERE key = ?1 AND member = ?2').run(key, member).changes === 0) return 0;
      resize(key, found.size - 1);
      return 1;
    },
    sismember(key, member) {
      if (head(key, set) === undefined) return false;
      return sql('SELECT 1 FROM sets WHERE key = ?1 AND member = ?2').get(key, member) !== undefined;
    },
    scard: (key) => head(key, set)?.size ?? 0,

    zadd: (key, score, member) => zput(key, score, member, zscore(key, member)),
    zaddNew(key, score, member) {
      return zscore(key, member) === undefined ? zput(key, score, member, undefined) : 0;
    },
    zrem(key, member) {
      const found = head(key, zset);
      if (found === undefined) return 0;
      if (sql('DELETE FROM zsets WHERE key = ?1 AND member = ?2').run(key, member).changes === 0) return 0;
      resize(key, found.size - 1);
      return 1;
    },
    zscore,
    zcard: (key) => head(key, zset)?.size ?? 0,
    zrange(key, from, to) {
      const found = head(key, zset);
      const range = found === undefined ? undefined : rangeOf(found.size, from, to);
      if (found === undefined || range === undefined) return [];
      const [first, last] = range;
      const limit = last - first + 1;
      if (first <= found.size - 1 - last) {
        return texts(
          sql('SELECT member FROM zsets WHERE key = ?1 ORDER BY score, member LIMIT ?2 OFFSET ?3').all(
            key,
            limit,
            first,
          ),
        );
      }
      // Nearer to the end: an offset is walked row by row.
      const fromEnd = sql(
        'SELECT member FROM zsets WHERE key = ?1 ORDER BY score DESC, member DESC LIMIT ?2 OFFSET ?3',
      );
      return texts(fromEnd.all(key, limit, found.size - 1 - last)).reverse();
    },
    zrangeByScore(key, from, to, limit) {
      if (head(key, zset) === undefined) return [];
      const between = sql(
        'SELECT member FROM zsets WHERE key = ?1 AND score BETWEEN ?2 AND ?3 ORDER BY score, member LIMIT ?4',
      );
      return texts(between.all(key, from, to, limit));
    },
    zbefore(key, score) {
      if (head(key, zset) === undefined) return undefined;
      const below = sql(
        'SELECT member FROM zsets WHERE key = ?1 AND score < ?2 ORDER BY score DESC, member DESC LIMIT 1',
      );
      return below.get(key, score)?.[0] as string | undefined;
    },

    wake(session, message) {
      if (!listens(session)) return false;
      (wakes ??= []).push({ session, message });
      return true;
    },

    text: (integer) => String(integer),
    integer(text) {
      const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
      return Number.isSafeInteger(value) && String(value) === text ? value : undefined;
    },
    part: (text, index) => text.split(':')[index] ?? '',
    startsWith: (text, prefix) => text.startsWith(prefix),

    hpage(key, cursor, count) {
      if (head(key, hash) === undefined) return { cursor: '', entries: [] };
      const than = cursor === '' ? '>=' : '>'; // a field may be called ''
      const page = sql(`SELECT field, value FROM hashes WHERE key = ?1 AND field ${than} ?2 ORDER BY field LIMIT ?3`);
      const rows = page.all(key, cursor.slice(1), count);
      return { cursor: rows.length < count ? '' : `>${rows.at(-1)![0]}`, entries: rows.flat() as string[] };
    },
    keysPage(prefix, cursor, count) {
      const page = sql('SELECT key, expires FROM keys WHERE key > ?1 AND key >= ?2 ORDER BY key LIMIT ?3');
      const rows = page.all(cursor, prefix, count);
      const inside = rows.filter((row) => (row[0] as string).startsWith(prefix));
      const more = rows.length === count && inside.length === count;
      return { cursor: more ? (rows.at(-1)![0] as string) : '', keys: texts(inside.filter(isLive)) };
    },
    sweepPage(cursor, count) {
      const rows = sql('SELECT key, expires FROM keys WHERE key > ?1 ORDER BY key LIMIT ?2').all(cursor, count);
      const next = rows.length < count ? '' : (rows.at(-1)![0] as string);
      return { cursor: next, seen: rows.length, expired: texts(rows.filter((row) => !isLive(row))) };
    },
    sweepKey(key, count) {
      const row = selectKey.get(key);
      if (row === undefined || isLive(row)) return 0;
      const members = memberTables[row[0] as number];
      const column = memberColumns[row[0] as number];
      if (members !== undefined && column !== undefined) {
        const some = `SELECT ${column} FROM ${members} WHERE key = ?1 LIMIT ?2`;
        const { changes } = sql(`DELETE FROM ${members} WHERE key = ?1 AND ${column} IN (${some})`).run(key, count);
        if (changes === count) {
          sql('UPDATE keys SET expires = 0 WHERE key = ?1').run(key); // never live again, whatever the clock does
          return count;
        }
      }
      return Number(sql('DELETE FROM keys WHERE key = ?1').run(key).changes);
    },
  };
}

/** By kind. */
const memberTables: readonly (string | undefined)[] = [undefined, 'hashes', 'lists', 'sets', 'zsets'];
const memberColumns: readonly (string | undefined)[] = [undefined, 'field', 'position', 'member', 'member'];

/** The first and last index that Redis's LRANGE and ZRANGE mean; undefined for none. */
function rangeOf(size: number, from: number, to: number): [number, number] | undefined {
  const first = from < 0 ? Math.max(0, size + from) : from;
  const last = Math.min(size - 1, to < 0 ? size + to : to);
  return first <= last ? [first, last] : undefined;
}

function texts(rows: readonly Row[]): string[] {
  return rows.map((row) => row[0] as string);
}

function wrongKind(key: string, found: number, wanted: number): LockstepError {
  const [foundKind, wantedKind]: [Kind, Kind] = [kinds[found]!, kinds[wanted]!];
  return new LockstepError(
    'WRONG_KIND',
    `The key ${JSON.stringify(key)} holds a ${foundKind}, where a ${wantedKind} is wanted: another kind of thing, or another ` +
      'program, uses it. Choose another name, or delete the key.',
    { details: { key, found: foundKind, wanted: wantedKind } },
  );
}
