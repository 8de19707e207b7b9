/**
 * What a test run leaves for `npm test` and for whoever reads only the end of a log: counts, times, and what failed, with
 * its messages. vitest's own JSON leaves out errors that no test caught, and differences.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node';

export interface TestReport {
  passed: number;
  failed: number;
  skipped: number;
  readonly failures: Failure[];
  /** Milliseconds by file. */
  readonly files: Record<string, number>;
  /** Files that were begun and did not end. */
  running: readonly string[];
}

/** A test that failed, a file that did not load, an error that no test caught, or a command. */
export interface Failure {
  readonly name: string;
  /** What happened and where, most telling first. */
  readonly lines: readonly string[];
}

interface ConsoleLog {
  readonly content: string;
  readonly taskId?: string;
}

const linesMax = 12;

/** Writes a `TestReport` to a file, anew with each test file that ends: a run that is killed leaves one too. */
export class ReportToFile implements Reporter {
  readonly #path: string;
  readonly #report: TestReport = { passed: 0, failed: 0, skipped: 0, failures: [], files: {}, running: [] };
  readonly #running = new Set<string>();
  /** What tests printed, by test. */
  readonly #said = new Map<string, string[]>();
  readonly #skips = new Set<string>();

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
  }

  /** Output of tests is shown where they fail; that something can't be tested here is shown always, once. */
  onUserConsoleLog({ content, taskId = '' }: ConsoleLog): void {
    this.#said.set(taskId, [...(this.#said.get(taskId) ?? []), ...content.trimEnd().split('\n')]);
    if (!content.startsWith('SKIPPED') || this.#skips.has(content)) return;
    this.#skips.add(content);
    process.stdout.write(content);
  }

  onTestModuleQueued(module: TestModule): void {
    this.#running.add(module.relativeModuleId);
    this.#write();
  }

  onTestModuleEnd(module: TestModule): void {
    this.#running.delete(module.relativeModuleId);
    this.#add(module, this.#report);
    this.#write();
  }

  onTestRunEnd(_: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    for (const error of unhandled) this.#report.failures.push({ name: placeOf(error), lines: linesOf(error) });
    this.#write();
  }

  #write(): void {
    this.#report.failed = this.#report.failures.length;
    this.#report.running = [...this.#running];
    writeFileSync(this.#path, JSON.stringify(this.#report, undefined, 1));
  }

  #add(module: TestModule, report: TestReport): void {
    const file = module.relativeModuleId;
    report.files[file] = Math.round(module.diagnostic().duration);
    for (const part of [module, ...module.children.allSuites()]) {
      const name = part.type === 'suite' ? `${file} > ${part.fullName}` : file;
      for (const error of part.errors()) report.failures.push({ name, lines: linesOf(error) });
    }
    for (const test of module.children.allTests()) this.#addTest(file, test, report);
  }

  #addTest(file: string, test: TestCase, report: TestReport): void {
    const { state, errors = [] } = test.result();
    if (state === 'passed') report.passed++;
    if (state === 'skipped' || state === 'pending') report.skipped++;
    if (state !== 'failed') return;
    const said = (this.#said.get(test.id) ?? []).slice(-3).map((line) => `printed: ${line}`);
    report.failures.push({ name: `${file} > ${test.fullName}`, lines: [...errors.flatMap(linesOf), ...said] });
  }
}

/** The report of a run, or undefined where it left none. */
export function reportAt(path: string): TestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as TestReport;
  } catch {
    return undefined;
  }
}

/** The last of what a command printed. */
export function endOf(output: string): string[] {
  return plain(output).slice(-linesMax);
}

/** For the end of a log: each failure under its name. */
export function failuresTold(failures: readonly Failure[]): string {
  return failures.flatMap(({ name, lines }) => [`✗ ${name}`, ...lines.map((line) => `    ${line}`)]).join('\n');
}

/** Where vitest was when an error came that no test caught. */
function placeOf(error: SerializedError): string {
  const { VITEST_TEST_PATH: path, VITEST_TEST_NAME: test } = error;
  const file = typeof path === 'string' ? `, ${relative('', path)}` : '';
  const after = typeof test === 'string' ? `, during or after: ${test}` : '';
  return `an error that no test caught${file}${after}`;
}

/** Message, place, difference. */
function linesOf(error: SerializedError & { diff?: string }): string[] {
  const { name = 'Error', message, stack = '', diff = '' } = error;
  const ours = stack.split('\n').filter((line) => line.includes(process.cwd()) && !line.includes('node_modules'));
  const places = ours.map((line) =>
    line
      .trim()
      .replaceAll(`${process.cwd()}/`, '')
      .replace(/file:\/\/|\?vitest=\d+/g, ''),
  );
  const what = plain(`${name}: ${message}`).slice(0, 5);
  return [...what, ...places.slice(0, 2), ...plain(diff)].slice(0, linesMax);
}

function plain(text: string): string[] {
  return stripVTControlCharacters(text)
    .trim()
    .split('\n')
    .filter((line) => line.trim() !== '');
}
