import { invalidArgument } from '../../base/errors.ts';

/** Where a server is, as options of ioredis; `name` says it without passwords. */
export interface RedisAddress {
  readonly name: string;
  readonly options: object;
}

/**
 * Reads `redis://[[user]:password@]host[:port][/db]`, `rediss://…` (TLS), `redis+unix:[//[user]:password@]/path[?db=n]`
 * and `redis+sentinel://[[user]:password@]host[:port],host[:port],…/master[/db]`. Throws `INVALID_ARGUMENT`.
 */
export function parseAddress(where: string): RedisAddress {
  const scheme = where.slice(0, where.indexOf(':')).toLowerCase();
  if (scheme === 'redis' || scheme === 'rediss') return tcp(where, scheme);
  if (scheme === 'redis+unix') return unixSocket(where);
  if (scheme === 'redis+sentinel') return sentinel(where);
  throw invalidArgument('where', masked(where), wanted);
}

const wanted =
  "an address such as 'redis://host:6379/0', 'rediss://user:password@host', 'redis+unix:/run/redis.sock' or " +
  "'redis+sentinel://host:26379,host:26379/master'";

function tcp(where: string, scheme: string): RedisAddress {
  let url: URL;
  try {
    url = new URL(where);
  } catch {
    throw invalidArgument('where', masked(where), wanted);
  }
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1') || '127.0.0.1';
  const port = url.port === '' ? 6379 : Number(url.port);
  const db = database(where, url.pathname.slice(1) || url.searchParams.get('db') || '0');
  const tls = scheme === 'rediss' ? { tls: { servername: host } } : {};
  return {
    name: `${scheme}://${url.hostname || host}:${port}${db === 0 ? '' : `/${db}`}`,
    options: { host, port, db, ...credentials(url.username, url.password), ...tls },
  };
}

function unixSocket(where: string): RedisAddress {
  const parts = /^[^:]+:(?:\/\/(?:([^:@/]*):([^@/]*)@)?)?(\/[^?]+)(?:\?db=(\d+))?$/.exec(where);
  if (parts === null) throw invalidArgument('where', masked(where), wanted);
  const [, user = '', password = '', path = '', db = '0'] = parts;
  return {
    name: `redis+unix:${decodeURIComponent(path)}`,
    options: { path: decodeURIComponent(path), db: database(where, db), ...credentials(user, password) },
  };
}

function sentinel(where: string): RedisAddress {
  const parts = /^[^:]+:\/\/(?:([^:@/]*):([^@/]*)@)?([^/@]+)\/([^/?]+)(?:\/(\d+))?$/.exec(where);
  if (parts === null) throw invalidArgument('where', masked(where), wanted);
  const [, user = '', password = '', hosts = '', master = '', db = '0'] = parts;
  const sentinels = hosts.split(',').map((one) => {
    const [, host, port = '26379'] = /^(.+?)(?::(\d+))?$/.exec(one) ?? [];
    if (host === undefined) throw invalidArgument('where', masked(where), wanted);
    return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
  });
  const name = decodeURIComponent(master);
  return {
    name: `redis+sentinel://${hosts}/${name}`,
    options: { sentinels, name, role: 'master', db: database(where, db), ...credentials(user, password) },
  };
}

function credentials(user: string, password: string): object {
  return {
    ...(user === '' ? {} : { username: decodeURIComponent(user) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  };
}

function database(where: string, text: string): number {
  if (!/^\d{1,6}$/.test(text))
    throw invalidArgument('where', masked(where), 'an address whose path is a number of a database');
  return Number(text);
}

/** Errors end up in logs. */
function masked(where: string): string {
  return where.replace(/\/\/[^/@]*@/, '//…@');
}
