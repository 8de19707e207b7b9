/**
 * Random programs of operations. A program is plain data, so that a counterexample can be read; what depends on an
 * earlier reply (who owns a lock now) is named in it, and looked up in the model when it runs.
 */
import fc from 'fast-check';
import { keysOf, type LockNames, type SpaceKeys } from '../../src/base/names.ts';
import type { Engine } from '../../src/engines/engine.ts';
import * as counter from '../../src/operations/counter.ts';
import * as lock from '../../src/operations/lock.ts';
import * as map from '../../src/operations/map.ts';
import * as session from '../../src/operations/session.ts';
import type { BatchOperation, Operation, Reply } from '../../src/operations/tx.ts';
import { call, state } from './verbs/verbs.ts';

/** A waiter: of the session in this place (or of the one before it, which is gone), with this lease. */
interface Token {
  place: number;
  gone: boolean;
  ask: string;
  ttlMs: number;
}

/** Who: the owner that the model has now, the one before it, or nobody ever. */
type Who = 'owner' | 'former' | 'nobody' | 'unguarded';

export type Command =
  | { do: 'advance'; us: number }
  | { do: 'connect'; place: number }
  | { do: 'disconnect'; place: number }
  | { do: 'acquire'; lock: number; token: Token; wait: number; fences: number; queueMs: number }
  | { do: 'release'; lock: number; who: Who; fences: number }
  | { do: 'leave'; lock: number; token: Token; fences: number }
  | { do: 'forceRelease'; lock: number; fences: number }
  | { do: 'requestRelease'; lock: number; reason: string }
  | { do: 'look'; lock: number; from: number; to: number }
  | { do: 'acquireAll'; locks: number[]; token: Token; fences: number }
  | { do: 'renew'; leases: { lock: number; who: Who; ttlMs: number }[] }
  | { do: 'foreign'; text: string }
  | { do: 'add'; by: number }
  | { do: 'setCounter'; by: number }
  | { do: 'getCounter' }
  | { do: 'size' }
  | { do: 'set'; field: string; value: string; lock: number; who: Who }
  | { do: 'remove'; field: string; lock: number; who: Who }
  | { do: 'get'; field: string }
  | { do: 'join'; place: number; card: string }
  | { do: 'quit'; place: number }
  | { do: 'publishWait'; lock: number; field: string; record: string; ms: number }
  | { do: 'withdrawWait'; lock: number; field: string }
  | { do: 'holderWaits'; lock: number };

/** What a command comes to: one run of one operation, on any store. */
export interface Step {
  readonly name: string;
  on(store: Pick<Engine, 'run' | 'runBatch'>): Promise<Reply>;
}

function single<Keys, Args, R extends Reply>(operation: Operation<Keys, Args, R>, keys: Keys, args: Args): Step {
  return { name: operation.name, on: (store) => store.run(operation, keys, args) };
}

function batch(operation: BatchOperation<Reply>, keys: readonly string[], args: readonly string[]): Step {
  return { name: operation.name, on: (store) => store.runBatch(operation, keys, args) };
}

const lockNames = ['a', 'é', '😀'];
const texts = ['', 'a', 'B', 'é', 'ﬀ', '😀', 'a b:c', '\u0000', '1', '-0', '"}'];
const fields = ['x', 'é', '😀', ''];
const largest = Number.MAX_SAFE_INTEGER;

const lockPlace = fc.nat(lockNames.length - 1);
const place = fc.nat(2);
const who = fc.constantFrom<Who>('owner', 'owner', 'former', 'nobody');
const guard = fc.constantFrom<Who>('owner', 'former', 'nobody', 'unguarded');
const text = fc.constantFrom(...texts);
const field = fc.constantFrom(...fields);
const fences = fc.constantFrom(1, 1, 64);
const ttlMs = fc.constantFrom(1, 50, 50, 1_000);
const token: fc.Arbitrary<Token> = fc.record({
  place,
  gone: fc.constantFrom(false, false, false, true),
  ask: fc.constantFrom('1', 'ü', '😀'),
  ttlMs,
});
/** Small numbers, and what lies at the edge of exactness. */
const amount = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(largest, largest - 1, -largest, 1 - largest, 1e15),
);
/** Up to a lease and a queue and beyond, by the µs around whole ms, and now and then backwards. */
const us = fc.oneof(
  fc.constantFrom(0, 1, 999, 1_000, 1_001),
  fc.constantFrom(49_000, 50_000, 50_999, 51_000, 51_001, 1_001_000),
  fc.integer({ min: -2_000, max: 60_000 }),
  fc.constantFrom(300_000_000, 300_001_000),
);

