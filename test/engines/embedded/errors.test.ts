import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openSqlite } from '../../../src/engines/embedded/driver.ts';
import { embeddedEngine } from '../../../src/engines/embedded/embedded.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import { add, get } from '../../../src/operations/counter.ts';
import { by, counterAt, exact } from '../../counting.ts';
import { set } from '../../../src/operations/map.ts';
import { cleanUp, deepDirectory, node, talker, temporaryDirectory, until } from '../fixtures/processes.ts';

const keys = counterAt('n');
const engines: Engine[] = [];
const mounts: string[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  for (const mount of mounts.splice(0)) spawnSync('umount', ['--lazy', mount]);
  await cleanUp();
});

async function openEngine(directory: string, durability?: 'full'): Promise<Engine> {
  const engine = await embeddedEngine({ directory, ...(durability && { durability }) });
  engines.push(engine);
  return engine;
}

/** Mounts over a new directory; undefined, and a word about it, where this user may not. */
async function mounted(parent: string, ...args: string[]): Promise<string | undefined> {
  const directory = join(parent, 'mounted');
  await mkdir(directory);
  const { status } = spawnSync('mount', [...args, directory]);
  if (status === 0) {
    mounts.push(directory);
    return directory;
  }
  console.warn('SKIPPED: this user may not mount file systems');
  return undefined;
}

test('a file in the place of the directory is refused', async () => {
  const file = join(temporaryDirectory(), 'file');
  writeFileSync(file, '');
  for (const directory of [file, join(file, 'below')]) {
    await expect(openEngine(directory)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: /a file and not a dir/,
    });
  }
});

test('a path that is too long for the database is refused before anything is made', async () => {
  const parent = deepDirectory(400);
  const directory = join(parent, 'x'.repeat(92));
  const error = await openEngine(directory).catch((reason: unknown) => reason as Error);
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: /has 493 bytes, and SQLite takes 492/ });
  expect((error as Error).message.length).toBeLessThan(300);
  expect(readdirSync(parent)).toEqual([]);
  const engine = await openEngine(directory.slice(0, -1));
  expect(await engine.run(add, keys, by(1))).toEqual(['ok', '1']);
});

test.runIf(process.platform === 'linux')(
  'a path that is too long for sockets is refused where no descriptor leads round it',
  async () => {
    const parent = temporaryDirectory();
    const directory = join(parent, 'x'.repeat(100));
    const { status, stdout } = spawnSync(
      'unshare',
      [
        '--mount',
        'sh',
        '-c',
        'mount -t tmpfs none /proc && exec "$@"',
        '--',
        node,
        join(import.meta.dirname, 'program.ts'),
        'open',
        directory,
      ],
      { encoding: 'utf8' },
    );
    if (status !== 0) {
      console.warn('SKIPPED: this user may not mount file systems');
      return;
    }
    const [code, message] = JSON.parse(stdout) as string[];
    expect(code).toBe('INVALID_ARGUMENT');
    expect(message).toMatch(
      /…x+ is too long: it has \d+ bytes.* room for 75 on this system\. Open a directory with a shorter/,
    );
    expect(readdirSync(parent)).toEqual([]);
  },
);

test('a directory that the system lets nobody make is refused, and not tried for ever', async () => {
  // In a process of its own, as what tries for ever lets no test end.
  const other = talker('../embedded/program.ts', 'open', '/proc/no/directory');
  await until('an answer', () => other.said.length === 1);
  expect(other.said[0]![0]).toBe('UNAVAILABLE');
  expect(other.said[0]![1]).toContain("The directory /proc/no/directory can't be made (ENOENT: no such file");
});

test('a path with a zero byte is refused', async () => {
  await expect(openEngine(`${temporaryDirectory()}/a\0b`)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: /zero byte/,
  });
});

test('the directory is made for this user alone', async () => {
  const directory = join(temporaryDirectory(), 'a', 'b');
  await openEngine(directory);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
});

test('a file that is no database is refused', async () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'lockstep.db'), 'no database at all, but text of some length\n'.repeat(100));
  await expect(openEngine(directory)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: /damaged, or not a database/,
  });
});

test("another program's database is refused and left as it was", async () => {
  const directory = temporaryDirectory();
  const path = join(directory, 'lockstep.db');
  const sqlite = openSqlite(path);
  sqlite.exec('CREATE TABLE theirs (x)');
  sqlite.close();
  const { size } = statSync(path);
  await expect(openEngine(directory)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /another program/ });
  expect(statSync(path).size).toBe(size);
});

