import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { open } from '../../src/open.ts';
import { failure, until } from '../contract/sessions.ts';
import { hasOpenssl, makeCertificate } from './certificate.ts';
import { startRedisCluster } from './cluster.ts';
import { hasRedisServer } from './server.ts';

/** Spaces of three nodes. */
const spaces = ['a', 'b', 'c'];

/** Locks, waits, and is woken, at each node. */
async function worksEverywhere(where: Parameters<typeof open>[0]): Promise<void> {
  for (const space of spaces) {
    const [a, b] = [await opened(where, space), await opened(where, space)];
    const held = await a.lock('x', { ttl: '60s' }).acquire();
    const waiting = b.lock('x').acquire();
    await until('it waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    const begin = performance.now();
    await held.release();
    await (await waiting).release();
    expect(performance.now() - begin).toBeLessThan(20_000); // woken: who is not looks again after half a minute
  }
}

async function opened(where: Parameters<typeof open>[0], space: string): Promise<Lockstep> {
  const shared = await open(where, { space, onWarning: () => {} });
  onTestFinished(() => shared.close());
  return shared;
}

describe.skipIf(!hasRedisServer)('a Redis Cluster', () => {
  test.skipIf(!hasOpenssl)(
    'whose nodes all speak TLS is reached, by address and by both clients',
    async () => {
      const certificate = makeCertificate();
      const cluster = await startRedisCluster(0, certificate);
      onTestFinished(() => cluster.remove());
      const { port } = cluster.nodes[0]!;
      const tls = { ca: certificate.text };
      const io = new Cluster([{ host: '127.0.0.1', port }], { redisOptions: { tls } });
      onTestFinished(() => io.disconnect());
      await worksEverywhere(io);
      const node = createCluster({
        rootNodes: [{ url: `rediss://127.0.0.1:${port}` }],
        defaults: { socket: { tls: true, ...tls } },
      });
      await worksEverywhere(node);

      const refused = await failure(open(cluster.address));
      expect(refused).toMatchObject({ code: 'UNAVAILABLE' });
      expect(refused.message).toMatch(/self.signed/);
      const index = join(import.meta.dirname, '../../src/index.ts');
      const program =
        `import { open } from ${JSON.stringify(index)};` +
        `await using shared = await open(${JSON.stringify(cluster.address)}, { onWarning() {} });` +
        "console.log(await shared.lock('x').run(() => shared.counter('n').add()));";
      const ran = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
        env: { ...process.env, NODE_EXTRA_CA_CERTS: certificate.file },
        encoding: 'utf8',
      });
      expect(ran.stdout.trim(), ran.stderr).toBe('1');
      const lease = await (await opened(io, 'a')).lock('x', { ttl: 3_000 }).acquire();
      const end = performance.now() + 3_200;
      await until('a lease is over', () => performance.now() > end);
      expect(lease.signal.aborted).toBe(false);
      await lease.release();
    },
    120_000,
  );

  test('whose nodes call themselves by names that nobody else knows is reached by a map of addresses', async () => {
    const cluster = await startRedisCluster(1);
    onTestFinished(() => cluster.remove());
    const admins = cluster.nodes.map((server) => server.client());
    for (const [i, admin] of admins.entries()) {
      await admin.config('SET', 'cluster-announce-hostname', `node-${i}.invalid`);
      await admin.config('SET', 'cluster-preferred-endpoint-type', 'hostname');
    }
    await until('the masters are known by these names', async () => {
      const told = await Promise.all(admins.map((admin) => admin.call('CLUSTER', 'SLOTS')));
      return told.every((slots) => (JSON.stringify(slots).match(/node-\d\.invalid"/g) ?? []).length >= 3);
    });
    const named = cluster.nodes.map(
      ({ port }, i) => [`node-${i}.invalid:${port}`, { host: '127.0.0.1', port }] as const,
    );
    const map = Object.fromEntries(named);
    const { port } = cluster.nodes[0]!;
    const seeds = [{ host: '127.0.0.1', port }];
    const rootNodes = [{ url: `redis://127.0.0.1:${port}` }];
    for (const natMap of [map, (name: string) => map[name] ?? null]) {
      const io = new Cluster(seeds, { natMap, slotsRefreshTimeout: 5_000 });
      onTestFinished(() => io.disconnect());
      await worksEverywhere(io);
    }
    await worksEverywhere(createCluster({ rootNodes, nodeAddressMap: map }));
    const nodeAddressMap = (name: string): { host: string; port: number } => map[name]!;
    const shared = await opened(createCluster({ rootNodes, nodeAddressMap }), 'a');
    const held = await shared.lock('x', { ttl: '60s' }).acquire();
    const replica = await cluster.replicaOf('{a}:');
    await replica.client().call('CLUSTER', 'FAILOVER');
    await until('it is the master', async () => (await cluster.masterOf('{a}:')) === replica, 30_000);
    await held.release();
    expect(held.signal.aborted).toBe(false);
    await (await shared.lock('x').acquire({ timeout: '30s' })).release();
  }, 60_000);
});
