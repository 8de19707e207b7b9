import type { CounterRange, GuardedCounterKeys } from '../src/operations/counter.ts';

/** What the operations of a counter take, for tests that only need something to run. */
export function counterAt(key: string): GuardedCounterKeys {
  return { counter: key, guard: key, watchers: `watchers:${key}` };
}

export const exact: CounterRange = {
  from: String(-Number.MAX_SAFE_INTEGER),
  to: String(Number.MAX_SAFE_INTEGER),
};

export function by(amount: number): CounterRange & { by: string; owner: string } {
  return { by: String(amount), ...exact, owner: '' };
}
