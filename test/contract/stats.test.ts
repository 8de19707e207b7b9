import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { keysOf } from '../../src/base/names.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import { createStats, type Stats, type StatsOptions } from '../../src/primitives/stats.ts';
import type { StatsSnapshot } from '../../src/primitives/snapshot.ts';
import { failure } from '../failure.ts';
import { eachEngine } from './each-engine.ts';
import { hold } from './hold.ts';
import { randomly } from './seed.ts';
import { until } from './sessions.ts';

const keys = keysOf('shop');
const minute = 60_000;

function statsOn(engine: Engine, options: StatsOptions = { every: '1h' }, name = 'sizes'): Stats {
  return createStats(engine, name, keys.stats(name), options);
}

describe('statistics', () => {
  eachEngine((_, openStore) => {
    const open = async (options?: StatsOptions): Promise<Stats> => statsOn(await (await openStore()).engine(), options);

    it('has a window of nothing where nobody recorded anything', async () => {
      const sizes = await open();
      const { start, end, quantile, ...rest } = await sizes.current();
      expect(end - start).toBe(60 * minute);
      expect(start % (60 * minute)).toBe(0);
      expect(Math.abs(start + 30 * minute - Date.now())).toBeLessThan(31 * minute);
      const nothing = { min: undefined, max: undefined, mean: undefined, deviation: undefined };
      expect(rest).toEqual({ count: 0, sum: 0, rate: 0, ...nothing });
      expect(() => quantile(0.5)).toThrow(/quantiles/);
      expect(await sizes.last()).toMatchObject({ count: 0, start: start - 60 * minute, end: start });
      expect(await sizes.history()).toEqual([]);
    });

    it('counts, sums and spreads what was recorded, by many at once', async () => {
      const store = await openStore();
      const all = [statsOn(await store.engine()), statsOn(await store.engine())];
      const values = [2, 4, 4, 4, 5, 5, 7, 9];
      await Promise.all(values.map((value, i) => all[i % 2]!.record(value)));
      const found = await all[0]!.current();
      expect(found).toMatchObject({ count: 8, sum: 40, min: 2, max: 9, mean: 5 });
      expect(found.deviation).toBeCloseTo(2, 12);
      expect(found.rate).toBeGreaterThan(0);
      await all[1]!.record(-10.5);
      expect(await all[0]!.current()).toMatchObject({ count: 9, sum: 29.5, min: -10.5, max: 9 });
    });

    it('finds a small deviation of large values', async () => {
      const times = await open();
      const base = 1_700_000_000_000;
      for (const value of [1, 2, 3]) await times.record(base + value);
      expect(await times.current()).toMatchObject({ min: base + 1, mean: base + 2 });
      expect((await times.current()).deviation).toBeCloseTo(Math.sqrt(2 / 3), 9);
    });

    it('is what a plain model says, for any values by any number of sessions', { timeout: 60_000 }, async () => {
      const store = await openStore();
      const engines = [await store.engine(), await store.engine(), await store.engine()];
      let round = 0;
      const value = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.double({ min: -1e6, max: 1e6, noNaN: true }));
      const records = fc.array(fc.record({ value, session: fc.nat(2), pause: fc.boolean() }), {
        minLength: 1,
        maxLength: 40,
      });
      await fc.assert(
        fc.asyncProperty(records, async (calls) => {
          const name = `any ${++round}`;
          const all = engines.map((engine) => statsOn(engine, { every: '7d', quantiles: true }, name));
          const done: Promise<void>[] = [];
          for (const { value: recorded, session, pause } of calls) {
            done.push(all[session]!.record(recorded));
            if (pause) await done.at(-1);
          }
          await Promise.all(done);
          fits(
            await all[0]!.current(),
            calls.map((call) => call.value),
          );
        }),
        randomly(30),
      );
    });

    it('gives each record to one window, and closes windows for ever', { timeout: 60_000 }, async () => {
      const store = await openStore();
      const all = await Promise.all(
        [0, 1, 2].map(async () => statsOn(await store.engine(), { every: 100, keep: 600 })),
      );
      const closed = new Map<number, string>();
      let recorded = 0;
      const endMs = performance.now() + 1_500;
      const recorder = async (stats: Stats, task: number): Promise<void> => {
        for (let i = 0; performance.now() < endMs; i++) {
          const many = 1 + ((i + task) % 4);
          recorded += many;
          await Promise.all(Array.from({ length: many }, () => stats.record(1)));
        }
      };
      const watcher = async (stats: Stats): Promise<void> => {
        while (performance.now() < endMs) {
          for (const snapshot of await stats.history()) note(closed, snapshot);
          note(closed, await stats.last());
        }
      };
      await Promise.all([...all.map(recorder), ...all.map((stats) => recorder(stats, 2)), watcher(all[0]!)]);
      const begin = (await all[1]!.current()).start;
      await until('the window is over', async () => (await all[2]!.current()).start > begin);
      const history = await all[0]!.history();
      for (const snapshot of history) note(closed, snapshot);
      expect(history.length).toBeGreaterThan(10);
      expect(history.reduce((sum, { count }) => sum + count, 0)).toBe(recorded);
      for (const [i, { start, end }] of history.entries()) {
        expect(end - start).toBe(100);
        if (i > 0) expect(start).toBe(history[i - 1]!.end);
      }
    });

    it('keeps as many windows as it says, and no keys of older ones', { timeout: 90_000 }, async () => {
      const engine = await (await openStore()).engine();
      const stats = statsOn(engine, { every: 100, keep: 2 });
      await stats.record(1);
      const { start } = await stats.current();
      await until('four windows began', async () => {
        await stats.record(1);
        return (await stats.current()).start >= start + 400;
      });
      // As many as were there just now: windows of a tenth of a second go while one looks.
      let most = 0;
      await until('two are there', async () => {
        await stats.record(1);
        most = Math.max(most, (await stats.history()).length);
        return most >= 2;
      });
      expect(most).toBe(2);
      const windows = async (): Promise<string[]> =>
        (await engine.scanKeys(keys.stats('sizes').window(0).slice(0, -1), '', 1_000)).keys;
      await until('what nobody asks for is gone', async () => (await windows()).length === 0);
      await until(
        'the name is free',
        async () => !(await engine.scanKeys(keys.stats('sizes').stats, '', 10)).keys.length,
      );
      await statsOn(engine, { every: '1h' }).record(1);
    });

    it('refuses a name that is in use with other windows, and says which', async () => {
      const engine = await (await openStore()).engine();
      await statsOn(engine, { every: '1h' }).record(1);
      const others: StatsOptions[] = [{ every: '2h' }, { every: 'hour' }, { every: '1h', quantiles: true }];
      for (const options of others) {
        const other = statsOn(engine, options);
        for (const call of ['record', 'current', 'last', 'history'] as const) {
          await expect(other[call](1)).rejects.toEqual(failure('INVALID_ARGUMENT', '"3600000ms"'));
        }
      }
      await statsOn(engine, { every: 60 * minute, keep: 99 }).record(2);
      expect(await statsOn(engine).current()).toMatchObject({ count: 2 });
    });

    it('tells quantiles with an error of at most 1 %', { timeout: 60_000 }, async () => {
      const engine = await (await openStore()).engine();
      let round = 0;
      const value = fc.oneof(
        fc.constant(0),
        fc.double({ min: 1e-9, max: 1e15, noNaN: true }),
        fc.double({ min: -1e6, max: -1e-9, noNaN: true }),
        fc.integer({ min: -100, max: 100 }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 60 }), async (values) => {
          const stats = statsOn(engine, { every: '7d', quantiles: true }, `quantiles ${++round}`);
          await Promise.all(values.map((each) => stats.record(each)));
          const found = await stats.current();
          const ordered = [...values].sort((a, b) => a - b);
          for (const share of [0, 0.1, 0.5, 0.9, 0.99, 1]) {
            const exact = ordered[Math.floor(share * (ordered.length - 1))]!;
            expect(Math.abs(found.quantile(share)! - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.010_001);
          }
          expect(() => found.quantile(1.1)).toThrow(/share/);
        }),
        randomly(20),
      );
    });

    it('records many different values for a sketch at once', async () => {
      const stats = await open({ every: '1d', quantiles: true });
      const values = Array.from({ length: 3_000 }, (_value, i) => 1.02 ** (i % 1_500) * (i < 1_500 ? 1 : -1));
      await Promise.all(values.map((value) => stats.record(value)));
      const found = await stats.current();
      expect(found.count).toBe(3_000);
      expect(found.quantile(0.5)! / -1).toBeCloseTo(1, 1);
    });

    it('writes under a guard while its lease is the owner, and not after', async () => {
      const engine = await (await openStore()).engine();
      const stats = statsOn(engine);
      const { lease, release } = await hold(engine, 'measuring');
      await Promise.all([stats.record(1), stats.record(2, { guard: lease }), stats.record(3, { guard: lease })]);
      await release();
      await expect(stats.record(9, { guard: lease })).rejects.toEqual(failure('LEASE_LOST', '"measuring"'));
      expect(await stats.current()).toMatchObject({ count: 3, sum: 6 });
    });

    it('refuses values and options that are none', async () => {
      const engine = await (await openStore()).engine();
      const stats = statsOn(engine);
      for (const value of [
        Number.NaN,
        Number.POSITIVE_INFINITY,
        1e101,
        '1' as never,
        undefined as never,
        1n as never,
      ]) {
        await expect(stats.record(value)).rejects.toEqual(failure('INVALID_ARGUMENT', 'value'));
      }
      const bad: [object, RegExp][] = [
        [{ every: 99 }, /every/],
        [{ every: 'week' }, /every/],
        [{ every: '1h', keep: 0 }, /keep/],
        [{ every: '1h', keep: 1.5 }, /keep/],
        [{ every: '1h', timeZone: 'UTC' }, /timeZone/],
        [{ every: 'day', timeZone: 'Mars/Olympus' }, /timeZone/],
        [{ every: '1h', quantiles: 1 }, /quantiles/],
      ];
      for (const [options, message] of bad) expect(() => statsOn(engine, options as never)).toThrow(message);
      for (const value of [1e100, -1e100, -0, 5e-324]) await stats.record(value);
      expect(await stats.current()).toMatchObject({ count: 4, min: -1e100, max: 1e100 });
    });

    it('says so where a key holds something else', async () => {
      const store = await openStore();
      const engine = await store.engine();
      await store.putText(keys.stats('sizes').stats, 'x');
      await expect(statsOn(engine).record(1)).rejects.toEqual(failure('WRONG_KIND'));
      await expect(statsOn(engine).current()).rejects.toEqual(failure('WRONG_KIND'));
    });
  });
});

