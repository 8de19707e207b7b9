import { expect, test } from 'vitest';
import { LockstepError } from '../../src/base/errors.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import type { Lease } from '../../src/primitives/lease.ts';
import type { Engine, Inbox } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import { gate, movedClock, openSession, until } from './sessions.ts';

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
  const openOn = (on: Engine, label: string): Promise<Lockstep> =>
    openSession({ engine: async () => on, putText: async () => {} }, label);
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
  const openOn = (on: Engine, label: string): Promise<Lockstep> =>
    openSession({ engine: async () => on, putText: async () => {} }, label);
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

/** A session that gets no mail, and until `end` no reply to its first ask by the operation `name`; and another session. */
async function cutOff(name: string) {
  const engine = memoryEngine();
  const begun = gate();
  const first = gate();
  let inbox: Inbox | undefined;
  let asks = 0;
  const cut: Engine = {
    ...engine,
    async run(operation, keys, args) {
      const reply = await engine.run(operation, keys, args);
      if (operation.name !== name) return reply;
      asks += 1;
      begun.open();
      if (asks === 1) await first.opened;
      return reply;
    },
    listen(session, to) {
      inbox = to;
      return engine.listen(session, { ...to, message: () => {} });
    },
  };
  const openOn = (on: Engine, label: string): Promise<Lockstep> =>
    openSession({ engine: async () => on, putText: async () => {} }, label);
  return {
    other: await openOn(engine, 'other'),
    shared: await openOn(cut, 'cut off'),
    asked: begun.opened,
    /** The connection for mail is there again. */
    resync: () => inbox?.resync(),
    end: first.open,
  };
}

test('who lost mail before the reply to its first ask for a lock came asks again', async () => {
  const { other, shared, asked, resync, end } = await cutOff('lock.acquire');
  const before = await other.lock('a', { ttl: '1h' }).acquire();
  const waiting = shared.lock('a').acquire();
  await asked;
  await before.release();
  resync();
  const lease = await waiting;
  expect(lease.fence).toBeGreaterThan(before.fence);
  end(); // what that reply says is over
  await lease.release();
  await (await other.lock('a').acquire()).release();
});

test('who lost mail before the reply to its first ask for an element of a list came asks again', async () => {
  const { other, shared, asked, resync, end } = await cutOff('list.take');
  const waiting = shared.list('a').take();
  await asked;
  await other.list('a').pushAll(['one', 'two']);
  resync();
  expect(await waiting).toBe('one');
  end();
  expect(await shared.list('a').take()).toBe('two');
});
