import { toMs } from '../base/duration.ts';
import { invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { instantNow, validFor } from '../base/validity.ts';
import * as operations from '../operations/lock.ts';
import type { Session } from '../session/session.ts';
import type { HeldLease, Lease } from './lease.ts';
import type { LeaseTerms } from './lock-line.ts';
import { lineOf, type LockName } from './lock-lines.ts';
import { acquire, leaseTerms, type AcquireOptions, type LeaseOptions } from './lock.ts';

/** Several locks that are held together. */
export interface LeaseSet extends AsyncDisposable {
  /** In the order in which the locks were named. */
  readonly leases: readonly Lease[];
  /** Aborts when the first of the leases is lost, with its `LEASE_LOST` error as reason. */
  readonly signal: AbortSignal;
  /** Gives all of them back. */
  release(): Promise<void>;
}

/**
 * Takes all the locks or none: in one step of the store where all are free, so that no order of names can deadlock.
 * Where one is not free it waits for that one alone, holding none, and then tries the others with it (the algorithm
 * of C++'s `std::lock`). Rejects as `Lock.acquire` does.
 */
export async function lockAll(
  session: Session,
  locks: readonly LockName[],
  options: AcquireOptions & LeaseOptions,
): Promise<LeaseSet> {
  checkLocks(locks);
  const terms = leaseTerms(options);
  const deadline = deadlineOf(session, options);
  let taken = await tryAll(session, locks, terms, undefined);
  while (typeof taken === 'number') {
    const number = taken;
    const first = await acquire(session, locks[number]!, terms, untilDeadline(session, options, deadline), undefined);
    try {
      taken = await tryAll(session, locks, terms, { number, lease: first });
    } catch (error) {
      await first.release();
      throw error;
    }
    if (typeof taken === 'number') await first.release();
  }
  return leaseSet(taken);
}

function checkLocks(locks: readonly LockName[]): void {
  if (locks.length === 0 || locks.length > limits.lockAllMax) {
    throw invalidArgument('locks', locks, `1 to ${limits.lockAllMax} names, not ${locks.length}`);
  }
  const names = new Set<string>();
  for (const { name, keys } of locks) {
    if (names.has(keys.owner)) throw invalidArgument('locks', name, 'named once: a lock can be taken only once');
    names.add(keys.owner);
  }
}

/** The leases of all locks, `had` among them, without waiting; or the number of one that is not free. */
async function tryAll(
  session: Session,
  locks: readonly LockName[],
  terms: LeaseTerms,
  had: { number: number; lease: HeldLease } | undefined,
): Promise<HeldLease[] | number> {
  session.assertOpen();
  const leases: HeldLease[] = [];
  const wanted = locks.map((where, number) => ({ number, line: lineOf(session, where) }));
  if (had !== undefined) wanted.splice(had.number, 1);
  const busy = wanted.find(({ line }) => !line.idle);
  if (busy !== undefined) return busy.number;
  const asks = wanted.map(({ number, line }) => ({ number, line, token: line.reserve(terms.ttlMs) }));
  const sent = instantNow(session.clock);
  try {
    const reply = await session.engine.runBatch(
      operations.acquireAll,
      [session.keys.fences, session.keys.sessions, ...asks.flatMap(({ line }) => [line.keys.owner, line.keys.queue])],
      [String(limits.handOversInARow), ...asks.map(({ token }) => token)],
    );
    if (reply[0] === 'held') {
      for (const { line } of asks) line.unreserve();
      return asks[reply[1]]!.number;
    }
    const until = validFor(sent, terms.ttlMs);
    for (const [i, { line, number }] of asks.entries()) leases[number] = line.adopt(reply[i + 1]!, until, terms);
  } catch (error) {
    for (const { line, token } of asks) line.giveUp(token); // it may have been done
    throw error;
  }
  if (had !== undefined) leases[had.number] = had.lease;
  return leases;
}

function deadlineOf(session: Session, options: AcquireOptions): number {
  if (options.timeout === undefined) return Number.POSITIVE_INFINITY;
  return session.clock.monotonicMs() + toMs('timeout', options.timeout, 0, limits.waitMsMax);
}

function untilDeadline(session: Session, options: AcquireOptions, deadline: number): AcquireOptions {
  if (deadline === Number.POSITIVE_INFINITY) return options;
  return { ...options, timeout: Math.max(0, Math.ceil(deadline - session.clock.monotonicMs())) };
}

function leaseSet(leases: readonly Lease[]): LeaseSet {
  const release = async (): Promise<void> => {
    await Promise.all(leases.map((lease) => lease.release()));
  };
  return {
    leases,
    get signal() {
      return AbortSignal.any(leases.map((lease) => lease.signal));
    },
    release,
    [Symbol.asyncDispose]: release,
  };
}
