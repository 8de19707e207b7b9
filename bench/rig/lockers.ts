import fs from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Engine } from '../../src/engines/engine.ts';
import { embeddedEngine } from '../../src/engines/embedded/embedded.ts';
import { checkOptions, connect } from '../../src/open.ts';

export const lockers = ['lockstep', 'proper-lockfile', 'redis-semaphore'] as const;
/** Its commands over a unix socket, where `new Redis()` connects over loopback. */
export const unixPeer = 'redis-semaphore, unix socket';
/** The lock stays with its session after a release, until another one wants it. */
export const keeping = 'lockstep, keep: 250ms';
/** On the same redis-server as the peers, over loopback as theirs. */
export const onRedis = 'lockstep on Redis';
export const keepingOnRedis = 'lockstep on Redis, keep: 250ms';
/** What polls a key in Redis; simple-redis-mutex also hears of each release by PUBLISH, which all its waiters answer. */
export const redisPeers = [
  'redlock 5',
  'redis-semaphore',
  'redlock-universal',
  'simple-redis-mutex',
  'redis-py',
] as const;
/** Tasks of one process only, as nothing leaves it. */
export const oneProcessPeer = 'async-mutex';
/** `no lock`: a turn of the event loop, and nothing else; what the machine can do just now. */
export type LockerName =
  | (typeof lockers)[number]
  | (typeof redisPeers)[number]
  | typeof unixPeer
  | typeof oneProcessPeer
  | typeof keeping
  | typeof onRedis
  | typeof keepingOnRedis
  | 'no lock';

/** One process's way to the locks of one library. */
export interface Locker {
  /** One task's own way into the section that the lock `name` guards. */
  section(name: string): Section;
  /** What was sent to the store so far: steps of lockstep, system calls of proper-lockfile, commands of Redis. */
  sent(): number;
  /** How many wait for the lock, where the library knows. */
  waiting?(name: string): Promise<number>;
  close(): Promise<void>;
}

export interface Section {
  enter(): Promise<void>;
  leave(): Promise<void>;
}

/** Where the stores are. */
export interface Places {
  readonly directory: string;
  readonly redisPath: string;
  readonly redisPort: number;
}

/** What is not used is not loaded. All keep a lease of 10 s alive, which is the default of each; those that poll do so each millisecond. */
export async function openLocker(name: LockerName, places: Places): Promise<Locker> {
  switch (name) {
    case 'lockstep':
      return openLockstep(await embedded(places), 0);
    case keeping:
      return openLockstep(await embedded(places), 250);
    case onRedis:
      return openLockstep(await redis(places), 0);
    case keepingOnRedis:
      return openLockstep(await redis(places), 250);
    case 'redlock 5':
      return openRedlock(new Redis(places.redisPort));
    case 'redlock-universal':
      return openRedlockUniversal(new Redis(places.redisPort));
    case 'simple-redis-mutex':
      return openSimpleRedisMutex(places);
    case oneProcessPeer:
      return openAsyncMutex();
    case 'proper-lockfile':
      return openProperLockfile(places);
    case 'redis-semaphore':
      return openRedisSemaphore(new Redis(places.redisPort));
    case unixPeer:
      return openRedisSemaphore(new Redis(places.redisPath));
    case 'redis-py':
      throw new Error('redis-py is not a library of this process: see python.ts');
    case 'no lock':
      return { section: () => ({ enter: () => turn(), leave: async () => {} }), sent: () => 0, close: async () => {} };
  }
}

const leaseMs = 10_000;
const pollMs = 1;

/** lockstep's own directory. */
export function lockstepAt({ directory }: Places): string {
  return join(directory, 'lockstep');
}

function embedded(places: Places): Promise<Engine> {
  return embeddedEngine({ directory: lockstepAt(places), durability: 'normal' });
}

async function redis({ redisPort }: Places): Promise<Engine> {
  const { clientsAt } = await import('../../src/engines/redis/clients.ts');
  const { redisEngine } = await import('../../src/engines/redis/redis.ts');
  return redisEngine({ clients: await clientsAt(`redis://127.0.0.1:${redisPort}`) });
}

async function openLockstep(engine: Engine, keep: number): Promise<Locker> {
  let sent = 0;
  const { run } = engine;
  engine.run = (...given) => {
    sent += 1;
    return run(...given);
  };
  const shared = await connect(engine, checkOptions({})); // what `open` does
  return {
    section(name) {
      const lock = shared.lock(name, { ttl: leaseMs, keep });
      let lease: Awaited<ReturnType<typeof lock.acquire>>;
      return {
        async enter() {
          lease = await lock.acquire();
        },
        leave: () => lease.release(),
      };
    },
    sent: () => sent,
    waiting: async (name) => (await shared.lock(name).inspect()).waiters.length,
    close: () => shared.close(),
  };
}

