import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Tally } from './main.ts';
import { mutants } from './mutants.ts';
import { type Outcome, run } from './run.ts';
import { type About, type Scenario, scenarioOf } from './scenario.ts';
import { shrink } from './shrink.ts';
import { things } from './things-plan.ts';

/** `SEED` begins elsewhere, `SEEDS` runs more; `npm run simulate` tells step by step what one seed does. */
const { SEED = '1', SEEDS = '20000' } = process.env;
const main = fileURLToPath(new URL('main.ts', import.meta.url));
/** Programs that begin many times over find themselves compiled. */
const env = { ...process.env, NODE_COMPILE_CACHE: fileURLToPath(new URL('../../.cache/compiled', import.meta.url)) };

test('no seed breaks an invariant, and each fault comes about wherever it can', { timeout: 600_000 }, async () => {
  const args = [main, '--from', SEED, '--seeds', SEEDS, '--jobs', '2', '--compact'];
  const { code, output } = await outputOf(args);
  expect(code, output).toBe(0);
  const { seeds, grants, faults } = JSON.parse(output) as Tally;
  expect(grants / seeds, 'leases a seed').toBeGreaterThan(2);
  if (seeds < 10_000) return;
  for (const about of ['locks', 'quorum', ...things] as const) {
    const missing = faultsOf(about).filter((fault) => faults[about]?.[fault] === undefined);
    expect(missing, `faults in scenarios about ${about}`).toEqual([]);
  }
});

/** What can go wrong with a thing: mail only for what waits, twice and late only what may be sent again. */
function faultsOf(about: About): string[] {
  const all = ['crash', 'stall', 'stop', 'sleep', 'cut', 'hang', 'set clock'];
  const requests = ['not applied', 'reply lost', 'slow', 'applied twice', 'applied later'];
  for (const fate of requests) all.push(`request ${fate}`);
  if (about === 'quorum') return [...all, 'restart'];
  const waits = ['locks', 'takers', 'watch', 'topic'].includes(about);
  return waits ? [...all, 'mail lost', 'mail twice', 'mail late'] : all;
}

async function outputOf(args: readonly string[]): Promise<{ code: number; output: string }> {
  try {
    return { code: 0, output: (await promisify(execFile)(process.execPath, args, { env })).stdout };
  } catch (error) {
    return { code: 1, output: (error as { stdout?: string }).stdout ?? String(error) };
  }
}

test('one seed is one run: the same happens again, step by step', async () => {
  for (const seed of [3, 4, 5, 6]) {
    const first = await told(scenarioOf(seed));
    const again = await told(scenarioOf(seed));
    expect(again).toEqual(first);
    expect(first.lines.length).toBeGreaterThan(20);
  }
  const [one, other] = [await run(scenarioOf(3)), await run(scenarioOf(4))];
  expect(one.fingerprint).not.toBe(other.fingerprint);
});

async function told(scenario: Scenario): Promise<Outcome & { lines: string[] }> {
  const lines: string[] = [];
  return { ...(await run(scenario, (line) => lines.push(line))), lines };
}

test('every kind of task and of fault comes about', () => {
  const scenarios = Array.from({ length: 500 }, (_, seed) => scenarioOf(seed));
  const tasks = scenarios.flatMap(({ processes }) => processes.flatMap((process) => process.tasks));
  const faults = scenarios.flatMap((scenario) => scenario.faults);
  expect(new Set(tasks.map((task) => task.do)).size).toBe(14);
  expect(new Set(scenarios.map(({ about }) => about)).size).toBe(things.length + 2);
  expect(new Set(faults.map((fault) => ('fate' in fault ? `${fault.what} ${fault.fate}` : fault.what))).size).toBe(16);
});

test('a scenario that breaks an invariant is made smaller', async () => {
  // Too long a task: it is not done in time, and that is all that the rest has to keep.
  const scenario = scenarioOf(7);
  const [first, ...others] = scenario.processes;
  const onLock = { ttlMs: 50, maxHoldMs: 0, timeoutMs: undefined, pauses: 1, pauseMs: 90_000, writes: true };
  const endless = { do: 'lock', lock: 'a', startMs: 0, keepMs: 0, abortMs: undefined, ...onLock } as const;
  const large = { ...scenario, processes: [{ ...first!, tasks: [...first!.tasks, endless] }, ...others] };
  const { violation } = await run(large);
  expect(violation?.invariant).toBe('nobody is forgotten');
  const small = await shrink(large, 'nobody is forgotten');
  expect(small.faults).toEqual([]);
  expect(small.processes.flatMap(({ tasks }) => tasks)).toEqual([{ ...endless, writes: false }]);
});

describe('the simulation finds', () => {
  test.concurrent.for(mutants.map((mutant) => [mutant.name, mutant] as const))(
    '%s',
    { timeout: 120_000 },
    async ([name, { seed, locks }]) => {
      // Where that seed does not find it any more, as scenarios have changed, one of the next will.
      const args = [main, '--mutant', name, '--from', String(seed), '--seeds', '3000', '--jobs', '1'];
      if (locks === true) args.push('--locks');
      const ended = (await outputOf(args)).output;
      expect(ended).toMatch(/^seed \d+: /m);
    },
  );
});
