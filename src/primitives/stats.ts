import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { StatsNames } from '../base/names.ts';
import type { Engine } from '../engines/engine.ts';
import * as operations from '../operations/stats.ts';
import { orAmbiguous } from './ambiguous.ts';
import { type Condition, conditionOf, type WriteOptions } from './guard.ts';
import { bucketOf } from './sketch.ts';
import { snapshotOf, type StatsSnapshot } from './snapshot.ts';
import { type Every, type Window, type Windows, windowsAround, windowsOf } from './windows.ts';

/** The windows of statistics, and what is kept of them. */
export interface StatsOptions {
  /**
   * How long a window is: a duration of 100 ms to 366 days, whose windows begin at its multiples since 1970, UTC; or
   * `'hour'` or `'day'`, as the clocks of `timeZone` tell them. The same for all who use the name.
   */
  every: Every;
  /** How many windows that are over are kept; default 24, at most 1,000. The largest that anybody asked for holds. */
  keep?: number;
  /** Of the IANA database, such as `'Europe/Berlin'`; default `'UTC'`. */
  timeZone?: string;
  /** Keeps a sketch in each window, for `snapshot.quantile`. The same for all who use the name. */
  quantiles?: boolean;
}

/**
 * Statistics of values that everybody records, in windows of time by the store's clock. A window that is over never
 * changes again. All reject with `INVALID_ARGUMENT` where the name is in use with other windows, and with `UNAVAILABLE`
 * or `CLOSED`.
 */
export interface Stats {
  readonly name: string;
  /**
   * Counts a value, a number of at most 1e100 in size, in the window that is open when the store does it. Rejects with
   * `LEASE_LOST` where the guard is over, and with `AMBIGUOUS` where the connection to a server was lost before the
   * reply: the value may have been counted, and is not sent again.
   */
  record(value: number, options?: WriteOptions): Promise<void>;
  /** The window of this moment, as far as it is. */
  current(): Promise<StatsSnapshot>;
  /** The window before that, whole. */
  last(): Promise<StatsSnapshot>;
  /** The windows that are over, the oldest first, `keep` at most, from the first that holds anything; the last one is `last()`. */
  history(): Promise<StatsSnapshot[]>;
}

/** The statistics of a name. One handle is to be shared by all of a session: see `record`. Throws `INVALID_ARGUMENT`. */
export function createStats(engine: Engine, name: string, keys: StatsNames, options: StatsOptions): Stats {
  const { every, timeZone, keep = limits.statsKeepDefault, quantiles = false } = options;
  const windows = windowsOf(every, timeZone);
  if (!(Number.isSafeInteger(keep) && keep >= 1 && keep <= limits.statsKeepMax)) {
    throw invalidArgument('keep', keep, `a whole number from 1 to ${limits.statsKeepMax}`);
  }
  if (typeof quantiles !== 'boolean') throw invalidArgument('quantiles', quantiles, 'true or false');
  return new WindowedStats(engine, name, keys, { windows, keep, quantiles });
}

interface Plan {
  readonly windows: Windows;
  readonly keep: number;
  readonly quantiles: boolean;
}

/** Values that go to the store as one step, summed up. */
interface Batch {
  count: number;
  sum: number;
  min: number;
  max: number;
  /** The first value; the others by their differences from it, so that squares of large values cancel nothing out. */
  readonly pivot: number;
  offsets: number;
  squares: number;
  readonly buckets: Map<number, number>;
  readonly condition: Condition | undefined;
  readonly outcome: Promise<void>;
}

class WindowedStats implements Stats {
  readonly name: string;
  readonly #engine: Engine;
  readonly #keys: StatsNames;
  readonly #plan: Plan;
  /** As the store has it. */
  readonly #windowsName: string;
  readonly #time: StoreTime;
  /** The last step in line is done; never rejects. */
  #idle: Promise<unknown> = Promise.resolve();
  /** The last step in line, if it still takes values. */
  #open: Batch | undefined;
  #around: { middle: Window; all: Window[] } | undefined;

  constructor(engine: Engine, name: string, keys: StatsNames, plan: Plan) {
    this.name = name;
    this.#engine = engine;
    this.#keys = keys;
    this.#plan = plan;
    this.#windowsName = `${plan.windows.name}${plan.quantiles ? ' quantiles' : ''}`;
    this.#time = new StoreTime(engine);
  }

