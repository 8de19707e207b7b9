import { AsyncLocalStorage } from 'node:async_hooks';
import type { ValueOptions } from '../base/codec.ts';
import { invalidArgument, LockstepError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';
import { checkOptions } from '../base/options.ts';
import { startWait, type WaitOptions } from '../base/waiting.ts';
import type { Session } from '../session/session.ts';
import type { CounterOptions } from './counter.ts';
import { guardOf } from './guard.ts';
import type { Job } from './job.ts';
import type { Lease } from './lease.ts';
import { checkThing } from './things.ts';
import { Attempt } from './transaction/attempt.ts';
import { type Batch, planned } from './transaction/batch.ts';
import { counterIn, type TransactionCounter } from './transaction/counter.ts';
import { type Check, guardCheck } from './transaction/guarding.ts';
import { mapIn, type TransactionMap } from './transaction/map.ts';
import { wait as pause } from './transaction/pause.ts';
import {
  acknowledgeIn,
  queueIn,
  queuePlace,
  type TransactionQueue,
  type TransactionQueueOptions,
} from './transaction/queue.ts';
import type { TopicOptions } from './topic.ts';
import { topicIn, type TransactionTopic } from './transaction/topic.ts';
import { type Places, placesOf } from './transaction/places.ts';
import { setIn, type TransactionSet } from './transaction/set.ts';
import { sortedSetIn, type TransactionSortedSet } from './transaction/sorted-set.ts';
import { type TransactionValue, valueIn } from './transaction/value.ts';
import type { LastingOptions } from './value.ts';
import { listIn, type TransactionList } from './transaction/list.ts';
import { type Asker, type Expected, type Outcome, type Request, Steps, type Write } from './transaction/steps.ts';
import { type Known, same, type Turn, Turns } from './transaction/turns.ts';

/** How a transaction runs. */
export interface TransactionOptions extends WaitOptions {
  /**
   * Commits only while this lease is the lock's owner, in the same step of the store; else it rejects with `LEASE_LOST` and
   * nothing is written. `undefined` is refused, not taken for none: `tryAcquire` may have given it.
   */
  guard?: Lease;
}

/**
 * What the body of a transaction gets: the same things as outside, by the same names. Reads are checked and writes done
 * at the commit; a read sees what the transaction itself wrote before.
 */
export interface Transaction {
  value<V = unknown>(name: string, options?: LastingOptions<V>): TransactionValue<V>;
  map<V = unknown>(name: string, options?: LastingOptions<V>): TransactionMap<V>;
  set<V = unknown>(name: string, options?: ValueOptions<V>): TransactionSet<V>;
  sortedSet<V = unknown>(name: string, options?: ValueOptions<V>): TransactionSortedSet<V>;
  list<V = unknown>(name: string, options?: ValueOptions<V>): TransactionList<V>;
  counter(name: string, options: CounterOptions<bigint> & { bigint: true }): TransactionCounter<bigint>;
  counter(name: string, options?: CounterOptions): TransactionCounter;
  queue<T = unknown>(name: string, options?: TransactionQueueOptions<T>): TransactionQueue<T>;
  topic<T = unknown>(name: string, options?: TopicOptions<T>): TransactionTopic<T>;
  /**
   * Acknowledges a job of the same store and space with the commit: both are done, or neither. Rejects with `LEASE_LOST`
   * where its lease is lost, as does the transaction where that is found at the commit; nothing is written then.
   */
  ack(job: Job<unknown>): Promise<void>;
}

/** What runs once or several times. */
export type TransactionBody<T> = (tx: Transaction) => Promise<T> | T;

/** All transactions of a session. */
export class Transactions {
  readonly #session: Session;
  readonly #steps: Steps;
  readonly #turns: Turns;
  readonly #places: Places;
  readonly #running = new AsyncLocalStorage<Run<unknown>>();
  readonly #around: Surroundings;
  /** Told when the commit lock may be theirs. */
  readonly #waiting = new Map<string, () => void>();
  #tickets = 0;
  /** A transaction of this session is in line for the commit lock: the others are better off behind it. */
  #isInLine = false;

  constructor(session: Session) {
    this.#session = session;
    this.#steps = new Steps(session);
    this.#turns = new Turns(session.clock);
    this.#places = placesOf(session.keys);
    this.#around = {
      within: (run, work, attempt) => this.#running.run(run, work, attempt),
      ticket: () => this.#ticket(),
      leaveLine: () => void (this.#isInLine = false),
      turn: (ticket, ms) => this.#turn(ticket, ms),
    };
    session.receivers.set(session.keys.commit.queue, {
      told: (_, ticket) => this.#waiting.get(ticket)?.(),
      resync: () => this.#waiting.forEach((told) => told()),
      close: () => this.#steps.close(),
    });
  }

  /** See `Lockstep.transaction`. */
  run<T>(body: TransactionBody<T>, options: TransactionOptions): Promise<T> {
    if (typeof body !== 'function') return Promise.reject(invalidArgument('body', body, 'a function that takes tx'));
    return this.#run((attempt) => body(new Things(this.#session, this.#places, attempt)), options);
  }

  /** See `Lockstep.batch`. */
  async batch(fill: (batch: Batch) => void, options: TransactionOptions): Promise<void> {
    if (typeof fill !== 'function') throw invalidArgument('fill', fill, 'a function that takes a batch');
    const plan = new Attempt(this.#steps, undefined, unknown);
    await planned(plan, this.#places, this.#session.keys, fill);
    await this.#run((attempt) => attempt.adopt(plan), options);
  }

  #run<T>(body: (attempt: Attempt) => Promise<T> | T, options: TransactionOptions): Promise<T> {
    try {
      checkOptions('the options of a transaction', options, transactionOptions);
      this.#session.assertOpen();
      if (this.#running.getStore()?.active === true) throw nested();
      const { engine, space } = this.#session;
      const guard = 'guard' in options ? [guardCheck(guardOf(options.guard, engine, space))] : none;
      return new Run(this.#session, this.#steps, this.#turns, body, guard, this.#around).result(options);
    } catch (error) {
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- whatever it is
      return Promise.reject(error);
    }
  }

  #ticket(): string {
    if (this.#isInLine) return '';
    this.#isInLine = true;
    return `${this.#session.info.id}:${(this.#tickets += 1)}`;
  }

  /** Waits until the ticket may have its turn. */
  async #turn(ticket: string, ms: number): Promise<void> {
    await new Promise<void>((told) => {
      this.#waiting.set(ticket, told);
      this.#session.clock.timer(ms, told);
    });
    this.#waiting.delete(ticket);
  }
}

const transactionOptions: ReadonlySet<string> = new Set(['guard', 'timeout', 'signal']);

interface Surroundings {
  within<R>(run: Run<unknown>, work: (attempt: Attempt) => R, attempt: Attempt): R;
  /** '' where another transaction of the session has one. */
  ticket(): string;
  leaveLine(): void;
  turn(ticket: string, ms: number): Promise<void>;
}

/** One transaction, from its first try to its last. */
class Run<T> implements Asker {
  /** A body is running, so that what it starts is nested. */
  active = false;
  readonly #session: Session;
  readonly #steps: Steps;
  readonly #turns: Turns;
  readonly #body: (attempt: Attempt) => Promise<T> | T;
  readonly #guard: readonly Check[];
  readonly #around: Surroundings;
  #attempt: Attempt | undefined;
  #turn: Turn | undefined;
  #ticket = '';
  /** A commit gave the ticket back. */
  #isBack = false;
  #tries = 0;
  #lockedTries = 0;
  /** The wait is over, for this reason: nothing is begun any more. */
  #ended: { readonly reason: unknown } | undefined;
  #committing = false;
  /** What its commit asks for changes nothing. */
  #isRead = false;
  #doubtful = false;
  #giveUp: () => void = idle;
  /** Only one try is wanted. */
  #once = false;

  constructor(
    session: Session,
    steps: Steps,
    turns: Turns,
    body: (attempt: Attempt) => Promise<T> | T,
    guard: readonly Check[],
    around: Surroundings,
  ) {
    this.#session = session;
    this.#steps = steps;
    this.#turns = turns;
    this.#body = body;
    this.#guard = guard;
    this.#around = around;
  }

  /** The body's result, once it is committed. */
  result(options: WaitOptions): Promise<T> {
    const isPatient = options.timeout === undefined && options.signal === undefined;
    return isPatient ? this.#tryAgain(true) : this.#within(options);
  }

  doubt(): void {
    this.#doubtful = !this.#isRead;
    if (this.#ended !== undefined) this.#giveUp();
  }

  async #within(options: WaitOptions): Promise<T> {
    let give!: (reason: unknown) => void;
    const given = new Promise<never>((_, reject) => (give = reject));
    const wait = startWait('the transaction', options, this.#session.clock, (reason) => {
      this.#ended = { reason };
      this.#attempt?.abandon();
      this.#giveUp = () => give(this.#doubtful ? givenUp(reason) : reason);
      if (this.#doubtful) this.#giveUp();
      if (this.#committing) return; // it is known soon what came of that
      this.#leave();
      give(reason);
    });
    this.#once = wait?.once === true;
    this.#session.enter();
    try {
      return await Promise.race([this.#tryAgain(false), given]);
    } finally {
      wait?.end();
      this.#session.exit();
    }
  }

  /** Leaves all lines. Idempotent. */
  #leave(): void {
    this.#turn?.end(false);
    this.#turn = undefined;
    if (this.#ticket === '') return;
    this.#around.leaveLine();
    if (!this.#isBack) this.#session.inBackground(this.#steps.ask({ ...nothing, ticket: this.#ticket }));
    this.#ticket = '';
  }

  /** `isAll`: nobody but this waits for it. */
  async #tryAgain(isAll: boolean): Promise<T> {
    if (isAll) this.#session.enter();
    try {
      let primed = unknown;
      for (;;) {
        // Whoever is in line for the commit lock builds on nothing that it may hold up.
        const turns = this.#ticket === '' ? this.#turns : this.#outOfTurn();
        const attempt = (this.#attempt = new Attempt(this.#steps, turns, primed));
        const result = await this.#runBody(attempt);
        const writes = attempt.writes();
        if (writes.length > 0 && 'value' in result && turns !== undefined) {
          const granted = this.#takeTurn(attempt, writes);
          if (granted !== undefined) await granted;
          const newer = this.#foreseen(attempt);
          if (newer !== undefined) {
            primed = newer;
            continue;
          }
        }
        const checks = 'value' in result ? this.#checksOf(attempt) : none;
        const outcome = await this.#commit(attempt, 'value' in result ? writes : none, checks);
        if (outcome.is === 'ok') {
          if ('error' in result) throw result.error;
          return result.value;
        }
        this.#turn = undefined;
        const now = this.#learn(attempt, outcome, checks);
        primed = (await this.#beforeNext(attempt, outcome)) ? unknown : now;
      }
    } finally {
      this.#leave();
      if (isAll) this.#session.exit();
    }
  }

  #checksOf(attempt: Attempt): readonly Check[] {
    return attempt.hasChecks ? [...this.#guard, ...attempt.checks.values()] : this.#guard;
  }

  /** What the body gave: an error that it threw may come from reads that do not belong together. */
  async #runBody(attempt: Attempt): Promise<{ value: T } | { error: unknown }> {
    if (this.#ended !== undefined) throw this.#ended.reason;
    this.active = true;
    try {
      const value = await this.#around.within(this, this.#body, attempt);
      attempt.end();
      return { value };
    } catch (error) {
      attempt.abandon();
      return { error };
    } finally {
      this.active = false;
    }
  }

  /** Gets in line behind the transactions of this session that touch the same. Nothing: nobody is in its way. */
  #takeTurn(attempt: Attempt, writes: readonly Write[]): Promise<void> | undefined {
    if (this.#turn !== undefined && !covers(this.#turn.names, attempt, writes)) {
      this.#outOfTurn();
      this.#tries += 1; // or those who touch the same each time would always be before it
      this.#lineUp();
    }
    this.#turn ??= this.#turns.take(attempt.reads, writes);
    return this.#turns.granted(this.#turn);
  }

  /** What those before it are going to leave of what it reads, where that is other than what it has read. */
  #foreseen(attempt: Attempt): ReadonlyMap<string, Known> | undefined {
    let newer: Map<string, Known> | undefined;
    for (const { read, known } of attempt.reads) {
      const foreseen = this.#turn?.foreseen(read);
      if (foreseen === undefined || same(foreseen.texts, known.texts)) continue;
      newer ??= new Map(attempt.reads.map((each) => [each.read.id, each.known]));
      newer.set(read.id, foreseen);
    }
    return newer;
  }

  /** Checks and writes in one step; nothing to do where there is nothing to write, and all was read at one moment. */
  async #commit(attempt: Attempt, writes: readonly Write[], checks: readonly Check[]): Promise<Outcome> {
    const { reads } = attempt;
    const isRead = writes.length === 0 && checks.length === 0;
    this.#isRead = isRead;
    if (isRead && attempt.isOfOneMoment && this.#ticket === '') return { is: 'ok', moment: 0 };
    if (this.#ended !== undefined) throw this.#ended.reason;
    this.#committing = true;
    for (const check of checks) check.committing?.();
    this.#turn?.send(writes, attempt, restsOf(reads));
    let done = false;
    try {
      const outcome = await this.#steps.ask(
        {
          ticket: this.#ticket,
          reads: checks.length === 0 ? reads : [...reads, ...checks.map(({ read }) => ({ read, known: givesNothing }))],
          writes,
          turn: this.#turn,
        },
        this,
      );
      done = outcome.is === 'ok';
      this.#isBack = done;
      return outcome;
    } finally {
      for (const check of checks) check.committed?.(done);
      this.#committing = false;
      this.#doubtful = false;
    }
  }

  /** What the refusal of a commit told. Throws where another try would be in vain. */
  #learn(
    attempt: Attempt,
    outcome: Exclude<Outcome, { is: 'ok' }>,
    checks: readonly Check[],
  ): ReadonlyMap<string, Known> {
    const { now, moment } = outcome;
    for (const [i, check] of checks.entries()) {
      const found = now[attempt.reads.length + i]!;
      if (found.length > 0) throw check.over(found);
    }
    const known = new Map<string, Known>();
    for (const [i, { read }] of attempt.reads.entries()) {
      this.#turns.learn(read, now[i]!);
      known.set(read.id, { texts: now[i]!, moment });
    }
    return known;
  }

  /** True: what the refusal told is old by now. */
  async #beforeNext(attempt: Attempt, { is, now }: Exclude<Outcome, { is: 'ok' }>): Promise<boolean> {
    const { clock } = this.#session;
    if (is === 'overtaken') this.#lockedTries += 1;
    if (this.#lockedTries > limits.transactionLockedTries) throw conflict(attempt, now, this.#tries);
    this.#tries += 1;
    if (this.#once) throw onlyOnce();
    const apart = is === 'conflict' && this.#ticket === '' ? this.#steps.apart() : undefined;
    if (apart !== undefined) await apart;
    const pauseMs = clock.random() * this.#pauseMs(is);
    if (this.#ticket !== '' && pauseMs > 0) await this.#around.turn(this.#ticket, pauseMs);
    else if (pauseMs >= limits.transactionPauseMsMin) await pause(clock, pauseMs);
    this.#lineUp();
    return apart !== undefined;
  }

  #lineUp(): void {
    if (this.#tries >= limits.transactionTries && this.#ticket === '') this.#ticket = this.#around.ticket();
  }

  /** Gives its place up. */
  #outOfTurn(): undefined {
    this.#turn?.end(false);
    this.#turn = undefined;
  }

  /** At most. Who has the commit lock does not wait: it holds up others. */
  #pauseMs(is: Exclude<Outcome, { is: 'ok' }>['is']): number {
    if (is === 'granted' || is === 'overtaken') return 0;
    if (this.#ticket !== '') return limits.transactionTurnMs;
    return is === 'turn' ? Math.min(limits.transactionTurnMs, this.#steps.usualMs * 4) : 0;
  }
}

const none: readonly never[] = [];
const unknown: ReadonlyMap<string, Known> = new Map();
/** Asks for nothing: its ticket leaves the queue for the commit lock. */
const nothing: Request = { ticket: '', reads: none, writes: none, turn: undefined };
/** What a check expects. */
const givesNothing: Expected['known'] = { texts: none };

function idle(): void {}

class Things implements Transaction {
  readonly #session: Session;
  readonly #places: Places;
  readonly #attempt: Attempt;

  constructor(session: Session, places: Places, attempt: Attempt) {
    this.#session = session;
    this.#places = places;
    this.#attempt = attempt;
  }

  value<V>(name: string, options: LastingOptions<V> = {}): TransactionValue<V> {
    checkThing('value', name, options);
    return valueIn(this.#attempt, name, this.#places.value(name), options);
  }

  map<V>(name: string, options: LastingOptions<V> = {}): TransactionMap<V> {
    checkThing('map', name, options);
    return mapIn(this.#attempt, name, this.#places.map(name), options);
  }

  set<V>(name: string, options: ValueOptions<V> = {}): TransactionSet<V> {
    checkThing('set', name, options);
    return setIn(this.#attempt, name, this.#places.set(name), options);
  }

  sortedSet<V>(name: string, options: ValueOptions<V> = {}): TransactionSortedSet<V> {
    checkThing('sortedSet', name, options);
    return sortedSetIn(this.#attempt, name, this.#places.sorted(name), options);
  }

  list<V>(name: string, options: ValueOptions<V> = {}): TransactionList<V> {
    checkThing('list', name, options);
    return listIn(this.#attempt, name, this.#places.list(name), options);
  }

  counter(
    name: string,
    options: CounterOptions | CounterOptions<bigint> = {},
  ): TransactionCounter & TransactionCounter<bigint> {
    checkThing('counter', name, options);
    const place = this.#places.counter(name);
    return counterIn<number>(this.#attempt, name, place, options as CounterOptions) as TransactionCounter &
      TransactionCounter<bigint>;
  }

  queue<T>(name: string, options: TransactionQueueOptions<T> = {}): TransactionQueue<T> {
    checkName('queue name', name);
    const keys = this.#session.keys.queue(name);
    return queueIn(this.#attempt, name, queuePlace(`queue ${JSON.stringify(name)}`, keys), options);
  }

  topic<T>(name: string, options: TopicOptions<T> = {}): TransactionTopic<T> {
    return topicIn(this.#attempt, name, this.#session.keys.topic(name), options);
  }

  ack(job: Job<unknown>, more?: unknown): Promise<void> {
    return acknowledgeIn(this.#attempt, job, this.#session.engine, this.#session.space, more);
  }
}

function givenUp(reason: unknown): LockstepError {
  return new LockstepError(
    'AMBIGUOUS',
    'the transaction may be committed or not: the reply of its commit was lost, and it was given up before the store told ' +
      'what came of it; read what the transaction would have written before you run it again',
    { cause: reason },
  );
}

function onlyOnce(): LockstepError {
  return new LockstepError(
    'TIMEOUT',
    'the transaction met a conflict, and timeout: 0 allows one try. Nothing was written',
    {
      details: { timeoutMs: 0 },
    },
  );
}

function covers(names: ReadonlySet<string>, { reads }: Attempt, writes: readonly Write[]): boolean {
  for (const { read } of reads) if (!names.has(read.name)) return false;
  for (const { name } of writes) if (name !== '' && !names.has(name)) return false;
  return true;
}

/** On whose commits, which are on their way, a transaction builds. */
function restsOf(reads: readonly { readonly known: Known }[]): Turn[] {
  const rests: Turn[] = [];
  for (const { known } of reads) if (known.by !== undefined) rests.push(known.by);
  return rests;
}

function nested(): LockstepError {
  return new LockstepError(
    'DEADLOCK',
    'a transaction was begun inside of the body of another one of the same session, which may wait for that one: pass its tx on and use that',
  );
}

/** Names the first of what kept changing. */
function conflict(attempt: Attempt, now: readonly (readonly string[])[], tries: number): LockstepError {
  const { reads } = attempt;
  const changed = reads.find(({ known }, i) => !same(known.texts, now[i]!)) ?? reads[0];
  const { place, name } = changed!.read;
  const part = name.slice(place.keys[0]!.length + 1);
  const what = part === '' ? place.what : `${place.what}, key ${JSON.stringify(part)}`;
  return new LockstepError(
    'CONFLICT',
    `the transaction was not committed in ${tries} tries, with the commit lock too: ${what} was changed each time, by writes that are no transactions; make these transactions, or write it less often. Nothing was written`,
    { details: { key: place.keys[0], part, tries } },
  );
}