function kind<K extends Command['do']>(
  name: K,
  rest: { [F in Exclude<keyof Extract<Command, { do: K }>, 'do'>]: fc.Arbitrary<Extract<Command, { do: K }>[F]> },
): fc.Arbitrary<Command> {
  return fc.record({ do: fc.constant(name), ...rest }) as unknown as fc.Arbitrary<Command>;
}

const lockCommand = fc.oneof(
  {
    weight: 8,
    arbitrary: kind('acquire', {
      lock: lockPlace,
      token,
      wait: fc.constantFrom(0, 1, 1, 1),
      fences,
      queueMs: fc.constantFrom(10, 300_000, 300_000),
    }),
  },
  { weight: 4, arbitrary: kind('release', { lock: lockPlace, who, fences }) },
  { weight: 3, arbitrary: kind('leave', { lock: lockPlace, token, fences }) },
  { weight: 1, arbitrary: kind('forceRelease', { lock: lockPlace, fences }) },
  { weight: 1, arbitrary: kind('requestRelease', { lock: lockPlace, reason: text }) },
  {
    weight: 1,
    arbitrary: kind('look', {
      lock: lockPlace,
      from: fc.integer({ min: -2, max: 2 }),
      to: fc.integer({ min: -2, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: kind('acquireAll', { locks: fc.uniqueArray(lockPlace, { minLength: 1 }), token, fences }) },
  {
    weight: 2,
    arbitrary: kind('renew', {
      leases: fc.array(fc.record({ lock: lockPlace, who, ttlMs }), { minLength: 1, maxLength: 3 }),
    }),
  },
);

const dataCommand = fc.oneof(
  kind('foreign', {
    text: fc.constantFrom('1e5', '-0', '007', '', ' 1', '9007199254740992', '-9007199254740991', '12'),
  }),
  kind('add', { by: amount }),
  kind('add', { by: amount }),
  kind('setCounter', { by: amount }),
  kind('getCounter', {}),
  kind('set', { field, value: text, lock: lockPlace, who: guard }),
  kind('remove', { field, lock: lockPlace, who: guard }),
  kind('get', { field }),
  kind('size', {}),
);

const sessionCommand = fc.oneof(
  kind('connect', { place }),
  kind('disconnect', { place }),
  kind('join', { place, card: text }),
  kind('quit', { place }),
  kind('publishWait', { lock: lockPlace, field, record: text, ms: fc.constantFrom(1, 50, 2_000) }),
  kind('withdrawWait', { lock: lockPlace, field }),
  kind('holderWaits', { lock: lockPlace }),
);

/** Programs that begin with live sessions: otherwise few would ever wait. */
export const program: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: lockCommand },
    { weight: 3, arbitrary: dataCommand },
    { weight: 3, arbitrary: sessionCommand },
    { weight: 5, arbitrary: kind('advance', { us }) },
  ),
  { minLength: 1, maxLength: 50, size: 'max' },
);

/** What the commands of one program mean, as far as the model has run them. */
export class Meaning {
  readonly #space: SpaceKeys;
  readonly #name: string;
  /** How often each place was given up: part of the session's id, which is used only once. */
  readonly #generations = [0, 0, 0];
  readonly #owners: string[][] = lockNames.map(() => []);

  constructor(name: string) {
    this.#name = name;
    this.#space = keysOf(name);
  }

  session(at: number, back = 0): string {
    return `${this.#name}-${at}-${this.#generations[at]! - back}`;
  }

  /** From now on another session is in this place. */
  giveUp(at: number): void {
    this.#generations[at]!++;
  }

  /** Looks up who owns what, by an operation on the model. */
  async learn(read: (owner: string) => Promise<Reply>): Promise<void> {
    for (const [i, name] of lockNames.entries()) {
      const [owner] = (await read(this.#space.lock(name).owner)) as string[];
      const known = this.#owners[i]!;
      if (owner !== undefined && known.at(-1) !== owner) known.push(owner);
    }
  }

  /** Undefined for what is not an operation. */
  stepOf(command: Command): Step | undefined {
    return this.#lockStep(command) ?? this.#dataStep(command) ?? this.#sessionStep(command);
  }

  #lockStep(command: Command): Step | undefined {
    switch (command.do) {
      case 'acquire': {
        const { wait, fences: many, queueMs } = command;
        const ask = { token: this.#token(command.token), wait, fences: many, queueMs };
        return single(lock.acquire, this.#lock(command.lock), ask);
      }
      case 'release': {
        const ask = { owner: this.#owner(command.lock, command.who), fences: command.fences };
        return single(lock.release, this.#lock(command.lock), ask);
      }
      case 'leave': {
        const ask = { token: this.#token(command.token), fences: command.fences };
        return single(lock.leave, this.#lock(command.lock), ask);
      }
      case 'forceRelease':
        return single(lock.forceRelease, this.#lock(command.lock), { fences: command.fences });
      case 'requestRelease':
        return single(lock.requestRelease, this.#lock(command.lock), { reason: command.reason });
      case 'look':
        return single(lock.look, this.#lock(command.lock), { from: command.from, to: command.to });
      case 'acquireAll': {
        const locks = command.locks.map((i) => this.#lock(i));
        return batch(
          lock.acquireAll,
          [this.#space.fences, this.#space.sessions, ...locks.flatMap(({ owner, queue }) => [owner, queue])],
          [String(command.fences), ...locks.map(() => this.#token(command.token))],
        );
      }
      case 'renew':
        return batch(
          lock.renew,
          command.leases.map((lease) => this.#lock(lease.lock).owner),
          command.leases.flatMap((lease) => [this.#owner(lease.lock, lease.who), String(lease.ttlMs)]),
        );
      default:
        return undefined;
    }
  }

  #dataStep(command: Command): Step | undefined {
    const inCounter = { counter: this.#space.counter('n') };
    const inMap = { map: this.#space.map('m') };
    switch (command.do) {
      case 'foreign':
        return batch(call, [inCounter.counter], ['set', command.text]);
      case 'add':
        return single(counter.add, inCounter, { by: command.by });
      case 'setCounter':
        return single(counter.set, inCounter, { value: command.by });
      case 'getCounter':
        return single(counter.get, inCounter, {});
      case 'get':
        return single(map.get, inMap, { field: command.field });
      case 'size':
        return single(map.size, inMap, {});
      case 'set': {
        const owner = this.#owner(command.lock, command.who);
        const guarded = { ...inMap, guard: this.#lock(command.lock).owner };
        return single(map.set, guarded, { field: command.field, value: command.value, owner });
      }
      case 'remove': {
        const owner = this.#owner(command.lock, command.who);
        const guarded = { ...inMap, guard: this.#lock(command.lock).owner };
        return single(map.remove, guarded, { field: command.field, owner });
      }
      default:
        return undefined;
    }
  }

  #sessionStep(command: Command): Step | undefined {
    const sessions = { sessions: this.#space.sessions };
    switch (command.do) {
      case 'join':
        return single(session.join, sessions, { session: this.session(command.place), card: command.card });
      case 'quit':
        return single(session.leave, sessions, { session: this.session(command.place) });
      case 'publishWait': {
        const ask = { wait: command.field, record: command.record, ms: command.ms };
        return single(session.publishWait, { waits: this.#lock(command.lock).waits }, ask);
      }
      case 'withdrawWait':
        return single(session.withdrawWait, { waits: this.#lock(command.lock).waits }, { wait: command.field });
      case 'holderWaits': {
        const { owner, waits } = this.#lock(command.lock);
        return single(session.holderWaits, { owner, waits }, {});
      }
      default:
        return undefined;
    }
  }

  /** Reads all that a program can have written. */
  stateStep(): Step {
    const kinds: [key: string, kind: string][] = [
      [this.#space.fences, 'string'],
      [this.#space.sessions, 'hash'],
      [this.#space.counter('n'), 'string'],
      [this.#space.map('m'), 'hash'],
    ];
    for (const name of lockNames) {
      const { owner, queue, waits } = this.#space.lock(name);
      kinds.push([owner, 'string'], [queue, 'zset'], [waits, 'hash']);
    }
    const sessions = this.#generations.flatMap((last, at) =>
      Array.from({ length: last + 1 }, (_, back) => this.session(at, back)),
    );
    return batch(
      state,
      kinds.map(([key]) => key),
      [...kinds.map(([, type]) => type), ...fields, ...sessions],
    );
  }

  #lock(i: number): LockNames {
    return this.#space.lock(lockNames[i]!);
  }

  #token({ place: at, gone, ask, ttlMs: lease }: Token): string {
    return `${this.session(at, gone && this.#generations[at]! > 0 ? 1 : 0)}:${ask}:${lease}`;
  }

  #owner(i: number, owner: Who): string {
    if (owner === 'unguarded') return '';
    const known = owner === 'owner' ? this.#owners[i]!.at(-1) : this.#owners[i]!.at(-2);
    return (owner === 'nobody' ? undefined : known) ?? 'nobody:1:50:1:1';
  }
}
