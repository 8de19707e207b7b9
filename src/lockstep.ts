import { checkName, type SpaceKeys } from './base/names.ts';
import type { ValueOptions } from './base/codec.ts';
import { checkOptions } from './base/options.ts';
import { invalidArgument } from './base/errors.ts';
import { createCounter, type Counter, type CounterOptions } from './primitives/counter.ts';
import { Handles } from './primitives/handles.ts';
import { inspectLock, type LockInspection } from './primitives/inspection.ts';
import { lockAll, lockAllOptions, type LeaseSet } from './primitives/lock-all.ts';
import { handleUnexpectedMail, type LockName } from './primitives/lock-lines.ts';
import {
  createLock,
  lockOptions,
  type AcquireOptions,
  type LeaseOptions,
  type Lock,
  type LockOptions,
} from './primitives/lock.ts';
import { createList, type SharedList } from './primitives/list.ts';
import { createMap, type SharedMap } from './primitives/map.ts';
import { createValue, type LastingOptions, type SharedValue } from './primitives/value.ts';
import { createStats, type Stats, type StatsOptions } from './primitives/stats.ts';
import { createSet, type SharedSet } from './primitives/set.ts';
import { createSortedSet, type SharedSortedSet } from './primitives/sorted-set.ts';
import { handleMailOfTakers } from './primitives/takers.ts';
import { checkThing } from './primitives/things.ts';
import { Transactions, type TransactionBody, type TransactionOptions } from './primitives/transaction.ts';
import type { Batch } from './primitives/transaction/batch.ts';
import { createQueue, type Queue, type QueueOptions } from './primitives/queue.ts';
import { createTopic, type Topic, type TopicOptions } from './primitives/topic.ts';
import { infoOf, isGone, type Session, type SessionInfo } from './session/session.ts';

/**
 * What `open` gives: the way to everything that is shared in one space. Handles are made without I/O; two handles of
 * one name are one shared thing.
 */
