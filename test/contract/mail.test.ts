import { describe, expect, test } from 'vitest';
import { LockstepError } from '../../src/base/errors.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import type { Lease } from '../../src/primitives/lease.ts';
import type { Engine, Inbox } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import { gate, movedClock, openSession, until } from './sessions.ts';

function openOn(on: Engine, label: string): Promise<Lockstep> {
  return openSession({ engine: async () => on, putText: async () => {} }, label);
}

/** The store as a session sees it whose mail arrives only when the test says so, and from then on at once. */
function withHeldMail(engine: Engine): Engine & { deliver(): void } {
  let held: (() => void)[] | undefined = [];
  return {
    ...engine,
    listen(session, inbox) {
      const message = (text: string): void => {
        if (held === undefined) inbox.message(text);
        else held.push(() => inbox.message(text));
      };
      return engine.listen(session, { ...inbox, message });
    },
    deliver() {
      for (const arrive of held ?? []) arrive();
      held = undefined;
    },
  };
}

interface Late {
  readonly clock: ReturnType<typeof movedClock>;
  readonly first: Lockstep;
  readonly second: Lockstep;
  readonly third: Lockstep;
  /** Of the second, who owns the lock and does not know. */
  readonly waiting: Promise<Lease>;
  /** Its mail comes. */
  deliver(): void;
}

/** The second session waits for lock `a` and is granted it, but its mail is late. */
async function lateGrant(sharesClock: boolean): Promise<Late> {
  const clock = movedClock();
  const engine = memoryEngine({ clock });
  const slow = withHeldMail({ ...engine, sharesClock });
  const [first, second, third] = [
    await openOn(engine, 'first'),
    await openOn(slow, 'second'),
    await openOn(engine, 'third'),
  ];
  const before = await first.lock('a', { ttl: 1_000 }).acquire();
  const waiting = second.lock('a', { ttl: 1_000 }).acquire();
  await until('the second waits', async () => (await first.lock('a').inspect()).waiters.length === 1);
  await before.release();
  return { clock, first, second, third, waiting, deliver: slow.deliver };
}

test('late word of a grant that ran out unheard does not end the lease that the same wait got afterwards', async () => {
  const { clock, first, waiting, deliver } = await lateGrant(true);
  clock.wallShiftMs += 2_000;
  const lease = await waiting; // it asked again
  deliver();
  await expect(first.lock('a').tryAcquire()).resolves.toBeUndefined();
  expect((await first.lock('a').inspect()).holder?.fence).toBe(lease.fence);
  await lease.release();
});

test.each([true, false])(
  'late word of a grant that ran out is no lease (clock shared with the store: %s)',
  async (sharesClock) => {
    const { clock, first, second, third, waiting, deliver } = await lateGrant(sharesClock);
    clock.wallShiftMs += 2_000;
    const lease = await third.lock('a').acquire();
    await until('the second waits again', async () => (await first.lock('a').inspect()).waiters.length === 1);
    deliver();
    let inside = false;
    const entering = waiting.then(async (late) => {
      inside = true;
      await late.release();
    });
    await second.counter('anything').get(); // and whatever it asks before that
    expect(inside).toBe(false);
    await lease.release();
    await entering;
  },
);

test('a late grant is asked about where the clock was set back meanwhile', async () => {
  const { clock, third, waiting, deliver } = await lateGrant(true);
  clock.wallShiftMs += 2_000;
  const lease = await third.lock('a').acquire();
  clock.wallShiftMs -= 3_600_000;
  clock.monotonicShiftMs += 2_000; // while the second was stopped
  deliver();
  const early = await Promise.race([waiting, third.counter('anything').get()]);
  expect(early).toBe(0);
  await lease.release();
  await (await waiting).release();
});

