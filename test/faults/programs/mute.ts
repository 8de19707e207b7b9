// Holds one lock, and dies between the commit that hands it on and the message that would say so.
import { StatementSync } from 'node:sqlite';
import { open } from '../../../src/index.ts';
import { hear, say, task } from './voice.ts';

let dies = false;
const statements: { get(this: StatementSync, ...values: unknown[]): unknown } = StatementSync.prototype;
const { get } = statements;
// Before anything is prepared: the driver commits by the `get` that a statement has then.
statements.get = function dying(...values) {
  const result = get.apply(this, values);
  if (dies && this.sourceSQL === 'COMMIT') process.kill(process.pid, 'SIGKILL');
  return result;
};

const { directory, ttl } = task<{ directory: string; ttl: number }>();
const shared = await open(directory, { label: 'mute' });
const lease = await shared.lock('held', { ttl }).acquire();
say('holds', { session: shared.session.id });
await hear('release');
dies = true;
await lease.release();
