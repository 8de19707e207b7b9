import { readdirSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { hasRedisServer, startRedisServer } from '../redis/server.ts';
import { startExample, temporaryDirectory } from './program.ts';

/** Real files, of 2 MB. */
const input = 'node_modules/@types/node';

interface Result {
  exact: boolean;
  files: number;
  words: number;
  differences: string[];
  kills: number;
  top: [string, number][];
  sizes: { count: number; max: number };
}

test.each(['queue', 'list'])(
  'a directory, work from a %s: exact, although processes are killed -9',
  async (work) => {
    await expectExact('--work', work);
  },
  120_000,
);

test.skipIf(!hasRedisServer)(
  'Redis, work from a queue: exact, although processes are killed -9',
  async () => {
    const server = await startRedisServer();
    onTestFinished(() => server.remove());
    await expectExact('--at', server.address);
  },
  120_000,
);

test('a run in the place of an earlier one begins anew; without a terminal its progress comes in lines', async () => {
  const directory = temporaryDirectory();
  const few = [input, '--at', directory, '--kills', '0', '--processes', '1', '--limit'];
  const first = await run(...few, '40', '--json');
  expect([first.code, (JSON.parse(first.stdout) as Result).files]).toEqual([0, 40]);
  const { code, stdout } = await run(...few, '20');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^20 files, .*\n(?:[█░]{20} .*\n)+20 files in .*\n[^]*\nexact: .*\n$/);
}, 120_000);

test('what can not be understood is refused in one line, before anything is started', async () => {
  const { code, stderr, stdout, left } = await run('--work', 'x');
  const says = 'index-files: --work is "x": it must be queue or list (see --help)\n';
  expect([code, stderr, stdout, left]).toEqual([64, says, '', []]);
});

async function expectExact(...args: readonly string[]): Promise<void> {
  const { code, stdout, stderr, left } = await run(input, '--kills', '2', '--json', ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { exact, differences, kills, files, sizes, top } = JSON.parse(stdout) as Result;
  expect({ exact, differences }).toEqual({ exact: true, differences: [] });
  expect(kills).toBeGreaterThan(0);
  expect(sizes.count).toBe(files);
  expect(files).toBeGreaterThan(50);
  expect(top[0]![1]).toBeGreaterThan(1_000);
  expect(left).toEqual([]);
}

interface Run {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
  /** In the system's temporary directory. */
  readonly left: readonly string[];
}

/** Runs the example. It is killed when the test is finished. */
async function run(...args: readonly string[]): Promise<Run> {
  const { exit, temporary, stdout, stderr } = startExample('index-files', args);
  const code = await exit;
  return { code, stdout: stdout(), stderr: stderr(), left: readdirSync(temporary) };
}
