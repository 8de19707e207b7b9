import { toMs, type Duration } from '../base/duration.ts';
import { LockstepError, invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkOptions } from '../base/options.ts';
import { startWait, type WaitOptions } from '../base/waiting.ts';
import * as operations from '../operations/lock.ts';
import type { Session, SessionInfo } from '../session/session.ts';
import { callSite, type CallSite } from './call-site.ts';
import { describe, watchForDeadlock, type HeldWhileWaiting } from './deadlock.ts';
import { heldHere, whileHolding } from './holding.ts';
import { infosOf, inspectLock, type LockInspection } from './inspection.ts';
import { HeldLease, type Lease } from './lease.ts';
import type { LeaseTerms, LockLine, Waiter } from './lock-line.ts';
import { lineOf, type LockName } from './lock-lines.ts';
import { parseOwner, tokenOf } from './owner.ts';

/** How long a lease lasts. */
export interface LeaseOptions {
  /**
   * How long the lease lives without renewal, which happens by itself every third of it: at least 50 ms, default 10 s.
   * It is how long others wait when a holder is stopped or cut off; the death of its process is seen at once.
   */
  ttl?: Duration;
  /** The longest that one lease may be held, renewal included. Default: no bound. */
  maxHold?: Duration;
}

/** How a lock is held, and where it lies. */
export interface LockOptions extends LeaseOptions {
  /**
   * After a release that nobody waits for, this session keeps the lock for so long, or until another session wants it:
   * to lock again and again costs no step of the store. Meanwhile `tryAcquire` of others finds it held. Default: 0.
   */
  keep?: Duration;
  /** The store's key, verbatim, to share the lock with programs that do not use lockstep. */
  key?: string;
}

/** How long to wait, and what a deadlock could go through. */
export interface AcquireOptions extends WaitOptions {
  /**
   * Leases that the caller holds while it waits, so that a deadlock through them is found. Those of an enclosing
   * `run` are known by themselves.
   */
  holding?: Lease | readonly Lease[];
  /** The wait is not part of the enclosing `run`: it may be for the lock which that one holds. */
  detached?: boolean;
}

/** A mutual-exclusion lock with a FIFO queue and fencing tokens. Not re-entrant: to go on under it, pass the lease. */
export interface Lock {
  readonly name: string;
  /**
   * Waits for the lock, in the order of arrival. Rejects with `TIMEOUT` (the text says who holds it), `DEADLOCK`,
   * `UNAVAILABLE`, `CLOSED`, `INVALID_ARGUMENT`, or the signal's own reason; it is then certain that the lock is not held.
   */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /** The lock if it is free now. Rejects with `UNAVAILABLE` or `CLOSED`. */
  tryAcquire(): Promise<Lease | undefined>;
  /**
   * Runs `body` under the lock and releases it. Rejects as `acquire` does, with what `body` threw, or with
   * `LEASE_LOST` where the body ended after the lease was lost: what it did last may have raced with the next holder.
   */
  run<T>(body: (lease: Lease) => Promise<T> | T, options?: AcquireOptions): Promise<T>;
  /** Who holds the lock and who waits for it: sessions, in order. */
  inspect(): Promise<LockInspection>;
  /** Takes the lock from its holder, whose `signal` aborts, and hands it on. False if it was free. */
  forceRelease(): Promise<boolean>;
  /** Asks the holder to give up: it hears of it by `onReleaseRequest`. False if the lock is free. */
  requestRelease(reason?: string): Promise<boolean>;
}

/** The handle of a lock; made without I/O. Throws `INVALID_ARGUMENT` for lengths that can't be used. */
export function createLock(session: Session, where: LockName, options: LockOptions): Lock {
  const terms = leaseTerms(options);
  const { name, keys } = where;

  return {
    name,
    acquire: (wait = noOptions) => acquire(session, where, terms, wait, undefined),
    tryAcquire: () => tryAcquire(session, where, terms),
    run: (body, wait = noOptions) => run(session, where, terms, wait, body),
    async inspect() {
      session.assertOpen();
      return inspectLock(session, where);
    },
    async forceRelease() {
      session.assertOpen();
      return (await session.engine.run(operations.forceRelease, keys, { fences: limits.handOversInARow })) !== '';
    },
    async requestRelease(reason = '') {
      session.assertOpen();
      if (typeof reason !== 'string' || reason.length > limits.labelLengthMax || /\p{Cc}/u.test(reason)) {
        throw invalidArgument('reason', reason, `text of one line, of at most ${limits.labelLengthMax} characters`);
      }
      return (await session.engine.run(operations.requestRelease, keys, { reason })) !== '';
    },
  };
}

