import { onTestFailed } from 'vitest';

/**
 * How the randomised test that asks runs. `SEED=… npm test` replays a run, `RUNS=…` makes it longer; a test that
 * fails, by time-out too, prints its seed.
 */
export function randomly(runs: number): { seed: number; numRuns: number } {
  const { SEED, RUNS } = process.env;
  const seed = SEED === undefined ? Date.now() % 2 ** 31 : Number(SEED);
  onTestFailed(() => console.error(`replay with SEED=${seed}`));
  return { seed, numRuns: RUNS === undefined ? runs : Number(RUNS) };
}
