import { invalidArgument, LockstepError } from '../base/errors.ts';
import type { Engine } from '../engines/engine.ts';
import * as operations from '../operations/counter.ts';

/**
 * An integer of at most 2^53 - 1 in size that everybody counts with; 0 where nobody did.
 *
 * Calls of one process take effect in the order in which they were made. All reject with `INVALID_VALUE` when the
 * store holds something else than such an integer, and with `UNAVAILABLE` or `CLOSED`.
 */
export interface Counter {
  readonly name: string;
  /**
   * Adds `by` (default 1) and resolves to the value right after that: no two adds of 1 get the same, in any process.
   * Rejects with `INVALID_VALUE`, and adds nothing, where the sum would go beyond 2^53 - 1 in size.
   */
  add(by?: number): Promise<number>;
  get(): Promise<number>;
  /** Sets the value; resolves to the one that it replaced. */
  set(value: number): Promise<number>;
}

/**
 * The counter at `key`. One handle is to be shared by all of a session: calls that are made while a step is on its way
 * are summed up and go together in the next.
 */
export function createCounter(engine: Engine, name: string, key: string): Counter {
  return new CoalescedCounter(engine, name, { counter: key });
}

/** Calls that go to the store as one step. */
interface Batch {
  /** What each call adds; 0 for a `get`. */
  readonly parts: number[];
  sum: number;
  /** How far the sums of the first parts get from 0. */
  reach: number;
  /** Only calls of `get`. */
  reading: boolean;
  readonly outcome: Promise<Outcome>;
}

/** The value before the batch, to which each call adds the sum up to itself; or what each call gets. */
type Outcome = number | readonly (number | LockstepError)[];

class CoalescedCounter implements Counter {
  readonly name: string;
  readonly #engine: Engine;
  readonly #keys: operations.CounterKeys;
  /** The last step in line is done; never rejects. */
  #idle: Promise<unknown> = Promise.resolve();
  /** The last step in line, if it still takes calls. */
  #open: Batch | undefined;

  constructor(engine: Engine, name: string, keys: operations.CounterKeys) {
    this.name = name;
    this.#engine = engine;
    this.#keys = keys;
  }

  add(by = 1): Promise<number> {
    if (!Number.isSafeInteger(by)) return Promise.reject(invalidArgument('by', by, integer));
    return this.#join(by, false);
  }

  get(): Promise<number> {
    return this.#join(0, true);
  }

  set(value: number): Promise<number> {
    if (!Number.isSafeInteger(value)) return Promise.reject(invalidArgument('value', value, integer));
    this.#open = undefined; // what is called later comes after
    return this.#enqueue(async () => {
      const [verdict, old] = await this.#engine.run(operations.set, this.#keys, { value });
      if (verdict === 'refused') throw this.#refusal(old);
      return Number(old);
    });
  }

  #join(by: number, reading: boolean): Promise<number> {
    let batch = this.#open;
    // A sum beyond 2^53 would not be exact.
    if (batch === undefined || !Number.isSafeInteger(batch.sum + by)) batch = this.#begin();
    batch.sum += by;
    batch.reach = Math.max(batch.reach, Math.abs(batch.sum));
    batch.reading &&= reading;
    const upToMe = batch.sum;
    const place = batch.parts.push(by) - 1;
    return batch.outcome.then((outcome) => (typeof outcome === 'number' ? outcome + upToMe : valueAt(outcome, place)));
  }

  #begin(): Batch {
    const outcome = this.#enqueue(() => {
      if (this.#open === batch) this.#open = undefined;
      return this.#send(batch);
    });
    const batch: Batch = { parts: [], sum: 0, reach: 0, reading: true, outcome };
    this.#open = batch;
    return batch;
  }

  /** Runs a step when those before it are done; never within this call, so that all calls of one turn can join. */
  #enqueue<R>(send: () => Promise<R>): Promise<R> {
    const done = this.#idle.then(send);
    this.#idle = done.catch(() => {}); // its callers hear of it
    return done;
  }

  async #send(batch: Batch): Promise<Outcome> {
    const [verdict, total] = batch.reading
      ? await this.#engine.run(operations.get, this.#keys, {})
      : await this.#engine.run(operations.add, this.#keys, { by: batch.sum });
    if (verdict === 'ok') return fitting(Number(total) - batch.sum, batch);
    if (batch.parts.length > 1 && isInteger(total)) return this.#sendEach(batch.parts);
    throw this.#refusal(total, batch.sum);
  }

  /** The sum would have gone too far: each on its own, so that only those are refused that do. */
  #sendEach(parts: readonly number[]): Promise<(number | LockstepError)[]> {
    return Promise.all(
      parts.map(async (by) => {
        const [verdict, value] = await this.#engine.run(operations.add, this.#keys, { by });
        return verdict === 'ok' ? Number(value) : this.#refusal(value, by);
      }),
    );
  }

  #refusal(stored: string, by = 0): LockstepError {
    const counter = `counter ${JSON.stringify(this.name)}`;
    const details = { counter: this.name, key: this.#keys.counter, stored };
    const message = isInteger(stored)
      ? `${counter} is ${stored}: with ${by} added it would be beyond 2^53 - 1 in size, and not exact`
      : `${counter} holds ${JSON.stringify(stored.slice(0, 80))}, not an integer of at most 2^53 - 1 in size: something else wrote it to ${this.#keys.counter}; delete that key, or use another name`;
    return new LockstepError('INVALID_VALUE', message, { details });
  }
}

const integer = 'an integer of at most 2^53 - 1 in size';

function isInteger(text: string): boolean {
  return /^(?:0|-?[1-9]\d*)$/.test(text) && Number.isSafeInteger(Number(text));
}

function valueAt(outcome: readonly (number | LockstepError)[], place: number): number {
  const value = outcome[place]!;
  if (typeof value !== 'number') throw value;
  return value;
}

/**
 * The outcome of a batch that began at `start`. Calls that are under way at the same time may take effect in any
 * order; it is that of the calls, unless additions would on the way leave the exact range that subtractions after
 * them return to. Then each takes its turn when it fits: one always does, as start and end are within.
 */
function fitting(start: number, batch: Batch): Outcome {
  const { parts, reach } = batch;
  if (Math.abs(start) <= Number.MAX_SAFE_INTEGER - reach) return start;
  const values: number[] = [];
  const left = new Set(parts.keys());
  let value = start;
  while (left.size > 0) {
    for (const place of left) {
      if (!Number.isSafeInteger(value + parts[place]!)) continue;
      value += parts[place]!;
      values[place] = value;
      left.delete(place);
    }
  }
  return values;
}
