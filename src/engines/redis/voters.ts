import { systemClock } from '../../base/clock.ts';
import { isLockstepError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { ServerRun, Voter, Voters } from '../engine.ts';
import { openKeepers, threadModule } from '../keeper/keepers.ts';
import { ask, type ClientRecipe, type RedisClients, type RedisConnection } from './client.ts';
import { Link } from './link.ts';
import { renewByMajority } from './quorum-renewal.ts';
import { from, pageOf, scriptedBy, to } from './redis.ts';
import { operationScripts, type Scripts } from './scripts.ts';
import { checkServer, parseInfo, unfit } from './server-check.ts';

/** A server of its own: neither the master that Sentinels name nor a node of a cluster. */
interface RedisVoter extends Voter {
  readonly link: Link;
}

/**
 * Independent Redis servers, each with a connection of its own that comes back by itself; none needs to be there yet.
 * Throws `INVALID_ARGUMENT` for what is known to be several servers behind one name.
 */
export function redisVoters(clients: readonly RedisClients[]): Voters & { readonly all: readonly RedisVoter[] } {
  for (const { name } of clients) {
    if (/^redis\+(?:sentinel|cluster):/.test(name)) throw unfit(name, severalBehindIt);
  }
  const scripts = operationScripts();
  const all = clients.map((one) => redisVoter(one, scripts));
  const recipes = clients.map((one) => one.recipe).filter((recipe) => recipe !== undefined);
  const thread =
    recipes.length < clients.length
      ? undefined
      : { module: threadModule(import.meta.url, 'quorum-keeper-thread'), store: recipes };
  const keepers = openKeepers<readonly ClientRecipe[]>({
    thread,
    clock: systemClock,
    renew: renewByMajority(all, systemClock),
  });
  // A connection whose other side is gone without a word is found by asking it, but only while somebody waits or holds.
  const timer = setInterval(() => {
    for (const { link } of all) link.command(['PING']).catch(() => {});
  }, limits.redisPingMs);
  timer.unref();

  return {
    all,
    clock: systemClock,
    keeper: (wanted) => keepers.keeper(wanted),
    ref: () => void timer.ref(),
    unref: () => void timer.unref(),
    async close() {
      clearInterval(timer);
      await keepers.close();
      await Promise.all(all.map(({ link }) => link.close()));
    },
  };
}

const severalBehindIt =
  'is not one server: over several independent servers a lock needs each of them by its own address. ' +
  'For a cluster, or a master with Sentinel, open it alone';

/** Tells what should be changed at the servers that were reached. Rejects with `INVALID_ARGUMENT` for one that can't be used. */
export async function checkVoters(voters: readonly RedisVoter[], onWarning: (warning: Error) => void): Promise<void> {
  const reached = voters.filter((voter) => voter.serverRun() !== undefined);
  const checks = await Promise.allSettled(
    reached.map(async ({ link }) => {
      const info = parseInfo(String(await link.command(['INFO', 'server'])));
      if (info.get('redis_mode') === 'cluster') throw unfit(link.name, severalBehindIt);
      return checkServer({ any: link, name: link.name, kind: 'server' });
    }),
  );
  for (const check of checks) {
    if (check.status === 'rejected' && isLockstepError(check.reason, 'INVALID_ARGUMENT')) throw check.reason;
    if (check.status === 'rejected') continue; // it is away again
    // A server that forgets by a restart abstains for a while: only eviction forgets unseen.
    for (const warning of check.value) if (warning.setting === 'maxmemory-policy') onWarning(warning);
  }
}

function redisVoter(clients: RedisClients, scripts: Scripts): RedisVoter {
  let serverRun: ServerRun | undefined;
  const link = new Link(clients, {
    commandMs: limits.quorumCommandMs,
    async prepare(connection) {
      serverRun = await serverRunOf(connection, serverRun);
    },
  });
  return {
    name: link.name,
    link,
    ...scriptedBy(link, scripts),
    serverRun: () => serverRun,
    async scan(key, cursor, count) {
      const [next, entries] = await pageOf(link, ['HSCAN', key, from(cursor), 'COUNT', String(count)]);
      return { cursor: to(next), entries };
    },
  };
}

/**
 * A server that took the place of another under the same address may lack what that one took last, however long it has
 * been up itself.
 */
async function serverRunOf(connection: RedisConnection, last: ServerRun | undefined): Promise<ServerRun> {
  const info = parseInfo(String(await ask(connection, ['INFO', 'server'])));
  const nowMs = systemClock.monotonicMs();
  const id = info.get('run_id') ?? '';
  if (id === '') throw new Error('it does not tell its run_id and uptime_in_seconds (INFO server)');
  if (last !== undefined) return last.id === id ? last : { id, sinceMs: nowMs };
  // Whole seconds, of which the first may just have begun.
  const upSeconds = Number(info.get('uptime_in_seconds') ?? 0) - 1;
  return { id, sinceMs: nowMs - Math.max(0, upSeconds) * 1_000 };
}
