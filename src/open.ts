import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toMs, type Duration } from './base/duration.ts';
import { invalidArgument } from './base/errors.ts';
import { limits } from './base/limits.ts';
import { masked } from './base/masked.ts';
import { checkSpace } from './base/names.ts';
import { checkOptions as checkKnown } from './base/options.ts';
import type { Engine } from './engines/engine.ts';
import { memoryEngine } from './engines/memory.ts';
import type { ReadyClient } from './engines/redis/client.ts';
import { createLockstep, type Lockstep } from './lockstep.ts';
import { createQuorumLockstep, type QuorumLockstep } from './primitives/quorum.ts';
import { QuorumSession } from './session/quorum-session.ts';
import { Session } from './session/session.ts';

/** What a session may say when it opens shared state. */
export interface OpenOptions {
  /** The unit of atomicity: names of one space do not meet those of another. Default `default`. */
  space?: string;
  /** What others see this session as, in errors and lists. Default: the program's file name. */
  label?: string;
  /**
   * Embedded engine: `normal` (default) loses nothing when a process is killed, and may lose the last moments when the
   * machine loses power; `full` waits for the disk at each commit and loses nothing.
   */
  durability?: 'normal' | 'full';
  /** Leases of an event loop that does not turn are kept this long. Default: ten times the lease. */
  maxStall?: Duration;
  /** Redis: hears of settings of the server under which it may lose what is shared. Default: `process.emitWarning`. */
  onWarning?: (warning: Error) => void;
  /**
   * Redis: so many replicas must have a lock before it is granted; else it is given back, and `UNAVAILABLE`. Default: 0.
   */
  replicas?: number;
}

/** What a session may say when it opens locks over several servers. */
export interface QuorumOptions extends Pick<OpenOptions, 'space' | 'label' | 'maxStall' | 'onWarning'> {
  /**
   * The longest lease that anybody takes on these servers, other programs included: all must say the same. For so long a
   * server that restarted does not vote, as it may have forgotten who holds what. Default: 30 s.
   */
  maxTtl?: Duration;
}

/** What can be opened: a directory, an address, a client. */
type Place = string | URL | ReadyClient;

/**
 * Opens locks over an odd number of at least three independent Redis or Valkey servers, of which a majority decides:
 * they go on while a minority is away, but have neither an order nor fences. Rejects with `INVALID_ARGUMENT`, also where
 * two are one server, or with `UNAVAILABLE` where no majority can be reached.
 */
export function open(where: readonly Place[], options?: QuorumOptions): Promise<QuorumLockstep>;
/**
 * Opens the shared state at `where`: a directory (`./dir`, `file:///srv/dir`; default `./.lockstep`) that all tasks,
 * threads and processes of this machine share; a Redis or Valkey server (`redis://host:6379`, `rediss://…`,
 * `redis+unix:/path`, `redis+sentinel://host:26379/master`, `redis+cluster://host:6379,host:6379`, or a client of ioredis or
 * node-redis, for one server or a cluster, which is duplicated and itself left alone); or `memory:`, for one process and for tests: each call a state of its own.
 * Rejects with `INVALID_ARGUMENT` or `UNAVAILABLE`; the text says what to do.
 */
export function open(where?: Place, options?: OpenOptions): Promise<Lockstep>;
export async function open(
  where: Place | readonly Place[] = './.lockstep',
  options: OpenOptions & QuorumOptions = {},
): Promise<Lockstep | QuorumLockstep> {
  if (isList(where)) return openQuorum(where, options);
  const settings = checkOptions(options);
  return connect(await engineAt(where instanceof URL ? where.href : where, options), settings);
}

/** A session on a ready engine, which it closes when it is closed itself. */
export async function connect(engine: Engine, settings: Settings): Promise<Lockstep> {
  return createLockstep(await openSession(engine, settings));
}

/** The settings of a session, as `OpenOptions` give them. */
export interface Settings {
  readonly space: string;
  readonly label: string;
  readonly maxStallMs: number;
}

/** Checks options and fills in what is absent. Throws `INVALID_ARGUMENT`. */
export function checkOptions(options: OpenOptions, names: ReadonlySet<string> = known): Settings {
  checkKnown('the options of open', options, names);
  const { space = 'default', label = basename(process.argv[1] ?? ''), durability, maxStall } = options;
  checkSpace(space);
  if (typeof label !== 'string' || label.length > limits.labelLengthMax) {
    throw invalidArgument('label', label, `text of at most ${limits.labelLengthMax} characters`);
  }
  if (durability !== undefined && durability !== 'normal' && durability !== 'full') {
    throw invalidArgument('durability', durability, "'normal' or 'full'");
  }
  checkRedisOptions(options);
  return { space, label, maxStallMs: maxStall === undefined ? 0 : toMs('maxStall', maxStall, 1, limits.leaseMsMax) };
}

