import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { limits } from '../../base/limits.ts';
import { type Log, openLog } from './log.ts';
import { type Sqlite, type Statement, openSqlite } from './driver.ts';
import { busyError, closedError, failure, isBusy, removedError } from './failure.ts';
import type { RankSizes } from './ranks.ts';
import { mapFile, prepareSchema } from './schema.ts';
import { type Snapshot, snapshotOf } from './snapshot.ts';
import { type SqliteTx, type Wake, sqliteTx } from './tx.ts';

export interface DatabaseOptions {
  /** As `makeDirectory` gave it. */
  directory: string;
  durability: 'normal' | 'full';
  clock: Clock;
  /** Called when the write-ahead log should be shortened by a thread that may wait for the disk. Absent: this one may. */
  logIsLong?: (() => void) | undefined;
  /** Whether that thread asks for a moment without this one. */
  isKeptOut?: (() => boolean) | undefined;
  ranks?: RankSizes | undefined;
  hashBits?: number | undefined;
}

/** Something to do in a transaction. */
export interface Work<R> {
  step(tx: SqliteTx): R;
  readOnly: boolean;
  /** See `Tx.wake`. */
  listens(session: string): boolean;
  /** Takes the messages of the step, once it is committed. */
  wake(message: Wake): void;
}

/** One thread's connection to the database of a directory. */
export interface Database {
  readonly directory: string;
  /**
   * Runs the work with all else that is asked for in this turn of the event loop, in the order of asking, in one
   * transaction. Settles when that is committed. Rejects with what the step threw, `UNAVAILABLE`, or `CLOSED`.
   */
  run<R>(work: Work<R>): Promise<R>;
  /** Runs the work at once, for a thread that may block: waits for other processes without turning its event loop. */
  transact<R>(step: (tx: SqliteTx) => R): R;
  /**
   * Finds out whether the file was removed or replaced: whoever opens the directory then does not share this one; and whether
   * it has grown. Not inside of a step.
   */
  check(): void;
  /**
   * Moves the write-ahead log into the database, and waits for the disk meanwhile. Never throws. `keepOut` asks the thread
   * for which this is done to leave the store alone until it is.
   */
  shortenLog(keepOut?: () => void): void;
  /** Ends all work that was asked for, then lets go of the file. Idempotent. */
  close(): Promise<void>;
}

/** Opens the database of a directory; makes it if it is absent. Yields to the event loop while others are in the way. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const waiting = patience();
  for (;;) {
    const database = tryOpen(options, waiting);
    if (database !== undefined) return database;
    await new Promise((done) => setTimeout(done, limits.storeOpenPauseMs));
  }
}

/** As `openDatabase`, for a thread that may block. */
export function openDatabaseNow(options: DatabaseOptions): Database {
  const waiting = patience();
  for (;;) {
    const database = tryOpen(options, waiting);
    if (database !== undefined) return database;
  }
}

/** Undefined if another process was in the way for longer than an event loop may stand still. */
function tryOpen(options: DatabaseOptions, waiting: Patience): Database | undefined {
  const { directory, durability, hashBits } = options;
  let connection: Sqlite | undefined;
  try {
    const sqlite = (connection = openSqlite(join(directory, fileName)));
    if (waiting.try(() => prepareSchema(sqlite, directory, durability, hashBits))) {
      return new Connection(sqlite, options);
    }
  } catch (error) {
    connection?.close();
    throw failure(error, directory);
  }
  connection.close();
  if (waiting.isOver()) throw busyError(directory, waiting.waitedMs());
  return undefined;
}

/** How a connection waits for others: SQLite's own way of waiting starves all processes but one. */
interface Patience {
  /** Does it, again and again while others are in the way. False if they still are, after some ms. */
  try(action: () => void): boolean;
  /** Since the first `try` that was in vain. */
  waitedMs(): number;
  isOver(): boolean;
  /** The next wait begins anew. */
  reset(): void;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function patience(): Patience {
  let since: number | undefined;

  function waitedMs(): number {
    return since === undefined ? 0 : performance.now() - since;
  }

  return {
    try(action) {
      let begunMs = 0;
      for (let tries = 0; ; tries++) {
        try {
          if (tries === 0) action();
          else withoutStack(action);
          since = undefined;
          return true;
        } catch (error) {
          if (!isBusy(error)) throw error;
        }
        if (tries < limits.storeSpins) continue;
        const nowMs = performance.now();
        since ??= nowMs;
        if (tries === limits.storeSpins) begunMs = nowMs;
        if (nowMs - begunMs > limits.storeStallMsMax) return false;
        Atomics.wait(sleeper, 0, 0, tries < limits.storeSpins + limits.storeShortWaits ? 0.05 : 1);
      }
    },
    waitedMs,
    isOver: () => waitedMs() > limits.storeWaitMsMax,
    reset() {
      since = undefined;
    },
  };
}

/** Half of what a try in vain costs is the stack of an error that nobody reads. */
function withoutStack(action: () => void): void {
  const depth = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    action();
  } finally {
    Error.stackTraceLimit = depth;
  }
}

