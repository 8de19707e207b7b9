import { isQueueLeases } from '../../base/names.ts';
import * as lock from '../../operations/lock.ts';
import * as queue from '../../operations/queue.ts';
import type { BatchOperation } from '../../operations/tx.ts';
import type { Renew } from './renewals.ts';

/** Runs one operation on the store that the leases are in. */
type RunBatch = (
  operation: BatchOperation<readonly number[]>,
  keys: readonly string[],
  args: readonly string[],
) => ReturnType<Renew>;

/** Renews leases of all kinds: what is held by an owner's key, and deliveries in the set of their queue. */
export function renewBy(run: RunBatch): Renew {
  return (keys, args) => {
    const isDelivery = keys.map(isQueueLeases);
    if (!isDelivery.includes(true)) return run(lock.renew, keys, args);
    if (!isDelivery.includes(false)) return run(queue.renew, keys, args);
    return renewBoth(run, isDelivery, keys, args);
  };
}

async function renewBoth(
  run: RunBatch,
  isDelivery: readonly boolean[],
  keys: readonly string[],
  args: readonly string[],
): Promise<readonly number[]> {
  const part = (wanted: boolean): ReturnType<Renew> =>
    run(
      wanted ? queue.renew : lock.renew,
      keys.filter((_, i) => isDelivery[i] === wanted),
      args.filter((_, i) => isDelivery[i >> 1] === wanted),
    );
  const [owners, deliveries] = await Promise.all([part(false), part(true)]);
  let owner = 0;
  let delivery = 0;
  return isDelivery.map((is) => (is ? deliveries[delivery++]! : owners[owner++]!));
}
