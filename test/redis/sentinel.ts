import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { until } from '../contract/sessions.ts';
import { type RedisServer, freePort, startRedisServer } from './server.ts';

/** A master and a replica under three Sentinels. */
export interface Group {
  readonly address: string;
  readonly master: RedisServer;
  readonly replica: RedisServer;
  remove(): Promise<void>;
}

export async function startSentinelGroup(more: readonly string[] = []): Promise<Group> {
  const settings = ['--appendonly', 'yes', '--repl-diskless-sync-delay', '0', ...more];
  const master = await startRedisServer(settings);
  const replica = await startRedisServer([...settings, '--replicaof', '127.0.0.1', String(master.port)]);
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-sentinel-'));
  const sentinels: ChildProcess[] = [];
  const ports: number[] = [];

  async function remove(): Promise<void> {
    process.off('exit', atExit);
    for (const one of sentinels) {
      if (one.exitCode !== null || one.signalCode !== null) continue;
      const exited = once(one, 'exit');
      one.kill('SIGKILL');
      await exited;
    }
    await Promise.all([master.remove(), replica.remove()]);
    rmSync(directory, { recursive: true, force: true });
  }
  const atExit = (): void => sentinels.forEach((one) => one.kill('SIGKILL'));
  process.once('exit', atExit);

  try {
    for (let i = 0; i < 3; i++) {
      const port = await freePort();
      const file = join(directory, `${port}.conf`);
      writeFileSync(
        file,
        `port ${port}\nbind 127.0.0.1\ndir ${directory}\nsentinel monitor main 127.0.0.1 ${master.port} 2\n` +
          'sentinel down-after-milliseconds main 3000\nsentinel failover-timeout main 5000\n',
      );
      sentinels.push(spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' }));
      ports.push(port);
    }
    for (const port of ports) await knowsAll(port);
  } catch (error) {
    await remove();
    throw error;
  }
  const address = `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/main`;
  return { address, master, replica, remove };
}

/** Waits until a Sentinel knows the replica and the other Sentinels. */
async function knowsAll(port: number): Promise<void> {
  const client = new Redis({ port, retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', () => {});
  try {
    const ready = async (): Promise<boolean> => {
      const info = await client.info('sentinel');
      return info.includes('slaves=1,sentinels=3');
    };
    await until(`the sentinel at ${port} knows all`, ready, 30_000);
  } finally {
    client.disconnect();
  }
}
