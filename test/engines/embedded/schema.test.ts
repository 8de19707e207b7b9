import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Sqlite, openSqlite } from '../../../src/engines/embedded/driver.ts';
import { embeddedEngine } from '../../../src/engines/embedded/embedded.ts';
import { prepareSchema } from '../../../src/engines/embedded/schema.ts';
import { sqliteTx } from '../../../src/engines/embedded/tx.ts';
import { call } from '../../operations/verbs/verbs.ts';

test.for([1, 2, 3])(
  'a database of format %i is brought to the present one, with all that is in it',
  async (version) => {
    const directory = mkdtempSync(join(tmpdir(), 'lockstep-schema-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const old = openSqlite(join(directory, 'lockstep.db'));
    onTestFinished(() => old.close());
    old.exec(former(version));
    fill(old);
    const sorted = version < 3 ? 'zsets' : 'sorted';
    old.exec(`INSERT INTO ${sorted} VALUES ('z', 'a', 9007199254740991), ('z', 'b', 1)`);
    // What who has it open goes on with: the ways to a key, and to a member without one.
    const statements = [
      'SELECT kind, expires, value, size, first FROM keys WHERE key = ?',
      'UPDATE keys SET kind = 0, expires = 1, value = 2, size = 0, first = 0 WHERE key = ?',
      "INSERT INTO keys (key, kind, expires, value, size, first) VALUES (?, 0, NULL, '', 0, 0)",
      'DELETE FROM hashes WHERE key = ?',
      "INSERT INTO lists (key, position, value) VALUES (?, 0, '')",
      'DELETE FROM sets WHERE key = ?',
      `UPDATE ${sorted} SET score = 7 WHERE key = ?`,
    ].map((text) => old.prepare(text));

    const engine = await embeddedEngine({ directory });
    onTestFinished(() => engine.close());
    const on = (key: string, ...verb: string[]): Promise<unknown> => engine.runBatch(call, [key], verb);
    expect(await on('z', 'zrange', '0', '-1')).toEqual(['b', 'a']);
    expect(await on('z', 'zscore', 'a')).toBe('9007199254740991');
    expect(await on('z', 'zincrby', '0.5', 'b')).toBe('1.5');
    expect(await on('z', 'zrank', 'a')).toBe(1);
    expect(await on('text', 'get')).toEqual(['some text']);
    expect(Number(await on('text', 'pttl'))).toBeGreaterThan(1e12);
    expect(await on('past', 'exists')).toBe(0);
    expect(await on('list', 'lrange', '0', '-1')).toEqual(['first', 'second', 'third']);
    expect(Number(await on('list', 'pttl'))).toBeGreaterThan(1e12);
    expect(await on('set', 'scard')).toBe(2);
    expect(await on('set', 'sismember', '')).toBe(1);
    expect(await on('large', 'hlen')).toBe(rows);
    for (const i of [0, 1, 17, 999, 1_000, 1_001, rows - 1])
      expect(await on('large', 'hget', `field ${i}`)).toEqual([`${i}`]);
    expect(await on('gone', 'exists')).toBe(0);

    for (const statement of statements) expect(() => statement.run('text')).toThrow(/no such|no column/);
    const tables = old.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    expect(tables.flat()).toEqual(['hashes', 'keys', 'lists', 'ranks', 'salt', 'sets', 'sorted']);
    const again = await embeddedEngine({ directory });
    await again.close();
  },
);

test('a database of format 4 is brought to the present one; who has it open fails, and writes nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-schema-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'lockstep.db');
  const old = openSqlite(path);
  onTestFinished(() => old.close());
  prepareSchema(old, directory, 'normal');
  old.exec('ALTER TABLE keys RENAME COLUMN text TO value; PRAGMA user_version = 4');
  old.exec(`
    INSERT INTO keys VALUES ('text', 0, NULL, 'some text', 0, 0, 0, 0), ('list', 2, NULL, NULL, 2, -1, 7, 0);
    INSERT INTO lists VALUES (7, -1, 'first'), (7, 0, 'second');
  `);
  const statements = [
    'SELECT kind, expires, value, size, start, number, astray FROM keys WHERE key = ?',
    'INSERT INTO keys (key, kind, expires, value, size, start, number, astray) VALUES (?, 0, NULL, 1, 0, 0, 0, 0)',
    'UPDATE keys SET kind = 0, expires = 1, value = 2, size = 0, start = 0, number = 0, astray = 0 WHERE key = ?',
  ].map((text) => old.prepare(text));

  const engine = await embeddedEngine({ directory });
  onTestFinished(() => engine.close());
  const on = (key: string, ...verb: string[]): Promise<unknown> => engine.runBatch(call, [key], verb);
  expect(await on('text', 'get')).toEqual(['some text']);
  expect(await on('list', 'lrange', '0', '-1')).toEqual(['first', 'second']);
  expect(await on('list', 'rpush', 'third')).toBe(3);
  expect(await on('list', 'lpop')).toEqual(['first']);
  for (const statement of statements) expect(() => statement.run('text')).toThrow(/no such column|no column/);
});

test('a process whose directory a newer lockstep has brought to its own format says so', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-schema-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const engine = await embeddedEngine({ directory });
  onTestFinished(() => engine.close());
  const newer = openSqlite(join(directory, 'lockstep.db'));
  onTestFinished(() => newer.close());
  newer.exec('ALTER TABLE keys RENAME COLUMN text TO another; PRAGMA user_version = 6');
  await expect(engine.runBatch(call, ['key'], ['set', 'value'])).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(/newer lockstep has opened it/) as string,
  });
});

