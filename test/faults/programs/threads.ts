// A process of contenders that are threads, begun and terminated as it is told.
import { Worker } from 'node:worker_threads';
import type { Contention } from './contender.ts';
import { nowMs } from './now.ts';
import { hear, onWord, say, type Word } from './voice.ts';

const threads = new Set<Worker>();
const sessions = new Map<unknown, Worker>();

onWord((word) => {
  if (word.what === 'begin') begin(word['contention'] as Contention);
  if (word.what === 'terminate') terminate(word['session']);
});
await hear('stop');
for (const thread of threads) thread.postMessage({ what: 'stop' } satisfies Word);

function begin(contention: Contention): void {
  const thread = new Worker(new URL('contender.ts', import.meta.url), { workerData: contention });
  threads.add(thread);
  thread.on('exit', () => threads.delete(thread));
  thread.on('message', (word: Word) => {
    if (word.what !== 'ready') return;
    sessions.set(word['session'], thread);
    say('ready', word);
  });
}

function terminate(session: unknown): void {
  const now = nowMs();
  const ended = sessions.get(session)!.terminate();
  ended.then(
    () => say('terminated', { now }),
    (error: unknown) => {
      throw error;
    },
  );
}