test('the database of a newer lockstep is refused', async () => {
  const directory = temporaryDirectory();
  await (await openEngine(directory)).close();
  const sqlite = openSqlite(join(directory, 'lockstep.db'));
  sqlite.exec('PRAGMA user_version = 1000');
  sqlite.close();
  await expect(openEngine(directory)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /newer lockstep.*1000/ });
});

test('a damaged database is refused when the damage is met, and said to be damaged', async () => {
  const directory = temporaryDirectory();
  const path = join(directory, 'lockstep.db');
  const engine = await openEngine(directory);
  for (let i = 0; i < 500; i++) await engine.run(add, counterAt(`n${i}`), by(1));
  await engine.close();
  truncateSync(path, 3_072);
  const damaged = openEngine(directory).then((opened) => opened.run(get, counterAt('n499'), exact));
  await expect(damaged).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /damaged.*backup/ });
});

test('a full disk refuses what does not fit and nothing else, and all goes on when there is room', async () => {
  const directory = await mounted(temporaryDirectory(), '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs');
  if (directory === undefined) return;
  const engine = await openEngine(directory);
  await engine.run(add, keys, by(1));
  const large = { field: 'f', value: 'x'.repeat(4_000_000), ms: 0, owner: '' };
  const [before, refused, after] = await Promise.allSettled([
    engine.run(add, keys, by(1)),
    engine.run(set, { map: 'm', guard: 'm', watchers: 'm-watchers', expiry: 'm-expiry' }, large),
    engine.run(add, keys, by(1)),
  ]);
  expect(refused).toMatchObject({ reason: { code: 'UNAVAILABLE', message: /disk.*full/ } });
  expect([before, after]).toMatchObject([{ value: ['ok', '2'] }, { value: ['ok', '3'] }]);

  // Until not a byte is left: then nothing is promised but an answer that is true.
  const ballast = join(directory, 'ballast');
  expect(() => writeFileSync(ballast, Buffer.alloc(10_000_000))).toThrow('ENOSPC');
  let acknowledged = 3;
  let refusals = 0;
  for (let i = 0; i < 100 && refusals === 0; i++) {
    const [added, filled] = await Promise.allSettled([
      engine.run(add, keys, by(1)),
      engine.run(
        set,
        { map: 'm', guard: 'm', watchers: 'm-watchers', expiry: 'm-expiry' },
        { field: `f${i}`, value: 'x'.repeat(200_000), ms: 0, owner: '' },
      ),
    ]);
    if (added.status === 'fulfilled') expect(added.value).toEqual(['ok', String(++acknowledged)]);
    if (filled.status === 'rejected') refusals++;
  }
  expect(refusals).toBe(1);
  rmSync(ballast);
  expect(await engine.run(add, keys, by(1))).toEqual(['ok', String(acknowledged + 1)]);
}, 90_000);

test('a read-only file system is refused', async () => {
  const parent = temporaryDirectory();
  const directory = await mounted(parent, '-t', 'tmpfs', '-o', 'ro,size=1m', 'tmpfs');
  if (directory === undefined) return;
  await expect(openEngine(directory)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /read-only file system/ });
  await expect(openEngine(join(directory, 'new'))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: /can't be made/,
  });
});

test('a process that stays inside a write is waited for, then named as a possible reason', async () => {
  const directory = temporaryDirectory();
  const engine = await openEngine(directory);
  const stuck = talker('../embedded/program.ts', 'stay', directory);
  await until('it is inside', () => stuck.said.length > 0);
  let worstMs = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    worstMs = Math.max(worstMs, performance.now() - last);
    last = performance.now();
  }, 1);
  await expect(engine.run(add, keys, by(1))).rejects.toMatchObject({ code: 'UNAVAILABLE', message: /stopped/ });
  clearInterval(timer);
  console.log('longest stall of the event loop, ms:', worstMs.toFixed(1));
  stuck.child.kill('SIGKILL');
  expect(await engine.run(add, keys, by(1))).toEqual(['ok', '1']);
}, 90_000);

test('a process that still uses a directory which was removed is told', async () => {
  const directory = temporaryDirectory();
  const engine = await openEngine(directory);
  await engine.run(add, keys, by(1));
  rmSync(directory, { recursive: true });
  let told: unknown;
  const addUntilTold = async (): Promise<void> => {
    while (told === undefined) {
      await engine.run(add, keys, by(1)).catch((error: unknown) => (told = error));
      await new Promise((done) => setTimeout(done, 5));
    }
  };
  await addUntilTold();
  expect(told).toMatchObject({ code: 'UNAVAILABLE', message: /was removed/ });
});