async function openProperLockfile({ directory }: Places): Promise<Locker> {
  const { lock } = await import('proper-lockfile');
  let sent = 0;
  const counted: typeof fs = { ...fs };
  for (const call of ['mkdir', 'rmdir', 'stat', 'utimes'] as const) {
    const original = fs[call] as (...given: unknown[]) => void;
    Object.assign(counted, {
      [call](...given: unknown[]) {
        sent += 1;
        original(...given);
      },
    });
  }
  const options = {
    realpath: false,
    stale: leaseMs,
    fs: counted,
    retries: { forever: true, factor: 1, minTimeout: pollMs, maxTimeout: pollMs },
  };
  return {
    section(name) {
      const file = join(directory, `proper-lockfile-${name}`);
      let release: () => Promise<void>;
      return {
        async enter() {
          release = await lock(file, options);
        },
        leave: () => release(),
      };
    },
    sent: () => sent,
    close: async () => {},
  };
}

async function openRedisSemaphore(client: Redis): Promise<Locker> {
  const { Mutex } = await import('redis-semaphore');
  const { sent, close } = await countedClient(client);
  return {
    section(name) {
      const options = { lockTimeout: leaseMs, acquireTimeout: 600_000, retryInterval: pollMs };
      const mutex = new Mutex(client, name, options);
      return { enter: () => mutex.acquire(), leave: () => mutex.release() };
    },
    sent,
    close,
  };
}

async function openRedlock(client: Redis): Promise<Locker> {
  const { default: Redlock } = createRequire(import.meta.url)('redlock') as { default: RedlockClass }; // its types do not resolve
  const locks = new Redlock([client], { retryCount: -1, retryDelay: pollMs, retryJitter: 0 });
  locks.on('error', () => {}); // each refusal
  const { sent, close } = await countedClient(client);
  return {
    section(name) {
      let lock: { release(): Promise<unknown> };
      return {
        async enter() {
          lock = await locks.acquire([name], leaseMs);
        },
        leave: async () => void (await lock.release()),
      };
    },
    sent,
    close,
  };
}

type RedlockClass = new (
  clients: Redis[],
  options: object,
) => {
  acquire(names: string[], ttl: number): Promise<{ release(): Promise<unknown> }>;
  on(event: 'error', listener: () => void): void;
};

async function openRedlockUniversal(client: Redis): Promise<Locker> {
  const { IoredisAdapter, createLock } = await import('redlock-universal');
  const adapter = new IoredisAdapter(client as never);
  const { sent, close } = await countedClient(client);
  return {
    section(name) {
      const lock = createLock({ adapter, key: name, ttl: leaseMs, retryAttempts: 1_000_000, retryDelay: pollMs });
      let handle: Awaited<ReturnType<typeof lock.acquire>>;
      return {
        async enter() {
          handle = await lock.acquire();
        },
        leave: async () => void (await lock.release(handle)),
      };
    },
    sent,
    close,
  };
}

/** Without renewal, which it leaves to its user: a lease of 10 s. */
async function openSimpleRedisMutex({ redisPort }: Places): Promise<Locker> {
  const [{ createClient }, { lock }] = await Promise.all([import('redis'), import('simple-redis-mutex')]);
  const client = createClient({ socket: { host: '127.0.0.1', port: redisPort } });
  client.on('error', () => {}); // of a server that is stopped before its workers
  await client.connect();
  const options = { timeout: leaseMs, pollingInterval: pollMs };
  return {
    section(name) {
      let release: () => Promise<void>;
      return {
        async enter() {
          release = await lock(client as never, name, options);
        },
        leave: () => release(),
      };
    },
    sent: () => Number.NaN, // not known
    close: async () => client.destroy(),
  };
}

async function openAsyncMutex(): Promise<Locker> {
  const { Mutex } = await import('async-mutex');
  const mutexes = new Map<string, InstanceType<typeof Mutex>>();
  return {
    section(name) {
      const mutex = mutexes.get(name) ?? new Mutex();
      mutexes.set(name, mutex);
      let release: () => void;
      return {
        async enter() {
          release = await mutex.acquire();
        },
        leave: async () => release(),
      };
    },
    sent: () => 0,
    close: async () => {},
  };
}

/** Counts the commands of a client, which is then up. */
async function countedClient(client: Redis): Promise<Pick<Locker, 'sent' | 'close'>> {
  let sent = 0;
  const sendCommand = client.sendCommand.bind(client);
  client.sendCommand = (...given) => {
    sent += 1;
    return sendCommand(...given);
  };
  await client.ping();
  return { sent: () => sent, close: async () => void (await client.quit()) };
}
