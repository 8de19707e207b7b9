import type { Sqlite, Value } from './driver.ts';
import { kinds, list } from './keys.ts';
import type { SqliteTx } from './tx.ts';

/**
 * Puts the tables of format 1, 2 or 3 aside, in the transaction under way. What it returns brings all that is in them
 * over to those of the present one, which have been made meanwhile. The former ones are gone then, and with them the
 * columns by which processes that still have the file open find a key: they fail, and write nothing. What was counted
 * for ranks is counted again when one is asked for.
 *
 * In those formats the rows of collections had the key and the member as texts. In 1 scores were integers; in 1 and 2
 * `sorted` was called `zsets`, and there was no table `ranks`.
 */
export function bringOver(sqlite: Sqlite, version: number): (tx: SqliteTx) => void {
  const sorted = version < 3 ? 'zsets' : 'sorted';
  sqlite.exec(`
    DROP INDEX ${sorted}_by_score;
    DROP TABLE IF EXISTS ranks;
    ALTER TABLE keys RENAME TO former_keys;
    ALTER TABLE hashes RENAME TO former_hashes;
    ALTER TABLE lists RENAME TO former_lists;
    ALTER TABLE sets RENAME TO former_sets;
    ALTER TABLE ${sorted} RENAME TO former_sorted;
  `);
  return (tx) => {
    sqlite.exec(`
    INSERT INTO keys (key, kind, expires, text, size, start, number, astray)
    SELECT key, kind, expires, value, 0, 0, 0, 0 FROM former_keys WHERE kind = ${kinds.indexOf('string')}
  `);
    tx.begin(false);
    tx.beginStep(0, () => false); // nothing has expired by then
    bringCollections(sqlite, tx);
    for (const table of ['keys', 'hashes', 'lists', 'sets', 'sorted']) sqlite.exec(`DROP TABLE former_${table}`);
  };
}

/**
 * Makes tables of format 4 those of the present one, in the transaction under way. There each element of a list had a row of
 * its own, and so had each member. A process of that format that still has the file open finds no column `value`: it
 * fails, and writes nothing.
 */
export function bringOverFromFormat4(sqlite: Sqlite): void {
  sqlite.exec(`
    ALTER TABLE keys RENAME COLUMN value TO text;
    UPDATE keys SET text = '[]' WHERE kind = ${list};
    UPDATE lists SET value = json_array(value);
  `);
}

/** So many rows are held at once. */
const pageRows = 1_000;

function bringCollections(sqlite: Sqlite, tx: SqliteTx): void {
  // The sweep has begun with those whose life ended at 0.
  const heads = sqlite.prepare(
    'SELECT key, kind, expires FROM former_keys WHERE key > ? AND kind > 0 AND (expires IS NULL OR expires > 0) ' +
      'ORDER BY key LIMIT ?',
  );
  const bring = former.map((one) => one && bringing(sqlite, one, tx));
  for (let after = ''; ;) {
    const page = heads.all(after, pageRows) as [key: string, kind: number, expires: number | null][];
    for (const [key, kind, expires] of page) {
      bring[kind]!(key);
      if (expires !== null) tx.pexpire(key, expires);
    }
    tx.flush();
    tx.begin(true); // it lets go of what it keeps of many keys
    if (page.length < pageRows) return;
    after = page.at(-1)![0];
  }
}

/** By kind: where the members were, the columns of which the first is what they were found by, and what puts one. */
interface Former {
  readonly table: string;
  readonly columns: string;
  readonly put: (tx: SqliteTx, key: string, row: readonly Value[]) => void;
}

const former: readonly (Former | undefined)[] = [
  undefined,
  {
    table: 'hashes',
    columns: 'field, value',
    put: (tx, key, [field, value]) => void tx.hset(key, field as string, value as string),
  },
  { table: 'lists', columns: 'position, value', put: (tx, key, [, value]) => void tx.rpush(key, value as string) },
  { table: 'sets', columns: 'member', put: (tx, key, [member]) => void tx.sadd(key, member as string) },
  {
    table: 'sorted',
    columns: 'member, score',
    put: (tx, key, [member, score]) => void tx.zadd(key, score as number, member as string),
  },
];

/** What brings the members of a key. */
function bringing(sqlite: Sqlite, { table, columns, put }: Former, tx: SqliteTx): (key: string) => void {
  const column = columns.split(',')[0]!;
  const order = `ORDER BY ${column} LIMIT ?`;
  const first = sqlite.prepare(`SELECT ${columns} FROM former_${table} WHERE key = ? ${order}`);
  const next = sqlite.prepare(`SELECT ${columns} FROM former_${table} WHERE key = ? AND ${column} > ? ${order}`);
  return (key) => {
    for (let rows = first.all(key, pageRows); ; rows = next.all(key, rows.at(-1)![0]!, pageRows)) {
      for (const row of rows) put(tx, key, row);
      if (rows.length < pageRows) return;
    }
  };
}
