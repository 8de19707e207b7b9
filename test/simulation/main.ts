/**
 * `npm run simulate`: many seeds; ends at the first that breaks an invariant, made smaller and told step by step.
 *
 *   --seeds N     how many (20,000), --from N the first (1), --jobs N in so many processes (one a core)
 *   --seed N      one seed, told step by step
 *   --mutants     which seed finds each planted fault, as docs/verification.md lists them
 *   --mutant NAME with this fault planted
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutants, plant } from './mutants.ts';
import { scenarioOf } from './scenario.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20000' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    step: { type: 'string', default: '1' },
    seed: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string' },
  },
});

const mutant = mutants.find(({ name }) => name === values.mutant);
if (values.mutant !== undefined && mutant === undefined) throw new Error(`there is no mutant ${values.mutant}`);
if (mutant !== undefined) plant(mutant);
// Loaded only now, as it may have a fault planted.
const { run } = await import('./run.ts');
const { shrink } = await import('./shrink.ts');

if (values.mutants) await tableOfMutants();
else if (values.seed !== undefined) await tell(Number(values.seed));
else if (Number(values.jobs) > 1) await inParallel(Number(values.jobs));
else process.exitCode = await search(Number(values.from), Number(values.seeds), Number(values.step));

/** Runs every `step`th seed; 1 at the first that breaks an invariant. */
async function search(from: number, seeds: number, step: number): Promise<number> {
  const startMs = performance.now();
  let [grants, events] = [0, 0];
  for (let seed = from; seed < from + seeds; seed += step) {
    const outcome = await run(scenarioOf(seed));
    grants += outcome.grants;
    events += outcome.events;
    if (outcome.violation === undefined) continue;
    console.log(`seed ${seed}: ${outcome.violation.message}`);
    if (mutant === undefined) await tell(seed);
    return 1;
  }
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  console.log(`${Math.ceil(seeds / step)} seeds from ${from}: clean; ${grants} grants, ${events} events, ${seconds} s`);
  return 0;
}

/** A seed, made smaller if it breaks an invariant, step by step. */
async function tell(seed: number): Promise<void> {
  let scenario = scenarioOf(seed);
  const { violation } = await run(scenario);
  if (violation !== undefined) scenario = await shrink(scenario, violation.invariant);
  console.log(JSON.stringify(scenario, undefined, 2));
  await run(scenario, console.log);
}

async function inParallel(jobs: number): Promise<void> {
  const codes = await Promise.all(
    Array.from({ length: jobs }, async (_, job) => {
      const from = String(Number(values.from) + job);
      return (await child(['--from', from, '--seeds', values.seeds, '--step', String(jobs), '--jobs', '1'], true)).code;
    }),
  );
  process.exitCode = Math.max(...codes);
}

async function tableOfMutants(): Promise<void> {
  console.log('| planted fault | invariant that it breaks | seeds until then |\n|---|---|---|');
  for (const { name } of mutants) {
    const { output } = await child(['--mutant', name, '--seeds', values.seeds, '--jobs', '1'], false);
    const [, seed = 'none', invariant = 'none'] = /^seed (\d+): ([^:]*)/.exec(output) ?? [];
    console.log(`| ${name} | ${invariant} | ${seed} |`);
  }
}

function child(args: readonly string[], live: boolean): Promise<{ code: number; output: string }> {
  const started = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  started.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
    if (live) process.stdout.write(bytes);
  });
  return new Promise((resolve) => started.on('close', (code) => resolve({ code: code ?? 1, output })));
}
