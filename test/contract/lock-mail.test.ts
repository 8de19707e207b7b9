import { expect, test } from 'vitest';
import type { Engine, Inbox } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import { movedClock, openSession, until } from './sessions.ts';

/** The store as a session sees it whose mail arrives only when the test says so. */
function withHeldMail(engine: Engine): Engine & { deliver(): void } {
  const held: (() => void)[] = [];
  return {
    ...engine,
    listen(session, inbox) {
      const slow: Inbox = { ...inbox, message: (text) => held.push(() => inbox.message(text)) };
      return engine.listen(session, slow);
    },
    deliver: () => held.splice(0).forEach((arrive) => arrive()),
  };
}

test('late word of a grant that ran out unheard does not end the lease that the same wait got afterwards', async () => {
  const clock = movedClock();
  const engine = memoryEngine({ clock });
  const slow = withHeldMail(engine);
  const first = await openSession({ engine: async () => engine, putText: async () => {} }, 'first');
  const second = await openSession({ engine: async () => slow, putText: async () => {} }, 'second');
  const before = await first.lock('a', { ttl: 50 }).acquire();
  const waiting = second.lock('a', { ttl: 50 }).acquire();
  await until('the second waits', async () => (await first.lock('a').inspect()).waiters.length === 1);
  await before.release(); // the second owns it, and does not know
  clock.wallShiftMs += 200;
  const lease = await waiting; // it asked again
  expect((await first.lock('a').inspect()).holder?.fence).toBe(lease.fence);
  slow.deliver();
  await expect(first.lock('a').tryAcquire()).resolves.toBeUndefined();
  expect((await first.lock('a').inspect()).holder?.fence).toBe(lease.fence);
  await lease.release();
});
