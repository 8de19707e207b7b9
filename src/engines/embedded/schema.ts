/**
 * The tables of the embedded engine. Redis's types on SQLite:
 *
 *   keys     one row a key: a string with its value, or the head of a collection with its size
 *   hashes, lists, sets, sorted   the members of collections
 *   ranks    how many members there are in parts of large sorted sets: see ranks.ts
 *
 * - A collection that is empty has no head; a head's `size` is the number of its members.
 * - Strings and heads share a table, so that one row tells a key's kind, life and value, and nothing else must be asked
 *   or kept in step on the way of a lock. There is no index by expiry for the same reason: the sweep walks the keys.
 * - `expires` is the last millisecond of a key's life, as in Redis.
 */
import { LockstepError } from '../../base/errors.ts';
import type { Sqlite } from './driver.ts';

/** Numbers in the database: they stay what they are. */
export const kinds = ['string', 'hash', 'list', 'set', 'zset'] as const;

const applicationId = 0x4c4f434b; // 'LOCK'
const schemaVersion = 3;

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

const sorted = `
  CREATE TABLE sorted (
    key TEXT NOT NULL, member TEXT NOT NULL, score REAL NOT NULL, PRIMARY KEY (key, member)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX sorted_by_score ON sorted (key, score, member);
`;
const ranks = `
  CREATE TABLE ranks (
    node INTEGER NOT NULL, place TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (node, place)
  ) WITHOUT ROWID, STRICT;
`;
const marks = `
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

const tables = `
  CREATE TABLE keys (
    key TEXT PRIMARY KEY, kind INTEGER NOT NULL, expires INTEGER, value TEXT,
    size INTEGER NOT NULL, first INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE hashes (
    key TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, field)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE lists (
    key TEXT NOT NULL, position INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, position)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE sets (key TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (key, member)) WITHOUT ROWID, STRICT;
  ${sorted}
  ${ranks}
  ${marks}
`;

/** What makes the present format of an older one; of 0: of nothing. */
const migrations: readonly string[] = [
  tables,
  // The scores were integers.
  `
  ALTER TABLE zsets RENAME TO zsets_1;
  DROP INDEX zsets_by_score;
  ${sorted}
  INSERT INTO sorted SELECT key, member, score FROM zsets_1;
  DROP TABLE zsets_1;
  ${ranks}
  ${marks}
`,
  // Nothing was counted. Under the old name, processes that still have the file open would write what they don't count.
  `
  ALTER TABLE zsets RENAME TO sorted;
  ${ranks}
  ${marks}
`,
];

/**
 * Makes a connection ready: tables, write-ahead log, durability. Throws SQLite's BUSY where another process is in the
 * way: all of it can be done again. `UNAVAILABLE` if the file is not lockstep's, or of a newer lockstep.
 */
export function prepareSchema(sqlite: Sqlite, directory: string, durability: 'normal' | 'full'): void {
  if (!isOursAtOnce(sqlite, directory)) {
    sqlite.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA auto_vacuum = INCREMENTAL`);
    sqlite.exec('PRAGMA journal_mode = WAL');
    sqlite.exec('BEGIN IMMEDIATE');
    try {
      if (!isOurs(sqlite, directory)) sqlite.exec(migrations[pragma(sqlite, 'user_version')]!);
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
