import { LockstepError } from '../base/errors.ts';
import type { Session } from '../session/session.ts';

/** Tries until the store answers, or until what is to be ended is over by itself: monotonic ms. Never rejects. */
export function insist(session: Session, untilMs: number, send: () => Promise<unknown>): Promise<void> {
  return send().then(nothing, async (error: unknown) => {
    let failure = error;
    session.enter(); // the process stays for it
    for (let attempt = 1; isPassing(failure) && session.clock.monotonicMs() < untilMs; attempt++) {
      await new Promise<void>((resolve) => session.clock.timer(backOffMs(attempt), resolve));
      failure = await send().then(nothing, (again: unknown) => again);
    }
    session.exit();
  });
}

const nothing = (): void => {};

/** Whether the same request may succeed later. */
export function isPassing(error: unknown): boolean {
  return error instanceof LockstepError && error.code === 'UNAVAILABLE';
}

export function backOffMs(attempt: number): number {
  return Math.min(1_000, 10 * 2 ** attempt);
}
