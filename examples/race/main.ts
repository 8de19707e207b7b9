/**
 * The race: 4 processes × 2 threads × 8 tasks change the same state at the same time, first as one would write it
 * without locks, then with lockstep. In the end a process is killed -9 while it holds two locks.
 *
 * `npm start -- --help` has its options.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLockstepError, open, type Lockstep } from '../../src/index.ts';
import { help, read, UsageError, type CommandLine } from './command-line.ts';
import { Crew } from './crew/crew.ts';
import { scenarios, space } from './plan.ts';
import { asData, inAdvance, inWords } from './result.ts';
import { isExact, type Way } from './scenario.ts';
import { transfer } from './scenarios/transfer.ts';
import { liveTable, noTable, plainTable, tableColumns, type Row, type Table } from './table.ts';

const { place, json, legMs } = commandLine();
const where = place ?? mkdtempSync(join(tmpdir(), 'lockstep-race-'));
const crew = new Crew(where);

// However the race ends, nothing of it stays behind.
process.on('exit', () => {
  crew.kill();
  if (place === undefined) rmSync(where, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
}

/** One scenario done in one way: a line of the table. */
interface Leg {
  readonly scenario: string;
  readonly way: Way;
  readonly row: Row;
}

const finale = leg('kill -9', transfer.name, transfer.safe, true);
const legs: readonly Leg[] = [
  ...scenarios.flatMap(({ name, unsafe, safe }) => [leg(name, name, unsafe, false), leg(name, name, safe, true)]),
  finale,
];

process.exitCode = (await race().catch(complain)) ? 0 : 1;

async function race(): Promise<boolean> {
  if (!json) console.log(`${inAdvance(crew.pids, where)}\n`);
  const rows = legs.map(({ row }) => row);
  const live = process.stdout.isTTY && process.stdout.columns >= tableColumns;
  const table = json ? noTable : live ? liveTable(rows) : plainTable();
  const shared = await open(where, { space, label: 'race' });
  // Two races in one place would spoil each other's totals.
  await shared.lock('race').run(() => runAll(shared, table), { timeout: 0 });
  await Promise.all([crew.close(), shared.close()]);

  const exact = crew.victim !== undefined && rows.every((row) => !row.safe || isExact(row.audit!));
  const { pids, victim } = crew;
  if (json) console.log(JSON.stringify(asData({ exact, where, pids, rows, victim }), undefined, 2));
  else console.log(`\n${inWords(exact, victim)}`);
  return exact;
}

function commandLine(): CommandLine {
  try {
    const said = read(process.argv.slice(2));
    if (!said.help) return said;
    process.stdout.write(help);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`race: ${error.message} (see npm start -- --help)\n`);
    process.exit(64);
  }
}

/** What a user can do something about needs no stack. */
function complain(error: unknown): never {
  if (!isLockstepError(error)) throw error;
  process.stderr.write(`race: ${error.code}: ${error.message}\n`);
  process.exit(1);
}

async function runAll(shared: Lockstep, table: Table): Promise<void> {
  await crew.ready();
  for (const next of legs) {
    await next.way.prepare(shared);
    await run(shared, next, table);
  }
}

/** Lets the crew run, and counts afterwards what is there. */
async function run(shared: Lockstep, next: Leg, table: Table): Promise<void> {
  const { scenario, way, row } = next;
  const order = { scenario, safe: row.safe, ms: legMs, killHalfway: next === finale };
  const startedMs = performance.now();
  row.tally = await crew.run(order, (tally) => {
    const ms = Math.min(legMs, performance.now() - startedMs);
    row.done = ms / legMs;
    row.seconds = ms / 1_000;
    row.tally = tally;
    table.update();
  });
  row.audit = await way.audit(shared, row.tally.updates);
  table.complete(row);
}

function leg(title: string, scenario: string, way: Way, safe: boolean): Leg {
  const tally = { operations: 0, updates: 0, worstMs: 0 };
  return { scenario, way, row: { title, how: way.how, safe, done: 0, seconds: 0, tally } };
}
