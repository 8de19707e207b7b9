import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Lockstep } from '../../src/lockstep.ts';
import { open } from '../../src/open.ts';
import { type RedisServer, hasRedisServer, startRedisServer } from './server.ts';

/** What went wrong in other libraries, each as a scenario for ours. */
describe.skipIf(!hasRedisServer)('defects that other libraries had on Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.remove());
  beforeEach(() => server.client().flushall());

  async function opened(): Promise<Lockstep> {
    const shared = await open(server.address, { onWarning: () => {} });
    onTestFinished(() => shared.close());
    return shared;
  }

  test('renewals that the server refuses end the lease, once, and reject nowhere else', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const shared = await opened();
    const admin = server.client();
    const lease = await shared.lock('x', { ttl: 1_000 }).acquire();
    let aborts = 0;
    lease.signal.addEventListener('abort', () => (aborts += 1));
    await admin.replicaof('127.0.0.1', 1); // READONLY, for each renewal
    onTestFinished(() => void admin.replicaof('NO', 'ONE'));
    await once(lease.signal, 'abort');
    expect(lease.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { cause: 'expired' } });
    expect(lease.remaining()).toBe(0);
    await admin.replicaof('NO', 'ONE');
    await lease.release();
    await (await shared.lock('x').acquire({ timeout: '30s' })).release();
    await new Promise((next) => setImmediate(next));
    expect(aborts).toBe(1);
    expect(unhandled).toEqual([]);
  });

  test('locks of many names leave nothing behind; those at a verbatim key their fence alone', async () => {
    const [a, b] = [await opened(), await opened()];
    const admin = server.client();
    const before = await admin.dbsize();
    const names = Array.from({ length: 200 }, (_, i) => `order:${i}`);
    await Promise.all(names.flatMap((name) => [a, b].map((shared) => shared.lock(name).run(() => {}))));
    expect((await admin.keys('*')).filter((key) => key.includes('order:'))).toEqual([]);
    expect(await admin.dbsize()).toBeLessThanOrEqual(before + 1); // {default}:fence
    await Promise.all(names.map((name) => a.lock(name, { key: name }).run(() => {})));
    const left = names.map((name) => `lock-fence:{${name}}`);
    expect((await admin.keys('*order:*')).sort()).toEqual(left.sort());
  });
});
