import type { StatsSnapshot } from '../../src/index.ts';
import type { Count } from './work.ts';

export interface Result {
  /** All counts, the top words and the sizes are those of a single thread. */
  readonly exact: boolean;
  readonly files: number;
  /** Different words. */
  readonly words: number;
  /** Words whose counts differ, and what `exact` looks at beside. */
  readonly differences: readonly string[];
  readonly kills: number;
  readonly seconds: number;
  readonly secondsAlone: number;
  readonly top: readonly Count[];
  readonly sizes: StatsSnapshot;
}

export function inWords(result: Result): string {
  const { files, words, kills, seconds, secondsAlone, top, sizes, differences } = result;
  return [
    `${thousands(files)} files in ${seconds.toFixed(1)} s, ${kills} processes killed -9; a single thread takes ${secondsAlone.toFixed(1)} s`,
    `sizes: mean ${thousands(sizes.mean ?? 0)} bytes, half are at most ${thousands(sizes.quantile(0.5) ?? 0)}, the largest has ${thousands(sizes.max ?? 0)}`,
    `${thousands(words)} words: ${top.map(([word, times]) => `${word} ${thousands(times)}`).join(', ')}`,
    differences.length === 0 ? 'exact: the same as a single thread counts' : `NOT EXACT: ${differences.join('; ')}`,
  ].join('\n');
}

export function asData({ sizes, ...result }: Result): object {
  const { count, sum, min, max, mean } = sizes;
  return { ...result, sizes: { count, sum, min, max, mean, median: sizes.quantile(0.5) } };
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en');
}
