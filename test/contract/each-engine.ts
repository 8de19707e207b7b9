import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, createCluster } from 'redis';
import { afterAll, describe, onTestFinished } from 'vitest';
import { embeddedEngine } from '../../src/engines/embedded/embedded.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import type { Operation } from '../../src/operations/tx.ts';
import { clientsAt } from '../../src/engines/redis/clients.ts';
import { redisEngine } from '../../src/engines/redis/redis.ts';
import { type RedisCluster, startRedisCluster } from '../redis/cluster.ts';
import { type Group, startSentinelGroup } from '../redis/sentinel.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from '../redis/server.ts';

/** A new, empty store, gone when the test is finished. */
export interface Store {
  /** One more way to the same store, as another process would have it. */
  engine(): Promise<Engine>;
  /** Writes text to a key, as another program might. */
  putText(key: string, text: string): Promise<void>;
}

/** Runs a suite on every engine: what an engine promises stands in such suites and nowhere else. */
export function eachEngine(suite: (name: string, openStore: () => Promise<Store>) => void): void {
  describe.each(Object.entries(stores))('%s', (name, openStore) => {
    suite(name, openStore);
  });
  describe.skipIf(!hasRedisServer).each(Object.entries(redisClients))('redis by %s', (name, clientOf) => {
    let server: Promise<RedisServer> | undefined;
    afterAll(async () => (await server)?.remove());
    suite(name, async () => redisStore(await (server ??= startRedisServer()), clientOf));
  });
  describe.skipIf(!hasRedisServer)('a Redis Cluster', () => {
    let cluster: Promise<RedisCluster> | undefined;
    afterAll(async () => (await cluster)?.remove());
    suite('cluster', async () => clusterStore(await (cluster ??= startRedisCluster()), ({ address }) => address));
  });
  if (hasRedisServer && process.env['REDIS_EVERYWHERE'] !== undefined) eachOtherRedis(suite);
}

/** What differs from the above only in how the servers are reached: once in a while, by `REDIS_EVERYWHERE=1`. */
function eachOtherRedis(suite: (name: string, openStore: () => Promise<Store>) => void): void {
  describe('Redis under Sentinel', () => {
    let group: Promise<Group> | undefined;
    afterAll(async () => (await group)?.remove());
    suite('sentinel', async () => {
      const { master, address } = await (group ??= startSentinelGroup());
      return redisStore(master, (_, db) => `${address}/${db}`);
    });
  });
  describe('a Redis Cluster by node-redis', () => {
    let cluster: Promise<RedisCluster> | undefined;
    afterAll(async () => (await cluster)?.remove());
    const clientOf = ({ nodes }: RedisCluster): object =>
      createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${nodes[0]!.port}` }] });
    suite('cluster by node-redis', async () => clusterStore(await (cluster ??= startRedisCluster()), clientOf));
  });
}

const stores: Record<string, () => Promise<Store>> = {
  async memory() {
    const engine = memoryEngine();
    onTestFinished(() => engine.close());
    return { engine: () => Promise.resolve(engine), putText: (key, text) => putText(engine, key, text) };
  },

  async embedded() {
    const directory = await mkdtemp(join(tmpdir(), 'lockstep-test-'));
    const engines: Engine[] = [];
    onTestFinished(async () => {
      await Promise.all(engines.map((engine) => engine.close()));
      await rm(directory, { recursive: true, force: true });
    });
    const open = async (): Promise<Engine> => {
      const engine = await embeddedEngine({ directory });
      engines.push(engine);
      return engine;
    };
    return { engine: open, putText: async (key, text) => putText(await open(), key, text) };
  },
};

/** What `open` is given: an address, or a client. The cluster below is used by ioredis. */
const redisClients: Record<string, (server: RedisServer, db: number) => string | object> = {
  'an address': (server, db) => `${server.address}?db=${db}`,
  'node-redis': (server, db) => createClient({ socket: { path: server.socket, tls: false }, database: db }),
};

let databases = 0;

/** A database of the server that no other test uses. */
function redisStore(server: RedisServer, clientOf: (server: RedisServer, db: number) => string | object): Store {
  const db = databases++ % 100;
  const engines: Engine[] = [];
  onTestFinished(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
  });
  return {
    async engine() {
      const engine = await redisEngine({ clients: await clientsAt(clientOf(server, db)) });
      engines.push(engine);
      return engine;
    },
    async putText(key, text) {
      const client = server.client();
      await client.select(db);
      await client.set(key, text);
    },
  };
}

/** All of a cluster: it has one database. */
async function clusterStore(
  cluster: RedisCluster,
  clientOf: (cluster: RedisCluster) => string | object,
): Promise<Store> {
  await cluster.empty();
  const engines: Engine[] = [];
  onTestFinished(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
  });
  return {
    async engine() {
      const engine = await redisEngine({ clients: await clientsAt(clientOf(cluster)) });
      engines.push(engine);
      return engine;
    },
    async putText(key, text) {
      await (await cluster.masterOf(key)).client().set(key, text);
    },
  };
}

async function putText(engine: Engine, key: string, text: string): Promise<void> {
  const put: Operation<{ key: string }, { text: string }, number> = {
    name: 'test.put',
    keys: ['key'],
    args: { text: 'text' },
    step(tx, at, args) {
      tx.set(at.key, args.text);
      return 1;
    },
  };
  await engine.run(put, { key }, { text });
}
