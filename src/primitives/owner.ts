/** A waiter's token, `session:ask:ttlMs`, as `operations/lock.ts` defines it. */
export interface Token {
  readonly text: string;
  readonly session: string;
  readonly ttlMs: number;
}

/** An owner, `session:ask:ttlMs:fence:sinceUs`. */
export interface Owner extends Token {
  readonly fence: number;
  /** When the store granted it: ms since 1970. */
  readonly sinceMs: number;
}

/** The token that a token or an owner begins with; nothing for what another program wrote. */
export function tokenOf(subject: string): Token | undefined {
  const [session = '', ask = '', ttl = ''] = subject.split(':', 3);
  const ttlMs = Number(ttl);
  if (session === '' || ask === '' || ttl === '' || !Number.isSafeInteger(ttlMs)) return undefined;
  return { text: `${session}:${ask}:${ttl}`, session, ttlMs };
}

/** The parts of an owner; nothing for what another program wrote. */
export function parseOwner(owner: string): Owner | undefined {
  const [session = '', ask = '', ttl = '', fence = '', since = ''] = owner.split(':', 5);
  const ttlMs = Number(ttl);
  if (since === '' || !Number.isSafeInteger(ttlMs)) return undefined;
  return { text: `${session}:${ask}:${ttl}`, session, ttlMs, fence: Number(fence), sinceMs: Number(since) / 1000 };
}

/** The fence of an owner that the store has just made. */
export function fenceOf(owner: string): number {
  let from = 0;
  for (let part = 0; part < 3; part++) from = owner.indexOf(':', from) + 1;
  return Number(owner.slice(from, owner.indexOf(':', from)));
}
