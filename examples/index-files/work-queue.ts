import { setTimeout as sleep } from 'node:timers/promises';
import { isLockstepError, type Lockstep, type Queue } from '../../src/index.ts';
import type { Work, WorkPlace } from './work.ts';
import { inTurn } from './words.ts';

/** Work from a queue: what a killed worker had comes back by itself. */
export const workFromQueue: WorkPlace = {
  async fill(shared, all) {
    await forgetOld(queue(shared));
    await queue(shared).pushAll(all);
  },

  async left(shared) {
    const { ready, delayed, leased } = await queue(shared).size();
    return ready + delayed + leased;
  },

  async work(shared, _, signal, { count, add }) {
    const failed = new AbortController();
    await queue(shared).work(
      async (job) => {
        const { now, later } = await count(job.data);
        await inTurn(shared, async (tx) => {
          await add(tx, now);
          for (const work of later) await tx.queue('work').push(work);
          await tx.ack(job); // with the counts, or not at all: each file is counted once, whoever dies when
        });
      },
      {
        signal: AbortSignal.any([signal, failed.signal]),
        onError(error) {
          // Where a lease is lost somebody else does it. Where the store does not answer, it is asked again.
          if (!isLockstepError(error, 'LEASE_LOST') && !isLockstepError(error, 'UNAVAILABLE')) failed.abort(error);
        },
      },
    );
    if (failed.signal.aborted) throw failed.signal.reason;
  },
};

function queue(shared: Lockstep): Queue<Work> {
  // In a directory the work of a killed worker comes back at once, on Redis when its lease is over.
  return shared.queue<Work>('work', { lease: '2s', maxDeliveries: Infinity });
}

/** A run that was itself killed may have left work, also such as is still held. */
async function forgetOld(old: Queue<Work>): Promise<void> {
  for (;;) {
    await old.drain();
    if ((await old.size()).leased === 0) return;
    await sleep(100);
  }
}
