/** A process of the crew: starts its threads, and ends when they have. */
import { Worker } from 'node:worker_threads';

const [at = '', source = '', number = '', threads = ''] = process.argv.slice(2);

const workers = Array.from({ length: Number(threads) }, (_, thread) => {
  const worker = new Worker(new URL('thread.ts', import.meta.url), {
    workerData: { at, source, name: `${number}.${thread}` },
  });
  worker.once('error', (error) => {
    console.error(error);
    process.exit(1);
  });
  return worker;
});

// All is done, or the parent is gone: nobody stays behind.
process.once('disconnect', stop);
if (!process.connected) stop();

function stop(): void {
  setTimeout(() => process.exit(), 2_000).unref();
  for (const worker of workers) worker.postMessage('stop');
}
