import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/** A signal ended the wait for the lock. */
export class Interrupted extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }
}

/** The signals that would end this process, caught. */
export interface Signals {
  /** Aborts with `Interrupted` when a signal comes that nothing takes yet. */
  readonly waiting: AbortSignal;
  /** From now on signals go to `child`. */
  passTo(child: ChildProcess): void;
  /** They have their usual effect again. */
  restore(): void;
}

const passed = (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const).filter(
  (name) => signalNumber(name) > 0,
);

export function catchSignals(): Signals {
  const waiting = new AbortController();
  let child: ChildProcess | undefined;
  const take = (signal: NodeJS.Signals): void => {
    if (child === undefined) waiting.abort(new Interrupted(signal));
    else if (!comesFromTerminal(signal)) child.kill(signal);
  };
  for (const name of passed) process.on(name, take);
  return {
    waiting: waiting.signal,
    passTo(target) {
      child = target;
    },
    restore() {
      for (const name of passed) process.off(name, take);
    },
  };
}

/** 0 for one that this platform does not have. */
export function signalNumber(name: NodeJS.Signals): number {
  return constants.signals[name] ?? 0;
}

/** Ctrl-C and Ctrl-\ in a terminal reach the command by themselves; a second one means "at once" to many programs. */
function comesFromTerminal(signal: NodeJS.Signals): boolean {
  if (signal !== 'SIGINT' && signal !== 'SIGQUIT') return false;
  return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
}
