import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSqlite } from '../../../src/engines/embedded/driver.ts';
import { embeddedEngine } from '../../../src/engines/embedded/embedded.ts';
import { call } from '../../operations/verbs/verbs.ts';

test.for([1, 2])('a database of format %i is brought to the present one, with all that is in it', async (version) => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-schema-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const old = openSqlite(join(directory, 'lockstep.db'));
  onTestFinished(() => old.close());
  old.exec(
    version === 1
      ? format1
      : format1.replace('score INTEGER', 'score REAL').replace('user_version = 1', 'user_version = 2'),
  );
  const write = old.prepare("UPDATE zsets SET score = 7 WHERE key = 'z' AND member = 'a'");
  const engine = await embeddedEngine({ directory });
  onTestFinished(() => engine.close());
  const on = (...verb: string[]): Promise<unknown> => engine.runBatch(call, ['z'], verb);
  expect(await on('zrange', '0', '-1')).toEqual(['b', 'a']);
  expect(await on('zscore', 'a')).toBe('9007199254740991');
  expect(await on('zincrby', '0.5', 'b')).toBe('1.5');
  expect(await on('zrank', 'a')).toBe(1);
  // Who had it open before would not count what it writes.
  expect(() => write.run()).toThrow('no such table: zsets');
  const again = await embeddedEngine({ directory });
  await again.close();
});

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
  INSERT INTO keys VALUES ('z', 4, NULL, NULL, 2, 0);
  INSERT INTO zsets VALUES ('z', 'a', 9007199254740991), ('z', 'b', 1);
`;