  async record(value: number, options?: WriteOptions): Promise<void> {
    if (typeof value !== 'number' || !(Math.abs(value) <= limits.statsValueMax)) {
      throw invalidArgument('value', value, `a number of at most ${limits.statsValueMax} in size`);
    }
    const condition = options === undefined ? undefined : conditionOf(options, this.#engine, this.#keys.stats);
    return this.#join(value, condition);
  }

  async current(): Promise<StatsSnapshot> {
    const { nowMs, window } = await this.#now();
    const [snapshot] = await this.#read([window], nowMs);
    return snapshot!;
  }

  async last(): Promise<StatsSnapshot> {
    const { nowMs, window } = await this.#now();
    const [snapshot] = await this.#read([this.#plan.windows.at(window.start - 1)], nowMs);
    return snapshot!;
  }

  async history(): Promise<StatsSnapshot[]> {
    const { nowMs, window } = await this.#now();
    const wanted: Window[] = [];
    for (let i = 0, { start } = window; i < this.#plan.keep; i++) {
      const before = this.#plan.windows.at(start - 1);
      wanted.unshift(before);
      start = before.start;
    }
    const all: StatsSnapshot[] = [];
    for (let from = 0; from < wanted.length; from += limits.statsWindowsPerStep) {
      all.push(...(await this.#read(wanted.slice(from, from + limits.statsWindowsPerStep), nowMs)));
    }
    const first = all.findIndex(({ count }) => count > 0);
    return first === -1 ? [] : all.slice(first);
  }

  #join(value: number, condition: Condition | undefined): Promise<void> {
    let batch = this.#open;
    if (batch === undefined || !takes(batch, condition)) batch = this.#begin(value, condition);
    const offset = value - batch.pivot;
    batch.count += 1;
    batch.sum += value;
    batch.min = Math.min(batch.min, value);
    batch.max = Math.max(batch.max, value);
    batch.offsets += offset;
    batch.squares += offset * offset;
    if (this.#plan.quantiles) {
      const bucket = bucketOf(value);
      batch.buckets.set(bucket, (batch.buckets.get(bucket) ?? 0) + 1);
    }
    return batch.outcome;
  }

  /** Steps go one after the other; never within this call, so that all calls of one turn can join. */
  #begin(pivot: number, condition: Condition | undefined): Batch {
    const outcome = this.#idle.then(() => {
      if (this.#open === batch) this.#open = undefined;
      return this.#send(batch);
    });
    this.#idle = outcome.catch(() => {}); // its callers hear of it
    const nothing = { count: 0, sum: 0, min: pivot, max: pivot, offsets: 0, squares: 0 };
    const batch: Batch = { ...nothing, pivot, buckets: new Map(), condition, outcome };
    this.#open = batch;
    return batch;
  }

  /** Asks again where the window that is open was not among those that were named: the reply told which one it is. */
  async #send(batch: Batch): Promise<void> {
    for (let tries = 0; tries < limits.statsTriesMax; tries++) {
      const windows = this.#candidates();
      const keys = [this.#keys.stats, batch.condition?.guard ?? this.#keys.stats];
      for (const { start } of windows) keys.push(this.#keys.window(start));
      const step = this.#engine.runBatch(operations.record, keys, this.#argumentsOf(batch, windows));
      const [verdict, ...rest] = await orAmbiguous(step, `${this.#where()}: the record`);
      if (verdict === 'lost') throw batch.condition!.lost(`${this.#where()} recorded nothing`, { stats: this.name });
      if (verdict === 'other') throw this.#others(String(rest[0]));
      if (verdict === 'full') throw this.#full();
      const [nowMs, start, end] = rest as [number, number, number];
      this.#time.learn(nowMs, { start, end });
      if (verdict === 'ok') return;
    }
    throw new LockstepError(
      'UNAVAILABLE',
      `${this.#where()} recorded nothing: at each of ${limits.statsTriesMax} tries the windows around the time that was expected were over before the store came to it. Use longer windows, or see why the store is so slow.`,
      { details: { stats: this.name, applied: 'no' } },
    );
  }

  #argumentsOf(batch: Batch, windows: readonly Window[]): string[] {
    const { count, sum, min, max, pivot, offsets, squares, condition, buckets } = batch;
    const keepMs = this.#plan.keep * this.#plan.windows.longestMs;
    const args = [condition?.owner ?? '', this.#windowsName, String(keepMs)];
    for (const number of [count, sum, min, max, pivot, offsets, squares, windows.length]) args.push(String(number));
    for (const { start, end } of windows) args.push(String(start), String(end));
    for (const [bucket, many] of buckets) args.push(String(bucket), String(many));
    return args;
  }

  /** The windows around now, and the one that was open when the store last replied. */
  #candidates(): Window[] {
    const nowMs = this.#time.nowMs();
    if (this.#around === undefined || !holds(this.#around.middle, nowMs)) {
      const { windows } = this.#plan;
      this.#around = { middle: windows.at(nowMs), all: windowsAround(windows, nowMs, limits.statsLeadMs) };
    }
    const { all } = this.#around;
    const { open } = this.#time;
    const isNamed = open.start === open.end || all.some(({ start }) => start === open.start);
    return isNamed ? all : [...all, open];
  }