const noOptions: AcquireOptions = {};
export const lockOptions: ReadonlySet<string> = new Set(['ttl', 'maxHold', 'keep', 'key']);
const acquireOptions: ReadonlySet<string> = new Set(['timeout', 'signal', 'holding', 'detached']);

/** Throws `INVALID_ARGUMENT` for a length that can't be used. */
export function leaseTerms(options: LeaseOptions & { keep?: Duration }): LeaseTerms {
  return {
    ttlMs: toMs('ttl', options.ttl ?? limits.leaseMsDefault, limits.leaseMsMin, limits.leaseMsMax),
    maxHoldMs: options.maxHold === undefined ? 0 : toMs('maxHold', options.maxHold, 1, limits.leaseMsMax),
    keepMs: options.keep === undefined ? 0 : toMs('keep', options.keep, 0, limits.leaseMsMax),
  };
}

async function run<T>(
  session: Session,
  where: LockName,
  terms: LeaseTerms,
  options: AcquireOptions,
  body: (lease: Lease) => Promise<T> | T,
): Promise<T> {
  if (typeof body !== 'function') throw invalidArgument('body', body, 'a function');
  const lease = await acquire(session, where, terms, options, callSite());
  let result: T;
  try {
    result = await whileHolding(lease, () => body(lease));
  } catch (error) {
    const { loss } = lease;
    await lease.release();
    if (loss !== undefined && error instanceof Error && error !== loss) addCause(error, loss);
    throw error;
  }
  const { loss } = lease;
  await lease.release();
  if (loss !== undefined) throw loss;
  return result;
}

/** What `Lock.acquire` does, with where it was called from if that is known. */
export function acquire(
  session: Session,
  where: LockName,
  terms: LeaseTerms,
  options: AcquireOptions,
  site: CallSite | undefined,
): Promise<HeldLease> {
  return new Promise((resolve, reject) => {
    session.assertOpen();
    if (options !== noOptions) checkOptions('the options of acquire', options, acquireOptions);
    const held = heldWhileWaiting(options);
    let endSearch: (() => void) | undefined;
    const end = (settle: () => void): void => {
      endSearch?.();
      settle();
    };
    const wait = startWait(where.name, options, session.clock, (reason, kind) => {
      if (!line.cancel(waiter)) return;
      endSearch?.();
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the caller's own reason, whatever it is
      if (kind === 'aborted') reject(reason);
      else session.inBackground(timedOut(session, line, wait?.timeoutMs ?? 0, reject));
    });
    const line = lineOf(session, where);
    const waiter: Waiter = {
      ...terms,
      name: where.name,
      site,
      wait,
      once: wait?.once ?? false,
      grant: (lease) => end(() => resolve(lease)),
      fail: (error) => end(() => reject(error)),
      refuse: () => session.inBackground(timedOut(session, line, 0, reject)),
    };
    if (held.length > 0 && !waiter.once) {
      const refusal = reentry(line, held, site);
      if (refusal !== undefined) {
        wait?.end();
        throw refusal;
      }
      endSearch = watchForDeadlock(session, line, held, (error) => {
        if (line.cancel(waiter)) waiter.fail(error);
      });
    }
    line.join(waiter);
  });
}

function tryAcquire(session: Session, where: LockName, terms: LeaseTerms): Promise<Lease | undefined> {
  return new Promise((resolve, reject) => {
    session.assertOpen();
    lineOf(session, where).join({
      ...terms,
      name: where.name,
      site: undefined,
      once: true,
      grant: resolve,
      fail: reject,
      refuse: () => resolve(undefined),
    });
  });
}

/** What a deadlock could go through: the leases of the enclosing `run`s, and those that the caller names. */
function heldWhileWaiting(options: AcquireOptions): readonly HeldWhileWaiting[] {
  const around = options.detached === true ? undefined : heldHere();
  if (around === undefined && options.holding === undefined) return none;
  const held: HeldWhileWaiting[] = [];
  for (const lease of new Set<Lease>([...(around ?? []), ...namedLeases(options)])) {
    if (!(lease instanceof HeldLease)) throw invalidArgument('holding', lease, 'a lease, or an array of leases');
    if (lease.active) held.push({ lease, line: lease.source as LockLine });
  }
  return held;
}

const none: readonly HeldWhileWaiting[] = [];

/** The leases that the caller says it holds. */
export function namedLeases({ holding = [] }: AcquireOptions): readonly Lease[] {
  return Array.isArray(holding) ? (holding as readonly Lease[]) : [holding as Lease];
}

