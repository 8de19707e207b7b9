import { LockstepError } from '../../base/errors.ts';
import { Few } from '../../base/few.ts';
import { Calls, PendingCall } from './calls.ts';
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
  readonly #calls = new Calls();
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
    return this.#known(read)?.texts ?? this.#ask(read);
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
    try {
      noMore(what, more);
      const read = needs();
      const known = read === undefined ? unneeded : this.#known(read);
      if (known === undefined) return this.#onceRead(read!, work);
      const result = work(known.texts);
      if (!(result instanceof Promise)) return Promise.resolve(result); // as most do, it read or wrote what is known
      const call = new PendingCall<R>(this.#calls);
      call.goOn(result);
      return call.promise;
    } catch (error) {
      return this.#calls.failed(error);
    }
  }

  #onceRead<R>(read: Read, work: (texts: readonly string[]) => R | Promise<R>): Promise<R> {
    const call = new PendingCall<R>(this.#calls);
    call.begin(this.#ask(read), work);
    return call.promise;
  }

  /** The body ended. Throws where it did not wait for its own calls, and where nobody heard that one of them failed. */
  end(): void {
    this.abandon();
    const { unheard, pending } = this.#calls;
    if (unheard !== undefined) throw unheard.error;
    if (pending === 0) return;
    const things = this.#things.values().map(({ place }) => place.what);
    throw new LockstepError(
      'INVALID_ARGUMENT',
      `the body of a transaction ended before ${pending} of its calls did (it uses ${things.join(', ')}): await each of them, nothing was written`,
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
  #ask(read: Read): Promise<readonly string[]> {
    let asked = this.#asked?.get(read.id);
    if (asked === undefined || asked.isOver) {
      asked = new Asked(read, this.#seen);
      (this.#asked ??= new Few()).set(read.id, asked);
      this.#steps.look(asked);
    }
    return asked.texts;
  }
}

/** A read that is on its way. */
class Asked implements Looking {
  readonly read: Read;
  readonly texts: Promise<readonly string[]>;
  isOver = false;
  readonly #seen: Few<Seen>;
  #came!: (texts: readonly string[]) => void;
  #failed!: (error: unknown) => void;

  constructor(read: Read, seen: Few<Seen>) {
    this.read = read;
    this.#seen = seen;
    this.texts = new Promise((came, failed) => {
      this.#came = came;
      this.#failed = failed;
    });
  }

  /** Nothing, where it failed before: a step whose reply was lost, and that is asked for again, answers all. */
  resolve(known: Known): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#seen.set(this.read.id, { read: this.read, known });
    this.#came(known.texts);
  }

  reject(error: unknown): void {
    this.isOver = true;
    this.#failed(error);
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
