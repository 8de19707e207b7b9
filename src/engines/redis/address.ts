import { invalidArgument } from '../../base/errors.ts';
import { masked } from '../../base/masked.ts';
import type { NodeAddress } from './cluster-clients.ts';

/** Where a server is, as options of ioredis; `name` says it without passwords. */
export interface RedisAddress {
  readonly name: string;
  readonly options: object;
  /** Of a cluster: the nodes that are asked first. */
  readonly seeds?: readonly NodeAddress[];
}

/**
 * Reads `redis://[[user]:password@]host[:port][/db]`, `rediss://…` (TLS), `redis+unix:[//[user]:password@]/path[?db=n]`
 * `redis+sentinel://[[user]:password@]host[:port],host[:port],…/master[/db]`, and
 * `redis+cluster://[[user]:password@]host[:port],host[:port],…` (`rediss+cluster://` with TLS). Throws
 * `INVALID_ARGUMENT`.
 */
export function parseAddress(where: string): RedisAddress {
  try {
    return addressIn(where);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw invalidArgument('where', masked(where), `an address without a bare %: ${encoding}`);
  }
}

function addressIn(where: string): RedisAddress {
  const scheme = where.slice(0, where.indexOf(':')).toLowerCase();
  if (scheme === 'redis' || scheme === 'rediss') return tcp(where, scheme);
  if (scheme === 'redis+unix') return unixSocket(where);
  if (scheme === 'redis+sentinel') return sentinel(where);
  if (scheme === 'redis+cluster' || scheme === 'rediss+cluster') return cluster(where, scheme);
  throw invalidArgument('where', masked(where), wanted);
}

const encoding = "in a password '/' is written as %2F, '@' as %40, ':' as %3A, '#' as %23, '%' as %25";

const wanted =
  "an address such as 'redis://host:6379/0', 'rediss://user:password@host', 'redis+unix:/run/redis.sock', " +
  "'redis+sentinel://host:26379,host:26379/master' or 'redis+cluster://host:6379,host:6379'; " +
  encoding;

function tcp(where: string, scheme: string): RedisAddress {
  let url: URL;
  try {
    url = new URL(where);
  } catch {
    throw invalidArgument('where', masked(where), wanted);
  }
  const isPlain = [...url.searchParams.keys()].every((parameter) => parameter === 'db');
  if (!isPlain || url.hash !== '') {
    const only = 'an address whose only parameter is ?db=n, as all else is said in the options of open';
    throw invalidArgument('where', masked(where), `${only}; ${encoding}`); // what follows may be a part of a password
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
  const sentinels = nodes(where, hosts, 26_379);
  const name = decodeURIComponent(master);
  return {
    name: `redis+sentinel://${hosts}/${name}`,
    options: { sentinels, name, role: 'master', db: database(where, db), ...credentials(user, password) },
  };
}

function cluster(where: string, scheme: string): RedisAddress {
  const parts = /^[^:]+:\/\/(?:([^:@/]*):([^@/]*)@)?([^/@?]+)\/?$/.exec(where);
  if (parts === null) throw invalidArgument('where', masked(where), wanted);
  const [, user = '', password = '', hosts = ''] = parts;
  return {
    name: `${scheme}://${hosts}`,
    seeds: nodes(where, hosts, 6379),
    options: { ...credentials(user, password), ...(scheme === 'rediss+cluster' ? { tls: {} } : {}) },
  };
}

/** `host:port,[::1]:port,host` */
function nodes(where: string, hosts: string, portDefault: number): NodeAddress[] {
  return hosts.split(',').map((one) => {
    const [, host, port = String(portDefault)] = /^(\[[^\]]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(one) ?? [];
    if (host === undefined || Number(port) > 65_535) throw invalidArgument('where', masked(where), wanted);
    return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
  });
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
