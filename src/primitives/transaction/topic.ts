import { valueCodec } from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { checkName, type TopicNames } from '../../base/names.ts';
import { checkOptions } from '../../base/options.ts';
import { keepingOf, keyOf, type PublishOptions, topicOptions, type TopicOptions } from '../topic.ts';
import type { Attempt, Thing } from './attempt.ts';
import type { Place, Write } from './steps.ts';

/** A topic inside of a transaction: what is published is there when the transaction is committed, and never otherwise. */
export interface TransactionTopic<T> {
  readonly name: string;
  /** Messages of one transaction keep the order of their calls. */
  publish(item: T, options?: PublishOptions): Promise<void>;
}

/** The topic `name`, as one run of a body sees it. Throws `INVALID_ARGUMENT`. */
export function topicIn<T>(
  attempt: Attempt,
  name: string,
  keys: TopicNames,
  options: TopicOptions<T>,
): TransactionTopic<T> {
  return new TopicView(attempt, name, publishesTo(attempt, name, keys, options));
}

/** How messages get into a topic. */
export interface Publishes<T> {
  readonly what: string;
  /** The key of a message. Throws `INVALID_ARGUMENT`. */
  key(options: PublishOptions): string;
  text(item: T): string | Promise<string>;
  put(key: string, text: string): void;
}

/** What a run wants to publish to the topic `name`. Throws `INVALID_ARGUMENT`. */
export function publishesTo<T>(
  attempt: Attempt,
  name: string,
  keys: TopicNames,
  options: TopicOptions<T>,
): Publishes<T> {
  checkName('topic name', name, limits.topicNameBytesMax);
  checkOptions('the options of topic', options, topicOptions);
  const what = `topic ${JSON.stringify(name)}`;
  const messages = attempt.thing(keys[0]!, () => new Messages({ what, keys, kinds }));
  const [codec, keeping] = [valueCodec(options), keepingOf(options)];
  return {
    what,
    key: keyOf,
    text: (item) => codec.encode(what, item),
    put: (key, text) => messages.add([...keeping, key, text]),
  };
}

/** In the order of `topicAt` in operations/topic.ts. */
const kinds = ['hash', '+list', '+zset'];

class TopicView<T> implements TransactionTopic<T> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #publishes: Publishes<T>;

  constructor(attempt: Attempt, name: string, publishes: Publishes<T>) {
    this.name = name;
    this.#attempt = attempt;
    this.#publishes = publishes;
  }

  publish(item: T, options: PublishOptions = {}, more?: unknown): Promise<void> {
    const { what, key, text, put } = this.#publishes;
    const work = (): void | Promise<void> => {
      const group = key(options);
      const payload = text(item);
      return typeof payload === 'string' ? put(group, payload) : payload.then((later) => put(group, later));
    };
    return this.#attempt.call(what, work, more);
  }
}

/** What is published, in the order of the calls. */
class Messages implements Thing {
  readonly place: Place;
  readonly #writes: Write[] = [];

  constructor(place: Place) {
    this.place = place;
  }

  add(parameters: readonly string[]): void {
    this.#writes.push({ name: '', place: this.place, verb: 'topic.publish', parameters });
  }

  writes(): Write[] {
    return this.#writes;
  }

  left(): [] {
    return [];
  }
}
