// Works on a queue, or in a group of a topic, and writes down what it begins and what it has done, until it is told to stop or is killed.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from '../../../src/index.ts';
import { hear, say, task } from './voice.ts';

export interface QueueWork {
  readonly where: string;
  readonly log: string;
  readonly leaseMs: number;
  readonly topic: boolean;
}

const { where, log, leaseMs, topic } = task<QueueWork>();
const shared = await open(where, { label: 'queue-worker', onWarning: () => {} });
const options = { maxDeliveries: Infinity, lease: leaseMs };
const work = topic
  ? shared.topic<string>('work').group('workers', { ...options, from: 'earliest' })
  : shared.queue<string>('work', options);
const stop = new AbortController();
const working = work.work(
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
