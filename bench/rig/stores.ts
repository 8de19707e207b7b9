import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Engine } from '../../src/engines/engine.ts';
import { embeddedEngine } from '../../src/engines/embedded/embedded.ts';
import type { Lockstep } from '../../src/index.ts';
import { checkOptions, connect } from '../../src/open.ts';
import { startRedis } from './redis.ts';
import type { Stage } from './report.ts';

export const storeKinds = ['embedded', 'Redis'] as const;
export type StoreKind = (typeof storeKinds)[number];

/** A store of its own, and one session in it. */
export interface Store {
  readonly kind: StoreKind;
  /** What `open` takes. */
  readonly where: string;
  readonly directory: string;
  readonly engine: Engine;
  readonly shared: Lockstep;
  /** A client of the server. */
  readonly server: Redis | undefined;
  close(): Promise<void>;
}

/** The first lease of a session starts the thread that renews, which nobody measures here: in this time. */
const threadStartMs = 300;

/** Opens a directory, or a redis-server that was started for it, under the directory of the stage. */
export async function openStore(stage: Stage, kind: StoreKind, name: string): Promise<Store> {
  const directory = join(stage.directory, name);
  mkdirSync(directory, { recursive: true });
  const store = kind === 'Redis' ? await onServer(stage, directory) : await inDirectory(directory);
  stage.atEnd(() => store.close());
  await store.shared.lock('first').run(() => sleep(threadStartMs));
  return store;
}

async function inDirectory(directory: string): Promise<Store> {
  const engine = await embeddedEngine({ directory, durability: 'normal' });
  const shared = await connect(engine, checkOptions({}));
  return {
    kind: 'embedded',
    where: directory,
    directory,
    engine,
    shared,
    server: undefined,
    close: once(() => shared.close()),
  };
}

async function onServer(stage: Stage, directory: string): Promise<Store> {
  const { clientsAt } = await import('../../src/engines/redis/clients.ts');
  const { redisEngine } = await import('../../src/engines/redis/redis.ts');
  const started = await startRedis(directory);
  stage.atEnd(() => started.stop());
  stage.setUp['redis-server'] ??= `${started.version}, unix sockets, nothing on disk`;
  const where = `redis+unix:${started.path}`;
  const engine = await redisEngine({ clients: await clientsAt(where) });
  const shared = await connect(engine, checkOptions({}));
  const server = new Redis(started.path);
  return {
    kind: 'Redis',
    where,
    directory,
    engine,
    shared,
    server,
    close: once(async () => {
      await shared.close();
      await server.quit();
      await started.stop();
    }),
  };
}

function once(end: () => Promise<void>): () => Promise<void> {
  let ended: Promise<void> | undefined;
  return () => (ended ??= end());
}

/** CPU time that a server has used so far: µs. */
export async function cpuUsOf(server: Redis): Promise<number> {
  const info = await server.info('cpu');
  return (numberIn(info, 'used_cpu_sys') + numberIn(info, 'used_cpu_user')) * 1e6;
}

/** A figure of INFO. */
export function numberIn(info: string, field: string): number {
  return Number(new RegExp(`^${field}:(.*)$`, 'm').exec(info)![1]);
}
