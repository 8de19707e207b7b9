import { Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../../base/clock.ts';
import { limits } from '../../base/limits.ts';
import { type Instant, earlier, instantNow, later } from '../../base/validity.ts';
import type { Keeper, KeeperOptions } from '../engine.ts';
import { LeaseTable, LeaseView } from './lease-table.ts';
import { Renewals, type Renew } from './renewals.ts';
import type { ThreadStart, ThreadWord } from './thread.ts';

export interface KeepersOptions<Store> {
  /** Absent where the store can't be reached from another thread, or has a clock of its own. */
  readonly thread?: KeeperThread<Store> | undefined;
  readonly clock: Clock;
  /** Over the holder's own connection: until the thread is up, and where there is none. */
  readonly renew: Renew;
}

export interface KeeperThread<Store> {
  /** A module that opens a connection of its own to `store` and calls `renewOnThisThread`. */
  readonly module: URL;
  /** What it needs to know, cloned into the thread. */
  readonly store: Store;
}

/** The entry file of an engine's thread, beside the module `of`: TypeScript from the sources, JavaScript from the package. */
export function threadModule(of: string, name = 'keeper-thread'): URL {
  return new URL(`./${name}${of.slice(of.lastIndexOf('.'))}`, of);
}

/** The keepers of one engine in one thread. All share one thread that renews, begun with the first lease. */
export interface Keepers {
  keeper(options: KeeperOptions): Keeper;
  /** Has the thread do what its module calls its errand, soon. False if there is no thread for it. */
  errand(): boolean;
  /** Whether the thread asks, in its errand, that this one stays out of the store for a moment. */
  keepsOut(): boolean;
  /** Ends all renewal and the thread. Idempotent. */
  close(): Promise<void>;
}

export function openKeepers<Store>(options: KeepersOptions<Store>): Keepers {
  return new ThreadKeepers(options);
}

class ThreadKeepers<Store> implements Keepers {
  readonly #options: KeepersOptions<Store>;
  readonly #table: LeaseTable;
  readonly #own: OwnRenewals;
  readonly #keepers = new Map<number, KeeperOptions>();
  #lastKeeper = 0;
  #worker: Worker | undefined;
  #starts = 0;
  #closing: Promise<void> | undefined;

  constructor(options: KeepersOptions<Store>) {
    this.#options = options;
    this.#table = new LeaseTable((memory) => {
      this.#own.view.add(memory);
      this.#worker?.postMessage(memory);
    });
    this.#own = new OwnRenewals(options, new LeaseView(this.#table.control, []), this.#lost);
  }

  keeper(options: KeeperOptions): Keeper {
    const number = ++this.#lastKeeper;
    const { clock } = this.#options;
    const table = this.#table;
    this.#keepers.set(number, options);
    return {
      keep: ({ key, owner, ttlMs, until, maxHoldMs }) => {
        const nowMs = clock.monotonicMs();
        const end = maxHoldMs > 0 ? later(instantNow(clock), maxHoldMs) : forEver;
        const stallMs = options.maxStallMs === 0 ? limits.stallLeases * ttlMs : options.maxStallMs;
        const dueMs = firstDueMs(until.monotonicMs, ttlMs, nowMs);
        table.beat(nowMs);
        const handle = table.keep({
          key,
          owner,
          ttlMs,
          until: earlier(until, end),
          end,
          stallMs,
          dueMs,
          keeper: number,
        });
        if (this.#starts === 0) this.#start();
        if (this.#own.running) this.#own.arm(dueMs - nowMs);
        return handle;
      },
      validUntil: (handle) => table.validUntil(handle) ?? longAgo,
      drop: (handle) => {
        table.drop(handle);
      },
      beat: () => table.beat(clock.monotonicMs()),
      close: async () => {
        this.#keepers.delete(number);
        table.dropAll(number);
      },
    };
  }

  errand(): boolean {
    if (this.#closing !== undefined || this.#options.thread === undefined) return false;
    if (this.#starts === 0) this.#start();
    if (this.#worker === undefined) return false;
    this.#table.errand();
    return true;
  }

  keepsOut(): boolean {
    return this.#table.keepsOut;
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#end());
  }

  async #end(): Promise<void> {
    for (const number of this.#keepers.keys()) this.#table.dropAll(number);
    this.#keepers.clear();
    this.#table.close();
    const worker = this.#worker;
    const isUp = !this.#own.running;
    this.#own.stop();
    if (worker === undefined) return;
    worker.ref();
    // One that is not up yet has nothing to end.
    const late = setTimeout(
      () => {
        worker.terminate().catch(() => {}); // `exit` follows all the same
      },
      isUp ? limits.keeperEndMs : 0,
    );
    await new Promise((ended) => worker.once('exit', ended));
    clearTimeout(late);
  }

  readonly #lost = (handle: number): void => {
    const number = this.#table.keeperOf(handle);
    if (number !== undefined) this.#keepers.get(number)?.lost(handle);
  };

  /** Renews here until the thread does. */
  #start(): void {
    this.#starts++;
    this.#own.start();
    const { thread } = this.#options;
    if (thread === undefined) return;
    const { store, module } = thread;
    const start: ThreadStart<Store> = { control: this.#table.control, memory: this.#table.memory, store };
    try {
      // Options of the process, such as loaders, would only make the thread's start longer.
      this.#worker = new Worker(module, { workerData: start, name: 'lockstep keeper', execArgv: [], resourceLimits });
    } catch (error) {
      return this.#ended(error);
    }
    let failure: unknown;
    this.#worker.on('message', (said: ThreadWord) => {
      if (said === 'up') this.#own.stop();
      else this.#lost(said.lost);
    });
    this.#worker.on('error', (error) => {
      failure = error;
    });
    this.#worker.on('exit', () => this.#ended(failure));
    this.#worker.unref(); // after `on`, which refs it
    this.#worker.unref(); // last: a listener for messages keeps the process alive
  }

  /** A thread that ended unasked is started once more; then leases are renewed here. */
  #ended(failure: unknown): void {
    this.#worker = undefined;
    if (this.#closing !== undefined) return;
    this.#table.recover();
    const reason = failure instanceof Error ? failure.message : 'it ended without an error';
    if (this.#starts < 2) {
      warn(`The thread that renews leases ended (${reason}). It is started again.`);
      this.#start();
    } else {
      warn(
        `The thread that renews leases ended again (${reason}). They are now renewed by the event loop of this thread: ` +
          'one that does not turn for the length of a lease loses it.',
      );
      this.#own.start();
    }
  }
}