test('a wanted lock is given back also where the step that does so and asks for it anew is lost', async () => {
  const engine = memoryEngine();
  let lost = 0;
  const losing: Engine = {
    ...engine,
    run(operation, keys, args) {
      if (((args as { gives?: string }).gives ?? '') === '') return engine.run(operation, keys, args);
      lost += 1;
      return Promise.reject(new LockstepError('UNAVAILABLE', 'the connection was lost'));
    },
  };
  const [first, second] = [await openOn(losing, 'first'), await openOn(engine, 'second')];
  const lock = first.lock('a', { ttl: '1h' });
  const before = await lock.acquire();
  const tasks = Array.from({ length: 40 }, () => lock.run(() => {}).catch((error: unknown) => error));
  const waiting = second.lock('a').acquire();
  await until('the second waits', async () => (await second.lock('a').inspect()).waiters.length === 1);
  await before.release();
  const lease = await waiting;
  expect(lost).toBe(1);
  const refused = (await Promise.all(tasks)).filter((error) => error !== undefined);
  expect(refused.length).toBeGreaterThan(10);
  for (const error of refused) expect(error).toMatchObject({ code: 'UNAVAILABLE' });
  await lease.release();
});

/**
 * A session whose reply to its first (or `nth`) step `name` is on its way until `end`, and which gets mail, or none; and
 * another session.
 */
