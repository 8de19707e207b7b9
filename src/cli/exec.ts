import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import { type Lease, open } from '../index.ts';
import { milliseconds, parse, placeOptions, spaceOption, UsageError, warn } from './arguments.ts';
import { exitCodes } from './exit-codes.ts';
import { catchSignals, Interrupted, signalNumber, type Signals } from './signals.ts';

export const execHelp = `lockstep exec NAME [options] -- command …

Holds the lock NAME while a command runs. The command gets this terminal, the signals, and in its environment
LOCKSTEP_LOCK and LOCKSTEP_FENCE: a number that grows with every holder, for refusing what a late one writes.

  --timeout 5s    give up when the lock is not free by then; 0 tries once (default: wait)
  --ttl 30s       how long the lock outlives a holder that is stopped or cut off (default: 10s)
  --grace 10s     how long the command has between TERM and KILL when the lock is lost
  --at DIR        the directory of the state, or redis://host (default: ./.lockstep)
  --space NAME    the space in it (default: default)
  --label TEXT    what others see as the holder (default: exec and the command's name)

Lengths of time have a unit: 500ms, 5s, 2m, 1.5h.

Exit code: the command's own, 128+n if signal n ended it; 64 bad usage, 69 no access to the state, 70 the lock was
lost, 75 not free in time, 126 and 127 the command can't be run or is not there.
`;

interface Job {
  readonly lock: string;
  readonly lockOptions: { ttl?: number };
  readonly wait: { timeout?: number };
  readonly graceMs: number;
  readonly at: string | undefined;
  readonly session: { space?: string; label: string };
  readonly command: string;
  readonly args: readonly string[];
}

/** Holds a lock while a program runs. Resolves to the exit code. */
export async function exec(argv: readonly string[]): Promise<number> {
  const job = jobOf(argv);
  const signals = catchSignals();
  try {
    const shared = await open(job.at, { ...job.session, onWarning: warn });
    try {
      const lock = shared.lock(job.lock, job.lockOptions);
      const lease = await lock.acquire({ ...job.wait, signal: signals.waiting });
      return await runUnder(lease, job, signals);
    } finally {
      await shared.close();
    }
  } catch (error) {
    if (error instanceof Interrupted) return exitCodes.signalled + signalNumber(error.signal);
    throw error;
  } finally {
    signals.restore();
  }
}

function jobOf(argv: readonly string[]): Job {
  const end = argv.indexOf('--');
  const [command, ...args] = end === -1 ? [] : argv.slice(end + 1);
  const { values, positionals } = parse(argv.slice(0, end === -1 ? argv.length : end), {
    ...placeOptions,
    timeout: { type: 'string' },
    ttl: { type: 'string' },
    grace: { type: 'string', default: '10s' },
    label: { type: 'string' },
  });
  const [lock, ...more] = positionals;
  if (lock === undefined) throw new UsageError('the NAME of the lock is missing');
  if (more.length > 0) throw new UsageError(`${JSON.stringify(more[0])} is too much: the command comes after --`);
  if (command === undefined) throw new UsageError('the command is missing: it comes after --');
  return {
    lock,
    lockOptions: values.ttl === undefined ? {} : { ttl: milliseconds('ttl', values.ttl) },
    wait: values.timeout === undefined ? {} : { timeout: milliseconds('timeout', values.timeout) },
    graceMs: milliseconds('grace', values.grace),
    at: values.at,
    session: { ...spaceOption(values.space), label: values.label ?? `exec ${basename(command)}`.slice(0, 100) },
    command,
    args,
  };
}

/** Runs the command, ends it when the lease is lost, and gives the lock back when it has ended. */
async function runUnder(lease: Lease, job: Job, signals: Signals): Promise<number> {
  try {
    signals.waiting.throwIfAborted(); // it came together with the lock
    const env = { ...process.env, LOCKSTEP_LOCK: lease.lock, LOCKSTEP_FENCE: String(lease.fence) };
    const child = spawn(job.command, job.args, { stdio: 'inherit', env });
    signals.passTo(child);
    const stopWatching = endWhenLost(lease, child, job.graceMs);
    const exitCode = await ended(child, job.command);
    stopWatching();
    return lease.signal.aborted ? exitCodes.leaseLost : exitCode;
  } finally {
    await lease.release();
  }
}

function endWhenLost(lease: Lease, child: ChildProcess, graceMs: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    process.stderr.write(`lockstep: ${(lease.signal.reason as Error).message}\nlockstep: ending the command\n`);
    child.kill('SIGTERM');
    timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  };
  if (lease.signal.aborted) end();
  else lease.signal.addEventListener('abort', end, { once: true });
  return () => {
    lease.signal.removeEventListener('abort', end);
    clearTimeout(timer);
  };
}

/** The exit code that a shell would give. */
function ended(child: ChildProcess, command: string): Promise<number> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve(signal === null ? (code ?? exitCodes.failure) : exitCodes.signalled + signalNumber(signal));
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return; // a signal that came too late for it
      process.stderr.write(`lockstep: ${JSON.stringify(command)} can't be run: ${reasonOf(error)}\n`);
      resolve(error.code === 'ENOENT' ? exitCodes.notFound : exitCodes.notExecutable);
    });
  });
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'there is no such program';
  if (error.code === 'EACCES') return 'it may not be executed';
  return error.message;
}
