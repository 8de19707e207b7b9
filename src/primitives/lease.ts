import { LockstepError } from '../base/errors.ts';
import type { Session } from '../session/session.ts';
import type { CallSite } from './call-site.ts';
import type { Guard, Guarding } from './guard.ts';

/** Somebody asks the holder to give up. */
export interface ReleaseRequest {
  readonly lock: string;
  readonly reason: string;
}

/**
 * A lock that is held, until `release`.
 *
 * A lease is liveness, not proof: a process can be stopped at any instruction and go on after its lease was given to
 * somebody else. What protects data is `fence`: writes through lockstep take `{ guard: lease }` and are refused by
 * the store when the lease is over; for other systems keep the highest fence beside the data and refuse lower ones.
 */
export interface Lease extends AsyncDisposable {
  /** The lock's name. */
  readonly lock: string;
  /** The fencing token: grows with every grant of the space, over restarts and lost keys. */
  readonly fence: number;
  /** Aborts when the lease is lost, with the `LEASE_LOST` error as its reason. */
  readonly signal: AbortSignal;
  /** How long the lease is certain to last if it is not renewed: ms; 0 when it is over. */
  remaining(): number;
  /**
   * Gives the lock back; the next waiter has it when this resolves. Harmless when it is already over; never rejects
   * because of that. When the store can't be reached it is tried again until the lease is over by itself.
   */
  release(): Promise<void>;
  /**
   * Calls `listener` when somebody asks for the lock with `requestRelease`; the last request before the first listener is told
   * to that one. The returned function stops it.
   */
  onReleaseRequest(listener: (request: ReleaseRequest) => void): () => void;
}

/** What a lease needs of the line that granted it. */
export interface LeaseSource {
  readonly session: Session;
  readonly keys: { readonly owner: string };
  /** The owner that the store must still have while the lease is held. */
  ownerFor(lease: HeldLease): string | undefined;
  leftMs(lease: HeldLease): number;
  release(lease: HeldLease): Promise<void>;
}

/** What was granted. */
interface Grant {
  readonly fence: number;
  /** ms since 1970. */
  readonly since: number;
  readonly ttlMs: number;
}

/** The lease as the lock that granted it sees it. */
export class HeldLease implements Lease, Guarding {
  readonly lock: string;
  readonly fence: number;
  /** When it was granted: ms since 1970. */
  readonly since: number;
  readonly ttlMs: number;
  /** Where it was acquired, if that is known. */
  readonly site: CallSite | undefined;
  /** The line that granted it. */
  readonly source: LeaseSource;
  #released: Promise<void> | undefined;
  #loss: LockstepError | undefined;
  #abort: AbortController | undefined;
  #listeners: Set<(request: ReleaseRequest) => void> | undefined;
  /** The reason of a request that came before the first of these. */
  #unheard: string | undefined;

  constructor(source: LeaseSource, lock: string, grant: Grant, site: CallSite | undefined) {
    this.source = source;
    this.lock = lock;
    this.fence = grant.fence;
    this.since = grant.since;
    this.ttlMs = grant.ttlMs;
    this.site = site;
  }

  asGuard(): Guard {
    const { session, keys } = this.source;
    const owner = this.source.ownerFor(this);
    if (this.#loss !== undefined) throw this.#loss;
    if (owner === undefined || !this.active) throw released(this.lock, this.fence);
    return { engine: session.engine, space: session.space, lock: this.lock, fence: this.fence, key: keys.owner, owner };
  }

  /** Made when first asked for: most leases are released before anybody does. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#loss !== undefined) this.#abort.abort(this.#loss);
    }
    return this.#abort.signal;
  }

  /** The `LEASE_LOST` error, once it is lost. */
  get loss(): LockstepError | undefined {
    return this.#loss;
  }

  /** Neither released nor lost. */
  get active(): boolean {
    return this.#released === undefined && this.#loss === undefined;
  }

  remaining(): number {
    return this.active ? this.source.leftMs(this) : 0;
  }

  release(): Promise<void> {
    this.#released ??= this.#loss === undefined ? this.source.release(this) : Promise.resolve();
    return this.#released;
  }

  onReleaseRequest(listener: (request: ReleaseRequest) => void): () => void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    const unheard = this.#unheard;
    this.#unheard = undefined;
    if (unheard !== undefined) this.requested(unheard);
    return () => this.#listeners?.delete(listener);
  }

  /** Called by the source, once. */
  lose(error: LockstepError): void {
    if (!this.active) return;
    this.#loss = error;
    this.#abort?.abort(error);
  }

  /** Called by the source. A listener that throws is the program's own uncaught error, not the lock's. */
  requested(reason: string): void {
    if (this.#listeners === undefined) this.#unheard = reason;
    for (const listener of this.#listeners ?? []) {
      queueMicrotask(() => listener({ lock: this.lock, reason }));
    }
  }

  /** For logs. */
  toJSON(): { lock: string; fence: number; since: number; ttlMs: number; active: boolean } {
    const { lock, fence, since, ttlMs, active } = this;
    return { lock, fence, since, ttlMs, active };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

function released(name: string, fence: number): LockstepError {
  return new LockstepError(
    'LEASE_LOST',
    `the lease of lock ${JSON.stringify(name)} (fence ${fence}) was released: what it guards must be done before that`,
    { details: { lock: name, fence, cause: 'released' } },
  );
}
