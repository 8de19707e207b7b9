// Takes one job of a queue, or of a group of a topic, holds it, and acknowledges it when it is told to.
import { isLockstepError, type Job, open } from '../../../src/index.ts';
import { hear, say, task } from './voice.ts';

export interface QueueHolding {
  readonly where: string;
  readonly leaseMs: number;
  readonly topic: boolean;
}

const { where, leaseMs, topic } = task<QueueHolding>();
const shared = await open(where, { label: 'queue-holder', onWarning: () => {} });
const jobs: AsyncIterableIterator<Job<string>> = topic
  ? shared.topic<string>('held').group('holders', { lease: leaseMs }).consume()
  : shared.queue<string>('held', { lease: leaseMs }).consume();
const next = jobs.next();
say('waits', {});
const taken = await next;
if (taken.done === true) throw new Error('there is no job');
const job = taken.value;
say('holds', { data: job.data, deliveries: job.deliveries });
await hear('ack');
const code = await job.ack().then(
  () => '',
  (error: unknown) => (isLockstepError(error) ? error.code : String(error)),
);
say('acked', { code });
await shared.close();
