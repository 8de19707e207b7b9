import type { Sqlite, Statement } from './driver.ts';
import { type Few, widths } from './few.ts';

/** Numbers in the database: they stay what they are. */
export const kinds = ['string', 'hash', 'list', 'set', 'zset'] as const;

/** What is known of one key: its row in the table `keys`, with the changes of this transaction. */
export interface Key {
  readonly key: string;
  /** A place in `kinds`; `absent`: no such row. */
  kind: number;
  /** The last millisecond of its life; null: it has no end. */
  expires: number | null;
  /** Of a string. */
  value: string | null;
  /** Of a list, or of another collection whose members stand in this row. See few.ts. */
  few: Few | undefined;
  /** Of a collection: the number of its members. Where these all stand in the row, it is found by them. */
  size: number;
  /** Of a list: the position of the first. Of a sorted set whose members are counted: 1, -1 until all are. Else 0. */
  start: number;
  /** Of a collection whose members have rows: its own among those of its table. See numbers.ts. */
  number: number;
  /** So many of its members aren't where their home is. See slots.ts. Of a list: see lists.ts. */
  astray: number;
  /** Whether the table has a row of this key. */
  stored: boolean;
  changed: boolean;
  /** It isn't the collection that the row is of. */
  replaced: boolean;
  /** Whether what was last put, of several, was new: so are the next, probably. */
  grows: boolean;
  /** How the row goes when the key does: see `keysOf`. */
  fate: Fate;
}

/** `deleted`: its row was deleted; `emptied`: the key comes back again and again. */
type Fate = 'new' | 'deleted' | 'emptied';

export const absent = -1;
/** Its place in `kinds`. A value for each parameter costs its time: hence statements with fewer, for keys of locks. */
const string = 0;
export const list = 2;

/**
 * The rows of the table `keys` that a connection has seen. Writes stay here until the end of the transaction, so that
 * many steps on one key cost one row; what was read stays for the next transactions, until another connection has
 * written anything.
 */
export interface Keys {
  /**
   * Begins a transaction, in SQLite too: forgets what may be stale. `isSame`: it goes on in the snapshot of the last one.
   * Whether all is as this connection left it.
   */
  begin(isSame: boolean): boolean;
  find(key: string): Key;
  /** Says that a key was changed. */
  change(key: Key): void;
  /** Writes what was changed. */
  flush(): void;
  /** Deletes the row of a key that is gone, if one was left. */
  bury(key: Key): void;
  /** Forgets all, as the transaction was rolled back. */
  forget(): void;
}

type Columns = readonly [
  kind: number,
  expires: number | null,
  text: string | null,
  size: number,
  start: number,
  number: number,
  astray: number,
];
const nothing: Columns = [absent, null, null, 0, 0, 0, 0];

/** What is kept between transactions: rows, and UTF-16 code units of keys and values. */
const rowsMax = 10_000;
const lengthMax = 4_194_304;

/**
 * A key that goes and comes back, as a lock's owner does, leaves an empty row of the kind `absent`: to write in place
 * takes a fifth less of an acquire and a release than to delete and insert. The sweep takes such rows for expired ones.
 * Such a row keeps its number, so that it keeps its length.
 */
export function keysOf(sqlite: Sqlite, forgetNumbers: () => void): Keys {
  const version: Statement = sqlite.prepare('PRAGMA data_version');
  const select: Statement = sqlite.prepare(
    'SELECT kind, expires, text, size, start, number, astray FROM keys WHERE key = ?',
  );
  const insert: Statement = sqlite.prepare(
    'INSERT INTO keys (key, kind, expires, text, size, start, number, astray) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const replace: Statement = sqlite.prepare(
    'UPDATE keys SET kind = ?, expires = ?, text = ?, size = ?, start = ?, number = ?, astray = ? WHERE key = ?',
  );
  const update: Statement = sqlite.prepare(
    'UPDATE keys SET expires = ?, size = ?, start = ?, astray = ? WHERE key = ?',
  );
  const put: Statement = sqlite.prepare(
    `UPDATE keys SET kind = ${string}, expires = ?, text = ?, size = 0, start = 0, number = 0, astray = 0 WHERE key = ?`,
  );
  const putFew: Statement = sqlite.prepare(
    'UPDATE keys SET kind = ?, expires = ?, text = ?, size = 0, start = 0, number = 0, astray = 0 WHERE key = ?',
  );
  const updateFew: Statement = sqlite.prepare('UPDATE keys SET expires = ?, text = ? WHERE key = ?');
  const empty: Statement = sqlite.prepare(
    `UPDATE keys SET kind = ${absent}, expires = 0, text = NULL, size = 0, start = 0, astray = 0 WHERE key = ?`,
  );
  const remove: Statement = sqlite.prepare('DELETE FROM keys WHERE key = ?');
  const known = new Map<string, Key>();
  let changed: Key[] = [];
  let seenVersion: unknown;
  let length = 0;

  function forget(): void {
    known.clear();
    changed = [];
    length = 0;
    forgetNumbers();
  }

  function read(key: string): Key {
    const row = select.get(key) as Columns | undefined;
    const stored = row !== undefined;
    const [kind, expires, text, rows, start, number, astray] = row === undefined || row[0] === absent ? nothing : row;
    const fate = stored && kind === absent ? 'emptied' : 'new';
    length += text === null ? 0 : text.length;
    const [value, few] = kind === string || text === null ? [text, undefined] : [null, JSON.parse(text) as Few];
    const size = few === undefined || kind === list ? rows : few.length / widths[kind]!;
    const now = { changed: false, replaced: false, grows: true, fate } as const;
    return { key, kind, expires, value, few, size, start, number, astray, stored, ...now };
  }

  function write(key: Key): void {
    const { kind, expires, few, size, start, number, astray } = key;
    const text = few === undefined ? key.value : JSON.stringify(few);
    length += text === null ? 0 : text.length;
    if (!key.stored) insert.do(key.key, kind, expires, text, size, start, number, astray);
    else if (kind === string) put.do(expires, text, key.key);
    else if (kind === list) replace.do(kind, expires, text, size, start, number, astray, key.key);
    else if (few !== undefined && key.replaced) putFew.do(kind, expires, text, key.key);
    else if (few !== undefined) updateFew.do(expires, text, key.key);
    else if (key.replaced) replace.do(kind, expires, text, size, start, number, astray, key.key);
    else update.do(expires, size, start, astray, key.key);
    key.replaced = false;
    if (key.fate === 'deleted') key.fate = 'emptied'; // it came back
    key.stored = true;
  }

  function clear(key: Key): void {
    if (!key.stored) return;
    if (key.fate === 'emptied') return empty.do(key.key);
    remove.do(key.key);
    key.stored = false;
    key.fate = 'deleted';
  }

  return {
    begin(isSame) {
      const now = isSame ? seenVersion : version.get()![0];
      const isOwn = now === seenVersion;
      if (!isOwn || known.size > rowsMax || length > lengthMax) forget();
      seenVersion = now;
      return isOwn;
    },
    find(key) {
      let found = known.get(key);
      if (found !== undefined) return found;
      found = read(key);
      length += key.length;
      known.set(key, found);
      return found;
    },
    change(key) {
      if (key.changed) return;
      key.changed = true;
      changed.push(key);
    },
    bury(key) {
      if (key.kind !== absent || !key.stored) return;
      remove.do(key.key);
      key.stored = false;
      key.fate = 'deleted';
    },
    flush() {
      if (changed.length === 0) return;
      for (const key of changed) {
        key.changed = false;
        if (key.kind === absent) clear(key);
        else write(key);
      }
      changed = [];
    },
    forget,
  };
}