function checkRedisOptions({ onWarning, replicas = 0 }: OpenOptions): void {
  if (onWarning !== undefined && typeof onWarning !== 'function')
    throw invalidArgument('onWarning', onWarning, 'a function');
  if (!Number.isInteger(replicas) || replicas < 0 || replicas > limits.redisReplicasMax) {
    throw invalidArgument('replicas', replicas, `a whole number from 0 to ${limits.redisReplicasMax}`);
  }
}

const known: ReadonlySet<string> = new Set(['space', 'label', 'durability', 'maxStall', 'onWarning', 'replicas']);
const knownOfQuorum: ReadonlySet<string> = new Set(['space', 'label', 'maxStall', 'onWarning', 'maxTtl']);

async function openQuorum(where: readonly Place[], options: QuorumOptions): Promise<QuorumLockstep> {
  const settings = checkOptions(options, knownOfQuorum);
  const { maxTtl = limits.quorumLeaseMsMaxDefault, onWarning = (warning) => process.emitWarning(warning) } = options;
  const ttlMsMax = toMs('maxTtl', maxTtl, limits.quorumLeaseMsMin, limits.leaseMsMax);
  if (where.length < 3 || where.length % 2 === 0 || where.length > limits.quorumServersMax) {
    const wanted = `an odd number of servers, from 3 to ${limits.quorumServersMax}, not ${where.length}: a majority of them decides`;
    throw invalidArgument('where', where, wanted);
  }
  const { serverAt } = await import('./engines/redis/clients.ts');
  const { checkVoters, redisVoters } = await import('./engines/redis/voters.ts');
  const voters = redisVoters(await Promise.all(where.map((one) => serverAt(one instanceof URL ? one.href : one))));
  const session = new QuorumSession(voters, { ...settings, ttlMsMax });
  try {
    await session.join();
    await checkVoters(voters.all, onWarning);
  } catch (error) {
    await session.close();
    throw error;
  }
  return createQuorumLockstep(session);
}

/** As `Array.isArray`, which says nothing of arrays that are only read. */
function isList(where: Place | readonly Place[]): where is readonly Place[] {
  return Array.isArray(where);
}

async function openSession(engine: Engine, settings: Settings): Promise<Session> {
  try {
    return await Session.open(engine, settings);
  } catch (error) {
    await engine.close().catch(() => {}); // the first error says more
    throw error;
  }
}

async function engineAt(where: string | ReadyClient, options: OpenOptions): Promise<Engine> {
  if (typeof where === 'object' && where !== null) return redisAt(where, options);
  if (typeof where !== 'string' || where === '') throw invalidArgument('where', where, "a directory, or 'memory:'");
  if (/^redis[a-z+]*:/i.test(where)) return redisAt(where, options);
  if ((options.replicas ?? 0) > 0) {
    throw invalidArgument(
      'replicas',
      options.replicas,
      'left out where the store is no Redis server: it has no replicas',
    );
  }
  if (where === 'memory:') return memoryEngine();
  const { embeddedEngine } = await import('./engines/embedded/embedded.ts'); // and SQLite, only where it is wanted
  return embeddedEngine({ directory: directoryOf(where), durability: options.durability ?? 'normal' });
}

async function redisAt(where: string | ReadyClient, options: OpenOptions): Promise<Engine> {
  const { clientsAt } = await import('./engines/redis/clients.ts');
  const { redisEngine } = await import('./engines/redis/redis.ts');
  const { onWarning = (warning) => process.emitWarning(warning), replicas = 0 } = options;
  return redisEngine({ clients: await clientsAt(where), onWarning, replicas });
}

function directoryOf(where: string): string {
  if (where.startsWith('file:')) return fileURL(where);
  // Whoever forgot a part of an address would lock alone, in a directory of that name.
  if (/^[a-z0-9][a-z0-9+.-]+:|^\[|^redis[a-z+]*\/\//i.test(where)) {
    throw invalidArgument(
      'where',
      masked(where),
      "a directory such as './.lockstep', a file: URL, an address such as 'redis://host:6379', or 'memory:'",
    );
  }
  return where;
}

/** `file:/dir` and `file:///dir` are absolute; `file:./dir` and `file:dir` are relative, as SQLite reads them. */
function fileURL(where: string): string {
  const path = where.slice('file:'.length);
  return path.startsWith('/') ? fileURLToPath(where) : path;
}
