import type { Timer } from '../base/clock.ts';
import { isLockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { startWait, type Wait } from '../base/waiting.ts';
import * as operations from '../operations/topic.ts';
import { retryMs } from './queue-line.ts';
import { fromPart } from './queue-record.ts';
import type { TopicLine, TopicReader } from './topic-line.ts';

/** A message of a topic, as everybody reads it. */
export interface TopicMessage<T> {
  readonly data: T;
  /** Where it stands: whoever begins with `from: cursor` begins with the message behind it. */
  readonly cursor: string;
  /** The key that it was published with. */
  readonly key: string | undefined;
  /** When it was published: ms since 1970, by the store's clock. */
  readonly publishedAt: number;
  /** How many messages before this one were cut off before they were read: 0, unless the reader is slow. */
  readonly missed: number;
}

/** Reads a topic alone: all messages from `from` on, each once, in order. */
export class Subscription<T> implements AsyncIterableIterator<TopicMessage<T>>, TopicReader {
  readonly #line: TopicLine;
  readonly #id: string;
  readonly #from: string;
  readonly #decode: (cursor: string, payload: string) => T | Promise<T>;
  readonly #wait: Wait | undefined;
  /** Calls are answered one after the other. */
  #order: Promise<unknown> = Promise.resolve();
  #beginning: Promise<void> | undefined;
  /** The number of the next message; 0: it has not begun. */
  #next = 0;
  /** What was read and not given yet: the last one stands before `next`. */
  #page: string[] = [];
  #missed = 0;
  /** Woken since it last read. */
  #news = true;
  #wake: (() => void) | undefined;
  /** The store knows that it waits. */
  #waits = false;
  #failures = 0;
  #ended = false;
  #failure: Error | undefined;

  constructor(
    line: TopicLine,
    from: string,
    signal: AbortSignal | undefined,
    decode: (cursor: string, payload: string) => T | Promise<T>,
  ) {
    this.#line = line;
    this.#from = from;
    this.#decode = decode;
    this.#id = line.add(this);
    if (signal?.aborted === true) this.#end();
    else {
      this.#wait = startWait('subscribe', { signal }, line.session.clock, () => this.#end());
      // At once: what is published behind this call is read.
      this.#begin().catch(() => {}); // whoever asks for the first message tries again
    }
  }

  next(): Promise<IteratorResult<TopicMessage<T>>> {
    const answer = this.#order.then(() => this.#answer());
    this.#order = answer.catch(() => {});
    return answer;
  }

  return(): Promise<IteratorResult<TopicMessage<T>>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<TopicMessage<T>> {
    return this;
  }

  wake(): void {
    this.#news = true;
    this.#wake?.();
  }

  fail(error: Error): void {
    if (this.#ended) return;
    this.#failure = error;
    this.#end();
  }

  async #answer(): Promise<IteratorResult<TopicMessage<T>>> {
    const { session } = this.#line;
    session.enter();
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#ended) return { done: true, value: undefined };
        if (this.#page.length > 0) return { done: false, value: await this.#message() };
        await this.#read();
      }
    } finally {
      session.exit();
    }
  }

  async #message(): Promise<TopicMessage<T>> {
    const cursor = String(this.#next - this.#page.length);
    const stored = this.#page.shift()!;
    const first = stored.indexOf(':');
    const second = stored.indexOf(':', first + 1);
    const data = await this.#decode(cursor, stored.slice(second + 1));
    const missed = this.#missed;
    this.#missed = 0;
    const key = second === first + 1 ? undefined : fromPart(stored.slice(first + 1, second));
    return { data, cursor, key, publishedAt: Number(stored.slice(0, first)), missed };
  }

  /** Reads on; where there is nothing, waits until there may be something. */
  async #read(): Promise<void> {
    this.#news = false;
    try {
      await this.#begin();
      const { session, keys } = this.#line;
      const args = [String(this.#next), String(limits.topicReadBatch), this.#id];
      const [missed, from, ...page] = await session.engine.runBatch(operations.read, keys, args);
      this.#failures = 0;
      this.#missed += missed as number;
      this.#page = page as string[];
      this.#next = (from as number) + page.length;
      this.#waits = page.length === 0;
      if (this.#waits) await this.#pause(limits.queueRecheckMs + session.clock.random() * limits.queueRecheckJitterMs);
    } catch (error) {
      if (this.#next === 0 || this.#ended || !isLockstepError(error, 'UNAVAILABLE')) throw error;
      await this.#pause(retryMs(this.#failures, this.#line.session.clock.random()));
      this.#failures += 1;
    }
  }

  #begin(): Promise<void> {
    if (this.#next > 0) return Promise.resolve();
    const { session, keys } = this.#line;
    this.#beginning ??= session.engine
      .runBatch(operations.begin, keys, [this.#from, ''])
      .then((next) => {
        this.#next = next;
      })
      .finally(() => {
        this.#beginning = undefined;
      });
    return this.#beginning;
  }

  /** Until it is woken, at most `ms`. */
  async #pause(ms: number): Promise<void> {
    if (this.#news || this.#ended) return;
    let timer: Timer | undefined;
    await new Promise<void>((wake) => {
      this.#wake = wake;
      timer = this.#line.session.clock.timer(ms, wake);
    });
    timer?.cancel();
    this.#wake = undefined;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wait?.end();
    const { session, keys } = this.#line;
    this.#line.remove(this.#id);
    // A place that stays is only woken in vain.
    if (this.#waits && !session.closing)
      session.inBackground(session.engine.runBatch(operations.stop, keys, [this.#id]));
    this.#wake?.();
  }
}
