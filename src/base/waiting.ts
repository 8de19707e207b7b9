import type { Clock, Timer } from './clock.ts';
import { type Duration, toMs } from './duration.ts';
import { invalidArgument, LockstepError } from './errors.ts';
import { limits } from './limits.ts';

/** How long a call may wait. */
export interface WaitOptions {
  /** After this long the call rejects with `TIMEOUT`; 0 tries once; absent waits as long as it takes. */
  timeout?: Duration | undefined;
  /** When it aborts, the call rejects with the signal's own reason. */
  signal?: AbortSignal | undefined;
}

/** The end of a wait that was set: a deadline, a signal, or both as one thing. */
export interface Wait {
  /** The timeout: ms; nothing where there is none. */
  readonly timeoutMs: number | undefined;
  /** The timeout is 0: to be tried once. No timer runs, `onEnd` comes only for the signal. */
  readonly once: boolean;
  /** Ends the wait: `onEnd` is not called any more, timer and listener are gone. Harmless when it is over. */
  end(): void;
}

/** What ended a wait: the signal's own reason, or a `TIMEOUT` error. */
export type OnEnd = (reason: unknown, kind: 'timeout' | 'aborted') => void;

/**
 * Watches over a wait, named for messages (`waiting for lock "invoice:42"`): calls `onEnd` at most once, never before it returns.
 * Nothing where nothing can end the wait. Call it before anything is sent: it throws the signal's reason where that
 * has aborted already, and `INVALID_ARGUMENT` for options that can't be used.
 */
export function startWait(
  name: string,
  options: WaitOptions | undefined,
  clock: Clock,
  onEnd: OnEnd,
): Wait | undefined {
  if (options?.timeout === undefined && options?.signal === undefined) return undefined;
  return new Watch(name, checkWait(options), options.signal, clock, onEnd);
}

/** Throws as `startWait` does, for what waits later, or perhaps not at all. The timeout: ms. */
export function checkWait({ timeout, signal }: WaitOptions): number | undefined {
  const timeoutMs = timeout === undefined ? undefined : toMs('timeout', timeout, 0, limits.waitMsMax);
  if (signal !== undefined) {
    if (!isSignal(signal))
      throw invalidArgument('signal', signal, 'an AbortSignal, such as that of an AbortController');
    if (signal.aborted) throw signal.reason as Error;
  }
  return timeoutMs;
}

class Watch implements Wait {
  readonly timeoutMs: number | undefined;
  readonly #name: string;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: Timer | undefined;
  #onEnd: OnEnd | undefined;

  constructor(
    name: string,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
    clock: Clock,
    onEnd: OnEnd,
  ) {
    this.#name = name;
    this.timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#onEnd = onEnd;
    if (timeoutMs !== undefined && timeoutMs > 0) this.#timer = clock.timer(timeoutMs, () => this.#timeOut(timeoutMs));
    if (signal !== undefined) waitsOf(signal).add(this);
  }

  get once(): boolean {
    return this.timeoutMs === 0;
  }

  end(): void {
    if (this.#onEnd === undefined) return;
    this.#onEnd = undefined;
    this.#timer?.cancel();
    if (this.#signal !== undefined) waitsOf(this.#signal).delete(this);
  }

  /** The signal aborted. */
  abort(): void {
    const onEnd = this.#onEnd;
    this.end();
    onEnd?.(this.#signal?.reason, 'aborted');
  }

  #timeOut(timeoutMs: number): void {
    const onEnd = this.#onEnd;
    this.end();
    const message = `${this.#name} took longer than ${timeoutMs} ms`;
    onEnd?.(new LockstepError('TIMEOUT', message, { details: { timeoutMs } }), 'timeout');
  }
}

/** The waits that a signal ends, by its one listener: it looks through all of them whenever one more is added. */
class Waits {
  readonly #signal: AbortSignal;
  readonly #waits: Set<Watch> = new Set();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(wait: Watch): void {
    this.#waits.add(wait);
    if (this.#waits.size === 1) this.#signal.addEventListener('abort', this);
  }

  delete(wait: Watch): void {
    if (this.#waits.delete(wait) && this.#waits.size === 0) this.#signal.removeEventListener('abort', this);
  }

  handleEvent(): void {
    for (const wait of this.#waits) wait.abort();
  }
}

const bySignal: WeakMap<AbortSignal, Waits> = new WeakMap();

function waitsOf(signal: AbortSignal): Waits {
  let waits = bySignal.get(signal);
  if (waits === undefined) bySignal.set(signal, (waits = new Waits(signal)));
  return waits;
}

/** Not `instanceof`: a signal may come from another realm. */
function isSignal(signal: unknown): boolean {
  return (
    typeof signal === 'object' &&
    signal !== null &&
    typeof (signal as AbortSignal).aborted === 'boolean' &&
    typeof (signal as AbortSignal).addEventListener === 'function' &&
    typeof (signal as AbortSignal).removeEventListener === 'function'
  );
}
