import { type ValueCodec, valueCodec, type ValueOptions } from '../base/codec.ts';
import { type Duration, toMs } from '../base/duration.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Engine } from '../engines/engine.ts';
import * as operations from '../operations/collection.ts';
import type { BatchOperation, Operation, Reply } from '../operations/tx.ts';
import type { Session } from '../session/session.ts';
import { written } from './ambiguous.ts';
import { type Condition, conditionOf, type WriteOptions } from './guard.ts';
import { watch, type WatchOptions } from './watch.ts';

/** What can be done to a set, a sorted set or a list as a whole. */
export interface SharedCollection {
  readonly name: string;
  /** Lets all of it end after `ttl`, whatever is written meanwhile; replaces an earlier end. False if there is nothing. */
  expire(ttl: Duration, options?: WriteOptions): Promise<boolean>;
  /** Lets it live on without an end. False if there is nothing. */
  persist(options?: WriteOptions): Promise<boolean>;
  /** How long it has to live: ms; nothing where it has no end, or is not there. */
  ttl(): Promise<number | undefined>;
}

/** Where a collection lies, and who watches it. */
interface WholePlace {
  readonly key: string;
  readonly watchers: string;
}

/** What the handles of collections have in common: values to texts and back, conditions of writes, the end of the whole. */
export class Whole<V> {
  /** For messages: `set "tags"`. */
  readonly where: string;
  readonly name: string;
  readonly session: Session;
  readonly engine: Engine;
  readonly key: string;
  readonly #watchers: string;
  readonly #codec: ValueCodec<V>;

  constructor(session: Session, subject: { kind: string; name: string }, place: WholePlace, options: ValueOptions<V>) {
    this.where = `${subject.kind} ${JSON.stringify(subject.name)}`;
    this.name = subject.name;
    this.session = session;
    this.engine = session.engine;
    this.key = place.key;
    this.#watchers = place.watchers;
    this.#codec = valueCodec(options);
  }

  /** Not a promise where there is nothing to wait for: writes go out in the order of their calls. */
  text(value: V): string | Promise<string> {
    return this.#codec.encode(this.where, value);
  }

  /** The texts of values that are given as `argument`. */
  texts(argument: string, values: Iterable<V>): string[] | Promise<string[]> {
    const texts: (string | Promise<string>)[] = [];
    let waits = false;
    for (const value of listed(argument, values)) {
      const text = this.text(value);
      waits ||= typeof text !== 'string';
      texts.push(text);
    }
    return waits ? Promise.all(texts.map((text) => Promise.resolve(text))) : (texts as string[]);
  }

  value(text: string): V | Promise<V> {
    return this.#codec.decode(this.where, text);
  }

  async values(texts: readonly string[]): Promise<V[]> {
    const values: V[] = [];
    for (const text of texts) values.push(await this.value(text));
    return values;
  }

  /** One step of a write, under its condition. `once`: see `written`, such as `the push`. */
  async write<Keys extends { guard: string }, Args extends { owner: string }, R extends Reply>(
    operation: Operation<Keys, Args, R>,
    keys: Omit<Keys, 'guard'>,
    ask: Omit<Args, 'owner'>,
    options: WriteOptions | undefined,
    once?: string,
  ): Promise<R> {
    const condition = conditionOf(options, this.engine, this.key);
    const { guard, owner } = condition;
    const step = this.engine.run(operation, { ...keys, guard } as Keys, { ...ask, owner } as Args);
    return this.#written(step, condition, once);
  }

  /** As `write`. `keys` puts the key of the guard to the others; its owner is the first of the arguments. */
  async writeMany<R extends Reply>(
    operation: BatchOperation<R>,
    keys: (guard: string) => readonly string[],
    args: readonly string[],
    options: WriteOptions | undefined,
    once: string,
  ): Promise<R> {
    const condition = conditionOf(options, this.engine, this.key);
    const step = this.engine.runBatch(operation, keys(condition.guard), [condition.owner, ...args]);
    return this.#written(step, condition, once);
  }

  #written<R extends Reply>(step: Promise<R>, condition: Condition, once: string | undefined): Promise<R> {
    const lost = (): Error => condition.lost(`${this.where} was not changed`, { name: this.name, key: this.key });
    return written(step, lost, once === undefined ? undefined : `${this.where}: ${once}`);
  }

  /** The error for a read of more than one call may read. `instead`: what to do. */
  tooMany(found: number, instead: string): LockstepError {
    const max = limits.collectionReadMax;
    return new LockstepError(
      'INVALID_ARGUMENT',
      `${this.where}: ${found} elements are more than one call may read (${max}); ${instead}`,
      { details: { name: this.name, found, max } },
    );
  }

  async expire(ttl: Duration, options: WriteOptions | undefined): Promise<boolean> {
    return this.#live(toMs('ttl', ttl, 1, limits.waitMsMax), options);
  }

  async persist(options: WriteOptions | undefined): Promise<boolean> {
    return this.#live(0, options);
  }

  async ttl(): Promise<number | undefined> {
    const ms = await this.engine.run(operations.life, { whole: this.key }, {});
    return ms < 0 ? undefined : ms;
  }

  /** Watches it: `read` is that of `Watched`. Nobody tells that the whole came to its end: `read` then reads everything. */
  watch<T>(
    read: (changes: readonly string[] | undefined) => AsyncIterable<T>,
    options: WatchOptions | undefined,
  ): AsyncIterableIterator<T> {
    let hadEnd = false;
    const readOn = async function* (
      this: Whole<V>,
      changes: readonly string[] | undefined,
      again: (ms: number) => void,
    ): AsyncGenerator<T> {
      const left = await this.ttl();
      const mayBeOver = hadEnd && left === undefined;
      hadEnd = left !== undefined;
      if (left !== undefined) again(left + 1);
      yield* read(mayBeOver ? undefined : changes);
    };
    return watch(this.session, { subject: this.where, watchers: this.#watchers, read: readOn.bind(this) }, options);
  }

  async #live(ms: number, options: WriteOptions | undefined): Promise<boolean> {
    const keys = { whole: this.key, watchers: this.#watchers };
    const done = await this.write(operations.expire, keys, { ms }, options);
    return done === 1;
  }
}

/** An array of what was given. Throws `INVALID_ARGUMENT` for what can't be iterated, and for more than one write may have. */
export function listed<T>(argument: string, given: Iterable<T>): readonly T[] {
  if (typeof given !== 'object' || given === null || typeof given[Symbol.iterator] !== 'function') {
    throw invalidArgument(argument, given, 'an array, or something else that can be iterated');
  }
  const all = [...given];
  const max = limits.collectionWriteMax;
  if (all.length > max) throw invalidArgument(argument, given, `at most ${max} long, not ${all.length}`);
  return all;
}

/** Checks a whole number of at least `min`. Throws `INVALID_ARGUMENT`. */
export function checkCount(argument: string, count: unknown, min: number, max: number): asserts count is number {
  if (Number.isSafeInteger(count) && (count as number) >= min && (count as number) <= max) return;
  throw invalidArgument(argument, count, `a whole number from ${min} to ${max}`);
}
