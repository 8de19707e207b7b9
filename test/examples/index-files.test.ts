import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hasRedisServer, startRedisServer } from '../redis/server.ts';

const root = resolve(import.meta.dirname, '../..');
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
  const directory = mkdtempSync(join(tmpdir(), 'index-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
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
  const temporary = mkdtempSync(join(tmpdir(), 'index-'));
  const child = spawn(join(root, 'node_modules/.bin/node'), ['examples/index-files/main.ts', ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: temporary, NODE_NO_WARNINGS: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exit = new Promise<number | NodeJS.Signals>((done) => {
    child.once('close', (code, signal) => done(signal ?? code ?? -1));
  });
  onTestFinished(async () => {
    child.kill('SIGKILL'); // its processes leave with it
    await exit;
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
  });
  const code = await exit;
  return { code, stdout, stderr, left: existsSync(temporary) ? readdirSync(temporary) : [] };
}
