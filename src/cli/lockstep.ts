#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { isLockstepError } from '../index.ts';
import { UsageError } from './arguments.ts';
import { exec, execHelp } from './exec.ts';
import { exitCodes } from './exit-codes.ts';
import { ps, psHelp } from './ps.ts';
import { signalNumber } from './signals.ts';

const help = `lockstep – locks for any program, from a directory

  lockstep exec NAME [options] -- command …   hold a lock while a command runs
  lockstep ps [options]                       who holds locks, who waits, who is there
  lockstep COMMAND --help                     its options
  lockstep --version
`;

interface Command {
  readonly help: string;
  /** Resolves to the exit code. */
  run(args: readonly string[]): Promise<number>;
}

const commands: Readonly<Record<string, Command>> = {
  exec: { run: exec, help: execHelp },
  ps: { run: ps, help: psHelp },
};

process.stdout.on('error', unwritable);
process.exitCode = await main(process.argv.slice(2));

async function main([name = '--help', ...args]: readonly string[]): Promise<number> {
  if (name === '--version') return say(version());
  if (name === '--help' || name === '-h') return say(help);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return misused(`there is no command ${JSON.stringify(name)}`, '--help');
  if (asksForHelp(args)) return say(command.help);
  try {
    return await command.run(args);
  } catch (error) {
    if (error instanceof UsageError) return misused(error.message, `${name} --help`);
    return complain(error instanceof Error ? error.message : String(error), exitCodeOf(error));
  }
}

/** What stands after `--` is the command's own. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end === -1 ? args.length : end).some((arg) => arg === '--help' || arg === '-h');
}

function exitCodeOf(error: unknown): number {
  if (isLockstepError(error, 'TIMEOUT')) return exitCodes.timeout;
  if (isLockstepError(error, 'INVALID_ARGUMENT')) return exitCodes.usage;
  if (isLockstepError(error, 'UNAVAILABLE')) return exitCodes.unavailable;
  return exitCodes.failure;
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

/** Whoever reads has had enough, such as `head`; or the disk is full. */
function unwritable(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(exitCodes.signalled + signalNumber('SIGPIPE'));
  process.exit(complain(`the output can't be written: ${error.message}`, exitCodes.failure));
}

function misused(message: string, seeAlso: string): number {
  return complain(`${message} (see lockstep ${seeAlso})`, exitCodes.usage);
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`lockstep: ${message}\n`);
  return exitCode;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return `${(JSON.parse(text) as { version: string }).version}\n`;
}
