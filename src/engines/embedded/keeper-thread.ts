// The thread that renews the leases of another one: see keepers.ts.
import { systemClock } from '../../base/clock.ts';
import { renewBy } from '../keeper/renew.ts';
import { renewOnThisThread, threadStore } from '../keeper/thread.ts';
import { openDatabaseNow } from './database.ts';
import type { KeeperStore } from './keeper.ts';

const database = openDatabaseNow({ ...threadStore<KeeperStore>(), clock: systemClock });
await renewOnThisThread(
  renewBy((renew, keys, args) => database.transact((tx) => renew.step(tx, keys, args))),
  { errand: (keepOut) => database.shortenLog(keepOut) },
);
await database.close();