test('members whose homes are the same come over from format 3, each to a place of its own', () => {
  const sqlite = openSqlite(':memory:');
  onTestFinished(() => sqlite.close());
  sqlite.exec(former(3).replace('PRAGMA journal_mode = WAL;', ''));
  fill(sqlite);
  prepareSchema(sqlite, 'memory', 'normal', 10);
  const tx = sqliteTx(sqlite, undefined, 10);
  sqlite.exec('BEGIN');
  tx.begin(false);
  tx.beginStep(1_000, () => true);
  for (let i = 0; i < rows; i++) expect(tx.hget('large', `field ${i}`)).toBe(`${i}`);
  expect(tx.hexists('large', 'field')).toBe(false);
  expect(sqlite.prepare("SELECT size, astray > 0 FROM keys WHERE key = 'large'").get()).toEqual([rows, 1]);
});

/** More than what is brought over at once. */
const rows = 1_234;

function fill(sqlite: Sqlite): void {
  const late = 9_999_999_999_999;
  sqlite.exec(`
    INSERT INTO keys VALUES
      ('gone', 1, 0, NULL, 1, 0), ('empty', -1, 0, NULL, 0, 0), ('text', 0, ${late}, 'some text', 0, 0), ('past', 0, 1, 'x', 0, 0),
      ('list', 2, ${late}, NULL, 3, -1), ('set', 3, NULL, NULL, 2, 0), ('large', 1, NULL, NULL, ${rows}, 0), ('z', 4, NULL, NULL, 2, 0);
    INSERT INTO hashes VALUES ('gone', 'field', 'value');
    INSERT INTO lists VALUES ('list', -1, 'first'), ('list', 0, 'second'), ('list', 1, 'third');
    INSERT INTO sets VALUES ('set', ''), ('set', 'member');
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ${rows})
    INSERT INTO hashes SELECT 'large', 'field ' || n, n FROM numbers;
  `);
}

function former(version: number): string {
  if (version === 1) return format1;
  const format2 = format1.replace('score INTEGER', 'score REAL').replace('user_version = 1', 'user_version = 2');
  return version === 2
    ? format2
    : format2.replaceAll('zsets', 'sorted').replace('user_version = 2', 'user_version = 3') + ranks;
}

const ranks = `
  CREATE TABLE ranks (
    node INTEGER NOT NULL, place TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (node, place)
  ) WITHOUT ROWID, STRICT;
`;
const format1 = `
  PRAGMA journal_mode = WAL;
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
  CREATE TABLE zsets (
    key TEXT NOT NULL, member TEXT NOT NULL, score INTEGER NOT NULL, PRIMARY KEY (key, member)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX zsets_by_score ON zsets (key, score, member);
  PRAGMA application_id = 1280262987;
  PRAGMA user_version = 1;
`;
