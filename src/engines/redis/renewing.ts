import { limits } from '../../base/limits.ts';
import { renewBy } from '../keeper/renew.ts';
import type { Renew } from '../keeper/renewals.ts';
import { ReplyError } from './client.ts';
import { inTime } from './in-time.ts';
import type { Link } from './link.ts';
import type { Servers } from './servers.ts';

/**
 * Renews leases where they are: a step a slot. Where there are several, one whose node does not answer holds up the
 * others for a moment only, and nothing is said about its own: -1.
 */
export function renewingAt(servers: Servers): Renew {
  return renewBy((operation, keys, args) => renewingBy(servers, operation.name)(keys, args));
}

function renewingBy(servers: Servers, operation: string): Renew {
  const script = servers.scripts.of(operation);
  const send = async (link: Link, keys: readonly string[], args: readonly string[]): Promise<readonly number[]> =>
    (await link.script(script, [String(keys.length), ...keys, ...args], undefined, keys.length === 1)) as number[];

  /** A slot that is moving may have some of the keys here and some there: then each is renewed by itself. */
  async function inSlot(link: Link, keys: readonly string[], args: readonly string[]): Promise<readonly number[]> {
    try {
      return await send(link, keys, args);
    } catch (error) {
      if (keys.length === 1 || !(error instanceof ReplyError && error.word === 'TRYAGAIN')) throw error;
      const each = keys.map((key, i) => send(link, [key], args.slice(2 * i, 2 * i + 2)));
      return (await Promise.allSettled(each)).map((one) => (one.status === 'fulfilled' ? one.value[0]! : -1));
    }
  }

  return async (keys, args) => {
    const slots = new Map<Link, number[]>();
    for (const [i, key] of keys.entries()) {
      const link = servers.at(key);
      const known = slots.get(link);
      if (known === undefined) slots.set(link, [i]);
      else known.push(i);
    }
    if (slots.size === 1) return inSlot(servers.at(keys[0]!), keys, args);
    const replies = keys.map(() => -1);
    const parts = [...slots].map(async ([link, places]) => {
      const some = await inSlot(
        link,
        places.map((i) => keys[i]!),
        places.flatMap((i) => args.slice(2 * i, 2 * i + 2)),
      );
      for (const [n, i] of places.entries()) replies[i] = some[n]!;
    });
    await inTime(Promise.allSettled(parts), limits.redisOtherNodesMs);
    return [...replies];
  };
}
