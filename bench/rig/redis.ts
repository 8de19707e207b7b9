import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

export interface RedisServer {
  /** Its unix socket. */
  readonly path: string;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly version: string;
  stop(): Promise<void>;
}

/**
 * Starts a redis-server of its own in `directory`: on a unix socket and on loopback, nothing written to disk.
 * It ends with this process, however that ends. Rejects where there is no redis-server.
 */
export async function startRedis(directory: string): Promise<RedisServer> {
  const path = join(directory, 'redis.sock');
  const port = await freePort();
  const places = ['--bind', '127.0.0.1', '--port', String(port), '--unixsocket', path, '--dir', directory];
  const settings = [...places, '--save', '', '--appendonly', 'no'];
  const shell = spawn('sh', ['-c', untilInputEnds, 'sh', ...settings], { stdio: ['pipe', 'ignore', 'inherit'] });
  const exited = new Promise<void>((resolve) => shell.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    shell.stdin.end();
    await exited;
  };

  for (const deadline = performance.now() + 5_000; performance.now() < deadline; await sleep(20)) {
    const version = await versionOf(path);
    if (version !== undefined) return { path, port, version, stop };
  }
  await stop();
  throw new Error('redis-server did not start: it must be on the PATH (apt-get install redis-server)');
}

/** A pipe ends with the process at its other end, also when that is killed. */
const untilInputEnds = 'redis-server "$@" & server=$!; cat > /dev/null; kill "$server" 2> /dev/null; wait "$server"';

async function versionOf(path: string): Promise<string | undefined> {
  const client = new Redis(path, { lazyConnect: true, retryStrategy: null });
  client.on('error', () => {}); // not up yet
  try {
    await client.connect();
    return /redis_version:(\S+)/.exec(await client.info('server'))?.[1];
  } catch {
    return undefined;
  } finally {
    client.disconnect();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
