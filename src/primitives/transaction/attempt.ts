import { LockstepError } from '../../base/errors.ts';
import { Few } from '../../base/few.ts';
import type { Check } from './guarding.ts';
import type { Looking, Place, Read, Steps, Write } from './steps.ts';
import { noMore } from './surplus.ts';
import type { Known, Left, Turns } from './turns.ts';

/** What one thing has buffered: what is read of it comes from there, and from the store. */
export interface Thing {
  readonly place: Place;
  writes(): readonly Write[];
  /** What its reads will give when that is written, as far as it is known. */
  left(): readonly Left[];
}

/** A read, and what it gave. */
export interface Seen {
  readonly read: Read;
  readonly known: Known;
}

/** One run of the body of a transaction: what it read, and what it wants to write. */
export class Attempt {
  /** What it read until the body ended. */
  reads: readonly Seen[] = none;
  /** Also what calls got that ended after the body, which is none of the transaction's. */
  readonly #seen = new Few<Seen>();
  readonly #steps: Steps;
  readonly #turns: Turns | undefined;
  readonly #primed: ReadonlyMap<string, Known>;
  readonly #things = new Few<Thing>();
  #checks: Map<string, Check> | undefined;
  #asked: Few<Asked> | undefined;
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

  /** By their reads. */
  get checks(): Map<string, Check> {
    return (this.#checks ??= new Map());
  }

  get hasChecks(): boolean {
    return this.#checks !== undefined && this.#checks.size > 0;
  }

  /** The one thing with this key. */
  thing<T extends Thing>(key: string, make: () => T): T {
    let thing = this.#things.get(key);
    if (thing === undefined) this.#things.set(key, (thing = make()));
    return thing as T;
  }

  /** Wants to write what a plan wants to. */
  adopt(plan: Attempt): void {
    plan.#things.forEach((thing, key) => this.#things.set(key, thing));
    if (plan.hasChecks) this.#checks = new Map(plan.checks);
  }

  /** What a read gives; at once, where that is known. */
  read(read: Read): readonly string[] | Promise<readonly string[]> {
    const known = this.#known(read);
    if (known !== undefined) return known.texts;
    return new Promise((resolve, reject) => {
      this.#ask(read, { came: ({ texts }) => resolve(texts), failed: reject });
    });
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
    return this.callOn(what, nothing, work, more);
  }

  /** As `call`, of work that gets what a read gives; `needs` may throw, and gives nothing where the work can do without. */
  callOn<R>(
    what: string,
    needs: () => Read | undefined,
    work: (texts: readonly string[]) => R | Promise<R>,
    more?: unknown,
  ): Promise<R> {
    if (this.#over) return Promise.reject(overError(what));
    let result: R | Promise<R>;
    try {
      noMore(what, more);
      const read = needs();
      const known = read === undefined ? unneeded : this.#known(read);
      if (known === undefined) return this.#onceRead(read!, work);
      result = work(known.texts);
    } catch (error) {
      const call = new Call<R>((_, reject) => reject(error));
      this.#fail(call, error);
      return call;
    }
    if (!(result instanceof Promise)) return Promise.resolve(result); // as most do, it read or wrote what is known
    return this.#pendingCall((done, failed) => void (result as Promise<R>).then(done, failed));
  }

  #onceRead<R>(read: Read, work: (texts: readonly string[]) => R | Promise<R>): Promise<R> {
    return this.#pendingCall((done, failed) => {
      const came = ({ texts }: Known): void => {
        let result: R | Promise<R>;
        try {
          result = work(texts);
        } catch (error) {
          return failed(error);
        }
        if (result instanceof Promise) result.then(done, failed);
        else done(result);
      };
      this.#ask(read, { came, failed });
    });
  }

  /** A call that ends later. `begin` does not call what it is given at once. */
  #pendingCall<R>(begin: (done: (value: R) => void, failed: (error: unknown) => void) => void): Promise<R> {
    this.#pending += 1;
    const call: Call<R> = new Call((resolve, reject) => {
      const done = (value: R): void => {
        this.#pending -= 1;
        resolve(value);
      };
      const failed = (error: unknown): void => {
        this.#pending -= 1;
        this.#fail(call, error);
        reject(error);
      };
      begin(done, failed);
    });
    return call;
  }

  #fail(call: Call<unknown>, error: unknown): void {
    call.answerFor();
    (this.#failed ??= []).push({ call, error });
  }

  /** The body ended. Throws where it did not wait for its own calls, and where nobody heard that one of them failed. */
  end(): void {
    const { things, pending } = { things: this.#things.values(), pending: this.#pending };
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
    if (!this.#over) this.reads = this.#seen.values();
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
    const things = this.#things.values();
    return things.length === 1 ? part(things[0]!) : things.flatMap(part);
  }

  /** Whether all that was read was there at one moment. */
  get isOfOneMoment(): boolean {
    let moment: number | undefined;
    for (const { known } of this.reads) {
      if (known.moment === 0 || (moment !== undefined && moment !== known.moment)) return false;
      moment = known.moment;
    }
    return true;
  }

  /** What a read gives, where it need not be asked for. */
  #known(read: Read): Known | undefined {
    const seen = this.#seen.get(read.id);
    if (seen !== undefined) return seen.known;
    const known = this.#turns?.foreseen(read) ?? this.#primed.get(read.id);
    if (known === undefined || known.by?.isVoid === true) return undefined;
    this.#seen.set(read.id, { read, known });
    return known;
  }

  /** Once for all who want the same meanwhile. */
  #ask(read: Read, one: Waiting): void {
    let asked = this.#asked?.get(read.id);
    if (asked === undefined || asked.isOver) {
      asked = new Asked(read, this.#seen);
      (this.#asked ??= new Few()).set(read.id, asked);
      this.#steps.look(asked);
    }
    asked.waiting.push(one);
  }
}

interface Waiting {
  came(known: Known): void;
  failed(error: unknown): void;
}

/** A read that is on its way, and who waits for it. */
class Asked implements Looking {
  readonly read: Read;
  readonly waiting: Waiting[] = [];
  isOver = false;
  readonly #seen: Few<Seen>;

  constructor(read: Read, seen: Few<Seen>) {
    this.read = read;
    this.#seen = seen;
  }

  resolve(known: Known): void {
    this.isOver = true;
    this.#seen.set(this.read.id, { read: this.read, known });
    for (const one of this.waiting) one.came(known);
  }

  reject(error: unknown): void {
    this.isOver = true;
    for (const one of this.waiting) one.failed(error);
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

const none: readonly never[] = [];
const unneeded: Known = { texts: none, moment: 0 };

function nothing(): undefined {}

function overError(what: string): LockstepError {
  return new LockstepError(
    'CLOSED',
    `${what} of a transaction was used after the body had ended, or was given up: what a transaction does is done inside of its body`,
  );
}
