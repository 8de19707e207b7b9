/**
 * `npm test`: everything that must hold. `npm test -- lint types` runs only the steps of these names.
 *
 * Each command counts as one, each test of a test run as one. At the end stand the messages of all that failed, and the sum
 * in the last line: `N passed, N failed`.
 */
import { globSync, rmSync } from 'node:fs';
import { missingRedisServer } from './redis-server.ts';
import { run } from './run.ts';
import { endOf, type Failure, failuresTold, reportAt, type TestReport } from './test-report.ts';

type Step = { name: string; about: string } & ({ command: readonly string[] } | { tests: TestRun });

interface TestRun {
  /** Folders or files with tests. */
  of: readonly string[];
  except?: readonly string[];
  /** One file at a time, for tests that crowd the machine. */
  alone?: true;
}

interface Count {
  passed: number;
  failed: number;
  skipped: number;
  readonly failures: Failure[];
}

const house = 'test/house';
/** Tests of many real processes, and of what happens to them. */
const processes = ['test/faults', 'test/race', 'test/campaign'];
const simulation = 'test/simulation';

/** Lanes go side by side: tests mostly wait, and commands take what they leave. In a lane, what fails soonest comes first. */
const lanes: readonly (readonly Step[])[] = [
  [
    {
      name: 'tests',
      about: 'units and contracts on every engine',
      tests: { of: ['test'], except: [house, simulation, ...processes] },
    },
  ],
  [
    { name: 'faults', about: 'killed, stopped and crowded processes', tests: { of: processes, alone: true } },
    { name: 'simulation', about: 'many seeds, and planted faults that they find', tests: { of: [simulation] } },
  ],
  [
    { name: 'format', about: 'every file is formatted', command: ['oxfmt', '--check'] },
    { name: 'lua', about: 'the generated Lua is up to date', command: ['node', 'scripts/lua.ts', '--check'] },
    { name: 'lint', about: 'no lint, with types', command: ['npm', 'run', '--silent', 'lint'] },
    { name: 'types', about: 'strict types, the whole tree', command: ['tsc'] },
    { name: 'house', about: 'directions between rooms, operations, README', tests: { of: [house] } },
    { name: 'dead-code', about: 'no unused file, export or dependency', command: ['knip'] },
    { name: 'package', about: 'what would be published', command: ['node', 'scripts/package.ts'] },
    { name: 'stranger', about: 'the package in a folder of its own', command: ['node', 'scripts/stranger.ts'] },
  ],
];
const steps = lanes.flat();

/** What still runs ends then, so that what failed is told before somebody ends all this after a quarter of an hour. */
const endMs = 800_000;
const leftMs = (): number => Math.max(1_000, endMs - performance.now());

/** What passed is named only where it took as long as that. */
const slowTestMs = 30_000;

const colour = process.stdout.isTTY;
const green = (text: string): string => (colour ? `\x1b[32m${text}\x1b[39m` : text);
const red = (text: string): string => (colour ? `\x1b[31m${text}\x1b[39m` : text);

process.exitCode = await main(process.argv.slice(2));

async function main(names: readonly string[]): Promise<number> {
  const isChosen = ({ name }: Step): boolean => names.length === 0 || names.includes(name);
  const unknown = names.find((name) => !steps.some((step) => step.name === name));
  if (unknown !== undefined) {
    console.error(`There is no step ${unknown}: use ${steps.map((step) => step.name).join(', ')}`);
    return 2;
  }

  const withoutRedis = steps.some((step) => isChosen(step) && 'tests' in step) ? await missingRedisServer() : undefined;
  if (withoutRedis !== undefined) console.warn(withoutRedis);

  const sum: Count = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const chosen = lanes.map((lane) => lane.filter(isChosen));
  await Promise.all(chosen.map((lane) => runLane(lane, sum)));
  if (sum.failed > 0) console.log(`\n── failed:\n${failuresTold(sum.failures)}`);
  console.log('');
  if (withoutRedis !== undefined) console.warn(withoutRedis);
  const skipped = sum.skipped === 0 ? '' : `, ${sum.skipped} skipped`;
  console.log(`${sum.passed} passed, ${sum.failed} failed${skipped}`);
  return sum.failed === 0 && sum.passed > 0 ? 0 : 1;
}

/** One step after the other. */
async function runLane(lane: readonly Step[], sum: Count): Promise<void> {
  for (const step of lane) {
    const startedMs = performance.now();
    console.log(`── ${step.name}: ${step.about}`);
    const count = 'tests' in step ? await runTests(step.name, step.tests) : await runCommand(step.command);
    const seconds = `${((performance.now() - startedMs) / 1_000).toFixed(1)} s`;
    console.log(count.failed === 0 ? green(`✓ ${step.name} ${seconds}`) : red(`✗ ${step.name} ${seconds}`));
    sum.failures.push(...count.failures);
    sum.passed += count.passed;
    sum.failed += count.failed;
    sum.skipped += count.skipped;
  }
}

async function runCommand([command = '', ...args]: readonly string[]): Promise<Count> {
  const { problem, output } = await run(command, args, { behind: true, timeoutMs: leftMs() });
  const skipped = output.match(/^skipped: .*$/gm) ?? [];
  for (const line of skipped) console.warn(line);
  if (problem === undefined) return { passed: 1, failed: 0, skipped: skipped.length, failures: [] };
  const name = `${[command, ...args].join(' ')}: ${problem}`;
  console.log(`${output.trimEnd()}\n${name}`);
  return { passed: 0, failed: 1, skipped: skipped.length, failures: [{ name, lines: endOf(output) }] };
}

async function runTests(name: string, { of, except = [], alone }: TestRun): Promise<Count> {
  const files = of
    .flatMap((path) => (path.endsWith('.test.ts') ? [path] : globSync(`${path}/**/*.test.ts`)))
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !except.some((folder) => path.startsWith(`${folder}/`)));
  if (files.length === 0) return failed(`no tests in ${of.join(', ')}`, []);
  const report = `.cache/tests-${name}.json`;
  rmSync(report, { force: true });
  const quiet = ['--silent=passed-only', `--slowTestThreshold=${slowTestMs}`];
  const together = alone === true ? ['--no-file-parallelism'] : [];
  const { problem, output } = await run('vitest', ['run', ...files, ...quiet, ...together], {
    live: true,
    timeoutMs: leftMs(),
    env: { TEST_REPORT: report, ...(colour ? { FORCE_COLOR: '1' } : {}) },
  });
  const count: TestReport = reportAt(report) ?? {
    passed: 0,
    failed: 0,
    skipped: 0,
    failures: [],
    files: {},
    running: [],
  };
  if (problem !== undefined && (count.failed === 0 || count.running.length > 0)) {
    count.failed += 1;
    count.failures.push({
      name: `vitest, step ${name}: ${problem}`,
      lines: [...stillRunning(count), ...endOf(output)],
    });
  }
  return count;
}

function stillRunning({ running }: TestReport): string[] {
  return running.length === 0 ? [] : [`still running: ${running.join(', ')}`];
}

function failed(name: string, lines: readonly string[]): Count {
  return { passed: 0, failed: 1, skipped: 0, failures: [{ name, lines }] };
}
