import type { Redis, RedisOptions } from 'ioredis';
import { limits } from '../../base/limits.ts';
import { type RedisClients, type RedisConnection, ReplyError, recipeOf } from './client.ts';
import { type ClusterClients, clusterName, clusterOf, type ClusterRecipe, withServername } from './cluster-clients.ts';

/** What is used of a ready client of the user's. */
export interface ReadyIoredis {
  readonly options: object;
  duplicate(options: object): unknown;
}

/** Connections by ioredis, 5 or 6, to what `options` say. Rejects where ioredis is not installed. */
export async function ioredisFrom(name: string, options: object): Promise<RedisClients> {
  const { Redis: Client } = await import('ioredis');
  const make = (): Redis => new (Client as new (options: object) => Redis)({ ...options, ...ours });
  return { name, recipe: recipeOf('ioredis', name, options), connect: (ended) => connection(make(), ended) };
}

/** More connections such as `client`, which itself is left alone. */
export function ioredisLike(client: ReadyIoredis): RedisClients {
  const name = nameOf(client.options);
  const theirs = Object.entries(client.options).filter(([option, value]) => !(option in ours) && value !== undefined);
  return {
    name,
    // A client with a connector or a method of its own can only be made by itself.
    recipe: isPlain(client.options) ? recipeOf('ioredis', name, Object.fromEntries(theirs)) : undefined,
    connect: (ended) => connection(client.duplicate(ours) as Redis, ended),
  };
}

/** Connections to the nodes of a cluster, as `recipe` says. Rejects where ioredis is not installed. */
export async function ioredisCluster(recipe: ClusterRecipe): Promise<ClusterClients> {
  const { Redis: Client } = await import('ioredis');
  const make = Client as new (options: object) => Redis;
  return clusterOf(recipe, (node, ended) => {
    const tls = (recipe.options as RedisOptions).tls;
    const secured = tls === undefined ? {} : { tls: withServername(tls, node.host) };
    return connection(new make({ ...recipe.options, ...secured, ...node, ...ours, db: 0 }), ended);
  });
}

/** What a `Cluster` of ioredis was made of. */
export interface ReadyIoredisCluster {
  readonly startupNodes: readonly (string | number | { host?: string; port?: number })[];
  readonly options: { readonly redisOptions?: object; readonly natMap?: ClusterRecipe['addresses'] };
}

export function ioredisClusterRecipe({ startupNodes, options }: ReadyIoredisCluster): ClusterRecipe {
  const seeds = startupNodes.map((node) => {
    if (typeof node === 'number') return { host: '127.0.0.1', port: node };
    if (typeof node === 'object') return { host: node.host ?? '127.0.0.1', port: node.port ?? 6379 };
    const url = new URL(/^[a-z]+:\/\//.test(node) ? node : `redis://${node}`);
    return { host: url.hostname, port: Number(url.port) || 6379 };
  });
  const theirs = Object.entries(options.redisOptions ?? {}).filter(([option]) => !(option in ours));
  return {
    library: 'ioredis',
    name: clusterName(seeds),
    seeds,
    options: Object.fromEntries(theirs),
    addresses: options.natMap,
  };
}

export function isIoredisCluster(client: object): client is ReadyIoredisCluster {
  return 'isCluster' in client && client.isCluster === true && 'startupNodes' in client && 'options' in client;
}

export function isIoredis(client: object): client is ReadyIoredis {
  return 'duplicate' in client && 'options' in client && 'sendCommand' in client && 'defineCommand' in client;
}

/** A connection that lives once, as `Link` wants it; and nothing that would change commands, keys or replies. */
const ours = {
  lazyConnect: true,
  retryStrategy: () => null,
  reconnectOnError: null,
  sentinelRetryStrategy: () => null,
  sentinelReconnectStrategy: () => null,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  // The server's own word, such as LOADING, says more than a client that waits.
  enableReadyCheck: false,
  connectTimeout: limits.redisCommandMs,
  commandTimeout: undefined,
  socketTimeout: undefined,
  keyPrefix: '',
  stringNumbers: false,
  replyMapping: 'legacy',
  readOnly: false,
  monitor: false,
} as const;

function isPlain(options: object): boolean {
  return !('Connector' in options && options.Connector !== undefined);
}

function connection(client: Redis, ended: (reason: Error) => void): RedisConnection {
  let last = new Error('the connection was closed');
  const channels = new Map<string, (text: string) => void>();
  const deliver = (channel: string, text: string): void => channels.get(channel)?.(text);
  client.on('message', deliver).on('smessage', deliver);
  client.on('moved', () => client.disconnect()); // a slot with a channel of ours went to another node
  client.on('error', (error: Error) => {
    last = error;
    if (channels.size > 0) client.disconnect(); // ioredis 5 loses count of its commands when that happens
  });
  const up = new Promise<void>((resolve) => {
    client.once('ready', () => {
      client.stream.unref();
      resolve();
    });
  });
  client.once('end', () => ended(last));
  client.connect().catch(() => {}); // `end` follows
  return {
    up,
    send([name, ...args], answer) {
      client.call(name!, ...args).then(
        (reply) => answer.resolve(reply),
        (error: Error) => answer.reject(isReply(error) ? new ReplyError(error) : error),
      );
    },
    async subscribe(channel, message, sharded = false) {
      channels.set(channel, message);
      try {
        await (sharded ? client.ssubscribe(channel) : client.subscribe(channel));
      } catch (error) {
        throw isReply(error) ? new ReplyError(error) : error;
      }
    },
    async unsubscribe(channel) {
      channels.delete(channel);
      await client.sunsubscribe(channel);
    },
    close() {
      client.disconnect();
      client.stream?.destroy(); // else it would wait for the other side
    },
  };
}

/** By its name: the class may be of another copy of the library. */
function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

function nameOf({ host = 'localhost', port = 6379, path, sentinels, name = '', tls }: RedisOptions): string {
  if (sentinels !== undefined && sentinels !== null) {
    const asked = sentinels.map((one) => `${one.host ?? ''}:${one.port ?? 26_379}`);
    return `redis+sentinel://${asked.join(',')}/${name}`;
  }
  if (path !== undefined && path !== null) return `redis+unix:${path}`;
  return `${tls === undefined ? 'redis' : 'rediss'}://${host}:${port}`;
}
