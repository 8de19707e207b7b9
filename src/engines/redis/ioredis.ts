import type { Redis, RedisOptions } from 'ioredis';
import { limits } from '../../base/limits.ts';
import { type RedisClients, type RedisConnection, ReplyError, recipeOf } from './client.ts';

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

export function isIoredis(client: object): client is ReadyIoredis {
  return 'duplicate' in client && 'options' in client && 'sendCommand' in client && 'defineCommand' in client;
}

/** A connection that lives once, as `Link` wants it; and nothing that would change commands, keys or replies. */
const ours = {
  lazyConnect: true,
  retryStrategy: () => null,
  reconnectOnError: null,
  sentinelRetryStrategy: () => null,
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
  readOnly: false,
  monitor: false,
} as const;

function isPlain(options: object): boolean {
  return !('Connector' in options && options.Connector !== undefined);
}

function connection(client: Redis, ended: (reason: Error) => void): RedisConnection {
  let last = new Error('the connection was closed');
  client.on('error', (error: Error) => {
    last = error;
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
    async command([name, ...args]) {
      try {
        return await client.call(name!, ...args);
      } catch (error) {
        throw isReply(error) ? new ReplyError(error) : error;
      }
    },
    async subscribe(channel, message) {
      client.on('message', (_, text: string) => message(text));
      await client.subscribe(channel);
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
