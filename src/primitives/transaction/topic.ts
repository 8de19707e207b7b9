import { valueCodec } from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { checkName, type TopicNames } from '../../base/names.ts';
import { checkOptions } from '../../base/options.ts';
import { keepingOf, keyOf, type PublishOptions, topicOptions, type TopicOptions } from '../topic.ts';
import type { Attempt, Thing } from './attempt.ts';
import { give, type Messages } from './messages.ts';
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

/** What a run wants to publish to the topic `name`. Throws `INVALID_ARGUMENT`. */
export function publishesTo<T>(
  attempt: Attempt,
  name: string,
  keys: TopicNames,
  options: TopicOptions<T>,
): Messages<T, PublishOptions> {
  checkName('topic name', name, limits.topicNameBytesMax);
  checkOptions('the options of topic', options, topicOptions);
  const what = `topic ${JSON.stringify(name)}`;
  const published = attempt.thing(keys[0]!, () => new Published({ what, keys, kinds }));
  const [codec, keeping] = [valueCodec(options), keepingOf(options)];
  return {
    what,
    told: keyOf,
    text: (item) => codec.encode(what, item),
    put: (key, text) => published.add([...keeping, key, text]),
  };
}

/** In the order of `topicAt` in operations/topic.ts. */
const kinds = ['hash', '+list', '+zset'];

class TopicView<T> implements TransactionTopic<T> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #publishes: Messages<T, PublishOptions>;

  constructor(attempt: Attempt, name: string, publishes: Messages<T, PublishOptions>) {
    this.name = name;
    this.#attempt = attempt;
    this.#publishes = publishes;
  }

  publish(item: T, options: PublishOptions = {}, more?: unknown): Promise<void> {
    return give(this.#attempt, this.#publishes, item, options, more);
  }
}

/** What is published, in the order of the calls. */
class Published implements Thing {
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