/** Renewal on the holder's own thread and connection, by a timer. */
class OwnRenewals {
  readonly view: LeaseView;
  running = false;
  readonly #clock: Clock;
  readonly #renewals: Renewals;
  #timer: Timer | undefined;
  /** When the table will be looked at: monotonic ms. */
  #timerMs = Infinity;
  #turning = false;

  constructor(options: { clock: Clock; renew: Renew }, view: LeaseView, lost: (handle: number) => void) {
    this.view = view;
    this.#clock = options.clock;
    this.#renewals = new Renewals(view, options.clock, options.renew, lost);
  }

  start(): void {
    this.running = true;
    this.arm(0);
  }

  stop(): void {
    this.running = false;
    this.#disarm();
  }

  /** Looks at the table after `ms`, if it would not do so before. */
  arm(ms: number): void {
    const atMs = this.#clock.monotonicMs() + ms;
    if (atMs >= this.#timerMs) return;
    this.#disarm();
    this.#timerMs = atMs;
    if (this.#turning) return; // armed at its end
    this.#timer = this.#clock.timer(Math.max(0, ms), () => {
      this.#turn().catch(warn); // it does not reject
    });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timerMs = Infinity;
  }

  async #turn(): Promise<void> {
    this.#timerMs = Infinity;
    this.#turning = true;
    const nextMs = await this.#renewals.turn();
    this.#turning = false;
    if (!this.running) return;
    const askedMs = this.#timerMs - this.#clock.monotonicMs(); // by leases that came meanwhile
    this.#timerMs = Infinity;
    this.arm(Math.min(nextMs, askedMs));
  }
}

/** A third of the lease after it was granted; at two thirds for a grant that came late, as most are given back by then. */
function firstDueMs(untilMs: number, ttlMs: number, nowMs: number): number {
  const thirdMs = ttlMs / 3;
  return untilMs - 2 * thirdMs > nowMs ? untilMs - 2 * thirdMs : Math.max(nowMs, untilMs - thirdMs);
}

const forEver: Instant = { monotonicMs: Infinity, wallMs: Infinity };
const longAgo: Instant = { monotonicMs: 0, wallMs: 0 };

/** The thread holds little: a batch of renewals at a time. */
const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 };

function warn(problem: unknown): void {
  process.emitWarning(String(problem), { type: 'LockstepWarning' });
}
