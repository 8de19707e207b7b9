// Holds many locks at once, until each lease was renewed.
import { setTimeout as sleep } from 'node:timers/promises';
import { open, type Lease } from '../../../src/index.ts';
import { nowMs } from './now.ts';
import { say, task } from './voice.ts';

const { directory, locks, ttl } = task<{ directory: string; locks: number; ttl: number }>();
const shared = await open(directory, { label: 'hoarder' });

const begun = nowMs();
const leases: Lease[] = [];
for (let from = 0; from < locks; from += 1_000) {
  const some = Array.from({ length: Math.min(1_000, locks - from) }, (_, i) => shared.lock(`l${from + i}`, { ttl }));
  leases.push(...(await Promise.all(some.map((lock) => lock.acquire()))));
}
const acquired = nowMs();
const isRenewed = (lease: Lease): boolean => lease.remaining() > ttl - (nowMs() - acquired) + 500;
while (nowMs() - acquired < ttl && !leases.every(isRenewed)) await sleep(250);
const held = leases.filter((lease) => isRenewed(lease) && !lease.signal.aborted).length;
const memory = process.memoryUsage().rss;
const kept = nowMs();
await Promise.all(leases.map((lease) => lease.release()));
const released = nowMs();
let left = 0;
for await (const _ of shared.locks()) left += 1;
await shared.close();
say('done', { acquireMs: acquired - begun, held, memory, releaseMs: released - kept, left });
