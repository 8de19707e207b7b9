// The thread that renews the leases of another one on several independent servers: see ../keeper/keepers.ts.
import { ballot, countReplies, majorityOf } from '../../base/ballot.ts';
import { systemClock } from '../../base/clock.ts';
import { limits } from '../../base/limits.ts';
import { renewOnThisThread, threadStore } from '../keeper/thread.ts';
import type { ClientRecipe } from './client.ts';
import { clientsFrom } from './clients.ts';
import { renewByMajority } from './quorum-renewal.ts';
import { scriptedBy } from './redis.ts';
import { operationScripts } from './scripts.ts';
import { openLink } from './servers.ts';

const scripts = operationScripts();
const clients = await Promise.all(threadStore<readonly ClientRecipe[]>().map(clientsFrom));
const links = clients.map((one) => openLink(one, limits.redisRenewMs));
while (!(await areUp())) await new Promise((again) => setTimeout(again, limits.redisAgainMs)); // until then the holder renews by itself
// Its event loop turns: a server that is back is connected to before it is needed.
const servers = links.map((link) => scriptedBy(link, scripts));
await renewOnThisThread(renewByMajority(servers, systemClock), { turning: true });
await Promise.all(links.map((link) => link.close()));

async function areUp(): Promise<boolean> {
  const majority = majorityOf(links.length);
  const pings = links.map((link) => link.command(['PING']));
  const answers = await ballot(pings, systemClock, limits.redisRenewMs, (said) => countReplies(said) >= majority);
  return countReplies(answers) >= majority;
}
