/**
 * `node scripts/faults.ts [file …]`: the tests of `test/faults` in their long form, one file at a time.
 * `KILLS`, `TERMINATIONS`, `OPENERS`, `LOCKS`, `QUEUE_KILLS`, `TRANSFERS`, `DATA_KILLS`, `RESTARTS` set other sizes, `SEED` replays a run.
 */
import { run } from './run.ts';

const long = {
  KILLS: '200',
  TERMINATIONS: '100',
  OPENERS: '200',
  LOCKS: '100000',
  QUEUE_KILLS: '100',
  TRANSFERS: '10000',
  DATA_KILLS: '60',
  RESTARTS: '20',
};

const files = process.argv.slice(2);
const sizes = Object.fromEntries(Object.entries(long).filter(([name]) => process.env[name] === undefined));
const { problem } = await run(
  'vitest',
  ['run', ...(files.length === 0 ? ['test/faults'] : files), '--no-file-parallelism'],
  { live: true, env: sizes, timeoutMs: 3_600_000 },
);
process.exitCode = problem === undefined ? 0 : 1;
