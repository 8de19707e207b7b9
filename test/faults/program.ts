import { type ChildProcess, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { Word } from './programs/voice.ts';

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that runs a program such as those of `programs/`: it says things and can be told things. */
export interface Program {
  readonly pid: number;
  /** All that it said, in order. */
  readonly said: readonly Word[];
  readonly exited: Promise<Exit>;
  /** The end of what it wrote to its standard error. */
  readonly stderr: string;
  tell(word: Word): void;
  /** The first such word that was not taken yet. Fails when the process ends without it, or after `deadlineMs`. */
  hears(what: string, deadlineMs?: number): Promise<Word>;
  /** How it ends, by itself. Fails when it does not. */
  ends(deadlineMs?: number): Promise<Exit>;
  signal(signal: NodeJS.Signals): void;
}

const root = resolve(import.meta.dirname, '../..');
const node = join(root, 'node_modules/.bin/node');
const running = new Set<ChildProcess>();

/** Starts the program at `path`. It is killed when this process ends, if it still runs then. */
export function startProgram(
  path: string,
  task: object,
  options: { talks?: boolean; env?: NodeJS.ProcessEnv } = {},
): Program {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const child = spawn(node, [path, JSON.stringify(task)], {
    stdio: ['ignore', 'ignore', 'pipe', ...(options.talks === false ? [] : ['ipc' as const])],
    // Compiled once: most of the life of a small program would go into that.
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, '.cache/compiled'), ...options.env },
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

  async function hears(what: string, deadlineMs = 60_000): Promise<Word> {
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

  async function ends(deadlineMs = 60_000): Promise<Exit> {
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
    get stderr() {
      return stderr;
    },
    tell: (word) => void (child.connected && child.send(word, () => {})),
    hears,
    ends,
    signal: (signal) => void child.kill(signal),
  };
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
