import { expect, onTestFinished, test } from 'vitest';
import { memoryEngine } from '../../src/engines/memory.ts';
import { connect } from '../../src/open.ts';
import { type TickOptions, ticksOf } from '../../src/primitives/ticks.ts';
import { movedClock, until } from '../contract/sessions.ts';

/** The ticks of a stretch of time, both by going on and by going back. */
function between(options: TickOptions, from: string, to: string): string[] {
  const ticks = ticksOf(options);
  const [start, end] = [Date.parse(from), Date.parse(to)];
  const found: number[] = [];
  for (let at = ticks.after(start); at !== undefined && at < end; at = ticks.after(at)) found.push(at);
  const back: number[] = [];
  for (let at = ticks.latest(end - 1); at !== undefined && at > start; at = ticks.latest(at - 1)) back.unshift(at);
  expect(back).toEqual(found);
  return found.map((ms) => new Date(ms).toISOString().replace(':00.000Z', ''));
}

const berlin = 'Europe/Berlin';

test.for<[name: string, options: TickOptions, from: string, to: string, ticks: string[]]>([
  [
    'a time of day that the clocks are put on over is due when they are',
    { cron: '30 2 * * *', timeZone: berlin },
    '2026-03-28T00:00Z',
    '2026-03-31T00:00Z',
    ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30'],
  ],
  [
    'a time of day that comes twice is due once',
    { cron: '30 2 * * *', timeZone: berlin },
    '2026-10-24T00:00Z',
    '2026-10-27T00:00Z',
    ['2026-10-24T00:30', '2026-10-25T00:30', '2026-10-26T01:30'],
  ],
  [
    'each hour of the day with 25 hours is due',
    { cron: '0 * * * *', timeZone: berlin },
    '2026-10-24T23:30Z',
    '2026-10-25T02:30Z',
    ['2026-10-25T00:00', '2026-10-25T01:00', '2026-10-25T02:00'],
  ],
  [
    'clocks that are put on over midnight skip no day',
    { cron: '0 0 * * *', timeZone: 'America/Santiago' },
    '2026-09-05T00:00Z',
    '2026-09-08T00:00Z',
    ['2026-09-05T04:00', '2026-09-06T04:00', '2026-09-07T03:00'],
  ],
  [
    'clocks that change by half an hour are followed',
    { cron: '15 2 * * *', timeZone: 'Australia/Lord_Howe' },
    '2026-10-02T00:00Z',
    '2026-10-05T00:00Z',
    ['2026-10-02T15:45', '2026-10-03T15:30', '2026-10-04T15:15'],
  ],
  [
    'a leap day is due every four years',
    { cron: '0 12 29 2 *' },
    '2026-01-01T00:00Z',
    '2033-01-01T00:00Z',
    ['2028-02-29T12:00', '2032-02-29T12:00'],
  ],
  ['a multiple of a duration is due', { every: '12h' }, '2026-01-01T00:00Z', '2026-01-01T13:00Z', ['2026-01-01T12:00']],
])('%s', ([, options, from, to, ticks]) => {
  expect(between(options, from, to)).toEqual(ticks);
});

test('a tick is the latest one until the next one, to the ms', () => {
  const ticks = ticksOf({ cron: '0 3 * * *', timeZone: berlin });
  const at = Date.parse('2026-06-01T01:00Z');
  expect(ticks.latest(at)).toBe(at);
  expect(ticks.latest(at - 1)).toBe(at - 86_400_000);
  expect(ticks.after(at - 1)).toBe(at);
  expect(ticks.after(at)).toBe(at + 86_400_000);
});

test.for<[argument: string, options: TickOptions]>([
  ['every', {}],
  ['every', { every: '1h', cron: '* * * * *' }],
  ['every', { every: 1 }],
  ['cron', { cron: '' }],
  ['cron', { cron: '60 * * * *' }],
  ['cron', { cron: '* * *' }],
  ['cron', { cron: '0 0 31 2 *' }],
  ['cron', { cron: '2026-01-01T00:00:00Z' }],
  ['cron', { cron: 5 as never }],
  ['timeZone', { every: '1h', timeZone: 'UTC' }],
  ['timeZone', { cron: '* * * * *', timeZone: 'Nowhere/Else' }],
])('%s that can not be used is refused: %o', ([argument, options]) => {
  expect(() => ticksOf(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  expect(() => ticksOf(options)).toThrow(argument);
});

test.for([
  ['skip', []],
  ['last', ['2026-10-27T01:30']],
  ['all', ['2026-10-25T00:30', '2026-10-26T01:30', '2026-10-27T01:30']],
] as const)(
  'nights that nobody was there for, the clocks being put back in one, are pushed once: %s',
  async ([missed, ticks]) => {
    const clock = movedClock();
    const engine = memoryEngine({ clock });
    const shared = await connect(engine, { space: 'test', label: 'cron', maxStallMs: 0 });
    onTestFinished(() => shared.close());
    const set = (time: string): number => (clock.wallShiftMs = Date.parse(time) - Date.now());
    const queue = shared.queue<string>('q');
    const options = { cron: '30 2 * * *', timeZone: berlin, missed } as const;

    /** Two who repeat it at once. */
    async function repeating(since: string): Promise<void> {
      const stop = new AbortController();
      const both = [1, 2].map(() => queue.repeat('nightly', 'x', { ...options, signal: stop.signal }));
      const last = String(ticksOf(options).latest(Date.parse(since)));
      await until('it was seen to', async () => (await engine.scan('{test}:queue:q', '', 10)).entries.includes(last));
      stop.abort();
      await Promise.all(both);
    }
    set('2026-10-24T12:00Z');
    await repeating('2026-10-24T12:00Z');
    expect(await queue.peek()).toEqual([]);
    set('2026-10-27T12:00Z');
    await repeating('2026-10-27T12:00Z');
    const ids = (await queue.peek(100)).map(({ id }) => id);
    expect(ids).toEqual(ticks.map((tick) => `nightly@${Date.parse(`${tick}Z`)}`));
    // Set back by a day, it repeats nothing.
    set('2026-10-26T12:00Z');
    await repeating('2026-10-27T12:00Z');
    expect((await queue.size()).ready).toBe(ticks.length);
  },
);
