// Holds one lock, and does with it what it is told.
import { open } from '../../../src/index.ts';
import { codeOf } from './code.ts';
import { nowMs } from './now.ts';
import { hear, onWord, say, task } from './voice.ts';

export interface Holding {
  readonly directory: string;
  readonly ttl: number;
  readonly maxStall?: number;
  /** The event loop stands still for so long right after the lock was acquired: ms. */
  readonly blockMs?: number;
}

const { directory, ttl, blockMs, ...options } = task<Holding>();
const shared = await open(directory, { label: 'holder', ...options });
const values = shared.map<string>('values');
const lease = await shared.lock('held', { ttl }).acquire();
const { signal } = lease;
say('holds', { fence: lease.fence, session: shared.session.id });

if (blockMs !== undefined) {
  const turned = block(blockMs);
  say('turned', { remaining: lease.remaining() });
  signal.addEventListener('abort', () => say('lost', { code: codeOf(signal.reason), afterMs: nowMs() - turned }));
}

onWord(({ what }) => {
  if (what === 'write') write();
  if (what === 'exit') process.exit(0);
});
await hear('end');
await lease.release();
await shared.close();

function block(ms: number): number {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return nowMs();
}

function write(): void {
  values.set('by', 'holder', { guard: lease }).then(
    () => say('wrote', { code: '', aborted: signal.aborted }),
    (error: unknown) => say('wrote', { code: codeOf(error), aborted: signal.aborted, reason: codeOf(signal.reason) }),
  );
}
