// The thread that renews the leases of another one, over a connection of its own: see ../keeper/keepers.ts.
import { limits } from '../../base/limits.ts';
import { renew } from '../../operations/lock.ts';
import { renewOnThisThread, threadStore } from '../keeper/thread.ts';
import type { ClientRecipe } from './client.ts';
import { clientsFrom } from './clients.ts';
import { openLink, scriptedBy } from './redis.ts';
import { operationScripts } from './scripts.ts';

const scripts = operationScripts();
const link = openLink(await clientsFrom(threadStore<ClientRecipe>()), limits.redisRenewMs);
const { runBatch } = scriptedBy(link, scripts);
// Until then the holder renews by itself. A link that knows that its server is away says so at once.
while (!(await isUp())) await new Promise((again) => setTimeout(again, limits.redisAgainMs));
// The event loop stands still between renewals, so that a connection that ended meanwhile is only found by using it.
await renewOnThisThread((keys, args) => runBatch(renew, keys, args).catch(() => runBatch(renew, keys, args)));
await link.close();

async function isUp(): Promise<boolean> {
  try {
    await link.command(['PING']);
    return true;
  } catch {
    return false;
  }
}
