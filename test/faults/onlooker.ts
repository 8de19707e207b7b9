import { expect, onTestFinished } from 'vitest';
import { type Lockstep, type OpenOptions, open } from '../../src/index.ts';
import { until } from '../contract/sessions.ts';
import type { Totals } from './history.ts';

/** The test's own session on a directory, closed when the test is finished. */
export async function look(directory: string, options: OpenOptions = {}): Promise<Lockstep> {
  const shared = await open(directory, { label: 'onlooker', ...options });
  onTestFinished(() => shared.close());
  return shared;
}

/** What `programs/contender.ts` has made of the shared data. */
export async function totalsOf(shared: Lockstep): Promise<Totals> {
  const values = shared.map<number>('values');
  return {
    guarded: (await values.get('guarded')) ?? 0,
    plain: (await values.get('plain')) ?? 0,
    sections: await shared.counter('sections').get(),
  };
}

/** Nobody holds the lock or waits for it, and it can be had at once. */
export async function expectFree(shared: Lockstep, name: string): Promise<void> {
  const lock = shared.lock(name);
  const lease = await lock.acquire({ timeout: '30s' });
  expect((await lock.inspect()).waiters).toEqual([]);
  await lease.release();
  expect((await lock.inspect()).holder).toBeUndefined();
}

/** Until so many sessions wait for the lock. */
export async function untilWaiting(shared: Lockstep, name: string, sessions: number): Promise<void> {
  const waiting = async (): Promise<boolean> => (await shared.lock(name).inspect()).waiters.length === sessions;
  await until(`${sessions} sessions wait for ${name}`, waiting, 15_000);
}
