/**
 * The tables of the embedded engine. Redis's types on SQLite:
 *
 *   keys     one row a key: a string with its value, a collection with its few members (few.ts), or the head of one that
 *            has more, with its size
 *   hashes, sets, sorted   the members of collections, found by a number that is made of the collection's and a hash of
 *            the member: see slots.ts
 *   lists    the elements of lists but for those at their ends, in chunks: see lists.ts
 *   ranks    how many members there are in parts of large sorted sets: see ranks.ts
 *   salt     one number, which makes the hashes of this file others than those of any other
 *
 * - A collection that is empty has no row; a head's `size` is the number of its members.
 * - Strings and heads share a table, so that one row tells a key's kind, life and value, and nothing else must be asked
 *   or kept in step on the way of a lock. There is no index by expiry for the same reason: the sweep walks the keys.
 * - `expires` is the last millisecond of a key's life, as in Redis.
 * - What a head's `number`, `start` and `astray` are: see `Key`.
 */
import { LockstepError } from '../../base/errors.ts';
import type { Sqlite } from './driver.ts';
import { bringOver, bringOverFromFormat4 } from './migration.ts';
import { sqliteTx } from './tx.ts';

const applicationId = 0x4c4f434b; // 'LOCK'
const schemaVersion = 5;

/**
 * Pages are small, as a commit writes each page that it touched as a whole. Measured with an acquire and a release (µs a
 * pair, Node 24, ext4): 512 bytes 22, 1024: 22–26, 2048: 29, 4096: 35–38.
 */
const pageBytes = 1024;

/** Pages that SQLite keeps. */
const cacheKiB = 8_192;
/** A larger file is read where the kernel keeps it, so much of it. See `mapFile`. */
const mappedFromBytes = 6_291_456;
const mappedBytes = 268_435_456;

/**
 * So much of the write-ahead log stays on the disk when a new one begins. See log.ts. A page that is written again and again
 * is looked for behind all its earlier copies, by writers and by readers: twice as much takes 4 % longer for a lock, 14 %
 * for a transaction; half as much 8 % for a message, as the log is moved too often.
 */
export const logBytes = 524_288;

/** The number of a row of `sorted` tells its collection: it takes no room in the row. */
const tables = `
  CREATE TABLE keys (
    key TEXT PRIMARY KEY, kind INTEGER NOT NULL, expires INTEGER, text TEXT, size INTEGER NOT NULL,
    start INTEGER NOT NULL, number INTEGER NOT NULL, astray INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE hashes (id INTEGER PRIMARY KEY, field TEXT NOT NULL, value TEXT NOT NULL) STRICT;
  CREATE TABLE sets (id INTEGER PRIMARY KEY, member TEXT NOT NULL) STRICT;
  CREATE TABLE sorted (
    id INTEGER PRIMARY KEY, member TEXT NOT NULL, score REAL NOT NULL, number INTEGER AS (id >> 33) VIRTUAL
  ) STRICT;
  CREATE INDEX sorted_by_score ON sorted (number, score, member);
  CREATE TABLE lists (
    number INTEGER NOT NULL, position INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (number, position)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE ranks (
    node INTEGER NOT NULL, place TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (node, place)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE salt (salt INTEGER NOT NULL) STRICT;
  INSERT INTO salt VALUES (random() & 4294967295);
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/**
 * Makes a connection ready: tables, write-ahead log, durability. Throws SQLite's BUSY where another process is in the
 * way: all of it can be done again. `UNAVAILABLE` if the file is not lockstep's, or of a newer lockstep.
 * `hashBits`: see slots.ts.
 */
export function prepareSchema(
  sqlite: Sqlite,
  directory: string,
  durability: 'normal' | 'full',
  hashBits?: number,
): void {
  if (!isOursAtOnce(sqlite, directory)) {
    sqlite.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA auto_vacuum = INCREMENTAL`);
    sqlite.exec('PRAGMA journal_mode = WAL');
    sqlite.exec('BEGIN IMMEDIATE');
    try {
      if (!isOurs(sqlite, directory)) make(sqlite, pragma(sqlite, 'user_version'), hashBits);
      sqlite.exec('COMMIT');
    } catch (error) {
      sqlite.exec('ROLLBACK');
      throw error;
    }
  }
  sqlite.exec(`
    PRAGMA synchronous = ${durability};
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = ${logBytes};
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -${cacheKiB};
  `);
}

/**
 * Maps a file of so many bytes into memory if it is larger than what SQLite keeps of it: a read among a million entries
 * then takes four fifths of the time. Not a smaller one: of each page of a map SQLite first asks whether a newer one is in
 * the log, which is a tenth of a transaction's time. Outside of transactions, as SQLite ignores it otherwise.
 */
export function mapFile(sqlite: Sqlite, bytes: number): void {
  sqlite.exec(`PRAGMA mmap_size = ${bytes > mappedFromBytes ? mappedBytes : 0}`);
}

/** Makes the tables; `version` is the format of those that are there, 0 where there are none. */
function make(sqlite: Sqlite, version: number, hashBits: number | undefined): void {
  if (version === 0) return sqlite.exec(tables);
  if (version === 4) {
    bringOverFromFormat4(sqlite);
    return sqlite.exec(`PRAGMA user_version = ${schemaVersion}`);
  }
  const over = bringOver(sqlite, version);
  sqlite.exec(tables);
  over(sqliteTx(sqlite, undefined, hashBits));
}

/** In one transaction: another process may make the tables between two looks, and the file would seem foreign. */
function isOursAtOnce(sqlite: Sqlite, directory: string): boolean {
  sqlite.exec('BEGIN');
  try {
    return isOurs(sqlite, directory);
  } finally {
    sqlite.exec('COMMIT');
  }
}

/** False if there is nothing in the file yet, or an older format. */
function isOurs(sqlite: Sqlite, directory: string): boolean {
  const id = pragma(sqlite, 'application_id');
  const version = pragma(sqlite, 'user_version');
  if (id === applicationId && version === schemaVersion) return true;
  if (id === applicationId && version > schemaVersion) throw newerError(directory, version);
  if (id === applicationId && version > 0) return false;
  if (id !== 0 || sqlite.prepare('SELECT 1 FROM sqlite_schema').get() !== undefined) throw foreignError(directory);
  return false;
}

function pragma(sqlite: Sqlite, name: string): number {
  return Number(sqlite.prepare(`PRAGMA ${name}`).get()?.[0] ?? 0);
}

function newerError(directory: string, version: number): LockstepError {
  return new LockstepError(
    'UNAVAILABLE',
    `The database ${directory}/lockstep.db was made by a newer lockstep: its format is ${version}, and this one reads up to ` +
      `${schemaVersion}. Update lockstep here, or open another directory.`,
    { details: { directory, version } },
  );
}

function foreignError(directory: string): LockstepError {
  return new LockstepError(
    'UNAVAILABLE',
    `The database ${directory}/lockstep.db belongs to another program. Open another directory.`,
    { details: { directory } },
  );
}
