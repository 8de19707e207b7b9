import { describe, expect, onTestFinished, test } from 'vitest';
import { open } from '../../src/open.ts';
import { until } from '../contract/sessions.ts';
import { startSentinelGroup } from './sentinel.ts';
import { hasRedisServer } from './server.ts';

describe.skipIf(!hasRedisServer)('Redis under Sentinel', () => {
  test('a failover is survived: waiters go on, fences grow, counters are those of the new master', async () => {
    const group = await startSentinelGroup();
    onTestFinished(() => group.remove());
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push((warning as Error & { setting: string }).setting);
    const [a, b] = await Promise.all([
      open(group.address, { label: 'a', onWarning }),
      open(group.address, { label: 'b', onWarning: () => {} }),
    ]);
    onTestFinished(async () => {
      await Promise.all([a.close(), b.close()]);
    });
    expect(warnings).toEqual(['min-replicas-to-write']);
    await a.counter('n').add();
    const first = await a.lock('x', { ttl: '2s' }).acquire();
    const waiting = b.lock('x', { ttl: '30s' }).acquire();
    await until('b waits', async () => (await a.lock('x').inspect()).waiters.length === 1);
    const copied = group.replica.client();
    await until('the replica has all', async () => (await copied.zcard('{default}:lock-queue:x')) === 1);
    await group.master.stop();

    await until(
      'there is a new master',
      async () =>
        (await a
          .counter('n')
          .add()
          .catch(() => 0)) > 1,
      40_000,
    );
    await first.release();
    const second = await waiting;
    expect(second.fence).toBeGreaterThan(first.fence);
    await second.release();
  }, 120_000);
});
