import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

export interface Example {
  readonly child: ChildProcess;
  /** What it takes for the system's temporary directory. */
  readonly temporary: string;
  stdout(): string;
  stderr(): string;
  readonly exit: Promise<number | NodeJS.Signals>;
}

/** Starts the example of that name as a user does. It is killed when the test is finished. */
export function startExample(name: string, args: readonly string[]): Example {
  const temporary = temporaryDirectory();
  const child = spawn(join(root, 'node_modules/.bin/node'), [`examples/${name}/main.ts`, ...args], {
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
  });
  return { child, temporary, stdout: () => stdout, stderr: () => stderr, exit };
}

/** Is removed when the test is finished. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'example-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}
