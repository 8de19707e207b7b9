import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { StatementSync } from 'node:sqlite';
import { LockstepError } from '../../base/errors.ts';

/** One connection to one SQLite file: the little that lockstep wants from a SQLite library. */
export interface Sqlite {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  /**
   * Stays in the snapshot of the transaction under way, beyond its end, until the returned function is called. Absent
   * where the library does nothing else meanwhile.
   */
  stay?(): () => void;
  close(): void;
}

/** Parameters are `?`, in order. A row is an array of its columns. */
export interface Statement {
  get(...values: readonly Value[]): Row | undefined;
  all(...values: readonly Value[]): Row[];
  run(...values: readonly Value[]): { changes: number | bigint };
  /** As `run`, where nobody asks what changed: Node's library makes no object then. Not for what gives rows. */
  do(...values: readonly Value[]): void;
}

export type Value = string | number | null;
export type Row = readonly Value[];

/** The first column, of text. */
export function texts(rows: readonly Row[]): string[] {
  return rows.map((row) => row[0] as string);
}

/**
 * Opens a SQLite file, which is made if it is absent, through Node's own library, or through `better-sqlite3` where
 * Node has none. Never waits for another process: SQLite's busy handler would starve all but one.
 * `UNAVAILABLE` if there is no library.
 */
export function openSqlite(path: string): Sqlite {
  open ??= nodeSqlite() ?? betterSqlite();
  return open(path);
}

/** SQLite's primary result code of an error that a statement threw; undefined for any other error. */
export function resultCode(error: unknown): number | undefined {
  const extended = extendedCode(error);
  return extended === undefined ? undefined : extended & 0xff;
}

/** SQLite's extended result code, where the library tells it. */
export function extendedCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number') return errcode;
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) return undefined;
  if (code === 'SQLITE_IOERR_SHMSIZE') return sqlite.ioErrorShmSize;
  return betterCodes[code.split('_')[1]!] ?? sqlite.error;
}

/** The result codes that lockstep tells apart (sqlite.org/rescode.html). */
export const sqlite = {
  error: 1,
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  protocol: 15,
  notADatabase: 26,
  ioErrorShmSize: 4874,
} as const;

const betterCodes: Readonly<Record<string, number>> = {
  BUSY: sqlite.busy,
  LOCKED: sqlite.locked,
  READONLY: sqlite.readOnly,
  IOERR: sqlite.ioError,
  CORRUPT: sqlite.corrupt,
  FULL: sqlite.full,
  CANTOPEN: sqlite.cantOpen,
  PROTOCOL: sqlite.protocol,
  NOTADB: sqlite.notADatabase,
};

type Open = (path: string) => Sqlite;
let open: Open | undefined;

function nodeSqlite(): Open | undefined {
  const library = withoutExperimentalWarning(() => process.getBuiltinModule?.('node:sqlite'));
  if (library === undefined) return undefined;
  const { DatabaseSync, StatementSync } = library;
  const hasArrays = 'setReturnArrays' in StatementSync.prototype; // Node 22.16
  return (path) => {
    const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
    let rows: StatementSync | undefined;
    return {
      exec: (sql) => database.exec(sql),
      prepare(sql) {
        const statement = database.prepare(sql);
        if (!hasArrays) return arraysOf(statement as unknown as ObjectStatement);
        statement.setReturnArrays(true);
        return Object.assign(statement, { do: statement.get }) as unknown as Statement;
      },
      stay() {
        rows ??= database.prepare('SELECT 1 FROM sqlite_schema'); // has several: it is not at its end after one
        const reading = rows.iterate();
        reading.next();
        return () => void reading.return?.();
      },
      close: () => database.close(),
    };
  };
}

interface ObjectStatement {
  get(...values: readonly Value[]): Record<string, Value> | undefined;
  all(...values: readonly Value[]): Record<string, Value>[];
  run(...values: readonly Value[]): { changes: number | bigint };
}

function arraysOf(statement: ObjectStatement): Statement {
  return {
    get(...values) {
      const row = statement.get(...values);
      return row === undefined ? undefined : Object.values(row);
    },
    all: (...values) => statement.all(...values).map((row) => Object.values(row)),
    run: (...values) => statement.run(...values),
    do: (...values) => void statement.get(...values),
  };
}

/** Node 22 says at the first use that its SQLite is experimental: nothing that lockstep's users can act on. */
function withoutExperimentalWarning<T>(load: () => T): T {
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]): void => {
    if (typeof warning === 'string' && warning.startsWith('SQLite is an experimental feature')) return;
    (emitWarning as (...given: unknown[]) => void).call(process, warning, ...rest);
  };
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

interface BetterStatement extends Statement {
  readonly reader: boolean;
  raw(on: boolean): void;
}
interface BetterDatabase {
  exec(sql: string): void;
  prepare(sql: string): BetterStatement;
  close(): void;
}
type BetterSqlite = new (path: string, options: { timeout: number }) => BetterDatabase;

/** Shared by all copies of lockstep in this thread: two SQLite libraries on one file break each other's locks. */
const betterSqliteKey = Symbol.for('lockstep.better-sqlite3');

function betterSqlite(): Open {
  const shared = globalThis as { [betterSqliteKey]?: BetterSqlite };
  const Library = (shared[betterSqliteKey] ??= requireBetterSqlite());
  return (path) => {
    const database = new Library(path, { timeout: 0 });
    return {
      exec: (sql) => database.exec(sql),
      prepare(sql) {
        const statement = database.prepare(sql);
        if (statement.reader) statement.raw(true);
        return Object.assign(statement, { do: statement.run });
      },
      close: () => database.close(),
    };
  };
}

/** The application's copy, so that it is the one that the application may use itself. */
function requireBetterSqlite(): BetterSqlite {
  let cause: unknown;
  for (const from of [join(process.cwd(), 'package.json'), import.meta.url]) {
    try {
      return createRequire(from)('better-sqlite3') as BetterSqlite;
    } catch (error) {
      cause = error;
    }
  }
  throw new LockstepError(
    'UNAVAILABLE',
    `Node ${process.version} has no SQLite of its own, and better-sqlite3 can't be loaded. ` +
      'Use Node 22.13 or later, or run: npm install better-sqlite3@12',
    { cause },
  );
}
