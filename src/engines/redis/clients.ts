import { invalidArgument, LockstepError } from '../../base/errors.ts';
import { parseAddress } from './address.ts';
import type { ClientRecipe, RedisClients } from './client.ts';
import { ioredisFrom, ioredisLike, isIoredis } from './ioredis.ts';
import { isNodeRedis, nodeRedisFrom, nodeRedisLike } from './node-redis.ts';

/**
 * Ways to connect to what `open` was given: an address, which needs ioredis, or a client, of which duplicates are made.
 * Rejects with `INVALID_ARGUMENT`.
 */
export async function clientsAt(where: string | object): Promise<RedisClients> {
  if (typeof where === 'string') {
    const { name, options } = parseAddress(where);
    return clientsFrom({ library: 'ioredis', name, options });
  }
  if (isIoredis(where)) return ioredisLike(where);
  if (isNodeRedis(where)) return nodeRedisLike(where);
  throw invalidArgument('where', where, 'a directory, an address, or a client of ioredis or node-redis');
}

/** The same connections again, also in another thread. */
export async function clientsFrom({ library, name, options }: ClientRecipe): Promise<RedisClients> {
  try {
    return library === 'ioredis' ? await ioredisFrom(name, options) : await nodeRedisFrom(name, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new LockstepError(
      'INVALID_ARGUMENT',
      `${name} needs the package ${library}, which is not installed: npm install ${library}`,
      { cause: error },
    );
  }
}
