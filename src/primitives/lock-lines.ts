import { limits } from '../base/limits.ts';
import type { LockNames } from '../base/names.ts';
import type { Session } from '../session/session.ts';
import { leaveLine } from './lock-ask.ts';
import { LockLine } from './lock-line.ts';
import { tokenOf } from './owner.ts';
import { handleQueueMail } from './queue-line.ts';
import { handleTopicMail } from './topic-line.ts';

/** A lock's name and where it lies in the store. */
export interface LockName {
  readonly name: string;
  readonly keys: LockNames;
}

/**
 * The one line of a session before a lock, whatever the number of handles. It is there while it has something to do; the
 * first `idleLinesMax` stay for the next time.
 */
export function lineOf(session: Session, where: LockName): LockLine {
  const key = where.keys.owner;
  const line = session.receivers.get(key) as LockLine | undefined;
  if (line !== undefined) return line;
  const made = new LockLine(session, where, (idle) => {
    if (session.receivers.size <= limits.idleLinesMax) return;
    if (session.receivers.get(key) === idle) session.receivers.delete(key);
  });
  session.receivers.set(key, made);
  return made;
}

/**
 * Deals with mail that has no line here: a grant to an ask that was given up is given back, and what was sent to a
 * session that is dead goes to whoever is next.
 */
export function handleUnexpectedMail(session: Session): void {
  session.unexpected = (verb, subject, key, dead) => {
    if (handleQueueMail(session, verb, key, dead) || handleTopicMail(session, verb, key, dead)) return;
    const token = tokenOf(subject);
    if (token === undefined || !(dead || verb === 'granted')) return;
    session.inBackground(leaveLine(session, session.keys.lockAt(key), token.text));
    if (dead) session.forget(token.session);
  };
}
