/**
 * Random programs of operations. A program is plain data, so that a counterexample can be read; what depends on an
 * earlier reply (who owns a lock now) is named in it, and looked up in the model when it runs.
 */
import fc from 'fast-check';
import { keysOf, type LockNames, type SpaceKeys } from '../../src/base/names.ts';
import type { Engine } from '../../src/engines/engine.ts';
import * as cells from '../../src/operations/cells.ts';
import * as counter from '../../src/operations/counter.ts';
import * as lock from '../../src/operations/lock.ts';
import * as map from '../../src/operations/map.ts';
import * as quorum from '../../src/operations/quorum.ts';
import * as session from '../../src/operations/session.ts';
import * as value from '../../src/operations/value.ts';
import * as watch from '../../src/operations/watch.ts';
import * as stats from '../../src/operations/stats.ts';
import type { BatchOperation, Operation, Reply } from '../../src/operations/tx.ts';
import { type CollectionCommand, collectionCommand, collectionKeys, collectionStep } from './collection-programs.ts';
import { type QueueCommand, queueCommand, queueFields, queueState, queueStepOf } from './queue-programs.ts';
import { type TopicCommand, topicCommand, topicFields, topicState, topicStepOf } from './topic-programs.ts';
import * as transaction from '../../src/operations/transaction.ts';
import {
  type CellPlaces,
  cellRequests,
  cellStepOf,
  requests,
  stepOf,
  type TransactionRequest,
} from './transactions.ts';
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
  | CollectionCommand
  | QueueCommand
  | TopicCommand
  | { on: 'world'; do: 'advance'; us: number }
  | { on: 'world'; do: 'connect'; place: number }
  | { on: 'world'; do: 'disconnect'; place: number }
  | { on: 'lock'; do: 'acquire'; lock: number; token: Token; wait: number; fences: number; queueMs: number; gives: Who }
  | { on: 'lock'; do: 'release'; lock: number; who: Who; fences: number; openEveryMs: number }
  | { on: 'lock'; do: 'leave'; lock: number; token: Token; fences: number }
  | { on: 'lock'; do: 'forceRelease'; lock: number; fences: number }
  | { on: 'lock'; do: 'requestRelease'; lock: number; reason: string }
  | { on: 'lock'; do: 'foreignFence'; text: string }
  | { on: 'lock'; do: 'look'; lock: number; from: number; to: number }
  | { on: 'lock'; do: 'acquireAll'; locks: number[]; token: Token; fences: number }
  | { on: 'lock'; do: 'renew'; leases: { lock: number; who: Who; ttlMs: number }[] }
  | { on: 'lock'; do: 'vote'; lock: number; token: Token; wantedMs: number }
  | { on: 'counter'; do: 'foreign'; text: string }
  | { on: 'counter'; do: 'add'; by: string; bounds: Bounds; lock: number; who: Who }
  | { on: 'counter'; do: 'addEach'; parts: string[]; bounds: Bounds; lock: number; who: Who }
  | { on: 'counter'; do: 'setCounter'; by: string; expected: string; bounds: Bounds; lock: number; who: Who }
  | { on: 'counter'; do: 'getCounter'; bounds: Bounds }
  | {
      on: 'stats';
      do: 'record';
      values: string[];
      place: number;
      other: boolean;
      keepMs: number;
      lock: number;
      who: Who;
    }
  | { on: 'stats'; do: 'lookAtStats' }
  | { on: 'stats'; do: 'read'; place: number }
  | { on: 'transaction'; do: 'commit'; id: number; requests: TransactionRequest[] }
  | { on: 'transaction'; do: 'look'; requests: TransactionRequest[] }
  | { on: 'transaction'; do: 'forget' }
  | {
      on: 'transaction';
      do: 'commitCells';
      id: number;
      places: CellPlaces;
      asked: string[][];
      from: number | undefined;
    }
  | { on: 'transaction'; do: 'lookAtCells'; places: CellPlaces }
  | { on: 'map'; do: 'readMap'; by: (typeof mapReads)[number]; field: string }
  | ({ on: 'map'; do: 'writeMap'; by: (typeof mapWrites)[number]; field: string; other: string } & Written)
  | { on: 'map'; do: 'foreignEntry'; field: string; text: string }
  | { on: 'value'; do: 'readValue'; by: (typeof valueReads)[number] }
  | ({ on: 'value'; do: 'writeValue'; by: (typeof valueWrites)[number] } & Written)
  | { on: 'watch'; do: 'look'; what: Watched; place: number; seen: number; ms: number }
  | { on: 'watch'; do: 'forget'; what: Watched; place: number }
  | { on: 'session'; do: 'join'; place: number; card: string }
  | { on: 'session'; do: 'quit'; place: number }
  | { on: 'session'; do: 'publishWait'; lock: number; field: string; record: string; ms: number }
  | { on: 'session'; do: 'withdrawWait'; lock: number; field: string }
  | { on: 'session'; do: 'cards' }
  | { on: 'session'; do: 'holderWaits'; lock: number };

