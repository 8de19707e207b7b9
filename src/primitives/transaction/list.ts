import { type ValueCodec, valueCodec, type ValueOptions } from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { checkIndex } from '../list.ts';
import type { Attempt, Thing } from './attempt.ts';
import { tooMany } from './sorted-set.ts';
import type { Place, Read, Write } from './steps.ts';
import type { Left } from './turns.ts';

/** A list inside of a transaction: as `SharedList`, with everything that the transaction wrote so far. */
export interface TransactionList<V> {
  readonly name: string;
  /** Adds an element at the end, and reads nothing: it conflicts with nobody. */
  push(element: V): Promise<void>;
  /** Adds an element at the front, and reads nothing. */
  unshift(element: V): Promise<void>;
  /** Takes the last element out; nothing where there is none. */
  pop(): Promise<V | undefined>;
  /** Takes the first element out; nothing where there is none. */
  shift(): Promise<V | undefined>;
  /** The element at an index, negative from the end. */
  at(index: number): Promise<V | undefined>;
  /** Replaces the element at an index, negative from the end. False if there is no such index. */
  set(index: number, element: V): Promise<boolean>;
  /** A copy of up to 10,000 elements, as `Array.slice`. */
  slice(start?: number, end?: number): Promise<V[]>;
  length(): Promise<number>;
}

/** The list `name` at `place`, as one run of a body sees it. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function listIn<V>(attempt: Attempt, name: string, place: Place, options: ValueOptions<V>): TransactionList<V> {
  return new ListView(attempt, name, elementsOf(attempt, place), valueCodec(options));
}

/** What a run wants to write to the list at `place`. */
export function elementsOf(attempt: Attempt, place: Place): Elements {
  return attempt.thing(place.keys[0]!, () => new Elements(attempt, place));
}

class ListView<V> implements TransactionList<V> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #elements: Elements;
  readonly #codec: ValueCodec<V>;
  readonly #what: string;

  constructor(attempt: Attempt, name: string, elements: Elements, codec: ValueCodec<V>) {
    this.name = name;
    this.#attempt = attempt;
    this.#elements = elements;
    this.#codec = codec;
    this.#what = elements.place.what;
  }

  push(element: V, more?: unknown): Promise<void> {
    return this.#call(async () => void this.#elements.back.push(await this.#text(element)), more);
  }

  unshift(element: V, more?: unknown): Promise<void> {
    return this.#call(async () => void this.#elements.front.unshift(await this.#text(element)), more);
  }

  pop(more?: unknown): Promise<V | undefined> {
    return this.#call(async () => this.#value(await this.#elements.pop()), more);
  }

  shift(more?: unknown): Promise<V | undefined> {
    return this.#call(async () => this.#value(await this.#elements.shift()), more);
  }

  at(index: number): Promise<V | undefined> {
    return this.#call(async () => {
      checkIndex('index', index);
      const end = index === -1 ? Number.MAX_SAFE_INTEGER : index + 1;
      return this.#value((await this.#elements.slice(index, end))[0]);
    });
  }

  set(index: number, element: V, more?: unknown): Promise<boolean> {
    return this.#call(async () => {
      checkIndex('index', index);
      return this.#elements.set(index, await this.#text(element));
    }, more);
  }

  slice(start = 0, end: number = Number.MAX_SAFE_INTEGER): Promise<V[]> {
    return this.#call(async () => {
      checkIndex('start', start);
      checkIndex('end', end);
      const values: V[] = [];
      for (const text of await this.#elements.slice(start, end))
        values.push(await this.#codec.decode(this.#what, text));
      return values;
    });
  }

  length(): Promise<number> {
    return this.#call(() => this.#elements.length());
  }

  #call<R>(work: () => Promise<R>, more?: unknown): Promise<R> {
    return this.#attempt.call(this.#what, work, more);
  }

  #text(element: V): string | Promise<string> {
    return this.#codec.encode(this.#what, element);
  }

  #value(text: string | undefined): V | Promise<V> | undefined {
    return text === undefined ? undefined : this.#codec.decode(this.#what, text);
  }
}

/**
 * The elements of a list: what is added at the front, then what the store has, less what is taken from its two ends, with
 * what is replaced; then what is added at the back. Calls run one after the other: each begins where the one before it ended.
 */
export class Elements implements Thing {
  readonly place: Place;
  readonly front: string[] = [];
  readonly back: string[] = [];
  readonly #attempt: Attempt;
  #shifted = 0;
  #popped = 0;
  /** By the index that the store knows. */
  readonly #replaced: Map<number, string> = new Map();
  #last: Promise<unknown> = Promise.resolve();

  constructor(attempt: Attempt, place: Place) {
    this.#attempt = attempt;
    this.place = place;
  }

