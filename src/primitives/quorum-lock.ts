import { ballot, type Answers } from '../base/ballot.ts';
import { toMs } from '../base/duration.ts';
import { LockstepError, invalidArgument } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkOptions } from '../base/options.ts';
import { startWait, type WaitOptions } from '../base/waiting.ts';
import { cards } from '../operations/session.ts';
import type { QuorumSession } from '../session/quorum-session.ts';
import { infoOf, type SessionInfo } from '../session/session.ts';
import { addCause, describeHolder, type LeaseOptions } from './lock.ts';
import type { LockName } from './lock-lines.ts';
import { tokenOf } from './owner.ts';
import type { HeldQuorumLease, QuorumLease } from './quorum-lease.ts';
import { QuorumLine, type QuorumWaiter } from './quorum-line.ts';

/** How a lock over several servers is held, and where it lies. */
export interface QuorumLockOptions extends LeaseOptions {
  /** The key on all servers, verbatim, to share the lock with programs that do not use lockstep, such as redlock's. */
  key?: string;
}

/**
 * A mutual-exclusion lock over several independent servers. Nobody's turn is promised: whoever asks at the right moment
 * has it. Not re-entrant: to go on under it, pass the lease.
 */
export interface QuorumLock {
  readonly name: string;
  /**
   * Waits for the lock. Rejects with `TIMEOUT` (the text says who holds it, as far as that is known), `UNAVAILABLE`
   * where no majority of the servers takes part, `CLOSED`, `INVALID_ARGUMENT`, or the signal's own reason.
   */
  acquire(options?: WaitOptions): Promise<QuorumLease>;
  /** The lock if it is free now. Of several that try in the same moment it may be that none has it. */
  tryAcquire(): Promise<QuorumLease | undefined>;
  /**
   * Runs `body` under the lock and releases it. Rejects as `acquire` does, with what `body` threw, or with
   * `LEASE_LOST` where the body ended after the lease was lost: what it did last may have raced with the next holder.
   */
  run<T>(body: (lease: QuorumLease) => Promise<T> | T, options?: WaitOptions): Promise<T>;
}

interface Terms {
  readonly ttlMs: number;
  readonly maxHoldMs: number;
}

/** The handle of a lock; made without I/O. Throws `INVALID_ARGUMENT` for options that can't be used. */
export function createQuorumLock(session: QuorumSession, where: LockName, options: QuorumLockOptions): QuorumLock {
  checkOptions('the options of lock', options, lockOptions);
  const { ttl = Math.min(limits.leaseMsDefault, session.ttlMsMax), maxHold } = options;
  const terms: Terms = {
    ttlMs: toMs('ttl', ttl, limits.quorumLeaseMsMin, session.ttlMsMax),
    maxHoldMs: maxHold === undefined ? 0 : toMs('maxHold', maxHold, 1, limits.leaseMsMax),
  };
  return {
    name: where.name,
    acquire: (wait = {}) => acquire(session, where, terms, wait),
    tryAcquire: () => tryAcquire(session, where, terms),
    run: (body, wait = {}) => run(session, where, terms, wait, body),
  };
}

const lockOptions: ReadonlySet<string> = new Set(['ttl', 'maxHold', 'key']);
const waitOptions: ReadonlySet<string> = new Set(['timeout', 'signal']);

async function run<T>(
  session: QuorumSession,
  where: LockName,
  terms: Terms,
  options: WaitOptions,
  body: (lease: QuorumLease) => Promise<T> | T,
): Promise<T> {
  if (typeof body !== 'function') throw invalidArgument('body', body, 'a function');
  const lease = await acquire(session, where, terms, options);
  let result: T;
  try {
    result = await body(lease);
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

function acquire(
  session: QuorumSession,
  where: LockName,
  terms: Terms,
  options: WaitOptions,
): Promise<HeldQuorumLease> {
  return new Promise((resolve, reject) => {
    session.assertOpen();
    checkOptions('the options of acquire', options, waitOptions);
    const wait = startWait(where.name, options, session.clock, (reason, kind) => {
      if (!line.cancel(waiter)) return;
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the caller's own reason, whatever it is
      if (kind === 'aborted') reject(reason);
      else session.inBackground(timedOut(session, line, where.name, wait?.timeoutMs ?? 0, reject));
    });
    const line = lineOf(session, where);
    const waiter: QuorumWaiter = {
      ...terms,
      name: where.name,
      wait,
      once: wait?.once ?? false,
      grant: resolve,
      fail: reject,
      refuse: () => session.inBackground(timedOut(session, line, where.name, 0, reject)),
    };
    line.join(waiter);
  });
}

function tryAcquire(session: QuorumSession, where: LockName, terms: Terms): Promise<QuorumLease | undefined> {
  return new Promise((resolve, reject) => {
    session.assertOpen();
    const refuse = (): void => resolve(undefined);
    lineOf(session, where).join({ ...terms, name: where.name, once: true, grant: resolve, fail: reject, refuse });
  });
}

/** The one line of a session before a lock. It stays while it has something to do, the first `idleLinesMax` longer. */
function lineOf(session: QuorumSession, where: LockName): QuorumLine {
  const key = where.keys.owner;
  const line = session.lines.get(key) as QuorumLine | undefined;
  if (line !== undefined) return line;
  const made = new QuorumLine(session, where, (idle) => {
    if (session.lines.size > limits.idleLinesMax && session.lines.get(key) === idle) session.lines.delete(key);
  });
  session.lines.set(key, made);
  return made;
}

/** Rejects a wait whose time is over, with who is in the way. */
async function timedOut(
  session: QuorumSession,
  line: QuorumLine,
  lock: string,
  timeoutMs: number,
  reject: (error: Error) => void,
): Promise<void> {
  let info: SessionInfo | undefined = session.info;
  let holder = 'it is held by another task of this session';
  if (line.lease === undefined) {
    info = await infoOfHolder(session, line.holder?.owner);
    holder =
      line.holder === undefined
        ? 'several asked for it at the same time, or no majority of the servers answered in time'
        : describeHolder(line.holder.owner, info, undefined);
  }
  const name = JSON.stringify(lock);
  const waited = timeoutMs === 0 ? `lock ${name} is not free` : `lock ${name} was not free within ${timeoutMs} ms`;
  reject(new LockstepError('TIMEOUT', `${waited}: ${holder}`, { details: { lock, timeoutMs, holder: info } }));
}

/** From whichever server has its card. */
async function infoOfHolder(session: QuorumSession, owner = ''): Promise<SessionInfo | undefined> {
  const id = tokenOf(owner)?.session;
  if (id === undefined) return undefined;
  const found = (said: Answers<readonly string[]>): SessionInfo | undefined =>
    said.flatMap((one) => (one !== undefined && 'reply' in one ? (infoOf(one.reply[0] ?? '') ?? []) : []))[0];
  const asked = session.voters.map((voter) => voter.runBatch(cards, [session.keys.sessions], [id]));
  return found(await ballot(asked, session.clock, limits.lookMsMax, (said) => found(said) !== undefined));
}
