import type { Sqlite, Statement } from './driver.ts';

/** What is known of one key: its row in the table `keys`, with the changes of this transaction. */
export interface Key {
  readonly key: string;
  /** A place in `kinds`; `absent`: no such row. */
  kind: number;
  /** The last millisecond of its life; null: it has no end. */
  expires: number | null;
  /** Of a string. */
  value: string | null;
  /** Of a collection: the number of its members; of a list: the position of the first. */
  size: number;
  first: number;
  /** Whether the table has a row of this key. */
  stored: boolean;
  changed: boolean;
}

export const absent = -1;

/**
 * The rows of the table `keys` that a connection has seen. Writes stay here until the end of the transaction, so that
 * many steps on one key cost one row; what was read stays for the next transactions, until another connection has
 * written anything.
 */
export interface Keys {
  /** Begins a transaction, in SQLite too: forgets what may be stale. */
  begin(): void;
  find(key: string): Key;
  /** Says that a key was changed. */
  change(key: Key): void;
  /** Writes what was changed. */
  flush(): void;
  /** Forgets all, as the transaction was rolled back. */
  forget(): void;
}

/** What is kept between transactions: rows, and UTF-16 code units of keys and values. */
const rowsMax = 10_000;
const lengthMax = 4_194_304;

export function keysOf(sqlite: Sqlite): Keys {
  const version: Statement = sqlite.prepare('PRAGMA data_version');
  const select: Statement = sqlite.prepare('SELECT kind, expires, value, size, first FROM keys WHERE key = ?');
  const replace: Statement = sqlite.prepare(
    'REPLACE INTO keys (key, kind, expires, value, size, first) VALUES (?, ?, ?, ?, ?, ?)',
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
  }

  return {
    begin() {
      const now = version.get()![0];
      if (now !== seenVersion || known.size > rowsMax || length > lengthMax) forget();
      seenVersion = now;
    },
    find(key) {
      let found = known.get(key);
      if (found !== undefined) return found;
      const row = select.get(key);
      if (row === undefined) {
        found = { key, kind: absent, expires: null, value: null, size: 0, first: 0, stored: false, changed: false };
      } else {
        const [kind, expires, value, size, first] = row as [number, number | null, string | null, number, number];
        found = { key, kind, expires, value, size, first, stored: true, changed: false };
        length += value === null ? 0 : value.length;
      }
      length += key.length;
      known.set(key, found);
      return found;
    },
    change(key) {
      if (key.changed) return;
      key.changed = true;
      changed.push(key);
    },
    flush() {
      if (changed.length === 0) return;
      for (const key of changed) {
        key.changed = false;
        if (key.kind !== absent) {
          replace.do(key.key, key.kind, key.expires, key.value, key.size, key.first);
          length += key.value === null ? 0 : key.value.length;
        } else if (key.stored) remove.do(key.key);
        key.stored = key.kind !== absent;
      }
      changed = [];
    },
    forget,
  };
}