async function withLateReply(name: string, mail: 'comes' | 'is lost', nth = 1) {
  const engine = memoryEngine();
  const begun = gate();
  const arrival = gate();
  let inbox: Inbox | undefined;
  let steps = 0;
  async function late<R>(step: string, reply: Promise<R>): Promise<R> {
    if (step !== name) return reply;
    steps += 1;
    if (steps !== nth) return reply;
    const came = await reply;
    begun.open();
    await arrival.opened;
    return came;
  }
  const far: Engine = {
    ...engine,
    run: (operation, keys, args) => late(operation.name, engine.run(operation, keys, args)),
    runBatch: (operation, keys, args) => late(operation.name, engine.runBatch(operation, keys, args)),
    listen(session, to) {
      inbox = to;
      return engine.listen(session, mail === 'comes' ? to : { ...to, message: () => {} });
    },
  };
  return {
    other: await openOn(engine, 'other'),
    shared: await openOn(far, 'far'),
    /** That step is done, and its reply on its way. */
    begun: begun.opened,
    steps: () => steps,
    /** The connection for mail is there again. */
    resync: () => inbox?.resync(),
    /** The reply comes: what follows from it has been asked for then. */
    async end() {
      arrival.open();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('mail that is lost before the reply to the first ask comes', () => {
  test('for a lock: it is asked for again when that comes, and not before', async () => {
    const { other, shared, begun, steps, resync, end } = await withLateReply('lock.acquire', 'is lost');
    const before = await other.lock('a', { ttl: '1h' }).acquire();
    const waiting = shared.lock('a').acquire();
    await begun;
    await before.release();
    resync();
    expect(steps()).toBe(1); // one that came later than what the first one led to would own the lock for nobody
    await end();
    expect(steps()).toBe(2);
    const lease = await waiting;
    expect(lease.fence).toBeGreaterThan(before.fence);
    await lease.release();
    await (await other.lock('a').acquire()).release();
  });

  test('for an element of a list: it is asked for again when that comes, and not before', async () => {
    const { other, shared, begun, steps, resync, end } = await withLateReply('list.take', 'is lost');
    const waiting = shared.list('a').take();
    await begun;
    await other.list('a').pushAll(['one', 'two']);
    resync();
    expect(steps()).toBe(1);
    await end();
    expect(steps()).toBe(2);
    expect(await waiting).toBe('one');
    expect(await shared.list('a').take()).toBe('two');
  });

  test.each(['comes', 'is lost'] as const)(
    'for room in a queue, or too early (it %s): it is pushed again',
    async (mail) => {
      const { other, shared, begun, steps, resync, end } = await withLateReply('queue.push', mail);
      const queue = other.queue<number>('a', { capacity: 1 });
      await queue.push(1);
      const pushed = shared.queue<number>('a', { capacity: 1 }).push(2);
      await begun;
      const stopping = new AbortController();
      const working = queue.work(() => stopping.abort(), { signal: stopping.signal });
      await working;
      if (mail === 'is lost') resync();
      expect(steps()).toBe(1);
      await end();
      await until('it is pushed again', () => steps() === 2, 2_000); // it looks by itself after five seconds
      await pushed;
      expect(await queue.size()).toMatchObject({ ready: 1 });
    },
  );
});

test('what is pushed behind a message that waits for room does not overtake it', async () => {
  const { other, shared, begun, resync, end } = await withLateReply('queue.push', 'is lost');
  const queue = other.queue<string>('a', { capacity: 1 });
  await queue.push('before');
  const pushes = shared.queue<string>('a', { capacity: 1 });
  const first = pushes.push('first');
  await begun; // it is full
  const second = pushes.push('second');
  const stopping = new AbortController();
  await queue.work(() => stopping.abort(), { signal: stopping.signal });
  await end();
  resync();
  await first;
  expect((await queue.peek()).map(({ data }) => data)).toEqual(['first']);
  expect(await queue.drain()).toBe(1);
  resync();
  await second;
});

test('a push that is given up while it goes in has gone in', async () => {
  const { other, shared, begun, end } = await withLateReply('queue.push', 'comes', 2);
  const queue = other.queue<string>('a', { capacity: 1 });
  await queue.push('before');
  const giving = new AbortController();
  const pushed = shared.queue<string>('a', { capacity: 1 }).push('behind', { signal: giving.signal });
  const stopping = new AbortController();
  await queue.work(() => stopping.abort(), { signal: stopping.signal });
  await begun; // it is pushed again
  giving.abort();
  await end();
  expect((await pushed).id).not.toBe('');
  expect(await queue.size()).toMatchObject({ ready: 1 });
});

describe('mail that is lost before the reply that grants a lock comes', () => {
  test('that another session waits: it gets the lock, which is not kept', async () => {
    const { other, shared, begun, resync, end } = await withLateReply('lock.acquire', 'is lost');
    const acquiring = shared.lock('a', { keep: '1h' }).acquire();
    await begun;
    const waiting = other.lock('a').acquire();
    await until('the other waits', async () => (await other.lock('a').inspect()).waiters.length === 1);
    resync();
    await end();
    await (await acquiring).release();
    expect((await waiting).remaining()).toBeGreaterThan(0);
  });

  test('that the lock was forced away: it is waited for', async () => {
    const { other, shared, begun, resync, end } = await withLateReply('lock.acquire', 'is lost');
    let isIn = false;
    const acquiring = shared.lock('a').acquire();
    const entering = acquiring.then(() => (isIn = true));
    await begun;
    await other.lock('a').forceRelease();
    const held = await other.lock('a').acquire();
    resync();
    await end();
    expect(isIn).toBe(false);
    await held.release();
    await entering;
    expect((await acquiring).fence).toBeGreaterThan(held.fence);
  });

  test('that a lock of several was forced away: its lease ends', async () => {
    const { other, shared, begun, resync, end } = await withLateReply('lock.acquireAll', 'is lost');
    const acquiring = shared.lockAll(['a', 'b'], { ttl: '1h' });
    await begun;
    await other.lock('a').forceRelease();
    const held = await other.lock('a').acquire();
    resync();
    await end();
    const { signal } = await acquiring;
    await until('it is told', () => signal.aborted, 5_000);
    expect(signal.reason).toMatchObject({ code: 'LEASE_LOST' });
    await held.release();
  });
});

test('a request for a lock that came before its grant was known is heard', async () => {
  const { other, shared, begun, end } = await withLateReply('lock.acquire', 'comes');
  const acquiring = shared.lock('a').acquire();
  await begun;
  await other.lock('a').requestRelease('mine');
  await end();
  const lease = await acquiring;
  const heard = await new Promise((listener) => lease.onReleaseRequest(listener));
  expect(heard).toEqual({ lock: 'a', reason: 'mine' });
});

describe('a lock that is kept goes to another session that waits', () => {
  test('when that was said before the reply that grants it came', async () => {
    const { other, shared, begun, end } = await withLateReply('lock.acquire', 'comes');
    const acquiring = shared.lock('a', { keep: '1h' }).acquire();
    await begun;
    const waiting = other.lock('a').acquire();
    await until('the other waits', async () => (await other.lock('a').inspect()).waiters.length === 1);
    await end();
    await (await acquiring).release();
    expect((await waiting).remaining()).toBeGreaterThan(0);
  });

  test.each(['held', 'kept'] as const)('when that was said while the connection for mail was away: %s', async (how) => {
    const { other, shared, resync } = await withLateReply('none', 'is lost');
    const lease = await shared.lock('a', { keep: '1h' }).acquire();
    if (how === 'kept') await lease.release();
    const waiting = other.lock('a').acquire();
    await until('the other waits', async () => (await other.lock('a').inspect()).waiters.length === 1);
    resync();
    if (how === 'held') await lease.release();
    expect((await waiting).fence).toBeGreaterThan(lease.fence);
  });
});
