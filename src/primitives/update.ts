import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import type { ValueCodec } from '../base/codec.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Session } from '../session/session.ts';
import type { Guarding } from './guard.ts';
import { heldHere } from './holding.ts';
import type { Lease } from './lease.ts';
import { createLock } from './lock.ts';

/** A text in the store that is changed by what it was: a value, or an entry of a map. */
export interface Cell {
  /** For messages: `value "config"`. */
  readonly where: string;
  /** The key that it lies under, and the field: together they name it in its space. */
  readonly id: string;
  /** Updates of a cell with the same terms, a guard and an end, can be one write. */
  readonly terms: string;
  read(): Promise<string | undefined>;
  /**
   * Writes `text` if the cell holds `expected`, in one step: ['ok'], or ['busy'], ['other', the text now, if any].
   * `guard` and `turn` go to the step, see `isTurnOfOther` in operations/value.ts. Throws where the guard is over.
   */
  write(expected: string | undefined, text: string, turn: Turn): Promise<readonly string[]>;
}

/** The owner key of the lock by which updates queue, and what it must hold: '' for a write that does not queue. */
export interface Turn {
  readonly key: string;
  readonly owner: string;
}

/**
 * Changes a cell by what it is: `change` gets the value now, and runs again with the fresh one where somebody else was
 * faster. Updates of one session take turns, and those that wait go in one step: each change gets what the one before
 * it made. Who was slower too often waits in a FIFO queue for all sessions, and is not overtaken by other updates any
 * more. Resolves to the new value; rejects with what `change` threw, and with `CONFLICT` where plain writes were faster
 * each time.
 */
export async function update<V>(
  session: Session,
  cell: Cell,
  codec: ValueCodec<V>,
  change: (now: V | undefined) => V | Promise<V>,
): Promise<V> {
  if (typeof change !== 'function') throw invalidArgument('change', change, 'a function');
  session.assertOpen();
  session.enter();
  try {
    // Who holds locks waits for itself: only then a circle of waits is seen.
    const alone = change instanceof AsyncFunction || heldHere() !== undefined;
    const place: Place<V> = { cell, codec, change: AsyncLocalStorage.bind(change), alone, called: undefined };
    const line = lineOf(session, cell.id);
    const outcome = (await line.enter(place)) ?? (await new Update(session, line, place).run());
    if ('error' in outcome) throw outcome.error;
    return outcome.value as V;
  } finally {
    session.exit();
  }
}

const AsyncFunction = (async () => {}).constructor as new () => unknown;

/** Writes `next` if the cell holds the value `expected`; undefined: none. Equal is what `ValueCodec.same` says. */
export async function compareAndSet(
  session: Session,
  cell: Cell,
  same: (stored: string, text: string) => boolean,
  expected: string | undefined,
  next: string,
): Promise<boolean> {
  const turn: Turn = { key: turnOf(session, cell).keys.owner, owner: '' };
  let wanted = expected;
  for (let tries = 0; tries < limits.updateTries; tries++) {
    const [verdict, now] = await cell.write(wanted, next, turn);
    if (verdict === 'ok') return true;
    // Another text may be the same value: other spaces, another order of properties.
    if (now === undefined || expected === undefined || !same(now, expected)) return false;
    wanted = now;
  }
  throw conflict(cell);
}

/** What came of an update. */
type Outcome = { value: unknown } | { error: unknown };

/** An update in the line of its session. */
interface Place<V = unknown> {
  readonly cell: Cell;
  readonly codec: ValueCodec<V>;
  change(now: V | undefined): V | Promise<V>;
  /** Whether it goes in a step of its own: what takes long keeps nobody waiting, and is not called for a guess. */
  alone: boolean;
  /** Tells it what came of it, or that it is the first now. */
  called: ((outcome: Outcome | undefined) => void) | undefined;
}

/** The first of a line, with those that go in its step. */
class Update {
  readonly #session: Session;
  readonly #line: Line;
  readonly #cell: Cell;
  #places: Place[];
  #now: string | undefined;
  #left = false;

  constructor(session: Session, line: Line, first: Place) {
    this.#session = session;
    this.#line = line;
    this.#cell = first.cell;
    this.#places = [first];
  }

