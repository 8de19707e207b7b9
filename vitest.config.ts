import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process a file: tests start threads and processes, and one file's leftovers must not reach the next.
    pool: 'forks',
    // Tests mostly wait, for processes and for conditions: also a machine of two cores runs two files at a time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 20_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
    passWithNoTests: false,
    allowOnly: process.env['CI'] === undefined,
  },
});
