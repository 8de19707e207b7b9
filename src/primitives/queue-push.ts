import { limits } from '../base/limits.ts';
import { startWait, type WaitOptions } from '../base/waiting.ts';
import type { Timer } from '../base/clock.ts';
import { LockstepError } from '../base/errors.ts';
import * as operations from '../operations/queue.ts';
import { closedError } from '../session/session.ts';
import { Batch } from './batch.ts';
import { idsFrom, type QueueLine, type QueueWaiter } from './queue-line.ts';

/** A message on its way into the queue: see `operations.push`. */
export interface Outgoing {
  readonly head: string;
  readonly payload: string;
}

interface Parked {
  readonly message: Outgoing;
  /** A step with it is on its way. */
  isSent: boolean;
  /** Nobody waits for room any more. */
  givenUp: { readonly reason: unknown } | undefined;
  resolve(id: string): void;
  reject(error: unknown): void;
}

export interface PushRules {
  /** 0: no bound. */
  readonly capacity: number;
  /** For how long an own id keeps others away: ms. */
  readonly windowMs: number;
}

/**
 * The messages that one handle pushes, in the order of its calls: those of a turn in one step. In front of a queue that
 * is full they wait, and are tried again when somebody makes room; what comes then waits behind them, without a step.
 */
export class Pushes implements QueueWaiter {
  readonly #line: QueueLine;
  readonly #rules: PushRules;
  readonly #batch: Batch<Outgoing, string>;
  #parked: Parked[] = [];
  #recheck: Timer | undefined;
  #retrying = false;
  /** Woken while it was tried. */
  #again = false;

  constructor(line: QueueLine, rules: PushRules) {
    this.#line = line;
    this.#rules = rules;
    this.#batch = new Batch({
      itemsMax: limits.queuePushBatch,
      weightMax: limits.queuePushLength,
      weight: ({ payload }) => payload.length,
      send: (messages) =>
        this.#parked.length > 0 ? Promise.resolve(messages.map(() => 'behind')) : this.#send(messages),
    });
  }

  /** The id in the store, or '' for a duplicate. */
  push(message: Outgoing, options: WaitOptions): Promise<string> {
    this.#line.session.assertOpen();
    const pushed = this.#batch.add(message);
    return this.#rules.capacity === 0 ? pushed : this.#orPark(pushed, message, options);
  }

  async #orPark(pushed: Promise<string>, message: Outgoing, options: WaitOptions): Promise<string> {
    const { rooms } = this.#line;
    const id = await pushed;
    if (id !== 'full' && id !== 'behind') return id;
    const parked = this.#park(message, options);
    // Nobody was here to hear of room, or those before it have gone in meanwhile.
    if (this.#line.rooms !== rooms || (id === 'behind' && this.#parked.length === 1)) this.wake();
    return parked;
  }

  /** Somebody made room. */
  wake(): void {
    this.#again = true;
    if (this.#retrying || this.#parked.length === 0) return;
    this.#retrying = true;
    this.#line.session.inBackground(this.#retry().finally(() => this.#retried()));
  }

  #retried(): void {
    this.#retrying = false;
    if (this.#again && this.#parked.length > 0) this.wake(); // in the last moment
  }

  async close(): Promise<void> {
    const error = closedError(`pushing to queue ${JSON.stringify(this.#line.name)}`);
    for (const parked of this.#parked.splice(0)) parked.reject(error);
    this.#settleDown();
  }

  async #send(messages: readonly Outgoing[]): Promise<readonly string[]> {
    const { capacity, windowMs } = this.#rules;
    const hasHeads = messages.some(({ head }) => head !== '');
    if (capacity === 0 && !hasHeads) return this.#line.append(messages.map(({ payload }) => payload));
    const session = capacity === 0 ? '' : this.#line.session.info.id;
    const args = [String(capacity), String(windowMs), session, hasHeads ? '1' : '0'];
    for (const { head, payload } of messages) {
      if (hasHeads) args.push(head);
      args.push(payload);
    }
    const reply = await this.#line.run(operations.push, args);
    return hasHeads ? reply : idsOf(reply, messages.length);
  }

  #park(message: Outgoing, options: WaitOptions): Promise<string> {
    const { session, name } = this.#line;
    return new Promise((resolve, reject) => {
      const fail: (error: Error) => void = reject;
      const what = `queue ${JSON.stringify(name)} is full (capacity ${this.#rules.capacity}): pushing to it`;
      const wait = startWait(what, options, session.clock, (reason) => {
        if (parked.isSent) parked.givenUp = { reason }; // it may go in: known soon
        else this.#end(parked, () => parked.reject(reason));
      });
      if (wait?.once === true) {
        wait.end();
        fail(new LockstepError('TIMEOUT', `${what} would have to wait`, { details: { timeoutMs: 0 } }));
        return;
      }
      const parked: Parked = {
        message,
        isSent: false,
        givenUp: undefined,
        resolve: (id) => {
          wait?.end();
          resolve(id);
        },
        reject: (error) => {
          wait?.end();
          fail(error as Error);
        },
      };
      if (this.#parked.push(parked) === 1) {
        session.enter();
        this.#line.awaitRoom(this);
        this.#lookLater();
      }
    });
  }

  #remove(parked: Parked): void {
    const place = this.#parked.indexOf(parked);
    if (place === -1) return;
    this.#parked.splice(place, 1);
    this.#settleDown();
  }

  /** The first ones as long as there is room: so they keep their order. */
  async #retry(): Promise<void> {
    while (this.#parked.length > 0 && this.#again) {
      this.#again = false;
      const batch = this.#parked.slice(0, limits.queuePushBatch);
      let ids: readonly string[];
      for (const parked of batch) parked.isSent = true;
      try {
        ids = await this.#send(batch.map(({ message }) => message));
      } catch (error) {
        for (const parked of batch) this.#end(parked, () => parked.reject(error));
        this.#again = true;
        continue;
      }
      for (const [i, parked] of batch.entries()) {
        parked.isSent = false;
        if (ids[i] !== 'full') this.#end(parked, () => parked.resolve(ids[i]!));
        else if (parked.givenUp !== undefined) this.#end(parked, () => parked.reject(parked.givenUp?.reason));
      }
      if (!ids.includes('full')) this.#again = true;
      else if (this.#parked.length > 0) this.#lookLater();
    }
  }

  #end(parked: Parked, how: () => void): void {
    how();
    this.#remove(parked);
  }

  #lookLater(): void {
    const { clock } = this.#line.session;
    this.#recheck?.cancel();
    const ms = limits.queueRecheckMs + clock.random() * limits.queueRecheckJitterMs;
    this.#recheck = clock.timer(ms, () => this.wake());
  }

  #settleDown(): void {
    if (this.#parked.length > 0 || this.#recheck === undefined) return;
    this.#recheck.cancel();
    this.#recheck = undefined;
    this.#line.noLongerAwaitRoom(this);
    this.#line.session.exit();
  }
}

/** Of messages without heads: see `operations.push`. */
function idsOf([first, count]: readonly string[], asked: number): string[] {
  const ids = idsFrom(Number(first), Number(count));
  while (ids.length < asked) ids.push('full');
  return ids;
}
