import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { mutants } from './mutants.ts';
import { type Outcome, run } from './run.ts';
import { type Scenario, scenarioOf } from './scenario.ts';
import { shrink } from './shrink.ts';

/** `SEED` begins elsewhere, `SEEDS` runs more; `npm run simulate` runs them on all cores. */
const from = Number(process.env['SEED'] ?? 1);
const seeds = Number(process.env['SEEDS'] ?? 700);

test('no seed breaks an invariant', { timeout: 60_000 + seeds * 100 }, async () => {
  let grants = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await run(scenarioOf(seed));
    grants += outcome.grants;
    expect(outcome.violation, `npm run simulate -- --seed ${seed}`).toBeUndefined();
  }
  expect(grants / seeds, 'leases a seed').toBeGreaterThan(3);
});

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
  expect(new Set(tasks.map((task) => task.do)).size).toBe(13);
  expect(new Set(faults.map((fault) => ('fate' in fault ? `${fault.what} ${fault.fate}` : fault.what))).size).toBe(15);
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
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  test.concurrent.for(mutants.map(({ name, seed }) => [name, seed] as const))(
    '%s',
    { timeout: 120_000 },
    async ([name, seed]) => {
      // Where that seed does not find it any more, as scenarios have changed, one of the next will.
      const args = [main, '--mutant', name, '--from', String(seed), '--seeds', '3000', '--jobs', '1'];
      const ended = await promisify(execFile)(process.execPath, args).then(
        ({ stdout }) => stdout,
        (error: { stdout: string }) => error.stdout,
      );
      expect(ended).toMatch(/^seed \d+: /m);
    },
  );
});
