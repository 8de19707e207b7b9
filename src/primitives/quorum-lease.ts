import type { LockstepError } from '../base/errors.ts';

/**
 * A lock that is held on a majority of independent servers, until `release`.
 *
 * It is liveness, not proof, and it has no fence: servers that know nothing of each other can't number their grants. It
 * keeps others from doing the same work at the same time; what must never go wrong needs a lock that has a fence.
 */
export interface QuorumLease extends AsyncDisposable {
  /** The lock's name. */
  readonly lock: string;
  /** Aborts when the lease is lost, with the `LEASE_LOST` error as its reason. */
  readonly signal: AbortSignal;
  /** How long the lease is certain to last if it is not renewed: ms; 0 when it is over. */
  remaining(): number;
  /**
   * Gives the lock back; it is free when this resolves, as far as a majority of the servers can be reached. Harmless
   * when it is already over; never rejects. What can't be reached is tried again until the lease is over by itself.
   */
  release(): Promise<void>;
}

/** What a lease needs of the line that got it. */
export interface QuorumLeaseSource {
  leftMs(lease: HeldQuorumLease): number;
  release(lease: HeldQuorumLease): Promise<void>;
}

/** The lease as the lock that got it sees it. */
export class HeldQuorumLease implements QuorumLease {
  readonly lock: string;
  readonly #source: QuorumLeaseSource;
  readonly #abort: AbortController = new AbortController();
  #released: Promise<void> | undefined;
  #loss: LockstepError | undefined;

  constructor(source: QuorumLeaseSource, lock: string) {
    this.#source = source;
    this.lock = lock;
  }

  get signal(): AbortSignal {
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
    return this.active ? this.#source.leftMs(this) : 0;
  }

  release(): Promise<void> {
    this.#released ??= this.#loss === undefined ? this.#source.release(this) : Promise.resolve();
    return this.#released;
  }

  /** Called by the source, once. */
  lose(error: LockstepError): void {
    if (!this.active) return;
    this.#loss = error;
    this.#abort.abort(error);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}
