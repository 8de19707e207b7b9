import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { compileCache } from './scripts/run.ts';
import { ReportToFile } from './scripts/test-report.ts';

const report = process.env['TEST_REPORT'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process a file: tests start threads and processes, and one file's leftovers must not reach the next.
    pool: 'forks',
    // Tests mostly wait, for processes and for conditions: also a machine of two cores runs two files at a time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Of what hangs: a busy machine takes many times as long as an idle one for what works.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    teardownTimeout: 10_000,
    passWithNoTests: false,
    env: { NODE_COMPILE_CACHE: compileCache },
    // Sources run as they are, as everywhere else: most of the start of a test file was its transformation.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    reporters: ['default', ...(report === undefined ? [] : [new ReportToFile(report)])],
    allowOnly: process.env['CI'] === undefined,
  },
});
