import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { startWait, type WaitOptions } from '../../src/base/waiting.ts';
import { failure } from '../failure.ts';

/** A clock whose timers run when the test says so. */
function handClock(): Clock & { readonly timers: { ms: number; run(): void }[] } {
  const timers: { ms: number; run(): void }[] = [];
  return {
    ...systemClock,
    timers,
    timer(ms, run) {
      const timer = { ms, run };
      timers.push(timer);
      return { cancel: () => void timers.splice(timers.indexOf(timer), 1) };
    },
  };
}

function watch(options: WaitOptions | undefined, clock: Clock = handClock()) {
  const ends: [unknown, string][] = [];
  const wait = startWait('waiting for lock "x"', options, clock, (reason, kind) => ends.push([reason, kind]));
  return { wait, ends };
}

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('a wait', () => {
  it('is nothing where nothing can end it', () => {
    for (const options of [undefined, {}, { timeout: undefined, signal: undefined }]) {
      expect(watch(options).wait).toBeUndefined();
    }
  });

  it('ends once, by its timeout, and leaves no listener', () => {
    const clock = handClock();
    const controller = new AbortController();
    const { ends } = watch({ timeout: '1.5s', signal: controller.signal }, clock);
    expect(clock.timers.map(({ ms }) => ms)).toEqual([1_500]);
    clock.timers[0]!.run();
    controller.abort();
    expect(ends).toEqual([[failure('TIMEOUT', 'lock "x"'), 'timeout']]);
    expect(listeners(controller.signal)).toBe(0);
  });

  it("ends once, by its signal, with the caller's own reason, and leaves no timer", () => {
    const clock = handClock();
    const controller = new AbortController();
    const { ends } = watch({ timeout: 5, signal: controller.signal }, clock);
    const late = clock.timers[0]!;
    const reason = { my: 'reason' };
    controller.abort(reason);
    late.run();
    expect(ends).toEqual([[reason, 'aborted']]);
    expect(ends[0]![0]).toBe(reason);
    expect([clock.timers.length, listeners(controller.signal)]).toEqual([0, 0]);
  });

  it('that was ended by its owner never calls back, and leaves neither timer nor listener', () => {
    const clock = handClock();
    const controller = new AbortController();
    const { wait, ends } = watch({ timeout: 5, signal: controller.signal }, clock);
    const late = clock.timers[0]!;
    wait!.end();
    wait!.end();
    late.run();
    controller.abort();
    expect(ends).toEqual([]);
    expect([clock.timers.length, listeners(controller.signal)]).toEqual([0, 0]);
  });

  it('of timeout 0 is a single try, without a timer', () => {
    for (const timeout of [0, '0s'] as const) {
      const clock = handClock();
      const { wait } = watch({ timeout }, clock);
      expect([wait!.once, wait!.timeoutMs, clock.timers.length]).toEqual([true, 0, 0]);
    }
    expect(watch({ timeout: 1 }).wait!.once).toBe(false);
  });

  it('whose signal has aborted does not begin: it throws the reason', () => {
    const clock = handClock();
    const reason = new Error('no more');
    expect(() => watch({ timeout: 5, signal: AbortSignal.abort(reason) }, clock)).toThrow(reason);
    expect(clock.timers.length).toBe(0);
  });

  it('refuses options that can not be used, and leaves nothing behind', () => {
    const clock = handClock();
    const { signal } = new AbortController();
    for (const timeout of [Number.NaN, -1, Number.POSITIVE_INFINITY, '5 parsecs', '', null, 2 ** 31]) {
      const options = { timeout, signal } as WaitOptions;
      expect(() => watch(options, clock)).toThrow(failure('INVALID_ARGUMENT', 'timeout is '));
    }
    for (const other of [{}, 'signal', null, new AbortController(), { aborted: true }]) {
      const options = { timeout: 5, signal: other } as WaitOptions;
      expect(() => watch(options, clock)).toThrow(failure('INVALID_ARGUMENT', 'signal is '));
    }
    expect([clock.timers.length, listeners(signal)]).toEqual([0, 0]);
  });

  it('by one signal with a thousand others gives no warning', async () => {
    const warnings: Error[] = [];
    const hear = (warning: Error): void => void warnings.push(warning);
    process.on('warning', hear);
    const controller = new AbortController();
    const waits = Array.from({ length: 1_000 }, () => watch({ signal: controller.signal }));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    process.off('warning', hear);
    expect(waits.every(({ ends }) => ends.length === 1)).toBe(true);
    expect(warnings).toEqual([]);
  });
});
