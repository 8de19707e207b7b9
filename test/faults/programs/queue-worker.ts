// Works on a queue, and writes down what it begins and what it has done, until it is told to stop or is killed.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from '../../../src/index.ts';
import { hear, say, task } from './voice.ts';

export interface QueueWork {
  readonly directory: string;
  readonly log: string;
}

const { directory, log } = task<QueueWork>();
const shared = await open(directory, { label: 'queue-worker' });
const queue = shared.queue<string>('work', { maxDeliveries: Infinity, lease: '60s' });
const stop = new AbortController();
const working = queue.work(
  async ({ data, deliveries }) => {
    appendFileSync(log, `begin ${data} ${deliveries}\n`); // one write of one line: nobody else's comes between
    await sleep(1);
    appendFileSync(log, `done ${data} ${deliveries}\n`);
  },
  { concurrency: 8, signal: stop.signal },
);
say('ready', {});
await hear('stop');
stop.abort();
await working;
await shared.close();
