// The thread that renews the leases of another one: see keepers.ts.
import { systemClock } from '../../base/clock.ts';
import { renew } from '../../operations/lock.ts';
import { renewOnThisThread, threadStore } from '../keeper/thread.ts';
import { openDatabaseNow } from './database.ts';
import type { KeeperStore } from './keeper.ts';

const database = openDatabaseNow({ ...threadStore<KeeperStore>(), clock: systemClock });
await renewOnThisThread((keys, args) => database.transact((tx) => renew.step(tx, keys, args)), {
  errand: () => database.shortenLog(),
});
await database.close();
