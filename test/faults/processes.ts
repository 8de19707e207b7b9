import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, onTestFinished, vi } from 'vitest';
import type { Word } from './programs/voice.ts';

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One process of a test: it runs a program of `programs/`, which says things and can be told things. */
export interface Program {
  readonly pid: number;
  /** All that it said, in order. */
  readonly said: readonly Word[];
  readonly exited: Promise<Exit>;
  tell(word: Word): void;
  /** The first such word that was not taken yet. Fails when the process ends without it, or after `deadlineMs`. */
  hears(what: string, deadlineMs?: number): Promise<Word>;
  /** How it ends, by itself. Fails when it does not. */
  ends(deadlineMs?: number): Promise<Exit>;
  signal(signal: NodeJS.Signals): void;
}

const root = resolve(import.meta.dirname, '../..');
const node = join(root, 'node_modules/.bin/node');
/** In the environment of every process that this file's tests start, and of what these start. */
const marker = `LOCKSTEP_FAULTS=${randomUUID()}`;
const running = new Set<ChildProcess>();

/** Starts `programs/NAME.ts`. It is killed when the test is finished, whatever became of the test. */
export function start(name: string, task: object, options: { talks?: boolean } = {}): Program {
  const [variable = '', id] = marker.split('=');
  const child = spawn(node, [join(import.meta.dirname, 'programs', `${name}.ts`), JSON.stringify(task)], {
    stdio: ['ignore', 'ignore', 'pipe', ...(options.talks === false ? [] : ['ipc' as const])],
    // Compiled once: most of the life of a small program would go into that.
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, '.cache/compiled'), [variable]: id },
  });
  running.add(child);
  const said: Word[] = [];
  const taken = new Set<Word>();
  let stderr = '';
  const listeners = new Set<() => void>();
  let exit: Exit | undefined;
  child.stderr!.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-10_000)));
  child.on('message', (word: Word) => {
    said.push(word);
    for (const listener of listeners) listener();
  });
  child.on('error', () => {}); // a message to a process that is gone
  const exited = new Promise<Exit>((done) => {
    // Not `exit`: what it said last comes after that.
    child.once('close', (code, signal) => {
      running.delete(child);
      exit = { code, signal };
      for (const listener of listeners) listener();
      done(exit);
    });
  });
  onTestFinished(async () => {
    if (exit === undefined) child.kill('SIGKILL');
    await exited;
  });

  async function hears(what: string, deadlineMs = 30_000): Promise<Word> {
    const end = performance.now() + deadlineMs;
    for (;;) {
      const word = said.find((one) => one.what === what && !taken.has(one));
      if (word !== undefined) {
        taken.add(word);
        return word;
      }
      const why = exit === undefined ? `not within ${deadlineMs} ms` : `it ended (${exit.code ?? exit.signal})`;
      if (exit !== undefined || performance.now() > end) {
        throw new Error(`process ${child.pid} (${name}) did not say ${what}: ${why}\n${stderr}`);
      }
      let listener: () => void = () => {};
      const news = new Promise<void>((done) => listeners.add((listener = done)));
      await within(end - performance.now(), news);
      listeners.delete(listener);
    }
  }

  async function ends(deadlineMs = 30_000): Promise<Exit> {
    await within(deadlineMs, exited);
    if (exit === undefined) {
      throw new Error(`process ${child.pid} (${name}) did not end within ${deadlineMs} ms\n${stderr}`);
    }
    if (exit.code !== 0 && stderr !== '') console.error(`process ${child.pid} (${name}):\n${stderr}`);
    return exit;
  }

  return {
    pid: child.pid!,
    said,
    exited,
    tell: (word) => void (child.connected && child.send(word, () => {})),
    hears,
    ends,
    signal: (signal) => void child.kill(signal),
  };
}

/** A directory of the test's own, gone when it is finished. Ask for it before the processes that use it. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-faults-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

/** To stand in each file of this folder: no test of it leaves a process behind. Machines may be busy with other things. */
export function leaveNobodyBehind(): void {
  vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
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

/** Waits for a promise that does not reject, no longer than `ms`. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise((late) => (timer = setTimeout(late, Math.max(0, ms))))]);
  clearTimeout(timer);
}

// Ended from outside, no test is finished in order.
function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}
process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killAll();
    process.kill(process.pid, signal);
  });
}
