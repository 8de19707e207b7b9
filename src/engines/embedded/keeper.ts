import { type Clock, systemClock } from '../../base/clock.ts';
import { type Keepers, openKeepers, threadModule } from '../keeper/keepers.ts';
import { renewBy } from '../keeper/renew.ts';
import type { Database } from './database.ts';

/** What the thread needs to open a connection of its own. */
export interface KeeperStore {
  readonly directory: string;
  readonly durability: 'normal' | 'full';
}

/** The keepers of the leases that one thread holds in the database of a directory. */
export function embeddedKeepers(database: Pick<Database, 'run'>, store: KeeperStore, clock: Clock): Keepers {
  const silent = { readOnly: false, listens: () => false, wake: () => {} };
  return openKeepers<KeeperStore>({
    // The thread's clock is the machine's.
    thread: clock === systemClock ? { module: threadModule(import.meta.url), store } : undefined,
    clock,
    renew: renewBy((renew, keys, args) => database.run({ ...silent, step: (tx) => renew.step(tx, keys, args) })),
  });
}
