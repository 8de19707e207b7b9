import type { Call, Model } from './call.ts';
import { checkFrom, checkLinearizable } from './linearizable.ts';

/** A part of a history that is not linearizable, from which nothing more can be left out. */
export interface Smallest<Input, Output> {
  readonly calls: readonly Call<Input, Output>[];
  /** The longest order in which some of them could have happened. */
  readonly order: readonly Call<Input, Output>[];
  /** True if it can't have happened from any state at all; false: not from the beginning. */
  readonly fromAnyState: boolean;
}

/**
 * The smallest failing part of a history that is not linearizable; nothing where it is, or where the time is over.
 *
 * Only what proves nothing is left out: what came after the first reply that can't be; where the states are few, what
 * came before some moment, whatever state it led to; calls that change nothing; and of a call that changes something
 * its end, if it fails also when that call took effect at any later time or never. So what remains can't have happened
 * whatever else did.
 */
export function smallestFailing<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Call<Input, Output>[],
  timeMs = 10_000,
): Smallest<Input, Output> | undefined {
  const whole = checkLinearizable(model, history, timeMs);
  if (whole.verdict !== 'not linearizable') return undefined;
  const deadlineMs = performance.now() + timeMs;
  const fails = (calls: readonly Call<Input, Output>[], states: readonly State[]): boolean =>
    checkFrom(model, calls, states, deadlineMs).verdict === 'not linearizable';

  let calls = shortestPrefix(whole.calls, (prefix) => fails(prefix, [model.initial]));
  const anyState = model.states?.(calls);
  let states: readonly State[] = [model.initial];
  if (anyState !== undefined && fails(calls, anyState)) {
    states = anyState;
    calls = shortestSuffix(calls, (suffix) => fails(suffix, states));
  }
  for (const call of calls) {
    if (!model.isRead(call)) continue;
    const others = calls.filter((other) => other !== call);
    if (fails(others, states)) calls = others;
  }
  for (const call of calls) {
    if (call.end === Infinity || model.isRead(call)) continue;
    const loosened = calls.map((other) => (other === call ? { ...call, output: undefined, end: Infinity } : other));
    if (fails(loosened, states)) calls = loosened;
  }
  const { order } = checkFrom(model, calls, states, deadlineMs);
  return { calls, order, fromAnyState: anyState !== undefined && states === anyState };
}

/** What was known when the first reply came that can't be. A longer prefix of what fails fails too. */
function shortestPrefix<Input, Output>(
  calls: readonly Call<Input, Output>[],
  fails: (calls: readonly Call<Input, Output>[]) => boolean,
): readonly Call<Input, Output>[] {
  const ends = timesOf(calls.map((call) => call.end));
  const upTo = (time: number): Call<Input, Output>[] =>
    calls
      .filter((call) => call.start <= time)
      .map((call) => (call.end <= time ? call : { ...call, output: undefined, end: Infinity }));
  const first = firstWhere(ends.length, (i) => fails(upTo(ends[i]!)));
  return upTo(ends[first] ?? Infinity);
}

/** Without what had returned before some moment, the latest that still fails. */
function shortestSuffix<Input, Output>(
  calls: readonly Call<Input, Output>[],
  fails: (calls: readonly Call<Input, Output>[]) => boolean,
): readonly Call<Input, Output>[] {
  const ends = timesOf(calls.map((call) => call.end)).toReversed();
  const from = (time: number): Call<Input, Output>[] => calls.filter((call) => call.end >= time);
  const last = firstWhere(ends.length, (i) => fails(from(ends[i]!)));
  return from(ends[last] ?? 0);
}

function timesOf(times: readonly number[]): number[] {
  return [...new Set(times)].filter((time) => time !== Infinity).sort((a, b) => a - b);
}

/** The first of `length` places where a condition holds that holds at all later ones; by halving. */
function firstWhere(length: number, holds: (place: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
