/**
 * Several processes of several threads count the words of all text files below a directory. One of the processes is
 * killed -9 every second, and replaced; what a single thread counts in the end must be the same.
 *
 * `node examples/index-files/main.ts --help` has its options.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isLockstepError, type Lockstep, open } from '../../src/index.ts';
import { type CommandLine, help, read, UsageError } from './command-line.ts';
import { Crew } from './crew.ts';
import { differences } from './check.ts';
import { countWords, portions, textFiles } from './files.ts';
import { ProgressBar } from './progress.ts';
import { asData, inWords, type Result } from './result.ts';
import { space, type WorkPlace, workPlaces } from './work.ts';
import { oftenOf, wordsOf } from './words.ts';

/** Every so often; the first one when some of the work is done, so that a short run has one too. */
const killEveryMs = 1_000;
/** Nothing is done for so long: it never will be. */
const patienceMs = 60_000;

const options = commandLine();
const at = options.at ?? mkdtempSync(join(tmpdir(), 'lockstep-index-'));
let hired: Crew | undefined;

// However it ends, nothing of it stays behind.
process.on('exit', () => {
  hired?.kill();
  if (options.at === undefined) rmSync(at, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
}

const result = await run().catch(complain);
console.log(options.json ? JSON.stringify(asData(result), undefined, 2) : inWords(result));
process.exitCode = result.exact ? 0 : 1;

async function run(): Promise<Result> {
  const shared = await open(at, { space, label: 'index-files' });
  // Two runs in one place would count into each other's words.
  const found = await shared.lock('run').run(() => index(shared), { timeout: 0 });
  await shared.close();
  return found;
}

async function index(shared: Lockstep): Promise<Result> {
  const { directory, limit, processes, threads, json } = options;
  const files = await textFiles(directory, limit);
  const place = workPlaces[options.work];
  if (!json) console.log(`${files.length} files, ${processes} processes × ${threads} threads, in ${at}`);

  const all = portions(files);
  await Promise.all([wordsOf(shared).clear(), oftenOf(shared).clear(), place.fill(shared, all)]);
  // By the one who is not killed: statistics are no part of transactions. Each run has its own; they end by themselves.
  const sizes = shared.stats(`sizes ${new Date().toISOString()}`, { every: '1h', keep: 1, quantiles: true });
  await Promise.all(files.map(({ bytes }) => sizes.record(bytes)));
  const ofSizes = await sizes.current();

  const startedMs = performance.now();
  const crew = (hired = new Crew({ at, source: options.work, processes, threads }));
  const kills = await supervise(shared, crew, place, all.length);
  await crew.close();
  const workedMs = performance.now();
  const expected = await countWords(files.map(({ path }) => path));
  const aloneMs = performance.now() - workedMs;
  const found = await differences(shared, expected, files, ofSizes);
  return {
    exact: found.length === 0,
    files: files.length,
    words: expected.size,
    differences: found,
    kills,
    seconds: (workedMs - startedMs) / 1_000,
    secondsAlone: aloneMs / 1_000,
    top: await oftenOf(shared).range({ end: 5, reverse: true }),
    sizes: ofSizes,
  };
}

/** Until all is done: shows how far it is, and kills. How many were killed. */
async function supervise(shared: Lockstep, crew: Crew, place: WorkPlace, total: number): Promise<number> {
  const bar = new ProgressBar(options.json);
  let kills = 0;
  let killedMs = performance.now();
  let before = { left: total, ms: killedMs };
  for (;;) {
    const left = await place.left(shared);
    const nowMs = performance.now();
    const done = Math.max(0, 1 - left / Math.max(1, total));
    bar.show({ done, kills, top: await oftenOf(shared).range({ end: 3, reverse: true }) });
    if (left === 0) break;
    if (crew.failure !== undefined) throw crew.failure;
    if (left !== before.left) before = { left, ms: nowMs };
    if (nowMs > before.ms + patienceMs) throw new Error(`nothing was done for ${patienceMs} ms; ${left} are left`);
    if (kills < options.kills && (nowMs > killedMs + killEveryMs || (kills === 0 && done > 0))) {
      crew.killOne();
      kills += 1;
      killedMs = nowMs;
    }
    await sleep(100);
  }
  bar.end();
  return kills;
}

function commandLine(): CommandLine {
  try {
    const said = read(process.argv.slice(2));
    if (!said.help) return said;
    process.stdout.write(help);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`index-files: ${error.message} (see --help)\n`);
    process.exit(64);
  }
}

/** What a user can do something about needs no stack. */
function complain(error: unknown): never {
  if (!isLockstepError(error)) throw error;
  process.stderr.write(`index-files: ${error.code}: ${error.message}\n`);
  process.exit(1);
}
