import { limits } from '../../base/limits.ts';
import { renew } from '../../operations/lock.ts';
import type { Engine } from '../engine.ts';
import { unavailable } from './failure.ts';
import type { Servers } from './servers.ts';

/**
 * Waits until `replicas` replicas have a grant. WAIT tells of the writes of its own connection: so the lease is renewed
 * there, which comes after the grant, whoever made that. Rejects with `UNAVAILABLE` where fewer have it in time.
 */
export function confirmedBy(servers: Servers, replicas: number): NonNullable<Engine['confirm']> {
  const script = servers.scripts.of(renew.name);
  return async ({ key, owner, ttlMs }) => {
    const link = servers.confirming(key);
    const renewed = (await link.script(script, ['1', key, owner, String(ttlMs)])) as number[];
    if (renewed[0] !== 1) throw unavailable(servers.name, new Error('the lock was lost again at once'), 'no');
    const connection = link.ups;
    const acknowledged = Number(await link.command(['WAIT', String(replicas), String(limits.redisReplicasMs)]));
    if (link.ups === connection && acknowledged >= replicas) return;
    const had = link.ups === connection ? `${acknowledged} of ${replicas} replicas` : 'nobody knows how many replicas';
    throw unavailable(servers.name, new Error(`${had} had the lock within ${limits.redisReplicasMs} ms`), 'no');
  };
}