/** The error of a task that waits for what it holds itself. */
function reentry(
  line: LockLine,
  held: readonly HeldWhileWaiting[],
  site: CallSite = callSite(),
): LockstepError | undefined {
  const own = held.find((one) => isSameLock(one.line, line))?.lease;
  if (own === undefined) return undefined;
  const name = JSON.stringify(line.name);
  return new LockstepError(
    'DEADLOCK',
    `lock ${name} is already held by the task that asks for it${siteText(own.site)}; asked again${siteText(site)}: ` +
      'locks are not re-entrant; pass the lease on, or say { detached: true } where the holder does not await this wait',
    { details: { lock: line.name, fence: own.fence, acquiredAt: own.site?.describe(), askedAt: site.describe() } },
  );
}

/** Also through two `open`s of one store. */
function isSameLock(a: LockLine, b: LockLine): boolean {
  return a === b || (a.keys.owner === b.keys.owner && a.session.engine.store === b.session.engine.store);
}

/**
 * Rejects a wait whose time is over, with who is in the way: the store's freshest word if it comes at once. A store that has
 * said nothing at all is what was in the way itself.
 */
async function timedOut(
  session: Session,
  line: LockLine,
  afterMs: number,
  reject: (error: Error) => void,
): Promise<void> {
  const local = line.lease;
  const name = JSON.stringify(line.name);
  const waited = afterMs === 0 ? `lock ${name} is not free` : `lock ${name} was not free within ${afterMs} ms`;
  let holder = '';
  let info: SessionInfo | undefined = session.info;
  if (local !== undefined) {
    const since = new Date(local.since).toISOString();
    holder = `it is held by another task of this session${siteText(local.site)} since ${since} (fence ${local.fence})`;
  } else {
    let failure: Error | undefined;
    const seen = await Promise.race([
      lookUp(session, line).catch((error: Error) => void (failure = error)),
      new Promise<undefined>((done) => session.clock.timer(limits.lookMsMax, () => done(undefined))),
    ]);
    const isSilent = seen === undefined && (failure !== undefined || line.blocker === undefined);
    if (isSilent) return reject(unanswered(line.name, afterMs, failure));
    info = seen?.info;
    holder = describeHolder(seen?.owner ?? line.blocker?.owner, info, seen?.leftMs);
  }
  reject(
    new LockstepError('TIMEOUT', `${waited}: ${holder}`, {
      details: { lock: line.name, timeoutMs: afterMs, holder: info },
    }),
  );
}

function unanswered(lock: string, afterMs: number, cause: Error | undefined): LockstepError {
  const why = cause?.message ?? 'it does not answer. Lockstep goes on by itself when it does.';
  return new LockstepError(
    'UNAVAILABLE',
    `the store did not say within ${afterMs} ms whether lock ${JSON.stringify(lock)} is free: ${why}`,
    { cause, details: { lock, timeoutMs: afterMs } },
  );
}

interface Seen {
  readonly owner: string;
  readonly leftMs: number;
  readonly info: SessionInfo | undefined;
}

/** Who has the lock: in one round trip, if it is still who was in the way last. */
async function lookUp(session: Session, line: LockLine): Promise<Seen> {
  const last = infosOf(session, line.blocker === undefined ? [] : [line.blocker.owner]);
  const [[found = '', leftMs], infos] = await Promise.all([
    session.engine.run(operations.look, line.keys, { from: 0, to: 0 }),
    last,
  ]);
  const owner = String(found);
  const id = tokenOf(owner)?.session ?? '';
  return { owner, leftMs: Number(leftMs), info: infos.get(id) ?? (await infosOf(session, [owner])).get(id) };
}

/** Who has a lock, for the error of a wait that timed out. */
export function describeHolder(
  owner: string | undefined,
  info: SessionInfo | undefined,
  leftMs: number | undefined,
): string {
  if (owner === undefined) return 'the store did not say in time who holds it now';
  if (owner === '') return 'it was given back just now, and others came first';
  const known = parseOwner(owner);
  const left =
    leftMs === undefined ? '' : leftMs < 0 ? '; it has no time to live' : `; its lease has ${leftMs} ms left`;
  if (known === undefined) return `it is held by another program, as ${JSON.stringify(owner)}${left}`;
  const who = info === undefined ? `session ${known.session}` : describe(info);
  const fence = known.fence === 0 ? '' : ` (fence ${known.fence})`; // held over several servers there is none
  return `it is held by ${who} since ${new Date(known.sinceMs).toISOString()}${fence}${left}`;
}

function siteText(site: CallSite | undefined): string {
  const at = site?.describe() ?? '';
  return at === '' ? '' : `, ${at}`;
}

/** The body's own error wins, whatever can be done to it. */
export function addCause(error: Error, cause: Error): void {
  if (error.cause === undefined && Object.isExtensible(error)) error.cause = cause;
}
