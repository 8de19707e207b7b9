/** Runs a command to its end, for the scripts beside this file. The project's own tools come first on the PATH. */
import { spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { delimiter, join } from 'node:path';

const root: string = join(import.meta.dirname, '..');

/** A process that starts takes what another one compiled: a quarter of the time for a program that uses all sources. */
export const compileCache: string = join(root, '.cache', 'compiled');

export interface Run {
  /** undefined: it ended with exit code 0. */
  readonly problem: string | undefined;
  readonly output: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** Whether the output goes to the terminal as it comes; it is kept as well. */
  readonly live?: boolean;
  readonly timeoutMs?: number;
  /** Leaves the processors to others where they want them. */
  readonly behind?: boolean;
}

/** Never rejects: what went wrong is in `problem`, what the command printed (both streams) in `output`. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const timeoutMs = options.timeoutMs ?? 600_000;
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, PATH: toolsFirst(), NODE_COMPILE_CACHE: compileCache, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  if (options.behind === true && child.pid !== undefined)
    setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);

  let output = '';
  const take = (stream: NodeJS.WriteStream) => (chunk: string) => {
    output += chunk;
    if (options.live === true) stream.write(chunk);
  };
  child.stdout.setEncoding('utf8').on('data', take(process.stdout));
  child.stderr.setEncoding('utf8').on('data', take(process.stderr));

  return new Promise((resolve) => {
    const end = (problem: string | undefined) => {
      clearTimeout(timer);
      resolve({ problem, output });
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') end(`killed: still running after ${timeoutMs / 1_000} s`);
      else end(code === 0 ? undefined : `exit ${signal ?? code ?? 'unknown'}`);
    });
  });
}

/** The same, where anything but success ends the script. Gives the output. */
export async function must(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { problem, output } = await run(command, args, options);
  if (problem === undefined) return output;
  throw new Error(`${[command, ...args].join(' ')}: ${problem}\n${output.trimEnd()}`);
}

function toolsFirst(): string {
  return join(root, 'node_modules', '.bin') + delimiter + (process.env['PATH'] ?? '');
}
