import type { Lockstep, StatsSnapshot } from '../../src/index.ts';
import type { TextFile } from './files.ts';
import { oftenFrom, oftenOf, wordsOf } from './words.ts';

/** What differs from what a single thread counted, in words; nothing where all is exact. */
export async function differences(
  shared: Lockstep,
  expected: ReadonlyMap<string, number>,
  files: readonly TextFile[],
  sizes: StatsSnapshot,
): Promise<string[]> {
  const found: string[] = [];
  const compare = (what: string, is: number, wanted = 0): void => {
    if (is !== wanted) found.push(`${what} ${is}, not ${wanted}`);
  };
  for await (const [word, times] of wordsOf(shared)) compare(`${word}:`, times, expected.get(word));
  compare('different words:', await wordsOf(shared).size(), expected.size);

  const often = [...expected].filter(([, times]) => times >= oftenFrom);
  compare('frequent words:', await oftenOf(shared).size(), often.length);
  for await (const [word, times] of oftenOf(shared))
    compare(`${word} among the frequent ones:`, times, expected.get(word));

  compare('files:', sizes.count, files.length);
  compare(
    'bytes:',
    sizes.sum,
    files.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  return found;
}
