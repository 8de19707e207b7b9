import { systemClock } from '../../base/clock.ts';
import { limits } from '../../base/limits.ts';
import { LockstepError } from '../../base/errors.ts';
import type { Doorbell, Engine } from '../engine.ts';
import { type RedisClients, ReplyError } from './client.ts';
import { unavailable } from './failure.ts';
import { openInbox } from './inbox.ts';
import { redisKeepers } from './keeper.ts';
import { Link } from './link.ts';
import { redisRunner } from './runner.ts';
import { operationScripts, type Scripts } from './scripts.ts';
import { checkServer } from './server-check.ts';

export interface RedisOptions {
  readonly clients: RedisClients;
  /** A server that does not answer for this long is `UNAVAILABLE`: ms. */
  readonly commandMs?: number;
  /** Called once for each setting of the server that should be changed. Without it nobody looks. */
  readonly onWarning?: (warning: Error) => void;
}

/**
 * State in a Redis or Valkey server, for any number of machines. Rejects with `UNAVAILABLE` where the server can't be
 * used. Operations are the generated scripts, one round trip each, on one connection: in the order in which they were
 * asked for.
 *
 * `watch` and `alive` never tell of a death: a session whose connection is away looks the same for a moment, and must not lose a
 * lease by that. The dead are skipped as waiters, by the count of PUBLISH, and end as holders with their leases.
 */
export async function redisEngine(options: RedisOptions): Promise<Engine> {
  const { clients, commandMs = limits.redisCommandMs, onWarning } = options;
  const scripts = operationScripts();
  const link = openLink(clients, commandMs);
  try {
    await asked(link.name, link.command(['PING']));
    if (onWarning !== undefined) for (const warning of await checkServer(link)) onWarning(warning);
  } catch (error) {
    await link.close();
    throw error;
  }
  const { run, runBatch } = scriptedBy(link, scripts);
  const keepers = redisKeepers(clients.recipe, runBatch);
  const bells = new Set<Doorbell>();
  let closing: Promise<void> | undefined;

  return {
    name: `redis ${link.name}`,
    store: link, // two addresses may be one server, or one address two

    clock: systemClock,
    sharesClock: false,

    run,
    runBatch,

    async scan(key, cursor, count) {
      const [next, entries] = await pageOf(link, ['HSCAN', key, from(cursor), 'COUNT', String(count)]);
      return { cursor: to(next), entries };
    },
    async scanKeys(prefix, cursor, count) {
      const steps = String(Math.max(count, limits.redisScanSteps));
      const [next, keys] = await pageOf(link, ['SCAN', from(cursor), 'MATCH', `${literal(prefix)}*`, 'COUNT', steps]);
      return { cursor: to(next), keys };
    },

    async listen(session, inbox) {
      const bell = await openInbox(clients, session, inbox);
      bells.add(bell);
      return bell;
    },
    watch: () => () => {},
    alive: () => Promise.resolve(true),
    keeper: (wanted) => keepers.keeper(wanted),

    close() {
      closing ??= Promise.all([keepers.close(), ...[...bells].map((bell) => bell.close())]).then(() => link.close());
      return closing;
    },
  };
}

/** A connection on which operations run. */
export function openLink(clients: RedisClients, commandMs: number): Link {
  return new Link(clients, { commandMs, prepare: () => Promise.resolve() });
}

/** `run` and `runBatch` of an engine, over a connection. */
export function scriptedBy(link: Link, scripts: Scripts): Pick<Engine, 'run' | 'runBatch'> {
  const runner = redisRunner((script, keys, rest) => link.script(script, [String(keys), ...rest]), scripts);
  return {
    run: (operation, keys, args) => asked(link.name, runner.run(operation, keys, args)),
    runBatch: (operation, keys, args) => asked(link.name, runner.runBatch(operation, keys, args)),
  };
}

/** What the server refused is `UNAVAILABLE` to users. */
async function asked<R>(name: string, reply: Promise<R>): Promise<R> {
  try {
    return await reply;
  } catch (error) {
    throw error instanceof ReplyError ? unavailable(name, error, 'no') : error;
  }
}

/** One page of SCAN or HSCAN. */
export async function pageOf(link: Link, args: readonly string[]): Promise<[cursor: string, page: string[]]> {
  try {
    return (await asked(link.name, link.command(args))) as [string, string[]];
  } catch (error) {
    if (error instanceof LockstepError && error.message.includes('WRONGTYPE')) {
      throw new LockstepError('WRONG_KIND', `The key ${JSON.stringify(args[1])} holds another type in Redis.`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** '' begins and ends where Redis says '0'. */
export function from(cursor: string): string {
  return cursor === '' ? '0' : cursor;
}

export function to(cursor: string): string {
  return cursor === '0' ? '' : cursor;
}

/** A text as a pattern of MATCH that only matches itself. */
function literal(text: string): string {
  return text.replaceAll(/[\\*?[\]^-]/g, String.raw`\$&`);
}
