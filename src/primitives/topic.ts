import { type ValueCodec, valueCodec, type ValueOptions } from '../base/codec.ts';
import { type Duration, toMs } from '../base/duration.ts';
import { invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';
import { checkOptions } from '../base/options.ts';
import * as operations from '../operations/topic.ts';
import type { Session } from '../session/session.ts';
import { orAmbiguous } from './ambiguous.ts';
import { Batch } from './batch.ts';
import { fromPart, toPart } from './queue-record.ts';
import { groupOptions, type GroupOptions, type TopicGroup, type TopicJob, topicGroup } from './topic-group.ts';
import { checkGroup, groupField, type TopicFrom, type TopicLine, topicLineOf } from './topic-line.ts';
import { Subscription, type TopicMessage } from './topic-subscription.ts';
import { checkCount } from './whole.ts';

/** How a topic is used. How much is kept is the business of whoever publishes. */
export interface TopicOptions<T> extends ValueOptions<T> {
  /** How many messages are kept; default 10,000. */
  keep?: number;
  /** For how long messages are kept, if they are not too many; default: no matter how old. */
  keepFor?: Duration;
}

/** How a message is published. */
export interface PublishOptions {
  /** In a group, messages of one key are handled one after the other, in their order. */
  key?: string;
}

/** Where a subscription begins, and until when it lasts. */
export interface SubscribeOptions {
  /** Default: behind the last message there is. */
  from?: TopicFrom;
  /** When it aborts, the iteration ends. */
  signal?: AbortSignal;
}

/** How much a topic has. */
export interface TopicSize {
  /** Messages that are kept. */
  readonly messages: number;
  /** The cursor of the last message; '0' where there was none. */
  readonly last: string;
}

/** A group, and how many of the messages that are kept it has not begun to deliver. */
export interface TopicGroupState {
  readonly name: string;
  readonly behind: number;
}

/**
 * Messages from whoever publishes to everybody who subscribes, in one order. A topic keeps its messages, so that one may
 * begin in the past, or go on where one was; publishers wait for nobody. What was cut off before it was read is told by
 * `missed`.
 *
 * All reject with `UNAVAILABLE` or `CLOSED` where the store can't be asked.
 */
export interface Topic<T> {
  readonly name: string;
  /**
   * Resolves with the cursor of the message. Messages of one turn of the event loop are one step. Rejects with
   * `INVALID_VALUE`, and with `AMBIGUOUS` where the connection was lost before the reply: it may have been published.
   */
  publish(item: T, options?: PublishOptions): Promise<string>;
  /** Publishes several in their order, all or none in one step, unless they are many (500). */
  publishAll(items: readonly T[], options?: PublishOptions): Promise<string[]>;
  /** As the jobs of `group`, one by one: see `TopicGroup.consume`. */
  subscribe(options: SubscribeOptions & { group: string }): AsyncIterableIterator<TopicJob<T>>;
  /**
   * All messages, each once, in order, from the time of this call on unless `from` says otherwise. A call that waits keeps the
   * process alive. Goes on after a time without connection. A message that does not fit the schema rejects with
   * `INVALID_VALUE`; the next call goes on behind it.
   */
  subscribe(options?: SubscribeOptions): AsyncIterableIterator<TopicMessage<T>>;
  /** Those who share the messages: each is handled by one of them, at least once. The store remembers how far they are. */
  group(name: string, options?: GroupOptions): TopicGroup<T>;
  /** The groups there are, by name. */
  groups(): Promise<TopicGroupState[]>;
  size(): Promise<TopicSize>;
}

/** The handle of a topic; made without I/O. Throws `INVALID_ARGUMENT`. */
export function createTopic<T>(session: Session, name: string, options: TopicOptions<T> = {}): Topic<T> {
  checkName('topic name', name, limits.topicNameBytesMax);
  checkOptions('the options of topic', options, topicOptions);
  return new StoredTopic(session, name, options);
}

export const topicOptions: ReadonlySet<string> = new Set(['schema', 'codec', 'keep', 'keepFor']);
const publishOptions: ReadonlySet<string> = new Set(['key']);
const subscribeOptions: ReadonlySet<string> = new Set(['from', 'signal', 'group']);

class StoredTopic<T> implements Topic<T> {
  readonly name: string;
  readonly #session: Session;
  readonly #codec: ValueCodec<T>;
  readonly #values: ValueOptions<T>;
  readonly #batch: Batch<readonly [key: string, payload: string], number>;

  constructor(session: Session, name: string, options: TopicOptions<T>) {
    this.name = name;
    this.#session = session;
    const { schema, codec } = options;
    this.#values = { ...(schema && { schema }), ...(codec && { codec }) };
    this.#codec = valueCodec(options);
    const keeping = keepingOf(options);
    this.#batch = new Batch({
      itemsMax: limits.queuePushBatch,
      weightMax: limits.queuePushLength,
      weight: ([, payload]) => payload.length,
      async send(messages) {
        const args = [...keeping, ...messages.flat()];
        const last = await session.engine.runBatch(operations.publish, session.keys.topic(name), args);
        return messages.map((_, i) => last - messages.length + 1 + i);
      },
    });
  }

  async publish(item: T, options: PublishOptions = {}): Promise<string> {
    const key = keyOf(options);
    const payload = this.#codec.encode(this.#where(), item);
    // No await where there is nothing to wait for: messages go out in the order of their calls.
    return this.#send(key, typeof payload === 'string' ? payload : await payload);
  }

  async publishAll(items: readonly T[], options: PublishOptions = {}): Promise<string[]> {
    if (!Array.isArray(items)) throw invalidArgument('items', items, 'an array of messages');
    const key = keyOf(options);
    const payloads: string[] = [];
    // All are checked before the first one goes out.
    for (const item of items as readonly T[]) {
      const payload = this.#codec.encode(this.#where(), item);
      payloads.push(typeof payload === 'string' ? payload : await payload);
    }
    return Promise.all(payloads.map((payload) => this.#send(key, payload)));
  }

  subscribe(options: SubscribeOptions & { group: string }): AsyncIterableIterator<TopicJob<T>>;
  subscribe(options?: SubscribeOptions): AsyncIterableIterator<TopicMessage<T>>;
  subscribe(options: SubscribeOptions & { group?: string } = {}): AsyncIterableIterator<TopicJob<T> | TopicMessage<T>> {
    checkOptions('the options of subscribe', options, subscribeOptions);
    const { from = 'latest', signal, group } = options;
    const line = this.#line;
    if (group !== undefined) return this.group(group, { from }).consume(signal === undefined ? {} : { signal });
    return new Subscription<T>(line, checkedFrom(from), signal, (cursor, payload) =>
      this.#codec.decode(this.#where(cursor), payload),
    );
  }

  group(name: string, options: GroupOptions = {}): TopicGroup<T> {
    checkGroup(name);
    checkOptions('the options of group', options, groupOptions);
    const { from = 'latest', ...rest } = options;
    return topicGroup(this.#session, { topic: this.name, name, from: checkedFrom(from) }, this.#values, rest);
  }

  async groups(): Promise<TopicGroupState[]> {
    const { session, keys } = this.#line;
    const parts: string[] = [];
    let cursor = '';
    do {
      const page = await session.engine.scan(keys[0]!, cursor, limits.queuePeekMax);
      for (let i = 0; i < page.entries.length; i += 2) {
        if (page.entries[i]!.startsWith(groupField)) parts.push(page.entries[i]!);
      }
      cursor = page.cursor;
    } while (cursor !== '');
    const fields = [...new Set(parts)];
    const [, , ...behind] = await session.engine.runBatch(operations.sizes, keys, fields);
    const states = fields.map((field, i) => ({ name: fromPart(field.slice(groupField.length)), behind: behind[i]! }));
    return states.filter((state) => state.behind >= 0).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async size(): Promise<TopicSize> {
    const { session, keys } = this.#line;
    const [messages, last] = await session.engine.runBatch(operations.sizes, keys, []);
    return { messages: messages!, last: String(last) };
  }

  async #send(key: string, payload: string): Promise<string> {
    this.#session.assertOpen();
    return String(await orAmbiguous(this.#batch.add([key, payload]), `${this.#where()}: the publishing`));
  }

  get #line(): TopicLine {
    this.#session.assertOpen();
    return topicLineOf(this.#session, this.name);
  }

  #where(cursor?: string): string {
    const topic = `topic ${JSON.stringify(this.name)}`;
    return cursor === undefined ? topic : `${topic}, message ${cursor}`;
  }
}

/** How many messages are kept, and for how many ms, as operations/topic.ts takes it. Throws `INVALID_ARGUMENT`. */
export function keepingOf({
  keep = limits.topicKeepDefault,
  keepFor,
}: Pick<TopicOptions<unknown>, 'keep' | 'keepFor'>): [string, string] {
  checkCount('keep', keep, 1, limits.topicKeepMax);
  return [String(keep), String(keepFor === undefined ? 0 : toMs('keepFor', keepFor, 1, limits.ttlMsMax))];
}

/** The key of a message, as it is stored. Throws `INVALID_ARGUMENT`. */
export function keyOf(options: PublishOptions): string {
  checkOptions('the options of publish', options, publishOptions);
  if (options.key === undefined) return '';
  checkName('key', options.key);
  return toPart(options.key);
}

function checkedFrom(from: unknown): string {
  const isCursor = typeof from === 'string' && /^\d{1,16}$/.test(from) && Number.isSafeInteger(Number(from));
  if (from === 'latest' || from === 'earliest' || isCursor) return from;
  throw invalidArgument('from', from, "'latest', 'earliest', or the cursor of a message");
}
