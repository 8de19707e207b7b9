import type { RedisClientOptions, RedisClientType, RedisClusterOptions } from 'redis';
import { limits } from '../../base/limits.ts';
import { type ClusterClients, clusterName, clusterOf, type ClusterRecipe, withServername } from './cluster-clients.ts';
import { type RedisClients, type RedisConnection, ReplyError, recipeOf } from './client.ts';

/** What is used of a ready client of the user's. */
export interface ReadyNodeRedis {
  readonly options?: object | undefined;
  duplicate(options: object): unknown;
}

/** Connections by node-redis, 5 or 6, to what `options` say. Rejects where `redis` is not installed. */
export async function nodeRedisFrom(name: string, options: RedisClientOptions): Promise<RedisClients> {
  const { createClient } = await import('redis');
  const make = (): RedisClientType => createClient({ ...options, ...ours(options) });
  return { name, recipe: recipeOf('redis', name, options), connect: (ended) => connection(make(), ended) };
}

/** Connections to the nodes of a cluster that `seeds` know, as `recipe` says. Rejects where `redis` is not installed. */
export async function nodeRedisCluster(recipe: ClusterRecipe): Promise<ClusterClients> {
  const { createClient } = await import('redis');
  const options = recipe.options as RedisClientOptions;
  return clusterOf(recipe, ({ host, port }, ended) => {
    const socket = { ...withServername(options.socket ?? {}, host), host, port } as NonNullable<
      RedisClientOptions['socket']
    >;
    return connection(createClient({ ...options, ...ours({ ...options, socket }) }), ended);
  });
}

/** What a client for a cluster was made of: it is asked for a duplicate of itself, which is not made. */
export function nodeRedisClusterRecipe(client: ReadyNodeRedis): ClusterRecipe {
  let found: RedisClusterOptions | undefined;
  const recorder = function recorder(options: RedisClusterOptions): void {
    found = options;
  };
  const shim: object = Object.create(client, { constructor: { value: recorder } }) as object;
  client.duplicate.call(Object.create(shim) as ReadyNodeRedis, {});
  const { rootNodes, defaults = {}, nodeAddressMap, RESP } = found!;
  const seeds = rootNodes.map(({ url, socket }) => {
    const at = url === undefined ? (socket as { host?: string; port?: number }) : new URL(url);
    const host = at instanceof URL ? at.hostname : at?.host;
    return { host: host ?? 'localhost', port: Number(at?.port ?? 6379) || 6379 };
  });
  const { reconnectStrategy: _, ...socket } = defaults.socket ?? {};
  return {
    library: 'redis',
    name: clusterName(seeds),
    seeds,
    options: { ...plain(defaults), ...(RESP === undefined ? {} : { RESP }), socket },
    addresses: nodeAddressMap,
  };
}

export function isNodeRedisCluster(client: object): client is ReadyNodeRedis {
  return 'duplicate' in client && 'nodeClient' in client && 'masters' in client;
}

/** More connections such as `client`, which itself is left alone. */
export function nodeRedisLike(client: ReadyNodeRedis): RedisClients {
  const options: RedisClientOptions = client.options ?? {};
  const name = nameOf(options);
  const { reconnectStrategy: _, ...socket } = options.socket ?? {};
  const clonable = { ...plain(options), socket } as RedisClientOptions;
  return {
    name,
    recipe: recipeOf('redis', name, clonable),
    connect: (ended) => connection(client.duplicate(ours(options)) as RedisClientType, ended),
  };
}

export function isNodeRedis(client: object): client is ReadyNodeRedis {
  return 'duplicate' in client && 'sendCommand' in client && 'isReady' in client;
}

/** A connection that lives once, as `Link` wants it; and nothing that would change commands, keys or replies. */
function ours({ socket = {} }: RedisClientOptions): object {
  return {
    disableOfflineQueue: true,
    commandsQueueMaxLength: undefined,
    keyPrefix: undefined,
    commandOptions: undefined,
    pingInterval: undefined,
    clientSideCache: undefined,
    socket: { ...socket, reconnectStrategy: false, connectTimeout: limits.redisCommandMs, socketTimeout: undefined },
  };
}

/** Without what holds functions and does not change where or as whom a client connects. */
function plain(options: RedisClientOptions): object {
  const left = Object.entries(options).filter(([option]) => !unneeded.has(option));
  return Object.fromEntries(left);
}

const unneeded = new Set(['modules', 'functions', 'scripts', 'himportRegistry', 'commandOptions', 'clientSideCache']);

function connection(client: RedisClientType, ended: (reason: Error) => void): RedisConnection {
  let last = new Error('the connection was closed');
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    ended(last);
  };
  client.on('error', (error: Error) => {
    last = error;
    if (!client.isOpen) end(); // a client that does not reconnect says no more than this
  });
  client.once('end', end);
  client.on('sharded-channel-moved', () => {
    last = new Error('the slot of a channel moved to another node');
    end();
  });
  const up = new Promise<void>((resolve) => {
    client.connect().then(
      () => {
        client.unref();
        resolve();
      },
      (error: Error) => {
        last = error;
        end();
      },
    );
  });
  return {
    up,
    send(words, answer) {
      client.sendCommand(words).then(
        (reply) => answer.resolve(reply),
        (error: Error) => answer.reject(isReply(error) ? new ReplyError(error) : error),
      );
    },
    async subscribe(channel, message, sharded = false) {
      try {
        await (sharded ? client.sSubscribe(channel, message) : client.subscribe(channel, message));
      } catch (error) {
        throw isReply(error) ? new ReplyError(error) : error;
      }
    },
    unsubscribe: (channel) => client.sUnsubscribe(channel),
    close() {
      client.destroy();
    },
  };
}

/** By its shape: the class may be of another copy of the library, which names replies that are errors by their type. */
function isReply(error: unknown): error is Error {
  for (let type: unknown = error; type instanceof Error; type = Object.getPrototypeOf(type)) {
    if (type.constructor.name === 'ErrorReply') return true;
  }
  return false;
}

function nameOf({ url, socket }: RedisClientOptions): string {
  if (url !== undefined) return url.replace(/\/\/[^/@]*@/, '//');
  const { host = 'localhost', port = 6379, path, tls } = (socket ?? {}) as Partial<Record<string, string | number>>;
  if (path !== undefined) return `redis+unix:${path}`;
  return `${tls === undefined ? 'redis' : 'rediss'}://${host}:${port}`;
}
