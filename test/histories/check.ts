/**
 * `npm run check-histories -- DIR`: checks recordings of a register whose verdicts are known, and compares. DIR has
 * `verdicts.csv` (file, true or false) beside the recordings. `--html OUT` writes a timeline of each failing one.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkLinearizable } from './linearizable.ts';
import { register } from './models.ts';
import { parseRecording } from './recording.ts';
import { smallestFailing } from './smallest.ts';
import { timelineOf } from './timeline.ts';

process.exitCode = main(process.argv.slice(2));

function main([directory, option, out]: readonly string[]): number {
  if (directory === undefined || (option !== undefined && (option !== '--html' || out === undefined))) {
    console.error('usage: npm run check-histories -- DIR [--html OUT]');
    return 2;
  }
  const lines = readFileSync(join(directory, 'verdicts.csv'), 'utf8').trim().split(/\r?\n/).slice(1);
  const startMs = performance.now();
  const agreed = lines.filter((line) => {
    const [file = '', known = ''] = line.split(',');
    return agrees(join(directory, file), known === 'true', out);
  }).length;
  console.log(`${agreed} of ${lines.length} agree, ${((performance.now() - startMs) / 1_000).toFixed(2)} s`);
  return agreed === lines.length && agreed > 0 ? 0 : 1;
}

function agrees(path: string, known: boolean, out: string | undefined): boolean {
  const calls = parseRecording(readFileSync(path, 'utf8'));
  const startMs = performance.now();
  const { verdict } = checkLinearizable(register, calls);
  const ms = (performance.now() - startMs).toFixed(1);
  const isRight = verdict === (known ? 'linearizable' : 'not linearizable');
  console.log(`${isRight ? 'agrees ' : 'DIFFERS'} ${basename(path)} ${verdict}, ${calls.length} calls, ${ms} ms`);
  const smallest = out === undefined ? undefined : smallestFailing(register, calls);
  if (out !== undefined && smallest !== undefined) {
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, `${basename(path)}.html`), timelineOf(basename(path), register, smallest));
  }
  return isRight;
}
