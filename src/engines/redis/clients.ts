import { invalidArgument, LockstepError } from '../../base/errors.ts';
import { parseAddress } from './address.ts';
import type { ClientRecipe, RedisClients } from './client.ts';
import type { ClusterClients, ClusterRecipe } from './cluster-clients.ts';
import {
  ioredisCluster,
  ioredisClusterRecipe,
  ioredisFrom,
  ioredisLike,
  isIoredis,
  isIoredisCluster,
} from './ioredis.ts';
import {
  isNodeRedis,
  isNodeRedisCluster,
  nodeRedisCluster,
  nodeRedisClusterRecipe,
  nodeRedisFrom,
  nodeRedisLike,
} from './node-redis.ts';
import { socketClients } from './socket.ts';

/**
 * Ways to connect to what `open` was given: an address, which needs ioredis where it is of Sentinels or a cluster; or a
 * client, of which duplicates are made.
 * Rejects with `INVALID_ARGUMENT`.
 */
export async function clientsAt(where: string | object): Promise<RedisClients | ClusterClients> {
  if (typeof where === 'string') {
    const address = parseAddress(where);
    const isOneServer = !('seeds' in address || 'sentinels' in address.options);
    return anyFrom({ library: isOneServer ? 'none' : 'ioredis', ...address });
  }
  if (isIoredisCluster(where)) return clusterFrom(ioredisClusterRecipe(where));
  if (isNodeRedisCluster(where)) return clusterFrom(nodeRedisClusterRecipe(where));
  if (isIoredis(where)) return ioredisLike(where);
  if (isNodeRedis(where)) return nodeRedisLike(where);
  throw invalidArgument('where', where, 'a directory, an address, or a client of ioredis or node-redis');
}

/** The same for what must be one server. */
export async function serverAt(where: string | object): Promise<RedisClients> {
  const clients = await clientsAt(where);
  if ('seeds' in clients) throw invalidArgument('where', clients.name, 'a server, not a cluster');
  return clients;
}

/** The same connections again, also in another thread. */
export function anyFrom(recipe: ClientRecipe | ClusterRecipe): Promise<RedisClients | ClusterClients> {
  return 'seeds' in recipe ? clusterFrom(recipe) : clientsFrom(recipe);
}

/** To one server. */
export async function clientsFrom(recipe: ClientRecipe): Promise<RedisClients> {
  const { library, name, options } = recipe;
  if (library === 'none') return socketClients(name, options);
  return installed(recipe, () => (library === 'ioredis' ? ioredisFrom(name, options) : nodeRedisFrom(name, options)));
}

/** To a cluster. */
function clusterFrom(recipe: ClusterRecipe): Promise<ClusterClients> {
  return installed(recipe, () => (recipe.library === 'ioredis' ? ioredisCluster(recipe) : nodeRedisCluster(recipe)));
}

async function installed<Clients>({ library, name }: ClientRecipe, make: () => Promise<Clients>): Promise<Clients> {
  try {
    return await make();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new LockstepError(
      'INVALID_ARGUMENT',
      `${name} needs the package ${library}, which is not installed: npm install ${library}`,
      { cause: error },
    );
  }
}
