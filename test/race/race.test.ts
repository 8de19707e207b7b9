import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type Example, startExample, temporaryDirectory } from '../examples/program.ts';
import { hasRedisServer, startRedisServer } from '../redis/server.ts';

interface Result {
  exact: boolean;
  where: string;
  pids: number[];
  rows: { title: string; safe: boolean; operations: number; lostUpdates?: number; money?: number }[];
  killed: { pid: number; foundAfterMs: number | null };
}

test('read and write loses updates and money, lockstep nothing, also when a holder is killed', async () => {
  const race = startExample('race', ['--json', '--seconds', '0.4']);
  expect([await race.exit, race.stderr()]).toEqual([0, '']);

  const { exact, where, pids, rows, killed } = JSON.parse(race.stdout()) as Result;
  expect(exact).toBe(true);
  const titles = ['counter', 'value', 'map', 'stats', 'seats', 'transfer'];
  const bothWays = titles.flatMap((title) => [false, true].map((safe) => [title, safe]));
  expect(rows.map(({ title, safe }) => [title, safe])).toEqual([...bothWays, ['kill -9', true]]);
  for (const row of rows) {
    expect(row.operations).toBeGreaterThan(0);
    const { lostUpdates = 0, money = 0 } = row;
    expect({ ...row, exact: lostUpdates === 0 && money === 0 }).toEqual({ ...row, exact: row.safe });
  }
  expect(pids).toHaveLength(4);
  expect(pids).toContain(killed.pid);
  expect(pids.filter(isAlive)).toEqual([]);
  expect(existsSync(where)).toBe(false);
}, 120_000);

test.skipIf(!hasRedisServer)(
  'the race is the same on Redis',
  async () => {
    const server = await startRedisServer();
    onTestFinished(() => server.remove());
    const race = startExample('race', [server.address, '--json', '--seconds', '0.2']);
    expect([await race.exit, race.stderr()]).toEqual([0, '']);
    const { exact, rows } = JSON.parse(race.stdout()) as Result;
    expect(exact).toBe(true);
    expect(rows.filter(({ operations }) => operations === 0)).toEqual([]);
  },
  120_000,
);

test('Ctrl-C ends every process of the race and removes its directory', async () => {
  const race = startExample('race', ['--seconds', '0.3']);
  await until(
    () => race.stdout().includes('counter'),
    () => race.stdout() + race.stderr(),
  );
  const crew = crewOf(race);
  expect(crew).toHaveLength(4);
  race.child.kill('SIGINT');
  expect(await race.exit).toBe(130);
  await until(
    () => !crew.some(isAlive),
    () => `still alive: ${crew.filter(isAlive).join(', ')}`,
  );
  expect(readdirSync(race.temporary)).toEqual([]);
}, 120_000);

test('no process outlives a race that is killed -9', async () => {
  const race = startExample('race', ['--seconds', '0.3']);
  await until(
    () => race.stdout().includes('counter'),
    () => race.stdout() + race.stderr(),
  );
  const crew = crewOf(race);
  expect(crew).toHaveLength(4);
  race.child.kill('SIGKILL');
  await until(
    () => !crew.some(isAlive),
    () => `still alive: ${crew.filter(isAlive).join(', ')}`,
  );
}, 120_000);

test('a second race in the same place is refused, and leaves the first alone', async () => {
  const directory = temporaryDirectory();
  const first = startExample('race', [directory, '--seconds', '0.2', '--json']);
  await until(
    () => existsSync(join(directory, 'lockstep.db')),
    () => first.stderr(),
  );
  const second = startExample('race', [directory, '--seconds', '0.4']);
  const ends = [await first.exit, await second.exit];
  expect(ends).toContain(0);
  expect(ends).toContain(1);
  const stderr = first.stderr() + second.stderr();
  expect(stderr).toMatch(/^race: TIMEOUT: lock "race" is not free: [^\n]+\n$/);
  expect(existsSync(join(directory, 'lockstep.db'))).toBe(true);
}, 120_000);

test.each([
  { args: ['--frob'], says: "race: Unknown option '--frob' (see npm start -- --help)\n" },
  {
    args: ['--seconds', 'x'],
    says: 'race: --seconds is "x": it must be a positive number (see npm start -- --help)\n',
  },
  { args: ['a', 'b'], says: 'race: "b" is too much: one place is enough (see npm start -- --help)\n' },
])('$args is refused in one line, before anything is started', async ({ args, says }) => {
  const race = startExample('race', args);
  expect([await race.exit, race.stderr(), race.stdout()]).toEqual([64, says, '']);
  expect(readdirSync(race.temporary)).toEqual([]);
});

test('--help lists the options and starts nothing', async () => {
  const race = startExample('race', ['--help']);
  expect([await race.exit, race.stderr()]).toEqual([0, '']);
  expect(race.stdout()).toMatch(/--seconds[^]*--json[^]*Exit code/);
  expect(readdirSync(race.temporary)).toEqual([]);
});

/** The race says it in its first line. */
function crewOf(race: Example): number[] {
  const [, pids = ''] = /^4 processes \((.*)\)/.exec(race.stdout()) ?? [];
  return pids.split(', ').map(Number);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean, complaint: () => string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 60 s: ${complaint()}`);
    await sleep(20);
  }
}
