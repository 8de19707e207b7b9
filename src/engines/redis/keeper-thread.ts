// The thread that renews the leases of another one, over a connection of its own: see ../keeper/keepers.ts.
import { limits } from '../../base/limits.ts';
import { renewOnThisThread, threadStore } from '../keeper/thread.ts';
import type { ClientRecipe } from './client.ts';
import { anyFrom } from './clients.ts';
import { renewingAt } from './renewing.ts';
import { serversOf } from './servers.ts';

const servers = serversOf(await anyFrom(threadStore<ClientRecipe>()), limits.redisRenewMs);
const renew = renewingAt(servers);
// Until then the holder renews by itself. A link that knows that its server is away says so at once.
while (!(await isUp())) await new Promise((again) => setTimeout(again, limits.redisAgainMs));
// The event loop stands still between renewals, so that a connection that ended meanwhile is only found by using it.
await renewOnThisThread(async (keys, args) => {
  try {
    return await renew(keys, args);
  } catch {
    return renew(keys, args);
  }
});
await servers.close();

async function isUp(): Promise<boolean> {
  try {
    await servers.any.command(['PING']);
    return true;
  } catch {
    return false;
  }
}