/** The least and the most that a counter may be. */
type Bounds = readonly [min: string, max: string];

const ofMaps = { ...map };
const ofValues = { ...value };
const mapReads = ['get', 'has', 'getMany', 'hasEnds', 'remaining', 'size'] as const;
const mapWrites = [
  'set',
  'setMany',
  'swap',
  'compareAndSet',
  'remove',
  'removeIf',
  'removeMany',
  'expire',
  'clear',
  'sweep',
] as const;
const valueReads = ['get', 'getWithLife', 'remaining'] as const;
const valueWrites = ['set', 'swap', 'compareAndSet', 'remove', 'expire'] as const;

/** What a write of a value or an entry is given, as far as it wants it. */
interface Written {
  text: string;
  expected: string;
  present: number;
  ms: number;
  /** Of the guard. */
  lock: number;
  who: Who;
  turn: Who;
}

type On<Room extends Command['on']> = Extract<Command, { on: Room }>;

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
/** Of statistics: as long as the time that often passes. */
const windowMs = 50;
const statsFields = ['windows', 'open', 'count', 'sum', 'min', 'max', 'pivot', 'offsets', 'squares', 'bucket:0'];
const largest = Number.MAX_SAFE_INTEGER;
const exact = BigInt(largest);

/** Most commands meet at one lock: it is there that they have something to do with each other. */
const lockPlace = fc.constantFrom(0, 0, 0, 0, 1, 2);
const place = fc.nat(2);
const who = fc.constantFrom<Who>('owner', 'owner', 'former', 'nobody');
const guard = fc.constantFrom<Who>('unguarded', 'unguarded', 'owner', 'owner', 'former', 'nobody');
const text = fc.constantFrom(...texts);
const field = fc.constantFrom('x', 'x', ...fields);
const fences = fc.constantFrom(1, 1, 64);
const ttlMs = fc.constantFrom(1, 50, 50, 1_000);
/** So few that a waiter is often asked about again. */
const token: fc.Arbitrary<Token> = fc.record({
  place,
  gone: fc.constantFrom(false, false, false, false, false, true),
  ask: fc.constantFrom('1', '1', '1', 'ü', '😀'),
  ttlMs: fc.constantFrom(50, 50, 50, 50, 1),
});
/** Small numbers, and what lies at the edges of doubles and of 64 bits. */
const amount = fc
  .oneof(
    fc.bigInt({ min: -3n, max: 3n }),
    fc.constantFrom(exact, exact - 1n, -exact, 1n - exact, 10n ** 15n, exact + 2n),
    fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 62n, -(2n ** 62n)),
  )
  .map(String);
const bounds = fc.constantFrom<Bounds>(
  [`${-exact}`, `${exact}`],
  [`${-(2n ** 63n)}`, `${2n ** 63n - 1n}`],
  ['0', '5'],
  ['-2', `${exact}`],
);
/** Up to a lease and a queue and beyond, by the µs around whole ms, and now and then backwards. */
const us = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 1, 999, 1_000, 1_001) },
  { weight: 3, arbitrary: fc.integer({ min: -2_000, max: 60_000 }) },
  { weight: 2, arbitrary: fc.constantFrom(49_000, 50_000, 50_999, 51_000, 51_001, 1_001_000) },
  { weight: 1, arbitrary: fc.constantFrom(300_000_000, 300_001_000) },
);

function kind<Room extends Command['on'], Do extends Command['do']>(
  on: Room,
  what: Do,
  rest: { [F in Exclude<keyof Named<Room, Do>, 'on' | 'do'>]: fc.Arbitrary<Named<Room, Do>[F]> },
): fc.Arbitrary<Command> {
  return fc.record({ on: fc.constant(on), do: fc.constant(what), ...rest }, { noNullPrototype: true }) as never;
}

