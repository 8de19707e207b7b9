/**
 * `npm run faults`: real clients on real stores, while processes are killed and stopped, disks fill up, connections
 * break, and servers die, fail over and move; then what the clients saw is checked.
 *
 *   --minutes N     how long things go wrong, for each engine (10)
 *   --engine NAME   embedded, redis, volatile (without a file), sentinel, cluster, quorum, or all (default)
 *   --seed N        draws the same faults again, though not at the same instant
 *   --known-bad     set-ups that lose what they hold, as docs/redis.md says: it must be found
 *   --verbose       tells each fault
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { hasRedisServer } from '../redis/server.ts';
import { campaign, type Report } from './campaign.ts';
import { knownBad } from './known-bad.ts';
import { engines } from './places.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    engine: { type: 'string', default: 'all' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    'known-bad': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

// Servers and disks are taken down when this process exits.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

process.exitCode = values['known-bad'] ? await showThatItSees() : await main();

async function main(): Promise<number> {
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  const chosen = engines.filter((engine) => values.engine === 'all' || values.engine === engine);
  if (chosen.length === 0 || !(minutes > 0) || !Number.isInteger(seed)) {
    console.error(`usage: npm run faults -- [--minutes N] [--engine ${engines.join('|')}|all] [--seed N] [--verbose]`);
    return 2;
  }
  let found = 0;
  for (const engine of chosen) {
    if (engine !== 'embedded' && !hasRedisServer) continue;
    const directory = join(import.meta.dirname, '../../.cache/campaign', `${engine}-${seed}`);
    const tell = values.verbose ? { tell: (what: string): void => console.log(`  ${what}`) } : {};
    const { problems, summary } = await campaign({ engine, seconds: minutes * 60, seed, directory, ...tell });
    console.log(`${problems.length === 0 ? 'ok   ' : 'FOUND'} ${engine} (--seed ${seed}): ${summary}`);
    show(problems, directory);
    found += problems.length;
  }
  return found === 0 ? 0 : 1;
}

function show(problems: Report['problems'], directory: string): void {
  if (problems.length === 0) return;
  for (const { promise, text } of problems.slice(0, 10)) console.log(`  ${promise}: ${text.slice(0, 600)}`);
  console.log(`  ${problems.length} in all; histories, faults and timelines are in ${directory}`);
}

/** 1 where a set-up that is known to be bad looks good, or worse than it is. */
async function showThatItSees(): Promise<number> {
  let surprises = 0;
  for (const [i, { name, breaks, keeps, run }] of knownBad.entries()) {
    const directory = join(import.meta.dirname, '../../.cache/campaign', `known-bad-${i + 1}`);
    const problems = await run(directory);
    const found = new Set(problems.map(({ promise }) => promise));
    const isAsDocumented =
      breaks.every((promise) => found.has(promise)) && !keeps.some((promise) => found.has(promise));
    console.log(`${isAsDocumented ? 'found, as documented' : 'NOT AS DOCUMENTED'}: ${name} (${[...found].join(', ')})`);
    if (!isAsDocumented) show(problems, directory);
    surprises += isAsDocumented ? 0 : 1;
  }
  return surprises === 0 ? 0 : 1;
}
