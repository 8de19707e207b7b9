import { LockstepError } from '../../base/errors.ts';
import type { Check } from './guarding.ts';
import type { Place, Read, Steps, Write } from './steps.ts';
import { noMore } from './surplus.ts';
import type { Known, Left, Turns } from './turns.ts';

/** What one thing has buffered: what is read of it comes from there, and from the store. */
export interface Thing {
  readonly place: Place;
  writes(): readonly Write[];
  /** What its reads will give when that is written, as far as it is known. */
  left(): readonly Left[];
}

/** One run of the body of a transaction: what it read, and what it wants to write. */
export class Attempt {
  reads: Map<string, { readonly read: Read; readonly known: Known }> = new Map();
  /** By their reads. */
  readonly checks: Map<string, Check> = new Map();
  /** All that its calls got: also those that end after the body, whose reads are none of the transaction's. */
  readonly #seen: Map<string, { readonly read: Read; readonly known: Known }> = this.reads;
  readonly #steps: Steps;
  readonly #turns: Turns | undefined;
  readonly #primed: ReadonlyMap<string, Known>;
  readonly #things: Map<string, Thing> = new Map();
  readonly #asked: Map<string, Promise<readonly string[]>> = new Map();
  /** Its calls that failed. */
  #failed: Failed[] | undefined;
  #pending = 0;
  #over = false;

  /** `turns`: which foresee what is read; `primed`: what need not be asked for either. */
  constructor(steps: Steps, turns: Turns | undefined, primed: ReadonlyMap<string, Known>) {
    this.#steps = steps;
    this.#turns = turns;
    this.#primed = primed;
  }

  /** The one thing with this key. */
  thing<T extends Thing>(key: string, make: () => T): T {
    let thing = this.#things.get(key);
    if (thing === undefined) this.#things.set(key, (thing = make()));
    return thing as T;
  }

  /** Wants to write what a plan wants to. */
  adopt(plan: Attempt): void {
    for (const [key, thing] of plan.#things) this.#things.set(key, thing);
    for (const [id, check] of plan.checks) this.checks.set(id, check);
  }

  /** What a read gives; at once, where that is known. */
  read(read: Read): readonly string[] | Promise<readonly string[]> {
    const seen = this.#seen.get(read.id);
    if (seen !== undefined) return seen.known.texts;
    const known = this.#turns?.foreseen(read) ?? this.#primed.get(read.id);
    if (known === undefined || known.by?.isVoid === true) return this.#ask(read);
    this.#seen.set(read.id, { read, known });
    return known.texts;
  }

  /** What a read gave that is done. */
  seen(read: Read): readonly string[] {
    return this.#seen.get(read.id)!.known.texts;
  }

  /**
   * Every call of a handle goes through here: it belongs to the body, and ends before it. `more`: what the call was given
   * beyond what it takes.
   */
  call<R>(what: string, work: () => R | Promise<R>, more?: unknown): Promise<R> {
    if (this.#over) return Promise.reject(overError(what));
    let result: R | Promise<R>;
    try {
      noMore(what, more);
      result = work();
    } catch (error) {
      const call = new Call<R>((_, reject) => reject(error));
      this.#fail(call, error);
      return call;
    }
    if (!(result instanceof Promise)) return Promise.resolve(result); // as most do, it read or wrote what is known
    return this.#awaited(result);
  }

  #awaited<R>(result: Promise<R>): Promise<R> {
    this.#pending += 1;
    const call: Call<R> = new Call((resolve, reject) => {
      result.then(
        (value) => {
          this.#pending -= 1;
          resolve(value);
        },
        (error: unknown) => {
          this.#pending -= 1;
          this.#fail(call, error);
          reject(error);
        },
      );
    });
    return call;
  }

  #fail(call: Call<unknown>, error: unknown): void {
    call.answerFor();
    (this.#failed ??= []).push({ call, error });
  }

  /** The body ended. Throws where it did not wait for its own calls, and where nobody heard that one of them failed. */
  end(): void {
    const { things, pending } = { things: [...this.#things.values()], pending: this.#pending };
    this.abandon();
    const unheard = this.#failed?.find(({ call }) => !call.heard);
    if (unheard !== undefined) throw unheard.error;
    if (pending === 0) return;
    throw new LockstepError(
      'INVALID_ARGUMENT',
      `the body of a transaction ended before ${pending} of its calls did (it uses ${things.map(({ place }) => place.what).join(', ')}): await each of them, nothing was written`,
    );
  }

  /** The body is not waited for any more. */
  abandon(): void {
    if (!this.#over && this.#pending > 0) this.reads = new Map(this.#seen);
    this.#over = true;
  }

  writes(): readonly Write[] {
    return this.#ofAll((thing) => thing.writes());
  }

  left(): readonly Left[] {
    return this.#ofAll((thing) => thing.left());
  }

  /** Most transactions touch one thing. */
  #ofAll<R>(part: (thing: Thing) => readonly R[]): readonly R[] {
    const things = [...this.#things.values()];
    return things.length === 1 ? part(things[0]!) : things.flatMap(part);
  }

  /** Whether all that was read was there at one moment. */
  get isOfOneMoment(): boolean {
    let moment: number | undefined;
    for (const { known } of this.reads.values()) {
      if (known.moment === 0 || (moment !== undefined && moment !== known.moment)) return false;
      moment = known.moment;
    }
    return true;
  }

  #ask(read: Read): Promise<readonly string[]> {
    let asked = this.#asked.get(read.id);
    if (asked === undefined) this.#asked.set(read.id, (asked = this.#look(read)));
    return asked;
  }

  async #look(read: Read): Promise<readonly string[]> {
    const known = await this.#steps.look(read);
    this.#seen.set(read.id, { read, known });
    return known.texts;
  }
}

interface Failed {
  readonly call: Call<unknown>;
  readonly error: unknown;
}

/** The promise of a call, which knows whether anybody waits for it. */
class Call<R> extends Promise<R> {
  heard = false;

  /** What is made of it is a plain promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise, and must know who waits for it
  override then<A = R, B = never>(
    done?: ((value: R) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.heard = true;
    return super.then(done, failed);
  }

  /** It failed: where nobody hears of that, the transaction tells of it. */
  answerFor(): void {
    super.then(undefined, () => {});
  }
}

function overError(what: string): LockstepError {
  return new LockstepError(
    'CLOSED',
    `${what} of a transaction was used after the body had ended, or was given up: what a transaction does is done inside of its body`,
  );
}