type Named<Room extends Command['on'], Do extends Command['do']> = Extract<On<Room>, { do: Do }>;

const lockCommand = fc.oneof(
  {
    weight: 12,
    arbitrary: kind('lock', 'acquire', {
      lock: lockPlace,
      token,
      wait: fc.constantFrom(0, 1, 1, 1),
      fences,
      queueMs: fc.constantFrom(10, 300_000, 300_000),
      gives: fc.constantFrom<Who>(...Array<Who>(8).fill('unguarded'), 'owner', 'former'),
    }),
  },
  {
    weight: 3,
    arbitrary: kind('lock', 'release', { lock: lockPlace, who, fences, openEveryMs: fc.constantFrom(0, 0, 50) }),
  },
  { weight: 5, arbitrary: kind('lock', 'leave', { lock: lockPlace, token, fences }) },
  { weight: 1, arbitrary: kind('lock', 'forceRelease', { lock: lockPlace, fences }) },
  // lost, spoilt, or far ahead of the clock
  {
    weight: 1,
    arbitrary: kind('lock', 'foreignFence', { text: fc.constantFrom('', 'x', '0', '7', '4000000000000000') }),
  },
  { weight: 1, arbitrary: kind('lock', 'requestRelease', { lock: lockPlace, reason: text }) },
  {
    weight: 1,
    arbitrary: kind('lock', 'look', {
      lock: lockPlace,
      from: fc.integer({ min: -2, max: 2 }),
      to: fc.integer({ min: -2, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: kind('lock', 'acquireAll', {
      locks: fc.uniqueArray(lockPlace, { minLength: 1, maxLength: 3 }),
      token,
      fences,
    }),
  },
  { weight: 2, arbitrary: kind('lock', 'vote', { lock: lockPlace, token, wantedMs: fc.constantFrom(0, 150) }) },
  {
    weight: 2,
    arbitrary: kind('lock', 'renew', {
      leases: fc.array(fc.record({ lock: lockPlace, who, ttlMs }), { minLength: 1, maxLength: 3 }),
    }),
  },
);

/** So few that a value is often the expected one, and often the one of an earlier life. */
const short = fc.constantFrom('a', 'b', 'é');
const written = {
  text: short,
  expected: short,
  present: fc.constantFrom(0, 1, 1),
  ms: fc.constantFrom(0, 0, -1, 1, 50),
  lock: lockPlace,
  who: guard,
  turn: guard,
};

type Watched = 'map' | 'value' | 'counter' | 'set' | 'sorted' | 'list';
/** As other commands name them. */
const watchedNames: Record<Watched, string> = { map: 'm', value: 'v', counter: 'n', set: 'a', sorted: 'z', list: 'l' };
const watched = fc.constantFrom<Watched>('map', 'map', 'value', 'value', 'counter', 'set', 'sorted', 'list');

const dataCommand = fc.oneof(
  kind('counter', 'foreign', {
    text: fc.constantFrom(
      '1e5',
      '-0',
      '007',
      '',
      ' 1',
      '9007199254740992',
      '-9007199254740991',
      '9223372036854775808',
      '9223372036854775807',
      '12',
    ),
  }),
  kind('counter', 'add', { by: amount, bounds, lock: lockPlace, who: guard }),
  kind('counter', 'add', { by: amount, bounds, lock: lockPlace, who: guard }),
  kind('counter', 'addEach', { parts: fc.array(amount, { maxLength: 5 }), bounds, lock: lockPlace, who: guard }),
  kind('counter', 'setCounter', {
    by: amount,
    expected: fc.constantFrom('', '', '0', '1', '12'),
    bounds,
    lock: lockPlace,
    who: guard,
  }),
  kind('counter', 'getCounter', { bounds }),
  kind('stats', 'record', {
    values: fc.array(fc.constantFrom('1', '2', '-3', '0.1', '1e-7', '1e+22', '123456789.123'), {
      minLength: 1,
      maxLength: 4,
    }),
    place: fc.constantFrom(0, 0, 0, 0, -1, 1, 4),
    other: fc.constantFrom(false, false, false, false, false, true),
    keepMs: fc.constantFrom(50, 100),
    lock: lockPlace,
    who: guard,
  }),
  kind('stats', 'lookAtStats', {}),
  kind('stats', 'read', { place: fc.constantFrom(0, 0, -1) }),
  kind('map', 'readMap', { by: fc.constantFrom(...mapReads), field }),
  kind('map', 'writeMap', { by: fc.constantFrom(...mapWrites), field, other: field, ...written }),
  kind('map', 'writeMap', { by: fc.constantFrom(...mapWrites), field, other: field, ...written }),
  kind('map', 'foreignEntry', { field, text: short }),
  kind('value', 'readValue', { by: fc.constantFrom(...valueReads) }),
  kind('value', 'writeValue', { by: fc.constantFrom(...valueWrites), ...written }),
  kind('watch', 'look', {
    what: watched,
    place,
    seen: fc.constantFrom(0, 1_700_000_000_123_456, 1_700_000_000_200_000, largest),
    ms: fc.constantFrom(50, 300_000),
  }),
  kind('watch', 'forget', { what: watched, place }),
);

const places = fc.constantFrom<CellPlaces>('mixed', 'one map', 'two maps');

const transactionCommand = fc.oneof(
  { weight: 6, arbitrary: kind('transaction', 'commit', { id: fc.constantFrom(0, 0, 1, 2, 3), requests }) },
  { weight: 2, arbitrary: kind('transaction', 'look', { requests }) },
  { weight: 1, arbitrary: kind('transaction', 'forget', {}) },
  {
    weight: 4,
    arbitrary: kind('transaction', 'commitCells', {
      id: fc.constantFrom(0, 0, 1, 2, 3),
      places,
      asked: cellRequests,
      from: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: kind('transaction', 'lookAtCells', { places }) },
);

const sessionCommand = fc.oneof(
  kind('world', 'connect', { place }),
  kind('world', 'disconnect', { place }),
  kind('session', 'join', { place, card: text }),
  kind('session', 'quit', { place }),
  kind('session', 'cards', {}),
  kind('session', 'publishWait', { lock: lockPlace, field, record: text, ms: fc.constantFrom(1, 50, 2_000) }),
  kind('session', 'withdrawWait', { lock: lockPlace, field }),
  kind('session', 'holderWaits', { lock: lockPlace }),
);

/** Programs that begin with live sessions: otherwise few would ever wait. */
export const program: fc.Arbitrary<Command[]> = fc.oneof(
  {
    weight: 3,
    arbitrary: programOf(
      { weight: 14, arbitrary: lockCommand },
      { weight: 3, arbitrary: transactionCommand },
      { weight: 8, arbitrary: dataCommand },
      { weight: 3, arbitrary: sessionCommand },
      { weight: 5, arbitrary: kind('world', 'advance', { us }) },
    ),
  },
  {
    weight: 1,
    arbitrary: programOf(
      { weight: 2, arbitrary: lockCommand },
      { weight: 20, arbitrary: collectionCommand },
      { weight: 2, arbitrary: sessionCommand },
      { weight: 5, arbitrary: kind('world', 'advance', { us }) },
    ),
  },
  {
    weight: 1,
    arbitrary: programOf(
      { weight: 1, arbitrary: lockCommand },
      { weight: 20, arbitrary: queueCommand },
      { weight: 2, arbitrary: sessionCommand },
      { weight: 5, arbitrary: kind('world', 'advance', { us }) },
    ),
  },
  {
    weight: 1,
    arbitrary: programOf(
      { weight: 20, arbitrary: topicCommand },
      { weight: 2, arbitrary: sessionCommand },
      { weight: 5, arbitrary: kind('world', 'advance', { us }) },
    ),
  },
);

function programOf(...commands: fc.WeightedArbitrary<Command>[]): fc.Arbitrary<Command[]> {
  return fc.array(fc.oneof(...commands), { minLength: 1, maxLength: 50, size: 'max' });
}

/** What the commands of one program mean, as far as the model has run them. */
export class Meaning {
  readonly #space: SpaceKeys;
  readonly #name: string;
  /** How often each place was given up: part of the session's id, which is used only once. */
  readonly #generations = [0, 0, 0];
  readonly #owners: string[][] = lockNames.map(() => []);
  /** Of all deliveries that the model made, in order. */
  readonly #deliveries: string[] = [];
  readonly #groupDeliveries: string[] = [];
  #claims = 0;

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

  #nowMs = 0;
  /** The windows of statistics that were named. */
  readonly #windows = new Set<string>();

  /** Looks up who owns what, by an operation on the model. */
  async learn(read: (owner: string) => Promise<Reply>, nowUs: number): Promise<void> {
    this.#nowMs = Math.floor(nowUs / 1_000);
    for (const [i, name] of lockNames.entries()) {
      const [owner] = (await read(this.#space.lock(name).owner)) as string[];
      const known = this.#owners[i]!;
      if (owner !== undefined && known.at(-1) !== owner) known.push(owner);
    }
  }

  /** Looks up what is delivered, likewise. */
  async learnDeliveries(read: (leases: string) => Promise<Reply>): Promise<void> {
    for (const one of (await read(this.#space.queue('q')[5]!)) as string[]) {
      if (!this.#deliveries.includes(one)) this.#deliveries.push(one);
    }
    for (const one of (await read(this.#space.group('t', 'g')[5]!)) as string[]) {
      if (!this.#groupDeliveries.includes(one)) this.#groupDeliveries.push(one);
    }
  }

  /** Undefined for what is not an operation: time passes, a session comes or goes. */
  stepOf(command: Command): Step | undefined {
    switch (command.on) {
      case 'world':
        return undefined;
      case 'lock':
        return this.#lockStep(command);
      case 'counter':
        return this.#counterStep(command);
      case 'map':
        return this.#mapStep(command);
      case 'value':
        return this.#valueStep(command);
      case 'watch':
        return this.#watchStep(command);
      case 'stats':
        return this.#statsStep(command);
      case 'queue': {
        this.#claims += 1;
        const keys = this.#space.queue('q');
        return batch(...queueStepOf(command, keys, this.#deliveries, this.#claims, (at) => this.session(at)));
      }
      case 'topic':
        this.#claims += 1;
        return batch(
          ...topicStepOf(command, this.#space, this.#groupDeliveries, this.#claims, (at) => this.session(at)),
        );
      case 'transaction':
        return this.#transactionStep(command);
      case 'session':
        return this.#sessionStep(command);
      case 'collection':
        return collectionStep(command, {
          space: this.#space,
          guard: this.#lock(command.lock).owner,
          owner: this.#owner(command.lock, command.who),
          session: this.session(command.place),
        });
    }
  }

  #lockStep(command: On<'lock'>): Step {
    switch (command.do) {
      case 'acquire': {
        const { wait, fences: many, queueMs } = command;
        const gives = this.#owner(command.lock, command.gives);
        const own = { token: this.#token(command.token), ttlMs: String(command.token.ttlMs) };
        const ask = { ...own, wait, fences: many, queueMs, gives };
        return single(lock.acquire, this.#lock(command.lock), ask);
      }
      case 'release': {
        const owner = this.#owner(command.lock, command.who);
        const ask = { owner, fences: command.fences, openEveryMs: command.openEveryMs };
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
      case 'foreignFence':
        return batch(call, [this.#space.fences], ['set', command.text]);
      case 'look':
        return single(lock.look, this.#lock(command.lock), { from: command.from, to: command.to });
      case 'acquireAll': {
        const locks = command.locks.map((i) => this.#lock(i));
        return batch(
          lock.acquireAll,
          [this.#space.fences, ...locks.flatMap(({ owner, queue }) => [owner, queue])],
          [String(command.fences), ...locks.map(() => this.#token(command.token))],
        );
      }
      case 'vote': {
        const owner = `${this.#token(command.token)}:0:1`;
        return single(quorum.vote, this.#lock(command.lock), {
          owner,
          ttlMs: String(command.token.ttlMs),
          wantedMs: command.wantedMs,
        });
      }
      case 'renew':
        return batch(
          lock.renew,
          command.leases.map((lease) => this.#lock(lease.lock).owner),
          command.leases.flatMap((lease) => [this.#owner(lease.lock, lease.who), String(lease.ttlMs)]),
        );
    }
  }

  #counterStep(command: On<'counter'>): Step {
    const at = this.#space.counter('n');
    if (command.do === 'foreign') return batch(call, [at.counter], ['set', command.text]);
    if (command.do === 'getCounter') return single(counter.get, at, rangeFor('0', command.bounds));
    const owner = this.#owner(command.lock, command.who);
    const keys = { ...at, guard: this.#lock(command.lock).owner };
    switch (command.do) {
      case 'add': {
        const ask = { by: command.by, ...rangeFor(command.by, command.bounds), owner };
        return single(counter.add, keys, ask);
      }
      case 'addEach': {
        const parts = command.parts.flatMap((by) => {
          const { from, to } = rangeFor(by, command.bounds);
          return [by, from, to];
        });
        return batch(counter.addEach, [keys.counter, keys.guard, keys.watchers], [owner, ...parts]);
      }
      case 'setCounter': {
        const { by, expected } = command;
        const ask = { value: by, expected, ...rangeFor('0', command.bounds), owner };
        return single(counter.set, keys, ask);
      }
    }
  }

  #mapStep(command: On<'map'>): Step {
    const keys = this.#space.map('m');
    const { field: name } = command;
    if (command.do === 'foreignEntry') return batch(call, [keys.map], ['hset', name, command.text]);
    if (command.do === 'writeMap') return this.#mapWrite(command);
    if (command.by === 'size' || command.by === 'hasEnds') {
      return single<typeof keys, Record<never, never>, Reply>(ofMaps[command.by], keys, {});
    }
    if (command.by === 'getMany') {
      return batch(map.getMany, [keys.map, keys.expiry], ['x', name, 'é']);
    }
    return single<typeof keys, { field: string }, Reply>(ofMaps[command.by], keys, { field: name });
  }

  #mapWrite(command: Extract<On<'map'>, { do: 'writeMap' }>): Step {
    const { by, field: name, other, text: next, ms, lock: at } = command;
    const keys = { ...this.#space.map('m'), guard: this.#lock(at).owner, turn: this.#lock(1).owner };
    const all = [keys.map, keys.expiry, keys.watchers, keys.guard];
    const { owner, ...compared } = this.#compared(command);
    if (by === 'setMany') return batch(map.setMany, all, [owner, String(ms), name, next, other, next]);
    if (by === 'removeMany') return batch(map.removeMany, all, [owner, name, other]);
    if (by === 'expire') return single(map.expire, keys, { field: name, ms: Math.max(0, ms), owner });
    if (by === 'clear') return single(map.clear, keys, { owner });
    if (by === 'sweep') return single(map.sweep, keys, {});
    if (by === 'remove') return single(map.remove, keys, { field: name, owner });
    const { expected } = command;
    if (by === 'removeIf') return single(map.removeIf, keys, { field: name, expected, owner });
    if (by === 'compareAndSet') {
      const { present, turn } = compared;
      return single(map.compareAndSet, keys, { field: name, present, expected, value: next, ms, owner, turn });
    }
    return single<typeof keys, map.Write, Reply>(ofMaps[by], keys, { field: name, value: next, ms, owner });
  }

  #valueStep(command: On<'value'>): Step {
    const own = this.#space.value('v');
    if (command.do === 'readValue') {
      return single<typeof own, Record<never, never>, Reply>(ofValues[command.by], own, {});
    }
    const { by, text: next, ms, lock: at, expected } = command;
    const keys = { ...own, guard: this.#lock(at).owner, turn: this.#lock(1).owner };
    const { owner, present, turn } = this.#compared(command);
    if (by === 'remove') return single(value.remove, keys, { owner });
    if (by === 'expire') return single(value.expire, keys, { ms: Math.max(0, ms), owner });
    if (by === 'compareAndSet') {
      return single(value.compareAndSet, keys, { present, expected, text: next, ms, owner, turn });
    }
    return single<typeof keys, value.Write, Reply>(ofValues[by], keys, { text: next, ms, owner });
  }

  #compared({ lock: at, who: by, turn, present }: Written): { owner: string; present: number; turn: string } {
    return { owner: this.#owner(at, by), present, turn: this.#owner(1, turn) };
  }

  #statsStep(command: On<'stats'>): Step {
    const names = this.#space.stats('s');
    const first = Math.floor(this.#nowMs / windowMs) * windowMs;
    if (command.do === 'lookAtStats') return single(stats.look, names, {});
    const starts = [-1, 0, 1].map((i) => first + (i + command.place) * windowMs);
    for (const start of starts) this.#windows.add(names.window(start));
    if (command.do === 'read') return batch(stats.read, [names.window(starts[1]!)], []);
    const values = command.values.map(Number);
    const offsets = values.map((each) => each - values[0]!);
    const summed = [
      values.length,
      sumOf(values),
      Math.min(...values),
      Math.max(...values),
      values[0],
      sumOf(offsets),
      sumOf(offsets.map((offset) => offset * offset)),
    ].map(String);
    const owner = this.#owner(command.lock, command.who);
    return batch(
      stats.record,
      [names.stats, this.#lock(command.lock).owner, ...starts.map(names.window)],
      [
        owner,
        command.other ? 'day UTC' : `${windowMs}ms`,
        String(command.keepMs),
        ...summed,
        '3',
        ...starts.flatMap((start) => [String(start), String(start + windowMs)]),
        '-7',
        '1',
        '0',
        String(values.length),
      ],
    );
  }

  #watchStep(command: On<'watch'>): Step {
    const keys = this.#space[command.what](watchedNames[command.what]);
    const ask = { session: this.session(command.place) };
    if (command.do === 'forget') return single(watch.forget, keys, ask);
    return single(watch.look, keys, { ...ask, seen: command.seen, ms: command.ms });
  }

  #transactionStep(command: On<'transaction'>): Step {
    const { commits } = this.#space.commit;
    if (command.do === 'forget') return batch(transaction.forget, [commits], [this.session(0), 'x']);
    if (command.do === 'lookAtCells' || command.do === 'commitCells') return this.#cellStep(command);
    const id = command.do === 'look' || command.id === 0 ? '' : String(command.id);
    const { keys, args, lookArgs } = stepOf(
      this.#space,
      (at) => this.session(at),
      id,
      this.#deliveries,
      command.requests,
    );
    if (command.do === 'look') return batch(transaction.look, keys, lookArgs);
    return batch(transaction.commit, keys, args);
  }

  #cellStep(command: On<'transaction'> & { do: 'commitCells' | 'lookAtCells' }): Step {
    if (command.do === 'lookAtCells') {
      const { keys, args } = cellStepOf(this.#space, '', '', command.places, [], undefined);
      return batch(cells.look, keys.slice(2), args.slice(2));
    }
    const id = command.id === 0 ? '' : String(command.id);
    const { keys, args } = cellStepOf(this.#space, this.session(0), id, command.places, command.asked, command.from);
    return batch(cells.commit, keys, args);
  }

  #sessionStep(command: On<'session'>): Step {
    const sessions = { sessions: this.#space.sessions };
    switch (command.do) {
      case 'join':
        return single(session.join, sessions, { session: this.session(command.place), card: command.card });
      case 'quit':
        return single(session.leave, sessions, { session: this.session(command.place) });
      case 'cards': {
        const all = [0, 1, 2].map((at) => this.session(at));
        return batch(session.cards, [this.#space.sessions], [...all, 'nobody']);
      }
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
    }
  }

  /** Reads all that a program can have written. */
  stateStep(): Step {
    const kinds: [key: string, kind: string][] = [
      [this.#space.fences, 'string'],
      [this.#space.commit.commits, 'hash'],
      [this.#space.commit.lock, 'hash'],
      [this.#space.commit.queue, 'zset'],
      [this.#space.sessions, 'hash'],
      [this.#space.counter('n').counter, 'string'],
      [this.#space.counter('n').watchers, 'zset'],
      [this.#space.stats('s').stats, 'hash'],
      ...[...this.#windows].map((key): [string, string] => [key, 'hash']),
      [this.#space.map('m').map, 'hash'],
      [this.#space.map('m').expiry, 'zset'],
      [this.#space.map('m').watchers, 'zset'],
      ...collectionKeys(this.#space),
      ...queueState(this.#space.queue('q')),
      ...topicState(this.#space),
      [this.#space.value('v').value, 'string'],
      [this.#space.value('v').watchers, 'zset'],
    ];
    for (const name of lockNames) {
      const { owner, queue, waits, wanted } = this.#space.lock(name);
      kinds.push([owner, 'string'], [queue, 'zset'], [waits, 'hash'], [wanted, 'string']);
    }
    const sessions = this.#generations.flatMap((last, at) =>
      Array.from({ length: last + 1 }, (_, back) => this.session(at, back)),
    );
    return batch(
      state,
      kinds.map(([key]) => key),
      [...kinds.map(([, type]) => type), ...fields, ...statsFields, ...queueFields, ...topicFields, ...sessions],
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

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/** Where a counter must be for `by` to leave it within its bounds. */
function rangeFor(by: string, [min, max]: Bounds): counter.CounterRange {
  const amountOf = BigInt(by);
  return {
    from: amountOf < 0n ? String(BigInt(min) - amountOf) : min,
    to: amountOf > 0n ? String(BigInt(max) - amountOf) : max,
  };
}
