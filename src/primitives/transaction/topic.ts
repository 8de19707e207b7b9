import { type ValueCodec, valueCodec } from '../../base/codec.ts';
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
  checkName('topic name', name, limits.topicNameBytesMax);
  checkOptions('the options of topic', options, topicOptions);
  const place: Place = { what: `topic ${JSON.stringify(name)}`, keys, kinds };
  const messages = attempt.thing(keys[0]!, () => new Messages(place));
  return new TopicView(attempt, name, messages, valueCodec(options), keepingOf(options));
}

/** In the order of `topicAt` in operations/topic.ts. */
const kinds = ['hash', '+list', '+zset'];

class TopicView<T> implements TransactionTopic<T> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #messages: Messages;
  readonly #codec: ValueCodec<T>;
  readonly #keeping: readonly [string, string];

  constructor(
    attempt: Attempt,
    name: string,
    messages: Messages,
    codec: ValueCodec<T>,
    keeping: readonly [string, string],
  ) {
    this.name = name;
    this.#attempt = attempt;
    this.#messages = messages;
    this.#codec = codec;
    this.#keeping = keeping;
  }

  publish(item: T, options: PublishOptions = {}): Promise<void> {
    const { what } = this.#messages.place;
    return this.#attempt.call(what, () => {
      const key = keyOf(options);
      const payload = this.#codec.encode(what, item);
      if (typeof payload === 'string') return this.#messages.add([...this.#keeping, key, payload]);
      return payload.then((later) => this.#messages.add([...this.#keeping, key, later]));
    });
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
