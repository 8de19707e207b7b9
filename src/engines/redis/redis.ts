import { systemClock } from '../../base/clock.ts';
import { limits } from '../../base/limits.ts';
import { LockstepError } from '../../base/errors.ts';
import { renew } from '../../operations/lock.ts';
import type { Doorbell, Engine } from '../engine.ts';
import { type RedisClients, ReplyError } from './client.ts';
import type { ClusterClients } from './cluster-clients.ts';
import { unavailable } from './failure.ts';
import { redisKeepers } from './keeper.ts';
import type { Link } from './link.ts';
import { renewingAt } from './renewing.ts';
import { confirmedBy } from './replicas.ts';
import { redisRunner, type SendScript } from './runner.ts';
import type { Scripts } from './scripts.ts';
import { checkServer } from './server-check.ts';
import { type Servers, serversOf } from './servers.ts';

export interface RedisOptions {
  readonly clients: RedisClients | ClusterClients;
  /** A server that does not answer for this long is `UNAVAILABLE`: ms. */
  readonly commandMs?: number;
  /** Called once for each setting of the server that should be changed. Without it nobody looks. */
  readonly onWarning?: (warning: Error) => void;
  /** A slot of a cluster that was not used for this long is left: ms. */
  readonly slotIdleMs?: number;
  /** How many replicas must have a grant before it counts. Default: none. */
  readonly replicas?: number;
}

/**
 * State in a Redis or Valkey server, or in a cluster of them, for any number of machines. Rejects with `UNAVAILABLE` where the server can't be
 * used. Operations are the generated scripts, one round trip each, on one connection (in a cluster: to the master
 * of the slot): in the order in which they were
 * asked for.
 *
 * `watch` and `alive` never tell of a death: a session whose connection is away looks the same for a moment, and must not lose a
 * lease by that. The dead are skipped as waiters, by the count of PUBLISH, and end as holders with their leases.
 */
export async function redisEngine(options: RedisOptions): Promise<Engine> {
  const { clients, commandMs = limits.redisCommandMs, onWarning, replicas = 0 } = options;
  const servers = serversOf(clients, commandMs, options.slotIdleMs);
  try {
    await asked(servers.name, servers.any.command(['PING']));
    if (onWarning !== undefined) for (const warning of await checkServer(servers)) onWarning(warning);
  } catch (error) {
    await servers.close();
    throw isNoCluster(error) ? noCluster(servers.name) : error;
  }
  const { run, runBatch } = scriptedAt(servers);
  const renewal = renewingAt(servers);
  const keepers = redisKeepers(clients.recipe, renewal, servers.hold);
  const bells = new Set<Doorbell>();
  let closing: Promise<void> | undefined;

  return {
    name: `redis ${servers.name}`,
    store: servers, // two addresses may be one server, or one address two

    clock: systemClock,
    sharesClock: false,
    losesReplies: true,

    run,
    runBatch(operation, keys, args) {
      // the leases of a session may be in many slots
      return operation.name === renew.name ? (renewal(keys, args) as Promise<never>) : runBatch(operation, keys, args);
    },

    async scan(key, cursor, count, kind = 'hash') {
      const verb = kind === 'set' ? 'SSCAN' : 'HSCAN';
      const [next, entries] = await pageOf(servers.at(key), [verb, key, from(cursor), 'COUNT', String(count)]);
      return { cursor: to(next), entries };
    },
    async scanKeys(prefix, cursor, count) {
      const steps = String(Math.max(count, limits.redisScanSteps));
      const [next, keys] = await pageOf(servers.at(prefix), [
        'SCAN',
        from(cursor),
        'MATCH',
        `${literal(prefix)}*`,
        'COUNT',
        steps,
      ]);
      return { cursor: to(next), keys };
    },

    async listen(session, inbox) {
      const bell = await servers.listen(session, inbox);
      bells.add(bell);
      return bell;
    },
    watch: () => () => {},
    alive: () => Promise.resolve(true),
    keeper: (wanted) => keepers.keeper(wanted),
    ...(replicas === 0 ? {} : { confirm: confirmedBy(servers, replicas) }),

    close() {
      closing ??= Promise.all([keepers.close(), ...[...bells].map((bell) => bell.close())]).then(() => servers.close());
      return closing;
    },
  };
}

/** `run` and `runBatch` of an engine over one connection. */
export function scriptedBy(link: Link, scripts: Scripts): Pick<Engine, 'run' | 'runBatch'> {
  return scripted(link.name, (script, words, told) => link.script(script, words, told), scripts);
}

function scriptedAt(servers: Servers): Pick<Engine, 'run' | 'runBatch'> {
  const send: SendScript = (script, words, told) => {
    const first = words[1] ?? '';
    const extra = servers.extra(first, script.needsTag);
    if (extra !== undefined) words.push(extra);
    const heard = servers.heard(first);
    const sent = (): Promise<unknown> => servers.at(first).script(script, words, told); // a link left idle meanwhile is closed
    return heard === undefined ? sent() : heard.then(sent);
  };
  return scripted(servers.name, send, servers.scripts);
}

function scripted(name: string, send: SendScript, scripts: Scripts): Pick<Engine, 'run' | 'runBatch'> {
  return redisRunner(send, scripts, (error) => explained(name, error));
}

/** What the server refused is `UNAVAILABLE` to users. */
async function asked<R>(name: string, reply: Promise<R>): Promise<R> {
  try {
    return await reply;
  } catch (error) {
    throw explained(name, error);
  }
}

function explained(name: string, error: unknown): unknown {
  if (!(error instanceof ReplyError)) return error;
  return error.word === 'CROSSSLOT' ? twoSlots(name, error) : unavailable(name, error, 'no');
}

function twoSlots(name: string, cause: ReplyError): LockstepError {
  return new LockstepError(
    'INVALID_ARGUMENT',
    `${name} can't change in one step what is in two slots of the cluster: the lease of a lock with a \`key\` of its own ` +
      'guards only what is in the slot of that key. Put the hash tag of the space into the key: {default}:my-lock.',
    { cause, details: { server: name } },
  );
}

function isNoCluster(error: unknown): boolean {
  return error instanceof Error && error.message.includes('cluster support disabled');
}

function noCluster(name: string): LockstepError {
  return new LockstepError('INVALID_ARGUMENT', `${name} is not a cluster: open redis://host:port.`, {
    details: { server: name },
  });
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
