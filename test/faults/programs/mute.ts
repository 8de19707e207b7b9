// Holds one lock, and dies between the commit that hands it on and the message that would say so.
import { StatementSync } from 'node:sqlite';
import { open } from '../../../src/index.ts';
import { hear, say, task } from './voice.ts';

const { directory, ttl } = task<{ directory: string; ttl: number }>();
const shared = await open(directory, { label: 'mute' });
const lease = await shared.lock('held', { ttl }).acquire();
say('holds', { session: shared.session.id });
await hear('release');

const statements: { run(this: StatementSync, ...values: unknown[]): unknown } = StatementSync.prototype;
const { run } = statements;
statements.run = function dying(...values) {
  const result = run.apply(this, values);
  if (this.sourceSQL === 'COMMIT') process.kill(process.pid, 'SIGKILL');
  return result;
};
await lease.release();