  /** What came of the first; the others are told. */
  async run(): Promise<Outcome> {
    let made: Outcome[];
    try {
      made = await this.#made();
    } catch (error) {
      made = this.#places.map(() => ({ error }));
    }
    this.#leave();
    for (const [i, { called }] of this.#places.entries()) called?.(made[i]);
    return made[0]!;
  }

  async #made(): Promise<Outcome[]> {
    const where = turnOf(this.#session, this.#cell);
    this.#now = await this.#cell.read();
    for (let tries = 0; tries < limits.updateTries; tries++) {
      if (tries > 1) await this.#pause(tries);
      const made = await this.#try({ key: where.keys.owner, owner: 'none' });
      if (typeof made !== 'string') return made;
      if (made === 'busy') break;
    }
    return createLock(this.#session, where, {}).run((lease) => this.#inTurn(lease));
  }

  /** Only plain writes can be in the way. */
  async #inTurn(lease: Lease): Promise<Outcome[]> {
    this.#now = await this.#cell.read();
    for (let tries = 0; tries < limits.updateTriesInTurn; tries++) {
      const { key, owner } = (lease as Lease & Guarding).asGuard();
      const made = await this.#try({ key, owner });
      if (typeof made !== 'string') return made;
    }
    throw conflict(this.#cell);
  }

  /** What came of each; `busy` or `other` where nothing was written. */
  async #try(turn: Turn): Promise<Outcome[] | string> {
    if (!this.#left) this.#places.push(...this.#line.companions(this.#places[0]!, this.#places.length));
    const made: Outcome[] = [];
    let text = this.#now;
    let changes = 0;
    for (const place of this.#places) {
      try {
        const value = text === undefined ? undefined : await place.codec.decode(this.#cell.where, text);
        const changed = place.change(value);
        if (changed instanceof Promise && !this.#goesAlone(place, changed)) break;
        const next = await changed;
        text = await place.codec.encode(this.#cell.where, next);
        changes += 1;
        made.push({ value: next });
      } catch (error) {
        made.push({ error });
      }
    }
    if (changes === 0) return made;
    const [verdict = '', now] = await this.#cell.write(this.#now, text!, turn);
    if (verdict === 'ok') return made;
    if (verdict === 'other') this.#now = now;
    return verdict;
  }

  /** A promise may take long, or update the same cell itself. False for one that is not the first: it was called in vain. */
  #goesAlone(place: Place, changed: Promise<unknown>): boolean {
    place.alone = true;
    const at = this.#places.indexOf(place);
    this.#line.giveBack(this.#places.splice(Math.max(at, 1)));
    if (at === 0) this.#leave();
    else changed.catch(() => {});
    return at === 0;
  }

  #leave(): void {
    if (!this.#left) this.#line.leave();
    this.#left = true;
  }

  /** Full jitter. */
  async #pause(tries: number): Promise<void> {
    const { clock } = this.#session;
    const ms = clock.random() * Math.min(limits.updatePauseMsMax, 2 ** tries);
    await new Promise<void>((done) => clock.timer(ms, done));
  }
}

/** The lock by which updates queue. A name that would be too long is its SHA-1. */
function turnOf(session: Session, { id }: Cell): { name: string; keys: ReturnType<Session['keys']['lock']> } {
  const long = Buffer.byteLength(id) > limits.nameBytesMax - prefix.length;
  const name = prefix + (long ? createHash('sha1').update(id).digest('hex') : id);
  return { name, keys: session.keys.lock(name) };
}

const prefix = 'lockstep/update/';

function conflict(cell: Cell): LockstepError {
  return new LockstepError(
    'CONFLICT',
    `${cell.where} was not changed: each time somebody else wrote it first, without comparing; write it by update, or ` +
      'less often',
    { details: { where: cell.where } },
  );
}

/** The updates of a session that wait for one cell: its tasks would only be in each other's way. */
class Line {
  readonly #waiting: Place[] = [];
  readonly #empty: () => void;
  #taken = false;

  constructor(empty: () => void) {
    this.#empty = empty;
  }

  /** Resolves to what came of it, where another one's step did it; to nothing when it is the first. */
  async enter(place: Place): Promise<Outcome | undefined> {
    if (this.#taken) return new Promise((called) => this.#waiting.push(Object.assign(place, { called })));
    this.#taken = true;
    return undefined;
  }

  /** Takes those out of the line that stand next and can go in the step of `first`, in which so many are. */
  companions(first: Place, count: number): Place[] {
    if (first.alone) return [];
    let end = 0;
    for (const { alone, cell } of this.#waiting) {
      if (alone || cell.terms !== first.cell.terms || count + end === limits.updatesTogether) break;
      end += 1;
    }
    return this.#waiting.splice(0, end);
  }

  giveBack(places: readonly Place[]): void {
    this.#waiting.unshift(...places);
  }

  /** The first has gone. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return next.called!(undefined);
    this.#taken = false;
    this.#empty();
  }
}

const lines: WeakMap<Session, Map<string, Line>> = new WeakMap();

function lineOf(session: Session, id: string): Line {
  let all = lines.get(session);
  if (all === undefined) lines.set(session, (all = new Map<string, Line>()));
  let line = all.get(id);
  if (line === undefined) all.set(id, (line = new Line(() => all.delete(id))));
  return line;
}
