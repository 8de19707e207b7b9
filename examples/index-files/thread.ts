/** A worker: a thread with work of its own, until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { open } from '../../src/index.ts';
import { countWords } from './files.ts';
import { type Counted, type Count, type Source, space, type Work, workPlaces } from './work.ts';
import { addCounts } from './words.ts';

/**
 * Words that one transaction adds. The store does nothing else meanwhile, so it should not take long; and
 * not too few, as each transaction costs something.
 */
const wordsPerTransaction = 4_000;

const { at, source, name } = workerData as { at: string; source: Source; name: string };
const stop = new AbortController();
parentPort!.once('message', () => stop.abort());

// What there is to warn of the parent says.
const shared = await open(at, { space, label: `worker ${name}`, onWarning() {} });
await workPlaces[source].work(shared, name, stop.signal, { count, add: addCounts });
await shared.close();

async function count({ files, counts }: Work): Promise<Counted> {
  const all: readonly Count[] = counts ?? [...(await countWords(files ?? []))];
  const later: Work[] = [];
  for (let from = wordsPerTransaction; from < all.length; from += wordsPerTransaction) {
    later.push({ counts: all.slice(from, from + wordsPerTransaction) });
  }
  return { now: all.slice(0, wordsPerTransaction), later };
}
