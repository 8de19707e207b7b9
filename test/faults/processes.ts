import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, vi } from 'vitest';
import { type Program, startProgram } from './program.ts';

export type { Program } from './program.ts';

/** In the environment of every process that this file's tests start, and of what these start. */
const marker = `LOCKSTEP_FAULTS=${randomUUID()}`;

/** Starts `programs/NAME.ts`. It is killed when the test is finished, whatever became of the test. */
export function start(name: string, task: object, options: { talks?: boolean } = {}): Program {
  const [variable = '', id] = marker.split('=');
  const path = join(import.meta.dirname, 'programs', `${name}.ts`);
  const program = startProgram(path, task, { ...options, env: { [variable]: id } });
  let isOver = false;
  const exited = program.exited.then(() => (isOver = true));
  onTestFinished(async () => {
    if (!isOver) program.signal('SIGKILL');
    await exited;
  });
  return program;
}

/** A directory of the test's own, gone when it is finished. Ask for it before the processes that use it. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-faults-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

/** To stand in each file of this folder: no test of it leaves a process behind. Machines may be busy with other things. */
export function leaveNobodyBehind(): void {
  vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });
  afterAll(() => {
    expect(survivors(), 'processes that a test left behind').toEqual([]);
  });
}

/** The processes of this file's tests that still run, as Linux lists them. */
function survivors(): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readQuietly(`/proc/${pid}/environ`).split('\0').includes(marker))
    .map((pid) => `${pid} ${readQuietly(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`);
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it ended, or is another user's
  }
}
