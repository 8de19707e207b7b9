import { checkName } from '../base/names.ts';
import type { QuorumSession } from '../session/quorum-session.ts';
import type { SessionInfo } from '../session/session.ts';
import { createQuorumLock, type QuorumLock, type QuorumLockOptions } from './quorum-lock.ts';

/**
 * What `open` gives for several independent servers: locks that a majority of them keeps, so that they go on while a
 * minority is away. Only locks: counted over a majority, more would be let in than a limit allows, and data would be
 * neither here nor there.
 */
export interface QuorumLockstep extends AsyncDisposable {
  /** Who this is, as others see it. */
  readonly session: SessionInfo;
  readonly space: string;
  /** A mutual-exclusion lock, without order and without fencing tokens. */
  lock(name: string, options?: QuorumLockOptions): QuorumLock;
  /**
   * Rejects what waits, releases what is held, and lets go of the servers. Idempotent; calls that come later reject
   * with `CLOSED`.
   */
  close(): Promise<void>;
}

export function createQuorumLockstep(session: QuorumSession): QuorumLockstep {
  const { keys, space } = session;
  return {
    session: session.info,
    space,
    lock(name, options = {}) {
      checkName('lock name', name);
      const { key } = options;
      return createQuorumLock(session, { name, keys: key === undefined ? keys.lock(name) : keys.lockAt(key) }, options);
    },
    close: () => session.close(),
    [Symbol.asyncDispose]: () => session.close(),
  };
}
