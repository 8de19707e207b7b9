import type { Clock } from '../base/clock.ts';
import type { Instant } from '../base/validity.ts';
import type { BatchOperation, Operation, Reply } from '../operations/tx.ts';

export type { Instant };

/**
 * Where state lives: the seam between what people use and a store.
 *
 * An engine runs operations, each one atomic step, in the order in which one session asked for them.
 * `run` rejects with `UNAVAILABLE` when the store can't be reached or written, `CLOSED` after `close`.
 */
export interface Engine {
  /** For messages: `memory`, `embedded /srv/app/.lockstep`. */
  readonly name: string;
  /** Equal for all engines that are known to be on one store. */
  readonly store: unknown;
  readonly clock: Clock;
  /** True where `clock.wallUs()` is the store's own clock. */
  readonly sharesClock: boolean;
  /** True where a step may have been carried out although `run` rejected, as its reply was lost on the way. */
  readonly losesReplies: boolean;

  run<Keys, Args, R extends Reply>(operation: Operation<Keys, Args, R>, keys: Keys, args: Args): Promise<R>;
  runBatch<R extends Reply>(operation: BatchOperation<R>, keys: readonly string[], args: readonly string[]): Promise<R>;

  /**
   * One page of a hash (fields and values, flat) or of a set (members), and the cursor of the next page; '' begins and
   * ends. Whatever is there from the first page to the last is seen at least once.
   */
  scan(
    key: string,
    cursor: string,
    count: number,
    kind?: 'hash' | 'set',
  ): Promise<{ cursor: string; entries: string[] }>;
  /** All live keys that begin with `prefix`, page by page; for inspection. */
  scanKeys(prefix: string, cursor: string, count: number): Promise<{ cursor: string; keys: string[] }>;

  /** Opens the inbox of a session. */
  listen(session: string, inbox: Inbox): Promise<Doorbell>;
  /** Calls `gone` once when the session's process or thread is dead or its inbox closed. The returned function stops. */
  watch(session: string, gone: () => void): () => void;
  /** Whether the session may live: false only if it is surely dead or closed. */
  alive(session: string): Promise<boolean>;

  /**
   * Present where a grant counts only once replicas have it: resolves then, rejects with `UNAVAILABLE` where they do not
   * have it in time.
   */
  confirm?(grant: { key: string; owner: string; ttlMs: number }): Promise<void>;

  /** Keeps leases alive while their session's process lives, also when its event loop does not turn. */
  keeper(options: KeeperOptions): Keeper;

  /** Lets go of the store. Operations under way end first. */
  close(): Promise<void>;
}

/**
 * Several independent servers: each is asked on its own, and what a majority of them says holds. How their votes are
 * counted is the business of whoever asks; but a renewal is one for the keeper only if a majority renewed.
 */
export interface Voters extends Pick<Engine, 'clock' | 'keeper' | 'close'> {
  readonly all: readonly Voter[];
  /** Whether waiting or holding keeps the process alive. */
  ref(): void;
  unref(): void;
}

/** One of several independent servers. It is given up early: a majority may decide without it. */
export interface Voter extends Pick<Engine, 'name' | 'run' | 'runBatch' | 'scan'> {
  /** Whom it last was connected to; undefined if it never was. Known before any step that runs there. */
  serverRun(): ServerRun | undefined;
}

/** A server, from its start to its end. */
export interface ServerRun {
  readonly id: string;
  /** Since when it surely has been this one that answers: monotonic ms. */
  readonly sinceMs: number;
}

export interface Inbox {
  /** A message that an operation sent with `tx.wake`. A hint: it may be lost, late or come twice. */
  message(text: string): void;
  /** A message of an operation that this session ran could not be delivered: that session is dead. */
  undelivered(session: string, text: string): void;
  /** Messages may have been lost: ask the store anew for whatever one would have told of. */
  resync(): void;
}

export interface Doorbell {
  /** Whether waiting or holding keeps the process alive. */
  ref(): void;
  unref(): void;
  close(): Promise<void>;
}

export interface KeeperOptions {
  /** Renewal goes on this long after the session's event loop last turned: ms; 0: ten times the lease. */
  maxStallMs: number;
  /** The store said that a lease is not the session's any more. */
  lost(handle: number): void;
}

/** Renews each lease at a third of its length. Validity is told from before the renewal was sent. */
export interface Keeper {
  /**
   * Begins to renew a lease that is valid until `until`; gives its handle, whose remainder by `limits.leaseSlotsMax` is
   * a low number that no other lease has meanwhile. Cheap: called at every grant.
   */
  keep(lease: { key: string; owner: string; ttlMs: number; until: Instant; maxHoldMs: number }): number;
  /** Until when the lease is known to be held, as of the last renewal that succeeded. */
  validUntil(handle: number): Instant;
  /** Ends renewal. A renewal under way no longer counts. */
  drop(handle: number): void;
  /** Says that the event loop turns. */
  beat(): void;
  close(): Promise<void>;
}
