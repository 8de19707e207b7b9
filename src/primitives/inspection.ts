import * as operations from '../operations/lock.ts';
import { cards } from '../operations/session.ts';
import { infoOf, type Session, type SessionInfo } from '../session/session.ts';
import { leaveLine } from './lock-ask.ts';
import type { LockName } from './lock-lines.ts';
import { parseOwner, tokenOf } from './owner.ts';

/** Who has a lock, as the store sees it. */
export interface LockHolder {
  /** The session; only its `id` is known where it left no card, and for another program its raw owner value. */
  readonly session: SessionInfo;
  /** The fence of the grant; 0 for another program. A hand-over inside the session may have gone on from it. */
  readonly fence: number;
  /** When the store granted it: ms since 1970; 0 for another program. */
  readonly since: number;
  /** Until the lease ends if it is not renewed: ms; -1 if it never does. */
  readonly remainingMs: number;
}

/** A session in the line: one place for all its tasks. */
export interface LockWaiter {
  readonly session: SessionInfo;
  /** ms since 1970. */
  readonly since: number;
}

/** A lock as the store sees it at one moment. */
export interface LockInspection {
  readonly name: string;
  /** The store's key. */
  readonly key: string;
  readonly holder?: LockHolder;
  /** In order; the first 1,000. */
  readonly waiters: readonly LockWaiter[];
}

const waitersMax = 1_000;

/** Looks at a lock. A dead session that holds it is out of it before that. */
export async function inspectLock(session: Session, { name, keys }: LockName): Promise<LockInspection> {
  const range = { from: 0, to: waitersMax - 1 };
  let found = await session.engine.run(operations.look, keys, range);
  const holder = tokenOf(String(found[0]));
  if (holder !== undefined && !(await session.engine.alive(holder.session))) {
    await leaveLine(session, keys, holder.text);
    session.forget(holder.session);
    found = await session.engine.run(operations.look, keys, range);
  }
  const subjects = found.filter((one, i) => i % 2 === 0 && one !== '').map(String);
  return inspectionOf(name, keys.owner, found, await infosOf(session, subjects));
}

/** Who the sessions of tokens and owners are, as far as they left cards: a step of its own, as a lock may lie elsewhere. */
export async function infosOf(session: Session, subjects: readonly string[]): Promise<Map<string, SessionInfo>> {
  const ids = [...new Set(subjects.flatMap((subject) => tokenOf(subject)?.session ?? []))];
  const found = ids.length === 0 ? [] : await session.engine.runBatch(cards, [session.keys.sessions], ids);
  return new Map(found.flatMap((card, i) => (infoOf(card) === undefined ? [] : [[ids[i]!, infoOf(card)!]])));
}

function inspectionOf(
  name: string,
  key: string,
  found: readonly (string | number)[],
  infos: ReadonlyMap<string, SessionInfo>,
): LockInspection {
  const [owner, leftMs] = [String(found[0]), Number(found[1])];
  const waiters: LockWaiter[] = [];
  for (let i = 2; i + 1 < found.length; i += 2) {
    waiters.push({ session: sessionOf(String(found[i]), infos), since: Math.floor(Number(found[i + 1]) / 1000) });
  }
  if (owner === '') return { name, key, waiters };
  const known = parseOwner(owner);
  const holder: LockHolder = {
    session: sessionOf(owner, infos),
    fence: known?.fence ?? 0,
    since: Math.floor(known?.sinceMs ?? 0),
    remainingMs: leftMs,
  };
  return { name, key, holder, waiters };
}

function sessionOf(subject: string, infos: ReadonlyMap<string, SessionInfo>): SessionInfo {
  const id = tokenOf(subject)?.session ?? subject;
  return infos.get(id) ?? { id, host: '', pid: 0, thread: 0, label: '', since: 0 };
}
