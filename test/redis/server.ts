import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Certificate } from './certificate.ts';

/** False: what needs a real server is skipped, and says so. `npm test` installs redis-server where it may. */
export const hasRedisServer: boolean = spawnSync('redis-server', ['--version']).status === 0;

if (!hasRedisServer) {
  console.warn('SKIPPED: there is no redis-server on the PATH, so that the Redis engine is not tested. Install it.');
}

/** A redis-server of a test's own, on a free port and on a socket in a temporary directory. */
export interface RedisServer {
  readonly port: number;
  readonly socket: string;
  /** `redis+unix:/…` */
  readonly address: string;
  readonly pid: number;
  readonly isUp: boolean;
  /** A plain client, for what a test does to the store beside lockstep; closed with the server. */
  client(): Redis;
  kill(signal: NodeJS.Signals): void;
  /** Waits until it has ended. */
  stop(): Promise<void>;
  /** Starts it again, with the same data directory, once it has ended. */
  start(): Promise<void>;
  /** Stops it and removes its directory. */
  remove(): Promise<void>;
}

export interface ServerSecrets {
  readonly password?: string;
  /** Its port takes TLS alone. */
  readonly certificate?: Certificate;
}

/** Starts a server, empty and without a file unless `settings` say otherwise. */
export async function startRedisServer(
  settings: readonly string[] = [],
  { password, certificate }: ServerSecrets = {},
): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-redis-'));
  const socket = join(directory, 'redis.sock');
  const log = join(directory, 'log');
  const port = await freePort();
  const tcp = certificate === undefined ? ['--port', String(port)] : tlsPort(port, certificate);
  const place = ['--bind', '127.0.0.1', ...tcp, '--unixsocket', socket, '--dir', directory, '--logfile', log];
  const plain = ['--save', '', '--appendonly', 'no', '--databases', '100'];
  const clients: Redis[] = [];
  const options = { path: socket, maxRetriesPerRequest: null, ...(password === undefined ? {} : { password }) };
  let server: ChildProcess | undefined;
  const atExit = (): void => void server?.kill('SIGKILL');
  process.once('exit', atExit);

  function client(): Redis {
    const made = new Redis({ ...options, retryStrategy: () => 20 });
    made.on('error', () => {}); // not up yet, or gone: tried again
    clients.push(made);
    return made;
  }

  async function start(): Promise<void> {
    const started = (server = spawn('redis-server', [...place, ...plain, ...settings], { stdio: 'ignore' }));
    const ended = once(started, 'exit').then(() => {
      throw new Error('it ended');
    });
    ended.catch(() => {}); // it ends some day
    const probe = new Redis({ ...options, retryStrategy: (tries) => (tries > 3_000 ? null : 20) });
    probe.on('error', () => {});
    try {
      await Promise.race([probe.ping(), ended]);
    } catch (error) {
      throw new Error(`the redis-server at port ${port} did not come up:\n${endOf(log)}`, { cause: error });
    } finally {
      probe.disconnect();
    }
  }

  async function stop(): Promise<void> {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }

  async function remove(): Promise<void> {
    for (const one of clients) one.disconnect();
    await stop();
    process.off('exit', atExit);
    rmSync(directory, { recursive: true, force: true });
  }

  try {
    await start();
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    port,
    socket,
    address: `redis+unix:${socket}`,
    get isUp() {
      return server?.exitCode === null && server.signalCode === null;
    },
    get pid() {
      return server!.pid!;
    },
    client,
    kill: (signal) => void server?.kill(signal),
    stop,
    start,
    remove,
  };
}

function tlsPort(port: number, { keyFile, file }: Certificate): string[] {
  const files = ['--tls-cert-file', file, '--tls-key-file', keyFile, '--tls-ca-cert-file', file];
  return ['--port', '0', '--tls-port', String(port), ...files, '--tls-auth-clients', 'no'];
}

/** One command on a connection of its own. */
export async function ask(server: RedisServer, command: string, ...args: string[]): Promise<unknown> {
  const client = server.client();
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

/** What a server said last. */
function endOf(log: string): string {
  return existsSync(log) ? readFileSync(log, 'utf8').slice(-2_000) : '(it said nothing)';
}

/** Of this process: servers that start together choose theirs before any of them has it. */
const given = new Set<number>();

/** A port that nobody has now; of those that no system gives away by itself, so that it stays free until it is used. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port)) continue;
    given.add(port);
    const probe = createServer().listen(port, '127.0.0.1');
    try {
      await once(probe, 'listening');
    } catch {
      continue; // it is in use
    }
    probe.close();
    await once(probe, 'close');
    return port;
  }
}
