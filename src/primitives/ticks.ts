import { Cron } from 'croner';
import { type Duration, toMs } from '../base/duration.ts';
import { invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

/** When something recurs. Times are whole ms since 1970. */
export interface Ticks {
  /** The last tick that is not after `ms`. */
  latest(ms: number): number | undefined;
  /** The first tick that is after `ms`. */
  after(ms: number): number | undefined;
}

/** At regular times, or when a pattern of cron says so. */
export interface TickOptions {
  /** At each multiple of this, counted from 1970: `'1h'` is on the hour. At least 100 ms. */
  every?: Duration;
  /**
   * Minute, hour, day of the month, month, day of the week, and in front of them seconds if there are six: `'0 3 * * 1-5'`.
   * Where the clocks skip a time of day it is the moment when they do; where they show it twice, the first one, unless the
   * hour is `*` or a step.
   */
  cron?: string;
  /** Whose clocks a pattern means; default `'UTC'`. */
  timeZone?: string;
}

/** Throws `INVALID_ARGUMENT`. */
export function ticksOf({ every, cron, timeZone }: TickOptions): Ticks {
  if (cron !== undefined) {
    if (every !== undefined) throw invalidArgument('every', every, 'left out where there is cron');
    return cronTicks(cron, timeZone ?? 'UTC');
  }
  if (every === undefined) throw invalidArgument('every', every, 'a length of time, or cron a pattern');
  if (timeZone !== undefined) throw invalidArgument('timeZone', timeZone, 'left out where there is no cron');
  const everyMs = toMs('every', every, limits.queueEveryMsMin, limits.timerMsMax);
  return {
    latest: (ms) => ms - (ms % everyMs),
    after: (ms) => ms - (ms % everyMs) + everyMs,
  };
}

/** Five or six fields, or a nickname such as `@daily`; no date. */
const shape = /^\s*(?:@[a-z]+|\S+(?:\s+\S+){4,5})\s*$/i;

function cronTicks(pattern: string, timeZone: string): Ticks {
  checkZone(timeZone);
  let cron: Cron;
  try {
    if (typeof pattern !== 'string' || !shape.test(pattern)) throw new TypeError('it has not five or six fields');
    // In both fields of days a pattern means days that fit either of them, as with cron.
    cron = new Cron(pattern, { timezone: timeZone, paused: true });
  } catch (error) {
    throw invalidArgument('cron', pattern, `a pattern such as '0 3 * * *': ${(error as Error).message}`);
  }
  const after = (ms: number): number | undefined => cron.nextRun(new Date(ms))?.getTime();
  if (after(0) === undefined) throw invalidArgument('cron', pattern, 'a pattern of days that there are');
  return { after, latest: (ms) => cron.previousRuns(1, new Date(ms + 1))[0]?.getTime() };
}

function checkZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    throw invalidArgument('timeZone', timeZone, "a time zone that this Node knows, such as 'Europe/Berlin'");
  }
}
