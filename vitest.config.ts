import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process a file: tests start threads and processes, and one file's leftovers must not reach the next.
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
    passWithNoTests: false,
    allowOnly: process.env['CI'] === undefined,
  },
});
