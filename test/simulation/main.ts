/**
 * `npm run simulate`: many seeds; ends at the first that breaks an invariant, made smaller and told step by step.
 *
 *   --seeds N     how many (20,000), --from N the first (1), --jobs N in so many processes (one a core)
 *   --seed N      one seed, told step by step
 *   --locks       scenarios about locks alone
 *   --compact     one line in the end, as JSON: `Tally`
 *   --mutants     which seed finds each planted fault, as docs/verification.md lists them
 *   --mutant NAME with this fault planted
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutants, plant } from './mutants.ts';
import { scenarioOf } from './scenario.ts';

/** What came of many seeds: of each kind of scenario, how often which fault came about. */
export interface Tally {
  seeds: number;
  grants: number;
  events: number;
  cpuSeconds: number;
  readonly faults: Record<string, Record<string, number>>;
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20000' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    step: { type: 'string', default: '1' },
    seed: { type: 'string' },
    locks: { type: 'boolean', default: false },
    compact: { type: 'boolean', default: false },
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
  const tally: Tally = { seeds: 0, grants: 0, events: 0, cpuSeconds: 0, faults: {} };
  Error.stackTraceLimit = 0; // none of those that are expected is read
  for (let seed = from; seed < from + seeds; seed += step) {
    const scenario = scenarioOf(seed, values.locks);
    const outcome = await run(scenario);
    tally.seeds += 1;
    tally.grants += outcome.grants;
    tally.events += outcome.events;
    count(tally, scenario.about, outcome.faults);
    if (outcome.violation === undefined) continue;
    Error.stackTraceLimit = 20;
    console.log(`seed ${seed}: ${outcome.violation.message}`);
    if (mutant === undefined) await tell(seed);
    return 1;
  }
  const { user, system } = process.cpuUsage();
  tally.cpuSeconds = (user + system) / 1_000_000;
  if (values.compact) console.log(JSON.stringify(tally));
  else tellTally(tally);
  return 0;
}

function count(tally: Tally, about: string, faults: Iterable<readonly [string, number]>): void {
  const counts = (tally.faults[about] ??= {});
  for (const [fault, times] of faults) counts[fault] = (counts[fault] ?? 0) + times;
}

function tellTally({ seeds, grants, events, cpuSeconds, faults }: Tally): void {
  const cpu = `${cpuSeconds.toFixed(1)} s CPU (${((cpuSeconds / seeds) * 1_000).toFixed(2)} a thousand)`;
  console.log(`${seeds} seeds from ${values.from}: clean; ${grants} grants, ${events} events, ${cpu}`);
  console.table(faults);
}

/** A seed, made smaller if it breaks an invariant, step by step. */
async function tell(seed: number): Promise<void> {
  let scenario = scenarioOf(seed, values.locks);
  const { violation } = await run(scenario);
  if (violation !== undefined) scenario = await shrink(scenario, violation.invariant);
  console.log(JSON.stringify(scenario, undefined, 2));
  await run(scenario, console.log);
}

async function inParallel(jobs: number): Promise<void> {
  const tally: Tally = { seeds: 0, grants: 0, events: 0, cpuSeconds: 0, faults: {} };
  const each = ['--seeds', values.seeds, '--step', String(jobs), '--jobs', '1', '--compact'];
  if (values.locks) each.push('--locks');
  const done = await Promise.all(
    Array.from({ length: jobs }, (_, job) => child(['--from', String(Number(values.from) + job), ...each])),
  );
  for (const { code, output } of done) {
    if (code !== 0) {
      process.exitCode = code;
      console.log(output);
      continue;
    }
    const one = JSON.parse(output) as Tally;
    tally.seeds += one.seeds;
    tally.grants += one.grants;
    tally.events += one.events;
    tally.cpuSeconds += one.cpuSeconds;
    for (const [about, faults] of Object.entries(one.faults)) count(tally, about, Object.entries(faults));
  }
  if (process.exitCode !== undefined) return;
  if (values.compact) console.log(JSON.stringify(tally));
  else tellTally(tally);
}

async function tableOfMutants(): Promise<void> {
  console.log('| planted fault | invariant that it breaks | seeds until then |\n|---|---|---|');
  for (const { name, locks } of mutants) {
    const about = locks === true ? ['--locks'] : [];
    const { output } = await child(['--mutant', name, '--seeds', values.seeds, '--jobs', '1', ...about]);
    const [, seed = 'none', invariant = 'none'] = /^seed (\d+): ([^:]*)/.exec(output) ?? [];
    console.log(`| ${name} | ${invariant} | ${seed} |`);
  }
}

function child(args: readonly string[]): Promise<{ code: number; output: string }> {
  const started = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  started.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  return new Promise((resolve) => started.on('close', (code) => resolve({ code: code ?? 1, output })));
}
