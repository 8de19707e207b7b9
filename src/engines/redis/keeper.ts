import { systemClock } from '../../base/clock.ts';
import { type Keepers, openKeepers, threadModule } from '../keeper/keepers.ts';
import type { Renew } from '../keeper/renewals.ts';
import type { ClientRecipe } from './client.ts';

/** The keepers of one session's leases. Without a recipe for another connection, they renew on the session's own. */
export function redisKeepers(recipe: ClientRecipe | undefined, renew: Renew): Keepers {
  return openKeepers<ClientRecipe>({
    thread: recipe === undefined ? undefined : { module: threadModule(import.meta.url), store: recipe },
    clock: systemClock,
    renew,
  });
}
