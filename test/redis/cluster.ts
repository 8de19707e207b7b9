import { Cluster } from 'ioredis';
import { until } from '../contract/sessions.ts';
import type { Certificate } from './certificate.ts';
import { slotCount, slotOf } from '../../src/engines/redis/slots.ts';
import { type RedisServer, ask, freePort, startRedisServer } from './server.ts';

/** A Redis Cluster of a test's own. */
export interface RedisCluster {
  /** `redis+cluster://…`, with two of its nodes. */
  readonly address: string;
  /** First the masters, then a replica of each in the same order, as it was begun. */
  readonly nodes: readonly RedisServer[];
  /** A plain client, for what a test does to the store beside lockstep; closed with the cluster. */
  client(): Cluster;
  /** The master of a key's slot, as the first node that runs says. */
  masterOf(key: string): Promise<RedisServer>;
  /** A replica of that master, once it follows. */
  replicaOf(key: string): Promise<RedisServer>;
  /** A master that has not this key's slot. */
  otherMaster(key: string): Promise<RedisServer>;
  /** Removes all keys. */
  empty(): Promise<void>;
  /** Moves the slot of a key, as redis-cli --cluster reshard does; calls `during` when some keys have moved. */
  move(key: string, to: RedisServer, during?: () => Promise<void>): Promise<void>;
  remove(): Promise<void>;
}

/** Starts three masters, each with so many replicas; with a certificate they speak TLS alone, to each other too. */
export async function startRedisCluster(replicas = 0, certificate?: Certificate): Promise<RedisCluster> {
  const started = await Promise.allSettled(
    Array.from({ length: 3 * (1 + replicas) }, () => startNode(replicas > 0, certificate)),
  );
  const nodes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const clients: Cluster[] = [];
  async function remove(): Promise<void> {
    for (const one of clients) one.disconnect();
    await Promise.all(nodes.map((node) => node.remove()));
  }
  try {
    for (const one of started) if (one.status === 'rejected') throw one.reason;
    await join(nodes);
  } catch (error) {
    await remove();
    throw error;
  }

  const masters = async (): Promise<[from: number, to: number, id: string, node: RedisServer][]> => {
    const ranges = (await ask(running(nodes)[0]!, 'CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][];
    return ranges.map(([from, to, [, port, id]]) => [from, to, id, nodes.find((node) => node.port === port)!]);
  };
  const masterOf = async (key: string): Promise<RedisServer> =>
    (await masters()).find(([from, to]) => from <= slotOf(key) && slotOf(key) <= to)![3];

  return {
    address: `${certificate === undefined ? 'redis' : 'rediss'}+cluster://127.0.0.1:${nodes[1]!.port},127.0.0.1:${nodes[2]!.port}`,
    nodes,
    masterOf,
    client() {
      const made = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
      made.on('error', () => {});
      clients.push(made);
      return made;
    },
    async replicaOf(key) {
      const master = await masterOf(key);
      let found: RedisServer | undefined;
      await until(
        'a replica follows',
        async () => {
          for (const node of running(nodes)) {
            const info = String(await ask(node, 'INFO', 'replication'));
            if (info.includes(`master_port:${master.port}`) && info.includes('master_link_status:up')) found = node;
          }
          return found !== undefined;
        },
        30_000,
      );
      return found!;
    },
    async otherMaster(key) {
      const own = await masterOf(key);
      return (await masters()).find(([, , , node]) => node !== own)![3];
    },
    async empty() {
      for (const [, , , node] of await masters()) await ask(node, 'FLUSHALL');
    },
    async move(key, to, during) {
      const slot = String(slotOf(key));
      const from = await masterOf(key);
      const idOf = async (node: RedisServer): Promise<string> => String(await ask(node, 'CLUSTER', 'MYID'));
      const [fromId, toId] = [await idOf(from), await idOf(to)];
      await ask(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
      await ask(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
      let told = during;
      for (;;) {
        const keys = (await ask(from, 'CLUSTER', 'GETKEYSINSLOT', slot, '1')) as string[];
        if (keys.length === 0) break;
        await ask(from, 'MIGRATE', '127.0.0.1', String(to.port), keys[0]!, '0', '5000');
        await told?.();
        told = undefined;
      }
      await ask(to, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId);
      for (const node of running(nodes)) await ask(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId).catch(() => {}); // a replica
    },
    remove,
  };
}

async function startNode(mayFail: boolean, certificate: Certificate | undefined): Promise<RedisServer> {
  // Where no node is to be replaced, a pause of the machine is no failure.
  const timeoutMs = mayFail ? '3000' : '15000';
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', timeoutMs, '--repl-diskless-sync-delay', '0'];
  const persistence = ['--appendonly', 'yes', '--databases', '1'];
  const port = ['--cluster-port', String(await freePort())];
  if (certificate === undefined) return startRedisServer([...settings, ...persistence, ...port]);
  return startRedisServer([...settings, ...persistence, ...port, '--tls-cluster', 'yes'], { certificate });
}

/** Makes a cluster of nodes: a third of the slots each, the rest as replicas. */
async function join(nodes: readonly RedisServer[]): Promise<void> {
  const masters = nodes.slice(0, 3);
  for (const [i, node] of nodes.entries()) await ask(node, 'CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
  for (const [i, node] of masters.entries()) {
    const [from, to] = [Math.ceil((i * slotCount) / 3), Math.ceil(((i + 1) * slotCount) / 3) - 1];
    await ask(node, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
  }
  const busPort = async (node: RedisServer): Promise<string> =>
    ((await ask(node, 'CONFIG', 'GET', 'cluster-port')) as string[])[1]!;
  for (const node of nodes.slice(1)) {
    await ask(nodes[0]!, 'CLUSTER', 'MEET', '127.0.0.1', String(node.port), await busPort(node));
  }
  const states = (): Promise<string[]> =>
    Promise.all(nodes.map(async (node) => String(await ask(node, 'CLUSTER', 'INFO'))));
  const all = async (text: string): Promise<boolean> => (await states()).every((state) => state.includes(text));
  await until('the nodes know each other', () => all(`cluster_known_nodes:${nodes.length}`), 30_000);
  for (const [i, replica] of nodes.slice(3).entries()) {
    await ask(replica, 'CLUSTER', 'REPLICATE', String(await ask(masters[i % 3]!, 'CLUSTER', 'MYID')));
  }
  await until('the cluster is up', () => all('cluster_state:ok'), 30_000);
  for (const replica of nodes.slice(3)) {
    const isSynced = async (): Promise<boolean> =>
      String(await ask(replica, 'INFO', 'replication')).includes('master_link_status:up');
    await until('a replica follows', isSynced, 30_000);
  }
}

function running(nodes: readonly RedisServer[]): RedisServer[] {
  return nodes.filter((node) => node.isUp);
}