export interface Lockstep extends AsyncDisposable {
  /** Who this is, as others see it. */
  readonly session: SessionInfo;
  readonly space: string;
  /** A mutual-exclusion lock with a FIFO queue and fencing tokens. */
  lock(name: string, options?: LockOptions): Lock;
  /**
   * Takes several locks at once, all or none, so that no order of names can deadlock. Rejects as `Lock.acquire`.
   */
  lockAll(names: readonly string[], options?: AcquireOptions & LeaseOptions): Promise<LeaseSet>;
  /** An integer that everybody counts with, exactly. */
  counter(name: string, options: CounterOptions<bigint> & { bigint: true }): Counter<bigint>;
  counter(name: string, options?: CounterOptions): Counter;
  /** One value: JSON, typed by a schema if one is given. */
  value<V = unknown>(name: string, options?: LastingOptions<V>): SharedValue<V>;
  /** A map from text to values: JSON, typed by a schema if one is given. */
  map<V = unknown>(name: string, options?: LastingOptions<V>): SharedMap<V>;
  /** Statistics of values, in windows of time: count, sum, mean, deviation, quantiles. */
  stats(name: string, options: StatsOptions): Stats;
  /** A set of values. */
  set<V = unknown>(name: string, options?: ValueOptions<V>): SharedSet<V>;
  /** A set of values in the order of their scores. */
  sortedSet<V = unknown>(name: string, options?: ValueOptions<V>): SharedSortedSet<V>;
  /** A list of values, quick at both ends, to take from and to wait at. */
  list<V = unknown>(name: string, options?: ValueOptions<V>): SharedList<V>;
  /**
   * Runs `body` and commits what it wrote, all or nothing, if everything that it read is still so; else runs it again with
   * what is there now. Serializable. A body that throws writes nothing. It may run several times: what it does beside
   * `tx` must not matter.
   *
   * Resolves to the body's result. Rejects with its error; `CONFLICT` when others that are no transactions changed what it read
   * again and again; `LEASE_LOST` by its guard; `TIMEOUT`, or the signal's reason; `AMBIGUOUS` when it can't be learned
   * whether it is committed; `UNAVAILABLE`, `CLOSED`, `WRONG_KIND` with nothing written.
   */
  transaction<T>(body: TransactionBody<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Writes many things at once, all or nothing, in one step that reads nothing: it conflicts with nobody. Rejects as
   * `transaction`, and with `INVALID_VALUE` where a counter would get beyond its bounds.
   */
  batch(fill: (batch: Batch) => void, options?: TransactionOptions): Promise<void>;
  /** Messages, each delivered at least once, typed by a schema if one is given. */
  queue<T = unknown>(name: string, options?: QueueOptions<T>): Queue<T>;
  /** Messages in one order, for everybody who subscribes, kept for those who come later; typed by a schema if one is given. */
  topic<T = unknown>(name: string, options?: TopicOptions<T>): Topic<T>;
  /** The locks that are held now, page by page, in no order. */
  locks(): AsyncIterable<LockInspection>;
  /** The sessions of this space, the oldest first. */
  sessions(): Promise<SessionInfo[]>;
  /**
   * Rejects what waits, releases what is held, and lets go of the store. Idempotent; calls that come later reject
   * with `CLOSED`.
   */
  close(): Promise<void>;
}

export function createLockstep(session: Session): Lockstep {
  const { keys, space } = session;
  const counters = new Handles<AnyCounter>();
  const statistics = new Handles<Stats>();
  const transactions = new Transactions(session);
  handleUnexpectedMail(session);
  handleMailOfTakers(session);

  return {
    session: session.info,
    space,
    lock(name, options = {}) {
      checkOptions('the options of lock', options, lockOptions);
      return createLock(session, lockName(keys, name, options.key), options);
    },
    async lockAll(names, options = {}) {
      if (!Array.isArray(names)) throw invalidArgument('names', names, 'an array of names');
      checkOptions('the options of lockAll', options, lockAllOptions);
      const locks = (names as readonly string[]).map((name) => lockName(keys, name, undefined));
      return lockAll(session, locks, options);
    },
    counter(name: string, options: CounterOptions | CounterOptions<bigint> = {}) {
      checkThing('counter', name, options);
      const { min, max, bigint } = options;
      const make = (): AnyCounter =>
        createCounter<number>(session, name, keys.counter(name), options as CounterOptions);
      return counters.of([bigint, min, max, name].map(String).join(' '), make) as Counter & Counter<bigint>;
    },
    value(name, options = {}) {
      checkThing('value', name, options);
      return createValue(session, name, keys.value(name), options);
    },
    map(name, options = {}) {
      checkThing('map', name, options);
      return createMap(session, name, keys.map(name), options);
    },
    stats(name, options) {
      checkName('stats name', name);
      checkOptions('the options of stats', options, statsOptions);
      const { every, keep, timeZone, quantiles } = options;
      const make = (): Stats => createStats(session.engine, name, keys.stats(name), options);
      return statistics.of([every, keep, timeZone, quantiles, name].map(String).join(' '), make);
    },
    set(name, options = {}) {
      checkThing('set', name, options);
      return createSet(session, name, keys.set(name), options);
    },
    sortedSet(name, options = {}) {
      checkThing('sortedSet', name, options);
      return createSortedSet(session, name, keys.sorted(name), options);
    },
    list(name, options = {}) {
      checkThing('list', name, options);
      return createList(session, name, keys.list(name), options);
    },
    transaction: (body, options = {}) => transactions.run(body, options),
    batch: (fill, options = {}) => transactions.batch(fill, options),
    queue(name, options = {}) {
      checkName('queue name', name);
      return createQueue(session, name, options);
    },
    topic: (name, options = {}) => createTopic(session, name, options),
    locks: () => heldLocks(session, keys),
    sessions: () => allSessions(session, keys),
    close: () => session.close(),
    [Symbol.asyncDispose]: () => session.close(),
  };
}

type AnyCounter = Counter | Counter<bigint>;

const statsOptions: ReadonlySet<string> = new Set(['every', 'keep', 'timeZone', 'quantiles']);

function lockName(keys: SpaceKeys, name: string, key: string | undefined): LockName {
  checkName('lock name', name);
  return { name, keys: key === undefined ? keys.lock(name) : keys.lockAt(key) };
}

const pageSize = 100;

async function* heldLocks(session: Session, keys: SpaceKeys): AsyncGenerator<LockInspection> {
  session.assertOpen();
  let cursor = '';
  do {
    const page = await session.engine.scanKeys(keys.locks, cursor, pageSize);
    for (const key of page.keys) {
      const found = await inspectLock(session, { name: key.slice(keys.locks.length), keys: keys.lockAt(key) });
      if (found.holder !== undefined) yield found;
    }
    cursor = page.cursor;
  } while (cursor !== '');
}

async function allSessions(session: Session, keys: SpaceKeys): Promise<SessionInfo[]> {
  session.assertOpen();
  const found: SessionInfo[] = [];
  let cursor = '';
  do {
    const page = await session.engine.scan(keys.sessions, cursor, pageSize);
    for (let i = 1; i < page.entries.length; i += 2) {
      const info = infoOf(page.entries[i]!);
      if (info === undefined) continue;
      if (isGone(info, session.info.host) || !(await session.engine.alive(info.id))) session.forget(info.id);
      else found.push(info);
    }
    cursor = page.cursor;
  } while (cursor !== '');
  return found.sort((a, b) => a.since - b.since);
}