describe('statistics, by a clock in hand', () => {
  const at = Date.UTC(2026, 2, 28, 12, 0, 0);

  function clockAt(ms: number): { engine: Engine; go(byMs: number): void } {
    let nowMs = ms;
    const clock = { ...systemClock, wallUs: () => nowMs * 1_000 };
    return { engine: memoryEngine({ clock }), go: (byMs) => void (nowMs += byMs) };
  }

  it('moves on at the boundary, also over empty windows, which history shows', async () => {
    const { engine, go } = clockAt(at);
    const stats = statsOn(engine, { every: '1m', keep: 5 });
    await stats.record(1);
    go(minute - 1);
    await stats.record(2);
    expect(await stats.current()).toMatchObject({ count: 2, rate: 2_000 / 59_999 });
    go(1);
    expect(await stats.current()).toMatchObject({ count: 0, start: at + minute });
    expect(await stats.last()).toMatchObject({ count: 2, start: at, rate: 2 / 60 });
    go(2 * minute);
    await stats.record(3);
    const counts = async (): Promise<number[]> => (await stats.history()).map(({ count }) => count);
    expect(await counts()).toEqual([2, 0, 0]);
    expect(await stats.last()).toMatchObject({ count: 0 });
    go(2 * minute);
    expect(await counts()).toEqual([2, 0, 0, 1, 0]);
    go(minute);
    expect(await counts()).toEqual([1, 0, 0]);
    go(3 * minute);
    expect(await counts()).toEqual([]);
  });

  it('counts in the open window while the clock is behind, and never in one that was over', async () => {
    const { engine, go } = clockAt(at);
    const stats = statsOn(engine, { every: '1m' });
    const other = statsOn(engine, { every: '1m' });
    await stats.record(1);
    go(minute);
    await other.record(2);
    go(-minute);
    await Promise.all([stats.record(3), other.record(4)]);
    expect(await stats.current()).toMatchObject({ start: at + minute, count: 3 });
    expect(await stats.last()).toMatchObject({ start: at, count: 1 });

    go(2 * minute); // seen to be over, by nobody but who looks
    expect(await stats.last()).toMatchObject({ start: at + minute, count: 3 });
    go(-2 * minute);
    await other.record(5);
    expect(await stats.last()).toMatchObject({ start: at + minute, count: 3 });
    expect(await stats.current()).toMatchObject({ start: at + 2 * minute, count: 1 });
  });

  it('has days of 23 and 25 hours where the clocks change', async () => {
    const { engine, go } = clockAt(at);
    const stats = statsOn(engine, { every: 'day', timeZone: 'Europe/Berlin' });
    const lengths: number[] = [];
    for (let day = 0; day < 3; day++) {
      await stats.record(day);
      const { start, end } = await stats.current();
      lengths.push((end - start) / 3_600_000);
      go(24 * 60 * minute);
    }
    expect(lengths).toEqual([24, 23, 24]);
    expect((await stats.history()).map(({ min }) => min)).toEqual([0, 1, 2]);
  });

  it('holds 2^53 - 1 values in a window, and refuses more', async () => {
    const { engine } = clockAt(at);
    const stats = statsOn(engine);
    await stats.record(1);
    const { start } = await stats.current();
    const put = { name: 'test.put', keys: ['key'], args: {} } as const;
    await engine.run(
      { ...put, step: (tx, { key }: { key: string }) => tx.hset(key, 'count', String(Number.MAX_SAFE_INTEGER - 1)) },
      { key: keys.stats('sizes').window(start) },
      {},
    );
    await stats.record(1);
    await expect(stats.record(1)).rejects.toEqual(failure('INVALID_VALUE', '2^53 - 1'));
    expect(await stats.current()).toMatchObject({ count: Number.MAX_SAFE_INTEGER });
  });
});

/** A window that was seen when it was over must never be seen otherwise. */
function note(closed: Map<number, string>, { start, end, count, sum }: StatsSnapshot): void {
  const seen = JSON.stringify({ end, count, sum });
  expect(closed.get(start) ?? seen).toBe(seen);
  closed.set(start, seen);
}

/** The snapshot is that of the values. */
function fits(found: StatsSnapshot, values: readonly number[]): void {
  const sum = values.reduce((all, value) => all + value, 0);
  const mean = sum / values.length;
  const squares = values.reduce((all, value) => all + (value - mean) ** 2, 0);
  const largest = Math.max(...values.map(Math.abs));
  expect([found.count, found.min, found.max]).toEqual([
    values.length,
    Math.min(...values) + 0,
    Math.max(...values) + 0,
  ]);
  expect(Math.abs(found.sum - sum)).toBeLessThanOrEqual(largest * 1e-12);
  expect(Math.abs(found.mean! - mean)).toBeLessThanOrEqual(largest * 1e-12);
  expect(Math.abs(found.deviation! ** 2 - squares / values.length)).toBeLessThanOrEqual(largest ** 2 * 1e-12 + 1e-300); // squares of the tiniest are 0
}
