import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { SendScript } from '../../src/engines/redis/runner.ts';

export interface RedisServer {
  /** One more connection; closed with the server. */
  connect(): Redis;
  stop(): Promise<void>;
}

/** False: what needs a real Redis is skipped, and says so. `npm test` installs redis-server where it may. */
export const hasRedisServer: boolean = spawnSync('redis-server', ['--version']).status === 0;

if (!hasRedisServer) {
  console.warn('SKIPPED: there is no redis-server on the PATH, so that the generated Lua is not run. Install it.');
}

/** A redis-server of its own, empty and without a file, on a socket in a temporary directory. */
export async function startRedisServer(): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-redis-'));
  const socket = join(directory, 'redis.sock');
  const options = ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', directory];
  const server = spawn('sh', ['-c', untilParentEnds, 'sh', ...options], { stdio: ['pipe', 'ignore', 'ignore'] });
  const connections: Redis[] = [];

  async function stop(): Promise<void> {
    for (const connection of connections) connection.disconnect();
    if (server.exitCode === null) {
      const exited = once(server, 'exit');
      server.stdin.end();
      await exited;
    }
    rmSync(directory, { recursive: true, force: true });
  }

  function connect(): Redis {
    const connection = new Redis({ path: socket, retryStrategy: (tries) => (tries > 1_500 ? null : 20) });
    connection.on('error', () => {}); // not up yet: tried again until it is
    connections.push(connection);
    return connection;
  }

  try {
    await connect().ping();
  } catch (error) {
    await stop();
    throw error;
  }
  return { connect, stop };
}

/** Sends scripts over a connection, as `redisRunner` asks for it. */
export function sendingBy(client: Redis): SendScript {
  return async ({ sha, text }, [keys = '', ...rest], explained) => {
    try {
      return await client.evalsha(sha, keys, ...rest).catch((error: Error) => {
        if (!error.message.includes('NOSCRIPT')) throw error;
        return client.eval(text, keys, ...rest);
      });
    } catch (error) {
      throw explained(error);
    }
  };
}

/** A pipe closes however this process ends, by kill -9 too: no server stays behind. */
const untilParentEnds = 'redis-server "$@" & server=$!; read -r _; kill -9 $server; wait $server';
