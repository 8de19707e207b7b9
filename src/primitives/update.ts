import { createHash } from 'node:crypto';
import type { ValueCodec } from '../base/codec.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Session } from '../session/session.ts';
import type { Guarding } from './guard.ts';
import type { Lease } from './lease.ts';
import { createLock } from './lock.ts';

/** A text in the store that is changed by what it was: a value, or an entry of a map. */
export interface Cell {
  /** For messages: `value "config"`. */
  readonly where: string;
  /** The key that it lies under, and the field: together they name it in its space. */
  readonly id: string;
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
 * faster. Updates of one session take turns. Who was slower too often waits in a FIFO queue for all sessions, and is not
 * overtaken by other updates any more. Resolves to the new value; rejects with what `change` threw, and with
 * `CONFLICT` where plain writes were faster each time.
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
  const left = await enterLine(session, cell.id);
  try {
    return await new Update(session, cell, codec, change, left).run();
  } finally {
    left();
    session.exit();
  }
}

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

class Update<V> {
  readonly #session: Session;
  readonly #cell: Cell;
  readonly #codec: ValueCodec<V>;
  readonly #change: (now: V | undefined) => V | Promise<V>;
  readonly #leaveLine: () => void;
  #now: string | undefined;
  #value: V | undefined;

  constructor(
    session: Session,
    cell: Cell,
    codec: ValueCodec<V>,
    change: (now: V | undefined) => V | Promise<V>,
    leaveLine: () => void,
  ) {
    this.#session = session;
    this.#cell = cell;
    this.#codec = codec;
    this.#change = change;
    this.#leaveLine = leaveLine;
  }

  async run(): Promise<V> {
    const where = turnOf(this.#session, this.#cell);
    this.#now = await this.#cell.read();
    for (let tries = 0; tries < limits.updateTries; tries++) {
      if (tries > 1) await this.#pause(tries);
      const verdict = await this.#try({ key: where.keys.owner, owner: 'none' });
      if (verdict === 'ok') return this.#value!;
      if (verdict === 'busy') break;
    }
    return createLock(this.#session, where, {}).run((lease) => this.#runInTurn(lease));
  }

  /** Only plain writes can be in the way. */
  async #runInTurn(lease: Lease): Promise<V> {
    this.#now = await this.#cell.read();
    for (let tries = 0; tries < limits.updateTriesInTurn; tries++) {
      const { key, owner } = (lease as Lease & Guarding).asGuard();
      if ((await this.#try({ key, owner })) === 'ok') return this.#value!;
    }
    throw conflict(this.#cell);
  }

  async #try(turn: Turn): Promise<string> {
    const { where } = this.#cell;
    const value = this.#now === undefined ? undefined : await this.#codec.decode(where, this.#now);
    const changed = this.#change(value);
    if (changed instanceof Promise) this.#leaveLine(); // it may take long, or update the same cell itself
    this.#value = await changed;
    const text = await this.#codec.encode(where, this.#value);
    const [verdict = '', now] = await this.#cell.write(this.#now, text, turn);
    if (verdict === 'other') this.#now = now;
    return verdict;
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

/** Of each session, the last in line for a cell: tasks of one session would only be in each other's way. */
const lines: WeakMap<Session, Map<string, Promise<void>>> = new WeakMap();

/** Waits for its place; gives what leaves it. */
async function enterLine(session: Session, id: string): Promise<() => void> {
  let line = lines.get(session);
  if (line === undefined) lines.set(session, (line = new Map<string, Promise<void>>()));
  const before = line.get(id);
  let leave: () => void = () => {};
  const mine = new Promise<void>((done) => (leave = done));
  line.set(id, mine);
  await before;
  return () => {
    if (line.get(id) === mine) line.delete(id);
    leave();
  };
}
