import { systemClock } from '../../base/clock.ts';
import { type Keepers, openKeepers, threadModule } from '../keeper/keepers.ts';
import type { Keeper } from '../engine.ts';
import type { Renew } from '../keeper/renewals.ts';
import type { ClientRecipe } from './client.ts';

/**
 * The keepers of one session's leases. Without a recipe for another connection, they renew on the session's own. `hold`
 * is told of each lease, and calls what it gives when that is over.
 */
export function redisKeepers(
  recipe: ClientRecipe | undefined,
  renew: Renew,
  hold?: (key: string) => () => void,
): Keepers {
  const keepers = openKeepers<ClientRecipe>({
    thread: recipe === undefined ? undefined : { module: threadModule(import.meta.url), store: recipe },
    clock: systemClock,
    renew,
  });
  if (hold === undefined) return keepers;
  return {
    keeper: (options) => holding(keepers.keeper(options), hold),
    errand: () => keepers.errand(),
    keepsOut: () => keepers.keepsOut(),
    close: () => keepers.close(),
  };
}

function holding(keeper: Keeper, hold: (key: string) => () => void): Keeper {
  const ends = new Map<number, () => void>();
  return {
    ...keeper,
    keep(lease) {
      const handle = keeper.keep(lease);
      ends.set(handle, hold(lease.key));
      return handle;
    },
    drop(handle) {
      ends.get(handle)?.();
      ends.delete(handle);
      keeper.drop(handle);
    },
  };
}
