import { type ValueCodec, valueCodec, type ValueOptions } from '../../base/codec.ts';
import type { Attempt, Thing } from './attempt.ts';
import type { Place, Read, Write } from './steps.ts';
import type { Left } from './turns.ts';

/** A set inside of a transaction: as `SharedSet`, with everything that the transaction wrote so far. */
export interface TransactionSet<V> {
  readonly name: string;
  has(member: V): Promise<boolean>;
  /** True if it is new. */
  add(member: V): Promise<boolean>;
  /** True if it was there. */
  delete(member: V): Promise<boolean>;
  /** Checked at the commit: it conflicts with whoever adds or deletes a member. */
  size(): Promise<number>;
}

/** The set `name` at `place`, as one run of a body sees it. Throws `INVALID_ARGUMENT` for a schema or codec that is none. */
export function setIn<V>(attempt: Attempt, name: string, place: Place, options: ValueOptions<V>): TransactionSet<V> {
  return new SetView(attempt, name, membersOf(attempt, place), valueCodec(options));
}

/** What a run wants to write to the set at `place`. */
export function membersOf(attempt: Attempt, place: Place): Members {
  return attempt.thing(place.keys[0]!, () => new Members(attempt, place));
}

class SetView<V> implements TransactionSet<V> {
  readonly name: string;
  readonly #attempt: Attempt;
  readonly #members: Members;
  readonly #codec: ValueCodec<V>;

  constructor(attempt: Attempt, name: string, members: Members, codec: ValueCodec<V>) {
    this.name = name;
    this.#attempt = attempt;
    this.#members = members;
    this.#codec = codec;
  }

  has(member: V): Promise<boolean> {
    return this.#call(member, (_, there) => there);
  }

  add(member: V, more?: unknown): Promise<boolean> {
    const work = (text: string, there: boolean): boolean => {
      if (!there) this.#members.put(text, true);
      return !there;
    };
    return this.#call(member, work, more);
  }

  delete(member: V, more?: unknown): Promise<boolean> {
    const work = (text: string, there: boolean): boolean => {
      if (there) this.#members.put(text, false);
      return there;
    };
    return this.#call(member, work, more);
  }

  size(): Promise<number> {
    return this.#attempt.call(this.#members.place.what, () => this.#members.size());
  }

  #call(member: V, work: (text: string, there: boolean) => boolean, more?: unknown): Promise<boolean> {
    const { what } = this.#members.place;
    const loaded = async (): Promise<boolean> => {
      const text = await this.#codec.encode(what, member);
      await this.#members.load(text);
      return work(text, this.#members.now(text));
    };
    return this.#attempt.call(what, loaded, more);
  }
}

/** The members of a set: those of the store, and above them what was written. */
export class Members implements Thing {
  readonly place: Place;
  readonly #attempt: Attempt;
  /** Whether it is to be there. */
  readonly #written: Map<string, boolean> = new Map();

  constructor(attempt: Attempt, place: Place) {
    this.#attempt = attempt;
    this.place = place;
  }

  load(text: string): unknown {
    return this.#written.has(text) ? undefined : this.#attempt.read(this.#member(text));
  }

  /** After `load`. */
  now(text: string): boolean {
    return this.#written.get(text) ?? this.#attempt.seen(this.#member(text)).length > 0;
  }

  put(text: string, there: boolean): void {
    this.#written.set(text, there);
  }

  async size(): Promise<number> {
    const key = this.place.keys[0]!;
    const whole: Read = { id: `set.size ${key}`, name: key, place: this.place, verb: 'set.size', parameters: [] };
    const written = [...this.#written.keys()].map((text) => this.#member(text));
    await Promise.all([whole, ...written].map(async (read) => this.#attempt.read(read)));
    let size = Number(this.#attempt.seen(whole)[0]);
    for (const read of written) {
      if (this.#attempt.seen(read).length > 0) size -= 1;
      if (this.#written.get(read.parameters[0]!) === true) size += 1;
    }
    return size;
  }

  writes(): Write[] {
    return [...this.#written].map(([text, there]) => ({
      name: this.#member(text).name,
      place: this.place,
      verb: there ? 'set.add' : 'set.delete',
      parameters: [text],
    }));
  }

  left(): Left[] {
    return [...this.#written].map(([text, there]) => {
      const { id } = this.#member(text);
      return { id, texts: there ? ['1'] : [] };
    });
  }

  #member(text: string): Read {
    const name = `${this.place.keys[0]!}\n${text}`;
    return { id: `set.has ${name}`, name, place: this.place, verb: 'set.has', parameters: [text] };
  }
}
