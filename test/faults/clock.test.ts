import { describe, expect, onTestFinished, test } from 'vitest';
import type { Lockstep } from '../../src/index.ts';
import { embeddedEngine } from '../../src/engines/embedded/embedded.ts';
import type { Engine, Keeper } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import { connect } from '../../src/open.ts';
import { failure, movedClock, until } from '../contract/sessions.ts';
import { leaveNobodyBehind, temporaryDirectory } from './processes.ts';

leaveNobodyBehind();

const hourMs = 3_600_000;
type MovedClock = ReturnType<typeof movedClock>;

/** Engines whose store and sessions live by one clock, as those of a machine do. */
const stores: Record<string, (clock: MovedClock) => () => Promise<Engine>> = {
  memory(clock) {
    const engine = memoryEngine({ clock });
    onTestFinished(() => engine.close());
    // Each session closes its engine, which here is the whole store.
    return () => Promise.resolve({ ...engine, close: () => Promise.resolve() });
  },
  embedded(clock) {
    const directory = temporaryDirectory();
    return () => embeddedEngine({ directory, clock });
  },
};

describe.each(Object.entries(stores))('when the wall clock jumps, on %s,', (_, openStore) => {
  async function openTwo(): Promise<{ clock: MovedClock; a: Lockstep; b: Lockstep; engine: () => Promise<Engine> }> {
    const clock = movedClock();
    const engine = openStore(clock);
    const [a, b] = [await enter(await engine(), 'a'), await enter(await engine(), 'b')];
    return { clock, a, b, engine };
  }

  test('forward: the holder counts its lease as over at once, and its guarded write is refused', async () => {
    const { clock, a, b } = await openTwo();
    const held = await a.lock('x', { ttl: '30s' }).acquire();
    const { signal } = held;
    expect(held.remaining()).toBeGreaterThan(25_000);
    clock.wallShiftMs += hourMs;
    expect(held.remaining()).toBe(0);
    expect(await failure(a.map('m').set('k', 1, { guard: held }))).toMatchObject({ code: 'LEASE_LOST' });

    const next = await b.lock('x').acquire({ timeout: '30s' });
    expect(next.fence).toBeGreaterThan(held.fence);
    await until('the holder knows', () => signal.aborted);
    expect(signal.reason).toMatchObject({ code: 'LEASE_LOST' });
    await b.map('m').set('k', 2, { guard: next });
    expect(await failure(a.map('m').set('k', 1, { guard: held }))).toMatchObject({ code: 'LEASE_LOST' });
    expect(await a.map('m').get('k')).toBe(2);
    await held.release();
    expect((await b.lock('x').inspect()).holder?.session.id).toBe(b.session.id);
  });

  test('backward: a lease that is not renewed lasts no longer than its length', async () => {
    const { clock, engine } = await openTwo();
    const cut = await enter(withoutRenewal(await engine()), 'cut off');
    const held = await cut.lock('x', { ttl: 600 }).acquire();
    const begun = clock.monotonicMs();
    clock.wallShiftMs -= hourMs;
    expect(held.remaining()).toBeLessThanOrEqual(600);
    await until('it knows that it is over', () => held.signal.aborted);
    expect(clock.monotonicMs() - begun).toBeLessThan(600 + 2_000);
    expect(clock.monotonicMs() - begun).toBeGreaterThan(300);
    expect(held.remaining()).toBe(0);
  });

  test('backward: a lease that is renewed stays held, and nobody else gets in', async () => {
    const { clock, a, b } = await openTwo();
    const held = await a.lock('x', { ttl: 300 }).acquire();
    clock.wallShiftMs -= hourMs;
    expect(await failure(b.lock('x').acquire({ timeout: 900 }))).toMatchObject({ code: 'TIMEOUT' });
    expect(held.remaining()).toBeGreaterThan(0);
    expect(held.remaining()).toBeLessThanOrEqual(300);
    await a.map('m').set('k', 1, { guard: held });
    await held.release();
    await (await b.lock('x').acquire({ timeout: 0 })).release();
  });

  test('backward: fences grow, and the line keeps its order', async () => {
    const { clock, a, b, engine } = await openTwo();
    const c = await enter(await engine(), 'c');
    const held = await a.lock('x').acquire();
    const order: string[] = [];
    const fences = [held.fence];
    const wait = async (shared: Lockstep): Promise<void> => {
      const lease = await shared.lock('x').acquire({ timeout: '10s' });
      order.push(shared.session.label);
      fences.push(lease.fence);
      await lease.release();
    };
    const first = wait(b);
    await until('b waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    clock.wallShiftMs -= hourMs;
    const second = wait(c);
    await until('c waits', async () => (await a.lock('x').inspect()).waiters.length === 2);
    await held.release();
    await Promise.all([first, second]);
    for (let i = 0; i < 5; i++) {
      clock.wallShiftMs -= hourMs;
      await wait(a);
    }
    expect(order).toEqual(['b', 'c', 'a', 'a', 'a', 'a', 'a']);
    expect(fences).toEqual([...new Set(fences)].sort((x, y) => x - y));
  });
});

async function enter(engine: Engine, label: string): Promise<Lockstep> {
  const shared = await connect(engine, { space: 'test', label, maxStallMs: 0 });
  onTestFinished(() => shared.close());
  return shared;
}

/** An engine whose renewals do not reach the store. */
function withoutRenewal(engine: Engine): Engine {
  return {
    ...engine,
    keeper(): Keeper {
      const untils = new Map<number, ReturnType<Keeper['validUntil']>>();
      return {
        keep: ({ until: validUntil }) => untils.set(untils.size + 1, validUntil).size,
        validUntil: (handle) => untils.get(handle)!,
        drop: () => {},
        beat: () => {},
        close: () => Promise.resolve(),
      };
    },
  };
}