  /** The store's time and the window that it is in, which is open, or the next one to be. */
  async #now(): Promise<{ nowMs: number; window: Window }> {
    const reply = await this.#engine.run(operations.look, { stats: this.#keys.stats }, {});
    const [nowMs, start, end, name] = reply as [number, number, number, string];
    if (name !== '' && name !== this.#windowsName) throw this.#others(name);
    const open = { start, end };
    this.#time.learn(nowMs, open);
    const timeMs = Math.max(nowMs, start);
    return { nowMs: timeMs, window: holds(open, timeMs) ? open : this.#plan.windows.at(timeMs) };
  }

  async #read(windows: readonly Window[], nowMs: number): Promise<StatsSnapshot[]> {
    const found = await this.#engine.runBatch(
      operations.read,
      windows.map(({ start }) => this.#keys.window(start)),
      [],
    );
    let at = 0;
    return windows.map((window) => {
      const length = Number(found[at]);
      const fields = new Map<string, string>();
      for (let i = at + 1; i < at + length; i += 2) fields.set(String(found[i]), String(found[i + 1]));
      at += 1 + length;
      return snapshotOf(fields, window, nowMs, this.#plan.quantiles);
    });
  }

  #where(): string {
    return `stats ${JSON.stringify(this.name)}`;
  }

  #others(stored: string): LockstepError {
    return new LockstepError(
      'INVALID_ARGUMENT',
      `${this.#where()} has windows of ${JSON.stringify(stored)} in the store, not of ${JSON.stringify(this.#windowsName)}: all who use a name give the same \`every\`, \`timeZone\` and \`quantiles\`; use another name, or delete the key ${this.#keys.stats}`,
      { details: { argument: 'every', stats: this.name, stored, given: this.#windowsName } },
    );
  }

  #full(): LockstepError {
    return new LockstepError(
      'INVALID_VALUE',
      `${this.#where()} recorded nothing: the window would hold more than 2^53 - 1 values; use shorter windows`,
      { details: { stats: this.name } },
    );
  }
}

/** The store's time, as far as it is known without asking. */
class StoreTime {
  readonly #engine: Engine;
  /** What the store's clock is ahead of the monotonic one: ms. */
  #ahead: number | undefined;
  #open: Window = { start: 0, end: 0 };

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The window that was open when the store last replied. */
  get open(): Window {
    return this.#open;
  }

  nowMs(): number {
    const { clock, sharesClock } = this.#engine;
    const byWall = sharesClock || this.#ahead === undefined;
    const nowMs = byWall ? Math.floor(clock.wallUs() / 1_000) : Math.floor(clock.monotonicMs() + this.#ahead!);
    return Math.max(nowMs, this.#open.start);
  }

  learn(nowMs: number, open: Window): void {
    this.#ahead = nowMs - this.#engine.clock.monotonicMs();
    this.#open = open;
  }
}

function takes(batch: Batch, condition: Condition | undefined): boolean {
  if (batch.buckets.size >= limits.statsBucketsPerStep) return false;
  const { condition: other } = batch;
  return other === condition || (other?.guard === condition?.guard && other?.owner === condition?.owner);
}

function holds({ start, end }: Window, ms: number): boolean {
  return start <= ms && ms < end;
}
