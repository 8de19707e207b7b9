import { toMs } from '../base/duration.ts';
import { invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { instantNow, validFor } from '../base/validity.ts';
import { startWait } from '../base/waiting.ts';
import * as operations from '../operations/lock.ts';
import type { Session } from '../session/session.ts';
import type { HeldLease, Lease } from './lease.ts';
import type { LeaseTerms, LockLine } from './lock-line.ts';
import { lineOf, type LockName } from './lock-lines.ts';
import { acquire, leaseTerms, namedLeases, type AcquireOptions, type LeaseOptions } from './lock.ts';

/** Several locks that are held together. */
export interface LeaseSet extends AsyncDisposable {
  /** In the order in which the locks were named. */
  readonly leases: readonly Lease[];
  /** Aborts when the first of the leases is lost, with its `LEASE_LOST` error as reason. */
  readonly signal: AbortSignal;
  /** Gives all of them back. */
  release(): Promise<void>;
}

/** What `lockAll` takes. */
export const lockAllOptions: ReadonlySet<string> = new Set([
  'timeout',
  'signal',
  'holding',
  'detached',
  'ttl',
  'maxHold',
]);

/**
 * Takes all the locks: in one step of the store where all are free, else one after the other in the order of their
 * keys, which is the same for everybody, so that no order of names can deadlock. Rejects as `Lock.acquire` does, and
 * then holds none.
 */
export async function lockAll(
  session: Session,
  locks: readonly LockName[],
  options: AcquireOptions & LeaseOptions,
): Promise<LeaseSet> {
  checkLocks(locks);
  const { ttl: _ttl, maxHold: _maxHold, ...waitOptions } = options;
  const terms = leaseTerms(options);
  const deadline = deadlineOf(session, options);
  const atOnce = await inTime(session, locks, options, () => tryAll(session, locks, terms));
  if (atOnce !== undefined) return leaseSet(atOnce);
  const leases = new Map<LockName, HeldLease>();
  try {
    for (const where of locks.toSorted((a, b) => (a.keys.owner < b.keys.owner ? -1 : 1))) {
      const holding = [...leases.values(), ...namedLeases(options)];
      const wait = { ...waitOptions, holding, ...untilDeadline(session, deadline) };
      leases.set(where, await acquire(session, where, terms, wait, undefined));
    }
  } catch (error) {
    await releaseAll([...leases.values()]);
    throw error;
  }
  return leaseSet(locks.map((where) => leases.get(where)!));
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

/** The leases of the first step, unless the wait ends before the store answers: then they are given back. */
function inTime(
  session: Session,
  locks: readonly LockName[],
  options: AcquireOptions,
  begin: () => Promise<HeldLease[] | undefined>,
): Promise<HeldLease[] | undefined> {
  return new Promise((resolve, reject) => {
    const names = locks.map(({ name }) => JSON.stringify(name)).join(', ');
    const wait = startWait(`waiting for locks ${names}`, options, session.clock, (reason) => {
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the caller's own reason, whatever it is
      reject(reason);
      session.inBackground(attempt.then(releaseAll));
    });
    const attempt = begin().finally(() => wait?.end());
    attempt.then(resolve, reject);
    session.inBackground(attempt); // `close` waits for it
  });
}

async function releaseAll(leases: readonly Lease[] | undefined): Promise<void> {
  await Promise.all((leases ?? []).map((lease) => lease.release()));
}

/** The leases of all locks in one step of the store, without waiting; nothing if one is not free. */
async function tryAll(
  session: Session,
  locks: readonly LockName[],
  terms: LeaseTerms,
): Promise<HeldLease[] | undefined> {
  session.assertOpen();
  const lines = locks.map((where) => lineOf(session, where));
  if (lines.some((line) => !line.idle)) return undefined;
  const asks = lines.map((line) => ({ line, token: line.reserve(terms.ttlMs) }));
  const sent = instantNow(session.clock);
  try {
    const reply = await session.engine.runBatch(
      operations.acquireAll,
      [session.keys.fences, ...lines.flatMap(({ keys }) => [keys.owner, keys.queue])],
      [String(limits.handOversInARow), ...asks.map(({ token }) => token)],
    );
    if (reply[0] === 'held') {
      for (const line of lines) line.unreserve();
      return undefined;
    }
    const [, ...owners] = reply;
    await confirmAll(session, lines, owners, terms.ttlMs);
    session.assertOpen(); // it may have been closed meanwhile
    const until = validFor(sent, terms.ttlMs);
    return lines.map((line, i) => line.adopt(owners[i]!, until, terms));
  } catch (error) {
    for (const { line } of asks) line.giveUp(); // it may have been done
    throw error;
  }
}

/** Where grants count only once replicas have them. */
async function confirmAll(
  { engine }: Session,
  lines: readonly LockLine[],
  owners: readonly string[],
  ttlMs: number,
): Promise<void> {
  const confirm = engine.confirm?.bind(engine);
  if (confirm === undefined) return;
  await Promise.all(lines.map(({ keys }, i) => confirm({ key: keys.owner, owner: owners[i]!, ttlMs })));
}

function deadlineOf(session: Session, options: AcquireOptions): number {
  if (options.timeout === undefined) return Number.POSITIVE_INFINITY;
  return session.clock.monotonicMs() + toMs('timeout', options.timeout, 0, limits.waitMsMax);
}

function untilDeadline(session: Session, deadline: number): AcquireOptions {
  if (deadline === Number.POSITIVE_INFINITY) return {};
  return { timeout: Math.max(0, Math.ceil(deadline - session.clock.monotonicMs())) };
}

function leaseSet(leases: readonly Lease[]): LeaseSet {
  const release = (): Promise<void> => releaseAll(leases);
  let signal: AbortSignal | undefined;
  return {
    leases,
    get signal() {
      signal ??= AbortSignal.any(leases.map((lease) => lease.signal));
      return signal;
    },
    release,
    [Symbol.asyncDispose]: release,
  };
}
