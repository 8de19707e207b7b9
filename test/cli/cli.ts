import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { type Lockstep, open } from '../../src/index.ts';

export const node: string = resolve(import.meta.dirname, '../../node_modules/.bin/node');
const cli = resolve(import.meta.dirname, '../../src/cli/lockstep.ts');

/** A command that runs until its standard input ends, so that it outlives no test. */
export const untilStdinEnds: readonly string[] = ['sh', '-c', 'echo started; exec cat'];

/** A `lockstep …` that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Waits until this text was printed on standard output. */
  prints(text: string): Promise<void>;
  /** The exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>;
}

/** A directory of its own, gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-cli-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/** Opens the state that `lockstep` uses when it is started in `directory`. */
export async function openAt(directory: string): Promise<Lockstep> {
  const shared = await open(join(directory, '.lockstep'), { label: 'the test' });
  onTestFinished(() => shared.close());
  return shared;
}

/** Starts `lockstep` with `directory` as its working directory. It is killed when the test is finished. */
export function lockstep(directory: string, ...args: readonly string[]): Running {
  const child = spawn(node, [cli, ...args], { cwd: directory, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => {}); // it may be gone
  let over = false;
  const exit = new Promise<number | NodeJS.Signals>((done) => {
    child.once('exit', () => (over = true));
    child.once('close', (code, signal) => done(signal ?? code ?? -1));
  });
  onTestFinished(async () => {
    child.stdin.end();
    if (!over) child.kill('SIGKILL');
    await exit;
  });
  return {
    child,
    pid: child.pid!,
    stdout: () => stdout,
    stderr: () => stderr,
    exit,
    prints: (text) =>
      until(
        () => stdout.includes(text) || over,
        () => `lockstep ${args.join(' ')} printed no ${JSON.stringify(text)}:\n${stdout}${stderr}`,
      ),
  };
}

/** Waits for a condition. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  complaint: () => string,
  ms = 30_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${complaint()}`);
    await sleep(10);
  }
}