interface Asked {
  work: Work<unknown>;
  resolve(reply: unknown): void;
  reject(error: unknown): void;
  reply: unknown;
  wakes: readonly Wake[];
}

class Connection implements Database {
  readonly directory: string;
  readonly #clock: Clock;
  readonly #sqlite: Sqlite;
  readonly #tx: SqliteTx;
  readonly #beginWrite: Statement;
  readonly #beginRead: Statement;
  readonly #commit: Statement;
  readonly #waiting = patience();
  readonly #snapshot: Snapshot;
  readonly #log: Log;
  readonly #isKeptOut: () => boolean;
  /** Since when it stays out: ms. */
  #outSinceMs: number | undefined;
  readonly #inode: number | undefined;
  /** Of the database, without its log, when it was looked at last. */
  #bytes = 0;
  #removed = false;
  #queue: Asked[] = [];
  /** So many of the queue were in a transaction that failed: they run one by one, so that one spoils none of the others. */
  #apart = 0;
  #scheduled = false;
  /** Since when the event loop has not turned: ms. */
  #turnMs: number | undefined;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  constructor(sqlite: Sqlite, options: DatabaseOptions) {
    const { directory, clock, ranks, hashBits } = options;
    const { logIsLong = (): void => this.shortenLog(), isKeptOut = () => false } = options;
    this.#sqlite = sqlite;
    this.directory = directory;
    this.#clock = clock;
    this.#tx = sqliteTx(sqlite, ranks, hashBits);
    this.#snapshot = snapshotOf(sqlite);
    this.#beginWrite = sqlite.prepare('BEGIN IMMEDIATE');
    this.#beginRead = sqlite.prepare('BEGIN');
    this.#commit = sqlite.prepare('COMMIT');
    this.#inode = fileIn(directory)?.ino;
    this.#isKeptOut = isKeptOut;
    this.#log = openLog(sqlite, join(directory, fileName), logIsLong);
    this.check();
  }

  run<R>(work: Work<R>): Promise<R> {
    if (this.#closing !== undefined) return Promise.reject(closedError(this.directory));
    if (this.#removed) return Promise.reject(removedError(this.directory));
    return new Promise((resolve, reject) => {
      this.#queue.push({ work, resolve, reject, reply: undefined, wakes: none });
      if (!this.#scheduled) this.#schedule();
    });
  }

  transact<R>(step: (tx: SqliteTx) => R): R {
    if (this.#closing !== undefined) throw closedError(this.directory);
    this.check();
    if (this.#removed) throw removedError(this.directory);
    try {
      while (!this.#waiting.try(this.#doBeginWrite)) {
        if (this.#waiting.isOver()) throw busyError(this.directory, this.#waiting.waitedMs());
      }
      this.#tx.beginStep(this.#clock.wallUs(), nobody);
      const reply = step(this.#tx);
      this.#tx.flush();
      this.#commit.do();
      this.#log.committed();
      return reply;
    } catch (error) {
      this.#rollback();
      throw failure(error, this.directory);
    }
  }

  shortenLog(keepOut?: () => void): void {
    this.#snapshot.drop();
    this.#log.shorten(keepOut);
  }

  check(): void {
    if (this.#removed) return;
    const file = fileIn(this.directory);
    this.#removed = file?.ino !== this.#inode;
    if (file === undefined || file.size === this.#bytes) return;
    this.#bytes = file.size;
    this.#snapshot.drop();
    mapFile(this.#sqlite, file.size);
  }

  close(): Promise<void> {
    this.#closing ??= new Promise<void>((done) => {
      this.#drained = done;
      if (this.#queue.length === 0) done();
    }).then(() => {
      this.#snapshot.drop();
      this.#sqlite.close();
    });
    return this.#closing;
  }

  readonly #doBeginWrite = (): void => {
    const isSame = this.#snapshot.isKept;
    try {
      this.#beginWrite.do();
    } catch (error) {
      this.#snapshot.disturb();
      throw error;
    }
    const isOwn = this.#begun(isSame);
    if (this.#turnMs !== undefined) this.#snapshot.begun(isOwn); // it is dropped when the event loop turns
  };

  readonly #doBeginRead = (): void => {
    this.#snapshot.drop();
    this.#beginRead.do();
    this.#begun(false);
  };

  /** Whether nobody else wrote since the last one. */
  #begun(isSame: boolean): boolean {
    try {
      return this.#tx.begin(isSame);
    } catch (error) {
      this.#rollback(); // the first read may still find others in the way
      throw error;
    }
  }

  /**
   * A tick runs when all tasks that this turn woke have asked: they share a transaction. Ticks come before timers and
   * sockets, so now and then these get their turn.
   */
  #schedule(): void {
    this.#scheduled = true;
    const nowMs = performance.now();
    if (this.#turnMs === undefined) {
      this.#turnMs = nowMs;
      setImmediate(this.#turned);
    }
    if (nowMs - this.#turnMs < limits.turnMsMax) process.nextTick(this.#flush);
    else setImmediate(this.#flush);
  }

  readonly #turned = (): void => {
    this.#turnMs = undefined;
    this.#snapshot.turned();
  };

  /**
   * The thread that shortens the log would try in vain while this one hammers, and each try waits for the disk, which slows
   * down both. Where others hammer too, this one would stay out in vain.
   */
  #staysOut(): boolean {
    if (!this.#isKeptOut() || !this.#snapshot.isAlone) {
      this.#outSinceMs = undefined;
      return false;
    }
    const nowMs = performance.now();
    this.#outSinceMs ??= nowMs;
    if (nowMs - this.#outSinceMs > limits.storeOutMsMax) return false; // the disk is slow: then by luck, as with other processes
    this.#snapshot.drop();
    return true;
  }

  readonly #flush = (): void => {
    if (this.#staysOut()) {
      setImmediate(this.#flush);
      return;
    }
    this.#scheduled = false;
    const count = this.#apart > 0 ? 1 : Math.min(this.#queue.length, limits.turnOperationsMax);
    const asked = count === this.#queue.length ? this.#queue : this.#queue.slice(0, count); // most are all there is
    let began: boolean;
    try {
      began = this.#waiting.try(areReadOnly(asked) ? this.#doBeginRead : this.#doBeginWrite);
    } catch (error) {
      return this.#fail(asked, error);
    }
    if (!began) {
      if (this.#waiting.isOver()) return this.#fail(asked, busyError(this.directory, this.#waiting.waitedMs()));
      this.#scheduled = true;
      setImmediate(this.#flush);
      return;
    }
    try {
      for (const one of asked) this.#step(one);
      this.#tx.flush();
      this.#commit.do();
    } catch (error) {
      this.#rollback();
      if (asked.length === 1) return this.#fail(asked, error);
      this.#apart = asked.length;
      return this.#schedule();
    }
    this.#take(asked);
    for (const one of asked) {
      for (const wake of one.wakes) one.work.wake(wake);
      one.resolve(one.reply);
    }
    this.#log.committed();
  };

  #step(one: Asked): void {
    this.#tx.beginStep(this.#clock.wallUs(), one.work.listens);
    one.reply = one.work.step(this.#tx);
    one.wakes = this.#tx.wakes();
  }

  #fail(asked: readonly Asked[], error: unknown): void {
    this.#waiting.reset();
    this.#take(asked);
    const reason = failure(error, this.directory);
    for (const one of asked) one.reject(reason);
  }

  /** Takes what is done out of the queue, and goes on with the rest. */
  #take(asked: readonly Asked[]): void {
    if (asked.length === this.#queue.length) this.#queue = [];
    else this.#queue.splice(0, asked.length);
    this.#apart = Math.max(0, this.#apart - asked.length);
    if (this.#queue.length > 0) this.#schedule();
    else this.#drained?.();
  }

  #rollback(): void {
    this.#tx.forget();
    this.#snapshot.drop();
    try {
      this.#sqlite.exec('ROLLBACK');
    } catch {
      // SQLite had done so by itself.
    }
  }
}

function areReadOnly(asked: readonly Asked[]): boolean {
  for (const { work } of asked) if (!work.readOnly) return false;
  return true;
}

const none: readonly never[] = [];
const fileName = 'lockstep.db';
const nobody = (): boolean => false;

function fileIn(directory: string): Stats | undefined {
  return statSync(join(directory, fileName), { throwIfNoEntry: false });
}
