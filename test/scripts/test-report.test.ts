import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { run } from '../../scripts/run.ts';
import { endOf, failuresTold, reportAt } from '../../scripts/test-report.ts';

test(
  'the report of a run names all that failed, with message, place and what was printed',
  { timeout: 60_000 },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lockstep-report-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, 'report.json');
    const config = join(import.meta.dirname, 'fixtures', 'vitest.config.ts');

    const { problem, output } = await run('vitest', ['run', '--config', config], { env: { TEST_REPORT: path } });

    expect(problem).toBe('exit 1');
    expect(output).not.toContain('not worth reading');
    const report = reportAt(path)!;
    expect(report).toMatchObject({ passed: 2, failed: 3, skipped: 1 });
    const told = failuresTold(report.failures);
    expect(
      told
        .split('\n')
        .filter((line) => line.startsWith('✗'))
        .toSorted(),
    ).toEqual([
      '✗ an error that no test caught, test/scripts/fixtures/fails.fixture.ts, during or after: throws where no test waits',
      '✗ test/scripts/fixtures/does-not-load.fixture.ts',
      '✗ test/scripts/fixtures/fails.fixture.ts > two lists are the same',
    ]);
    expect(told).toContain('AssertionError: expected [ 1, 2 ] to deeply equal [ 1, 3 ]');
    expect(told).toContain('test/scripts/fixtures/fails.fixture.ts:6:18');
    expect(told).toContain('printed: SEED=7');
    expect(told).toContain('there is no such engine');
    expect(told).toContain('nobody caught this');
  },
);

test('of a command the last lines of its output are told', () => {
  const output = Array.from({ length: 40 }, (_, i) => `\x1b[31mline ${i}\x1b[39m`).join('\n\n');
  expect(endOf(output)).toEqual(Array.from({ length: 12 }, (_, i) => `line ${28 + i}`));
});

test('a run that left no report has none', () => {
  expect(reportAt('/nowhere/report.json')).toBeUndefined();
});
