import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bucketOf, quantileOf, valueOf } from '../../src/primitives/sketch.ts';
import { windowsAround, windowsOf } from '../../src/primitives/windows.ts';
import { randomly } from '../contract/seed.ts';

const hour = 3_600_000;

test.for([
  ['an ordinary day', 'Europe/Berlin', '2026-06-01T12:00Z', '2026-05-31T22:00Z', 24],
  ['clocks put on', 'Europe/Berlin', '2026-03-29T12:00Z', '2026-03-28T23:00Z', 23],
  ['clocks put back', 'Europe/Berlin', '2026-10-25T12:00Z', '2026-10-24T22:00Z', 25],
  ['clocks put on at midnight', 'Asia/Beirut', '2026-03-29T12:00Z', '2026-03-28T22:00Z', 23],
  ['clocks put back over midnight, the day before', 'America/St_Johns', '2006-10-28T12:00Z', '2006-10-28T02:30Z', 24],
  ['clocks put back over midnight, the day after', 'America/St_Johns', '2006-10-29T12:00Z', '2006-10-29T02:30Z', 25],
  ['half an hour', 'Australia/Lord_Howe', '2026-04-05T00:00Z', '2026-04-04T13:00Z', 24.5],
  ['the day before a date that is left out', 'Pacific/Apia', '2011-12-30T09:00Z', '2011-12-29T10:00Z', 24],
  ['the day after a date that is left out', 'Pacific/Apia', '2011-12-30T11:00Z', '2011-12-30T10:00Z', 24],
] as const)('a day with %s is as long as the clocks say', ([, zone, time, start, hours]) => {
  const window = windowsOf('day', zone).at(Date.parse(time));
  expect(new Date(window.start).toISOString()).toBe(new Date(start).toISOString());
  expect((window.end - window.start) / hour).toBe(hours);
});

test('an hour that comes twice is two windows, and half an hour that is left out shortens one', () => {
  const berlin = windowsOf('hour', 'Europe/Berlin');
  for (const time of ['2026-10-25T00:30Z', '2026-10-25T01:30Z']) {
    const start = Date.parse(time) - hour / 2;
    expect(berlin.at(Date.parse(time))).toEqual({ start, end: start + hour });
  }
  const india = windowsOf('hour', 'Asia/Kolkata').at(Date.parse('2026-01-01T00:00Z'));
  expect(new Date(india.start).toISOString()).toBe('2025-12-31T23:30:00.000Z');
  const howe = windowsOf('hour', 'Australia/Lord_Howe');
  const change = Date.parse('2026-10-03T15:30Z'); // 2:00 becomes 2:30
  expect(howe.at(change - 1)).toEqual({ start: change - hour, end: change });
  expect(howe.at(change)).toEqual({ start: change, end: change + hour / 2 });
});

test('windows follow each other without a gap, in any zone', { timeout: 60_000 }, () => {
  const zone = fc.constantFrom(
    'UTC',
    'Europe/Berlin',
    'America/St_Johns',
    'America/Havana',
    'Asia/Beirut',
    'Asia/Kathmandu',
    'Australia/Lord_Howe',
    'Pacific/Apia',
    'Africa/Casablanca',
  );
  const every = fc.constantFrom('hour' as const, 'day' as const);
  const ms = fc.integer({ min: Date.UTC(1995, 0), max: Date.UTC(2035, 0) });
  fc.assert(
    fc.property(
      zone,
      every,
      ms,
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (timeZone, length, time, share) => {
        const windows = windowsOf(length, timeZone);
        const window = windows.at(time);
        expect(window.start <= time && time < window.end).toBe(true);
        expect(window.end - window.start).toBeLessThanOrEqual(windows.longestMs);
        const within = window.start + Math.floor(share * (window.end - window.start));
        for (const same of [window.start, within, window.end - 1]) expect(windows.at(same)).toEqual(window);
        expect(windows.at(window.end).start).toBe(window.end);
        expect(windows.at(window.start - 1).end).toBe(window.start);
      },
    ),
    randomly(300),
  );
});

test('windows around a time reach as far as they should', () => {
  const short = windowsAround(windowsOf(100, undefined), 1_000_050, 200);
  expect(short.map(({ start }) => start)).toEqual([999_800, 999_900, 1_000_000, 1_000_100, 1_000_200]);
  const long = windowsAround(windowsOf('1h', undefined), 10 * hour + 1, 200);
  expect(long.map(({ start }) => start / hour)).toEqual([9, 10, 11]);
});

test('every bucket of a sketch stands for its values within 1 %, and there are few enough', () => {
  const used = new Set<number>();
  const wrong: number[] = []; // an `expect` for each would take seconds
  for (let size = 1e-9; size < 1e15; size *= 1.001) {
    for (const value of [size, -size]) {
      const bucket = bucketOf(value);
      used.add(bucket);
      const isClose = Math.abs(valueOf(bucket) / value - 1) <= 0.010_000_1;
      if (!isClose || Math.sign(bucket) !== Math.sign(value)) wrong.push(value);
    }
  }
  expect(wrong).toEqual([]);
  expect(used.size).toBeLessThanOrEqual(2 * 2_764);
  expect([0, -0, 1e-10, -1e-10].map(bucketOf)).toEqual([0, 0, 0, 0]);
  expect(bucketOf(1e99)).toBe(bucketOf(1e15));
  expect(quantileOf(new Map(), 0.5)).toBeUndefined();
});
