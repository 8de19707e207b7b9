import { type Duration, toMs } from '../base/duration.ts';
import { invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

/** A stretch of time: `start` <= t < `end`, ms since 1970. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

/** A division of all time into windows, one after the other without a gap. */
export interface Windows {
  /** What it is called in the store. */
  readonly name: string;
  /** ms */
  readonly longestMs: number;
  /** The window of a time. */
  at(ms: number): Window;
}

/** How long windows are: a duration, or hours or days as the clocks of a time zone tell them. */
export type Every = Duration | 'hour' | 'day';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Throws `INVALID_ARGUMENT`. */
export function windowsOf(every: Every, timeZone: string | undefined): Windows {
  if (every === 'hour' || every === 'day') return calendarWindows(every, timeZone ?? 'UTC');
  if (timeZone !== undefined) {
    throw invalidArgument('timeZone', timeZone, "left out, or used with every: 'hour' or 'day'");
  }
  const ms = toMs('every', every, limits.statsWindowMsMin, limits.statsWindowMsMax);
  return {
    name: `${ms}ms`,
    longestMs: ms,
    at(time) {
      const start = Math.floor(time / ms) * ms;
      return { start, end: start + ms };
    },
  };
}

/** The windows around a time: all that meet the `leadMs` before and behind it, and at least one on each side. */
export function windowsAround(windows: Windows, ms: number, leadMs: number): Window[] {
  const middle = windows.at(ms);
  const found = [windows.at(Math.min(ms - leadMs, middle.start - 1))];
  const until = Math.max(ms + leadMs, middle.end);
  while (found.at(-1)!.end <= until) found.push(windows.at(found.at(-1)!.end));
  return found;
}

function calendarWindows(every: 'hour' | 'day', timeZone: string): Windows {
  const zone = zoneOf(timeZone);
  return every === 'hour'
    ? { name: `hour ${timeZone}`, longestMs: hourMs, at: (ms) => hourAt(zone, ms) }
    : { name: `day ${timeZone}`, longestMs: dayMs + hourMs, at: (ms) => dayAt(zone, ms) };
}

/** What a zone's clocks show less UTC, at a time: ms. */
type Zone = (ms: number) => number;

/**
 * An hour of the clocks. It ends early where they are put on or back in the middle of it, as on Lord Howe Island; where
 * an hour comes twice, those are two.
 */
function hourAt(zone: Zone, ms: number): Window {
  const offset = zone(ms);
  const start = Math.floor((ms + offset) / hourMs) * hourMs - offset;
  const end = start + hourMs;
  return {
    start: zone(start) === offset ? start : changeIn(zone, start, ms),
    end: zone(end - 1) === offset ? end : changeIn(zone, ms, end - 1),
  };
}

/** A date: from the first moment when the clocks show it, or a later one, to that of the next date. */
function dayAt(zone: Zone, ms: number): Window {
  let day = Math.floor((ms + zone(ms)) / dayMs);
  // Clocks that are put back over midnight show a date again that is over.
  while (ms >= startOfDay(zone, day + 1)) day++;
  while (ms < startOfDay(zone, day)) day--;
  return { start: startOfDay(zone, day), end: startOfDay(zone, day + 1) };
}

function startOfDay(zone: Zone, day: number): number {
  const midnight = day * dayMs; // as if the clocks showed UTC: they are at most 14 h ahead and 12 h behind
  const before = midnight - 15 * hourMs;
  const after = midnight + 13 * hourMs;
  const start = midnight - zone(before);
  if (zone(before) === zone(after)) return start;
  const change = changeIn(zone, before, after);
  return start < change ? start : Math.max(change, midnight - zone(after));
}

/** When the offset became what it is at `to`, to the ms. Clocks are not changed twice within a day. */
function changeIn(zone: Zone, from: number, to: number): number {
  const offset = zone(to);
  let [before, at] = [from, to];
  while (at - before > 1) {
    const middle = Math.floor((before + at) / 2);
    if (zone(middle) === offset) at = middle;
    else before = middle;
  }
  return at;
}

function zoneOf(timeZone: string): Zone {
  const clock = clockIn(timeZone);
  return (ms) => {
    const shown: Record<string, number> = {};
    for (const { type, value } of clock.formatToParts(ms)) shown[type] = Number(value);
    const { year, month, day, hour, minute, second } = shown as Record<Shown, number>;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1_000) * 1_000;
  };
}

type Shown = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second';

function clockIn(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    throw invalidArgument('timeZone', timeZone, "a time zone that this Node knows, such as 'Europe/Berlin'");
  }
}
