import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { digits, table, type Line } from './table.ts';

/** One question of a benchmark: a table, and what was wanted. */
export interface Section {
  readonly title: string;
  readonly head: Line;
  readonly lines: readonly Line[];
  readonly findings: readonly Finding[];
  /** All that was measured, for `--json`. */
  readonly figures: unknown;
}

/** A figure beside its target. */
export interface Finding {
  readonly what: string;
  readonly value: number;
  readonly target: string;
  readonly met: boolean;
}

export interface Stage {
  /** Of this run, removed at its end. */
  readonly directory: string;
  /** How it was measured; printed at the head. */
  readonly setUp: Record<string, string>;
  /** False for a part that `--only a,b` leaves out. */
  wants(part: string): boolean;
  /** What stands behind `--name` on the command line. */
  option(name: string): string | undefined;
  show(section: Section): void;
  /** Is done when the run ends, however it does: the last that was asked for is the first. */
  atEnd(end: () => Promise<unknown>): void;
}

/**
 * Runs a benchmark and prints its sections as they come; with `--json` one line of JSON at the end, with `--check` exit
 * code 1 where a target is missed. Ends with an error after `boundMs`. `--only a,b`: these parts. `--at DIR`: where its files are (default: the
 * system's temporary directory).
 */
export async function bench(name: string, boundMs: number, run: (stage: Stage) => Promise<void>): Promise<void> {
  const options = new Set(process.argv.slice(2));
  const json = options.has('--json');
  const only = valueOf('--only')?.split(',');
  const directory = mkdtempSync(join(valueOf('--at') ?? tmpdir(), 'lockstep-bench-'));
  const ends: (() => Promise<unknown>)[] = [() => removed(directory)];
  const sections: Section[] = [];
  const setUp = machine(directory);
  const print = json ? () => {} : console.log;

  const stage: Stage = {
    directory,
    setUp,
    wants: (part) => only === undefined || only.includes(part),
    option: (word) => valueOf(`--${word}`),
    show(section) {
      if (sections.length === 0) print(`# ${name}\n\n${describe(setUp)}`);
      sections.push(section);
      print(`\n## ${section.title}\n\n${table(section.head, section.lines)}`);
    },
    atEnd: (end) => void ends.unshift(end),
  };
  const stop = withSignals(() => stopNow(130));
  const bound = setTimeout(() => {
    console.error(`${name} took longer than ${boundMs / 1_000} s`);
    stopNow(1);
  }, boundMs);

  async function finish(): Promise<void> {
    clearTimeout(bound);
    for (const end of ends.splice(0)) await end().catch((error: unknown) => console.error(error));
  }

  function stopNow(code: number): void {
    const leave = (): void => process.exit(code);
    finish().then(leave, leave);
  }

  try {
    await run(stage);
  } finally {
    await finish();
    stop();
  }
  const findings = sections.flatMap((section) => section.findings);
  if (json) console.log(JSON.stringify({ name, setUp, sections }));
  print(`\n## Targets\n\n${table(['', 'measured', 'target', ''], findings.map(asLine))}`);
  if (options.has('--check') && findings.some(({ met }) => !met)) process.exitCode = 1;
}

function asLine({ what, value, target, met }: Finding): Line {
  return [what, digits(value), target, met ? 'met' : 'MISSED'];
}

function describe(setUp: Record<string, string>): string {
  return Object.entries(setUp)
    .map(([what, how]) => `- ${what}: ${how}`)
    .join('\n');
}

function machine(directory: string): Record<string, string> {
  return {
    machine: `${availableParallelism()} × ${cpus()[0]?.model ?? process.arch}, Linux ${release()}`,
    node: process.version,
    files: fileSystemOf(directory),
    'load before': loadavg()
      .map((load) => load.toFixed(1))
      .join(' '),
  };
}

function fileSystemOf(directory: string): string {
  try {
    return execFileSync('stat', ['-f', '-c', '%T', directory], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown file system';
  }
}

function valueOf(option: string): string | undefined {
  const place = process.argv.indexOf(option);
  return place === -1 ? undefined : process.argv[place + 1];
}

async function removed(directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

function withSignals(end: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, end);
  return () => signals.forEach((signal) => process.off(signal, end));
}
