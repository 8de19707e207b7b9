import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { LockInspection, SessionInfo } from '../../src/index.ts';
import { hasRedisServer, startRedisServer } from '../redis/server.ts';
import { lockstep, openAt, temporaryDirectory, until, untilStdinEnds } from './cli.ts';

test('the list shows who holds a lock, who waits for it in order, and who is there', async () => {
  const directory = temporaryDirectory();
  const holder = lockstep(directory, 'exec', 'job', '--label', 'first', '--', ...untilStdinEnds);
  await holder.prints('started');
  const lock = (await openAt(directory)).lock('job');
  for (const [waiting, label] of ['second', 'third'].entries()) {
    lockstep(directory, 'exec', 'job', '--label', label, '--', ...untilStdinEnds);
    await until(
      async () => (await lock.inspect()).waiters.length === waiting + 1,
      () => `${label} waits`,
    );
  }

  const inWords = lockstep(directory, 'ps');
  expect(await inWords.exit).toBe(0);
  const lines = inWords.stdout().split('\n');
  expect(lines[0]).toMatch(/^LOCK +WHO +PID +HOST +FOR +LEASE +FENCE$/);
  expect(lines[1]).toMatch(new RegExp(`^job +first +${holder.pid} +\\S+ +\\S+ +[\\d.]+s +\\d{16}$`));
  expect(lines[2]).toMatch(/^ {2}waits +second +\d+ /);
  expect(lines[3]).toMatch(/^ {2}waits +third +\d+ /);
  for (const label of ['first', 'second', 'third', 'the test']) {
    expect(lines.slice(5).join('\n')).toMatch(new RegExp(`^${label} +\\d+ `, 'm'));
  }
  expect(inWords.stdout()).not.toMatch(/^ps /m);

  const asData = lockstep(directory, 'ps', '--json');
  expect(await asData.exit).toBe(0);
  const { space, locks, sessions } = JSON.parse(asData.stdout()) as {
    space: string;
    locks: LockInspection[];
    sessions: SessionInfo[];
  };
  expect(space).toBe('default');
  expect(locks).toHaveLength(1);
  expect(locks[0]).toMatchObject({ name: 'job', holder: { session: { pid: holder.pid, label: 'first' } } });
  expect(locks[0]!.waiters.map(({ session }) => session.label)).toEqual(['second', 'third']);
  expect(sessions.map(({ label }) => label).toSorted()).toEqual(['first', 'second', 'the test', 'third']);
});

test('to look at a directory that is not there is an error, and does not make it', async () => {
  const directory = temporaryDirectory();
  const run = lockstep(directory, 'ps', '--at', './nowhere');
  expect(await run.exit).toBe(69);
  expect(run.stderr()).toBe('lockstep: there is no ./nowhere: name the directory with --at\n');
  expect(existsSync(join(directory, 'nowhere'))).toBe(false);
});

test('to look at a directory without a database is an error, and makes none', async () => {
  const directory = temporaryDirectory();
  for (const at of ['.', 'file:.', `file:${directory}`]) {
    const run = lockstep(directory, 'ps', '--at', at);
    expect(await run.exit).toBe(69);
    expect(run.stderr()).toBe(`lockstep: there is no lockstep.db in ${at}: name the directory with --at\n`);
  }
  const nowhere = lockstep(directory, 'ps', '--at', 'file:./nowhere');
  expect(await nowhere.exit).toBe(69);
  expect(readdirSync(directory)).toEqual([]);
});

test('a reader that has had enough ends the list without a complaint', async () => {
  const directory = temporaryDirectory();
  await openAt(directory);
  const run = lockstep(directory, 'ps');
  run.child.stdout!.destroy();
  expect(await run.exit).toBe(141);
  expect(run.stderr()).toBe('');
});

test('names that would move the cursor are shown as question marks', async () => {
  const directory = temporaryDirectory();
  const shared = await openAt(directory);
  await shared.lock('ja\u200bb').acquire();
  const run = lockstep(directory, 'ps');
  expect(await run.exit).toBe(0);
  expect(run.stdout()).toMatch(/^ja\?b /m);
});

test.skipIf(!hasRedisServer)(
  'a warning about a server is a line, and none where Node has to be silent too',
  async () => {
    const server = await startRedisServer();
    onTestFinished(() => server.stop());
    const directory = temporaryDirectory();
    const loud = lockstep(directory, 'ps', '--at', server.address);
    expect(await loud.exit).toBe(0);
    expect(loud.stderr()).toMatch(/^lockstep: warning: .*appendonly/m);
    vi.stubEnv('NODE_NO_WARNINGS', '1');
    onTestFinished(() => void vi.unstubAllEnvs());
    const silent = lockstep(directory, 'ps', '--at', server.address);
    expect(await silent.exit).toBe(0);
    expect(silent.stderr()).toBe('');
  },
);