  shift(): Promise<string | undefined> {
    return this.#next(async () => {
      if (this.front.length > 0) return this.front.shift();
      const taken = this.#shifted;
      if (this.#popped > 0 && (await this.#stored()) === 0) return this.back.shift();
      const [element] = await this.#slice(taken, taken + 1);
      if (element === undefined) return this.back.shift();
      this.#shifted += 1;
      return this.#replaced.get(taken) ?? element;
    });
  }

  pop(): Promise<string | undefined> {
    return this.#next(async () => {
      if (this.back.length > 0) return this.back.pop();
      if ((this.#shifted > 0 || this.#replaced.size > 0) && (await this.#stored()) === 0) return this.front.pop();
      const place = -1 - this.#popped;
      const [element] = await this.#slice(place, place === -1 ? Number.MAX_SAFE_INTEGER : place + 1);
      if (element === undefined) return this.front.pop();
      const replaced = this.#replaced.size === 0 ? undefined : this.#replaced.get((await this.#whole()) + place);
      this.#popped += 1;
      return replaced ?? element;
    });
  }

  length(): Promise<number> {
    return this.#next(async () => this.front.length + (await this.#stored()) + this.back.length);
  }

  slice(start: number, end: number): Promise<string[]> {
    return this.#next(async () => {
      if (!this.#isChanged()) return this.#slice(start, end);
      const stored = await this.#stored();
      const length = this.front.length + stored + this.back.length;
      const from = start < 0 ? Math.max(0, length + start) : Math.min(start, length);
      const to = Math.max(from, end < 0 ? length + end : Math.min(end, length));
      if (to - from > limits.collectionReadMax) throw tooMany(this.place, String(to - from));
      // What lies between the front and the back, as the store counts.
      const first = Math.max(0, from - this.front.length);
      const behind = Math.min(stored, to - this.front.length);
      const middle = behind > first ? await this.#slice(this.#shifted + first, this.#shifted + behind) : [];
      const now = middle.map((element, i) => this.#replaced.get(this.#shifted + first + i) ?? element);
      const beyond = this.front.length + stored;
      const ahead = this.front.slice(from, to);
      return [...ahead, ...now, ...this.back.slice(Math.max(0, from - beyond), Math.max(0, to - beyond))];
    });
  }

  set(index: number, text: string): Promise<boolean> {
    return this.#next(async () => {
      const stored = await this.#stored();
      const length = this.front.length + stored + this.back.length;
      const place = index < 0 ? length + index : index;
      if (place < 0 || place >= length) return false;
      const inside = place - this.front.length;
      if (inside < 0) this.front[place] = text;
      else if (inside >= stored) this.back[inside - stored] = text;
      else this.#replaced.set(this.#shifted + inside, text);
      return true;
    });
  }

  writes(): Write[] {
    const write = (verb: string, ...parameters: string[]): Write => ({
      name: this.#isRead() ? this.place.keys[0]! : '', // who only adds need not take turns
      place: this.place,
      verb,
      parameters,
    });
    return [
      ...[...this.#replaced].map(([index, text]) => write('list.set', String(index), text)),
      ...Array.from({ length: this.#shifted }, () => write('list.pop', 'front')),
      ...Array.from({ length: this.#popped }, () => write('list.pop', 'back')),
      ...this.front.toReversed().map((text) => write('list.push', 'front', text)),
      ...this.back.map((text) => write('list.push', 'back', text)),
    ];
  }

  left(): Left[] {
    return [];
  }

  #isChanged(): boolean {
    return this.front.length > 0 || this.back.length > 0 || this.#isRead();
  }

  /** What is written depends on what was read. */
  #isRead(): boolean {
    return this.#shifted > 0 || this.#popped > 0 || this.#replaced.size > 0;
  }

  /** How many of the store's are left. */
  async #stored(): Promise<number> {
    return (await this.#whole()) - this.#shifted - this.#popped;
  }

  async #whole(): Promise<number> {
    return Number((await this.#attempt.read(this.#read('length', [])))[0]);
  }

  async #slice(start: number, end: number): Promise<string[]> {
    const reply = await this.#attempt.read(this.#read('slice', [start, end, limits.collectionReadMax]));
    if (reply[0] === 'over') throw tooMany(this.place, reply[1]!);
    return reply.slice(1);
  }

  #read(what: string, parameters: readonly number[]): Read {
    const key = this.place.keys[0]!;
    const texts = parameters.map(String);
    const verb = `list.${what}`;
    return { id: `${verb} ${key} ${texts.join(' ')}`, name: key, place: this.place, verb, parameters: texts };
  }

  /** When the call before it is done. */
  #next<R>(work: () => Promise<R>): Promise<R> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {}); // its caller hears of it
    return done;
  }
}
