import { systemClock } from '../../base/clock.ts';
import { renew } from '../../operations/lock.ts';
import type { Engine } from '../engine.ts';
import { type Keepers, openKeepers, threadModule } from '../keeper/keepers.ts';
import type { ClientRecipe } from './client.ts';

/** The keepers of one session's leases. Without a recipe for another connection, they renew on the session's own. */
export function redisKeepers(recipe: ClientRecipe | undefined, runBatch: Engine['runBatch']): Keepers {
  return openKeepers<ClientRecipe>({
    thread: recipe === undefined ? undefined : { module: threadModule(import.meta.url), store: recipe },
    clock: systemClock,
    renew: (keys, args) => runBatch(renew, keys, args),
  });
}
