// A process whose clients are threads, begun and terminated as it is told.
import { Worker } from 'node:worker_threads';
import { onWord, say, type Word } from '../../faults/programs/voice.ts';
import type { ClientPlan } from './client.ts';

const threads = new Map<number, Worker>();

onWord((word) => {
  const number = Number(word['number']);
  if (word.what === 'begin') begin(word['plan'] as ClientPlan);
  else if (word.what === 'terminate') terminate(number);
  else if (word.what === 'leave') process.channel!.unref();
  else threads.get(number)?.postMessage(word);
});
process.channel!.ref();

function begin(plan: ClientPlan): void {
  const thread = new Worker(new URL('client.ts', import.meta.url), { workerData: plan });
  threads.set(plan.number, thread);
  thread.on('message', (word: Word) => say(`${word.what} ${plan.number}`, word));
  // Without a listener an error of a thread is one of this process, which then ends.
  thread.on('exit', (code) => say(`ended ${plan.number}`, { code }));
}

function terminate(number: number): void {
  threads
    .get(number)!
    .terminate()
    .then(
      () => say(`terminated ${number}`),
      (error: unknown) => {
        throw error;
      },
    );
}
