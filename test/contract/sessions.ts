import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Engine } from '../../src/engines/engine.ts';
import type { Lockstep } from '../../src/lockstep.ts';
import { connect } from '../../src/open.ts';
import type { Store } from './each-engine.ts';

/** Opens a session as another program would, closed when the test is finished. */
export async function openSession(store: Store, label: string, space = 'test'): Promise<Lockstep> {
  const engine = await store.engine();
  const shared = await connect(engine.name === 'memory' ? outliving(engine) : engine, { space, label, maxStallMs: 0 });
  onTestFinished(() => shared.close());
  return shared;
}

/** The memory engine is the store: a session that closes must not take it away from the others. */
function outliving(engine: Engine): Engine {
  return new Proxy(engine, {
    get(target, name) {
      return name === 'close' ? (): Promise<void> => Promise.resolve() : target[name as keyof Engine];
    },
  });
}

/** All that it gives, in order. */
export async function collect<T>(all: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of all) found.push(one);
  return found;
}

/** Waits until `condition` holds; fails after `deadlineMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 30_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** For what takes less than `ms` unless the machine pauses, such as to be woken: the best of five tries counts. */
export async function soon(ms: number, tookMs: () => Promise<number>): Promise<void> {
  let bestMs = Infinity;
  for (let tries = 0; tries < 5 && bestMs >= ms; tries++) bestMs = Math.min(bestMs, await tookMs());
  if (bestMs >= ms) throw new Error(`not within ${ms} ms in five tries: ${bestMs} ms at best`);
}

/** For what servers must answer within a part of a lease, or within a second: on a machine that pauses they are asked again. */
export async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + 30_000; ;) {
    try {
      return await ask();
    } catch (error) {
      if ((error as { code?: string }).code !== 'UNAVAILABLE' || performance.now() > end) throw error;
    }
  }
}

/** A promise and what settles it. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** The error that a promise rejects with. */
export async function failure(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; details?: Record<string, unknown> }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not reject');
}

/** The system's clock, as far as a test does not move it. */
export function movedClock(): Clock & { wallShiftMs: number; monotonicShiftMs: number } {
  const clock = {
    ...systemClock,
    wallShiftMs: 0,
    monotonicShiftMs: 0,
    wallUs: () => systemClock.wallUs() + clock.wallShiftMs * 1_000,
    monotonicMs: () => systemClock.monotonicMs() + clock.monotonicShiftMs,
  };
  return clock;
}
