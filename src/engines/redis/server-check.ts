import { LockstepError } from '../../base/errors.ts';
import type { Link } from './link.ts';
import type { Servers } from './servers.ts';

/** A setting under which the server may lose what lockstep keeps there. */
export class RedisWarning extends Error {
  /** The setting to change. */
  readonly setting: string;

  constructor(setting: string, message: string) {
    super(message);
    this.name = 'LockstepWarning';
    this.setting = setting;
  }
}

/** What is looked at, and by which connection. */
export type Checked = Pick<Servers, 'any' | 'name' | 'kind'>;

/**
 * Looks at the server's version and settings, as far as it tells: what should be changed. Rejects with
 * `INVALID_ARGUMENT` for a server that can't be used, `UNAVAILABLE` for one that does not answer.
 */
export async function checkServer({ any: link, name, kind }: Checked): Promise<RedisWarning[]> {
  const info = parseInfo(await told(link, ['INFO']));
  refuseUnfit(name, kind, info);
  const replicas = Number(info.get('connected_slaves') ?? 0);
  const wanted = replicas === 0 ? '' : await told(link, ['CONFIG', 'GET', 'min-replicas-to-write']);
  const warnings: RedisWarning[] = [];
  const warn = (setting: string, text: string): void =>
    void warnings.push(new RedisWarning(setting, `${name} ${text}`));

  const policy = info.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction' && info.get('maxmemory') !== '0') {
    warn(
      'maxmemory-policy',
      `evicts keys when its memory is full (maxmemory-policy ${policy}): locks that are held and data would vanish. ` +
        'Set maxmemory-policy noeviction, or use a server that is not a cache.',
    );
  }
  if (info.get('aof_enabled') === '0') {
    warn(
      'appendonly',
      'does not write each change to its disk (appendonly no): when it restarts, locks that are held may be granted ' +
        'again, and counters and maps go back. Set appendonly yes; with appendfsync always nothing is lost.',
    );
  }
  if (replicas > 0 && wanted.endsWith(' 0')) {
    warn(
      'min-replicas-to-write',
      `has replicas, but writes also where none of them follows (min-replicas-to-write 0): a failover may grant locks ` +
        'again and lose the last changes. Set min-replicas-to-write 1 and min-replicas-max-lag 10.',
    );
  }
  return warnings;
}

function refuseUnfit(name: string, kind: Servers['kind'], info: ReadonlyMap<string, string>): void {
  const version = info.get('redis_version');
  if (version !== undefined && isBelow(version, 6, 2)) {
    throw unfit(name, `is Redis ${version}: lockstep needs Redis 6.2 or later, or Valkey`);
  }
  if (kind === 'cluster' && version !== undefined && isBelow(version, 7, 0)) {
    throw unfit(name, `is Redis ${version}: lockstep needs Redis 7.0 or later in a cluster, for its sharded channels`);
  }
  if (kind === 'server' && info.get('cluster_enabled') === '1') {
    throw unfit(name, 'is a node of a cluster: open redis+cluster://host:port, or a client that is for a cluster');
  }
}

/** The error for a server that lockstep can not use. */
export function unfit(name: string, why: string): LockstepError {
  return new LockstepError('INVALID_ARGUMENT', `${name} ${why}.`, { details: { server: name } });
}

function isBelow(version: string, major: number, minor: number): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split('.').map(Number);
  return itsMajor < major || (itsMajor === major && itsMinor < minor);
}

/** The reply as text; '' where this user may not ask, or a managed server does not say. */
async function told(link: Link, command: readonly string[]): Promise<string> {
  try {
    return textOf(await link.command(command));
  } catch (error) {
    if (error instanceof LockstepError) throw error;
    return '';
  }
}

/** A list, a map of RESP3 as its client shows it, or text. */
function textOf(reply: unknown): string {
  if (Array.isArray(reply)) return reply.map(textOf).join(' ');
  if (reply instanceof Map) return textOf([...reply].flat());
  if (typeof reply === 'object' && reply !== null) return textOf(Object.entries(reply).flat());
  return String(reply);
}

/** Fields and values of a reply to INFO. */
export function parseInfo(text: string): Map<string, string> {
  const lines = text.split(/\r?\n/).map((line) => line.split(':', 2) as [string, string]);
  return new Map(lines.filter(([, value]) => value !== undefined));
}
