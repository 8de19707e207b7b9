/** A process of the crew: starts its threads, and passes on what they and the race tell each other. */
import { Worker } from 'node:worker_threads';
import type { News, Order, Sender } from './messages.ts';

const [where = '', number = '', threads = ''] = process.argv.slice(2);
const longestGoodbyeMs = 2_000;

const workers = Array.from({ length: Number(threads) }, (_, thread) => {
  const sender: Sender = { process: Number(number), thread };
  const tell = (news: News): void => {
    if (process.connected) process.send!({ ...sender, ...news });
  };
  const worker = new Worker(new URL('thread.ts', import.meta.url), { workerData: { where, sender } });
  worker.on('message', tell);
  worker.on('error', (error) => tell({ say: 'failed', error: String(error) }));
  return worker;
});

process.on('message', tellAll);

// The race is over, or was itself killed: nobody stays behind.
process.on('disconnect', leave);
if (!process.connected) leave();

function leave(): void {
  setTimeout(() => process.exit(), longestGoodbyeMs).unref();
  tellAll({ say: 'close' });
}

function tellAll(order: Order): void {
  for (const worker of workers) worker.postMessage(order);
}
