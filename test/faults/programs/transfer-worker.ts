// Carries out transfers from a queue, each in one transaction with its acknowledgement and its receipt, until it is told to
// stop or is killed.
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from '../../../src/index.ts';
import { hear, say, task } from './voice.ts';

export interface TransferWork {
  readonly directory: string;
}

export interface Transfer {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  /** How long it takes before, in and after its transaction: ms. */
  readonly pausesMs: readonly [before: number, within: number, after: number];
}

const { directory } = task<TransferWork>();
const shared = await open(directory, { label: 'transfer-worker' });
const transfers = shared.queue<Transfer>('transfers', { maxDeliveries: Infinity, lease: '60s' });
const stop = new AbortController();
const working = transfers.work(
  async (job) => {
    const { id, from, to, amount, pausesMs } = job.data;
    await pause(pausesMs[0]);
    await shared.transaction(async (tx) => {
      const accounts = tx.map<number>('accounts');
      await accounts.set(from, (await accounts.get(from))! - amount);
      await pause(pausesMs[1]);
      await accounts.set(to, (await accounts.get(to))! + amount);
      const applied = tx.map<number>('applied');
      await applied.set(id, ((await applied.get(id)) ?? 0) + 1);
      await tx.queue('receipts').push({ id, deliveries: job.deliveries });
      await tx.ack(job);
    });
    await pause(pausesMs[2]);
  },
  { concurrency: 4, signal: stop.signal },
);
say('ready', {});
await hear('stop');
stop.abort();
await working;
await shared.close();

async function pause(ms: number): Promise<void> {
  if (ms > 0) await sleep(ms);
}
