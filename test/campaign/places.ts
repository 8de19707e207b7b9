import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../contract/sessions.ts';
import { fillDisk } from '../faults/small-disk.ts';
import { nowMs } from '../faults/programs/now.ts';
import { startRedisCluster } from '../redis/cluster.ts';
import { type Proxy, startProxy } from '../redis/proxy.ts';
import { startSentinelGroup } from '../redis/sentinel.ts';
import { ask, type RedisServer, startRedisServer } from '../redis/server.ts';
import type { Dice } from '../simulation/chance.ts';
import { space } from './tasks.ts';

/** Where the shared state of a campaign is, and what can go wrong there. */
export interface Place {
  /** What a client is to open. */
  where(client: number): string | readonly string[];
  /** The same past all proxies. */
  readonly direct: string | readonly string[];
  readonly faults: readonly StoreFault[];
  /** When what was acknowledged may have been lost, as documented. */
  readonly losses: readonly Loss[];
  /** How long a lease is, and the longest of several servers: ms. */
  readonly ttlMs: number;
  remove(): Promise<void>;
}

/** A master was gone from then to then; what was acknowledged so long before that may be lost with it: ms. */
export interface Loss {
  readonly from: number;
  readonly to: number;
  readonly reachMs: number;
}

/** Something that goes wrong for a while, and is mended when it resolves. */
export interface StoreFault {
  readonly name: string;
  run(dice: Dice): Promise<void>;
}

export const engines = ['embedded', 'redis', 'volatile', 'sentinel', 'cluster', 'quorum'] as const;
export type EngineName = (typeof engines)[number];

export const places: Readonly<Record<EngineName, () => Promise<Place>>> = {
  embedded,
  // With everysec a server that waits for a slow disk answers before it has written anything, for up to two seconds.
  redis: () => standalone(['--appendonly', 'yes', '--appendfsync', 'always']),
  volatile: () => standalone([]),
  sentinel,
  cluster,
  quorum,
};

const ttlMs = 1_000;
/** What was acknowledged so long ago must have got to a replica that follows: ms. */
const replicationMs = 10_000;

async function embedded(): Promise<Place> {
  const disk = smallDisk();
  const directory = join(disk.path, 'shared');
  const faults: StoreFault[] = [
    {
      name: 'full disk',
      async run(dice) {
        const ballast = fillDisk(disk.path);
        await sleep(dice.between(50, 1_500));
        rmSync(ballast);
      },
    },
  ];
  return {
    where: () => directory,
    direct: directory,
    faults: disk.isSmall ? faults : [],
    losses: [],
    ttlMs,
    async remove() {
      disk.remove();
    },
  };
}

/** A disk of 64 MiB, where this user may mount one. */
function smallDisk(): { path: string; isSmall: boolean; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'lockstep-campaign-'));
  let isSmall = true;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    isSmall = false;
  }
  const remove = (): void => {
    process.off('exit', remove);
    if (isSmall) execFileSync('umount', ['--lazy', path]);
    rmSync(path, { recursive: true, force: true });
  };
  process.once('exit', remove);
  return { path, isSmall, remove };
}

const debuggable = ['--enable-debug-command', 'yes'];

async function standalone(settings: readonly string[]): Promise<Place> {
  const server = await startRedisServer([...debuggable, ...settings]);
  // Two, so that one half of the clients is cut off while the other is not.
  const proxies = await Promise.all([startProxy(server.socket), startProxy(server.socket)]);
  const losses: Loss[] = [];
  const restart: StoreFault = {
    name: 'kill -9 of the server, and start',
    async run(dice) {
      const from = nowMs();
      await server.stop();
      await sleep(dice.pick([0, dice.between(100, 2_000)]));
      await server.start();
      if (settings.length === 0) losses.push({ from, to: nowMs(), reachMs: Infinity });
    },
  };
  return {
    where: (client) => proxies[client % proxies.length]!.address,
    direct: server.address,
    faults: [...proxies.flatMap((proxy) => networkFaults(proxy)), ...serverFaults(() => server), restart, restart],
    losses,
    ttlMs,
    async remove() {
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await server.remove();
    },
  };
}

/** What becomes of the connections of those behind a proxy. */
function networkFaults(proxy: Proxy): StoreFault[] {
  const during = async (change: () => void, mend: () => void, ms: number): Promise<void> => {
    change();
    await sleep(ms);
    mend();
  };
  const pause = (dice: Dice): number => dice.pick([dice.between(20, 300), dice.between(300, 3_000)]);
  return [
    { name: 'connections cut', run: async () => proxy.cut() },
    {
      name: 'partition',
      run: (dice) =>
        during(
          () => {
            proxy.refuse = true;
            proxy.cut();
          },
          () => (proxy.refuse = false),
          pause(dice),
        ),
    },
    {
      name: 'connections that hang',
      run: (dice) =>
        during(
          () => (proxy.hold = true),
          () => (proxy.hold = false),
          pause(dice),
        ),
    },
    {
      name: 'replies that are lost',
      run: (dice) =>
        during(
          () => (proxy.swallow = true),
          () => {
            proxy.swallow = false;
            proxy.cut(); // what was swallowed is missing in the streams
          },
          pause(dice),
        ),
    },
    {
      name: 'slow replies',
      run: (dice) =>
        during(
          () => (proxy.delayMs = dice.between(5, 150)),
          () => (proxy.delayMs = 0),
          pause(dice),
        ),
    },
    {
      name: 'connections cut before the reply',
      run: (dice) =>
        during(
          () => (proxy.cutAfter = (request) => request.includes('EVAL') && dice.isLucky(0.03)),
          () => (proxy.cutAfter = () => false),
          dice.between(200, 2_000),
        ),
    },
  ];
}

/** What an operator, or a slow machine, does to the server that has the data. */
function serverFaults(serverNow: () => RedisServer | Promise<RedisServer>, longestMs = 2_500): StoreFault[] {
  const asks = (name: string, ...command: [string, ...string[]]): StoreFault => ({
    name,
    run: async () => void (await ask(await serverNow(), ...command)),
  });
  return [
    asks('SCRIPT FLUSH', 'SCRIPT', 'FLUSH'),
    asks('CLIENT KILL of all', 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
    asks('CLIENT KILL of subscribers', 'CLIENT', 'KILL', 'TYPE', 'pubsub'),
    {
      name: 'SIGSTOP of the server',
      async run(dice) {
        const server = await serverNow();
        server.kill('SIGSTOP');
        await sleep(dice.between(50, longestMs));
        server.kill('SIGCONT');
      },
    },
    {
      name: 'DEBUG SLEEP',
      run: async (dice) =>
        void (await ask(await serverNow(), 'DEBUG', 'SLEEP', String(dice.between(0.05, longestMs / 1_000)))),
    },
  ];
}

async function sentinel(): Promise<Place> {
  const group = await startSentinelGroup(debuggable);
  const losses: Loss[] = [];
  const both = [group.master, group.replica];
  const masterNow = async (): Promise<RedisServer> => {
    for (const server of both) if (await isMaster(server)) return server;
    return group.master;
  };
  const failOver: StoreFault = {
    name: 'kill -9 of the master, and fail-over',
    async run() {
      const master = await masterNow();
      const replica = both.find((server) => server !== master)!;
      await until('the replica follows', () => follows(replica), 40_000);
      await master.stop();
      await until('the replica is promoted', () => isMaster(replica), 40_000);
      await master.start(); // as a master too, to those who ask a Sentinel that has not heard yet
      await until('the old master follows', () => follows(master), 40_000);
    },
  };
  const watching = watchMaster(both, losses);
  return {
    where: () => group.address,
    direct: group.address,
    faults: [...serverFaults(masterNow, 600), failOver, failOver, failOver],
    losses,
    ttlMs,
    async remove() {
      await watching.end();
      await group.remove();
    },
  };
}

/** Notes each change of the master: those that a test made, and those that a Sentinel on a busy machine thought right. */
function watchMaster(servers: readonly RedisServer[], losses: Loss[]): { end(): Promise<void> } {
  let endMs = Infinity;
  let calm: { at: number; master: RedisServer | undefined } = { at: nowMs(), master: undefined };
  const look = async (): Promise<void> => {
    const at = nowMs();
    const masters = await Promise.all(servers.map(isMaster));
    const master = servers[masters.indexOf(true)];
    const other = servers.find((server) => server !== master);
    const isCalm = masters.filter(Boolean).length === 1 && other?.isUp === true && (await follows(other));
    if (!isCalm) return;
    const { at: from, master: before } = calm;
    if (before !== undefined && before !== master) losses.push({ from, to: nowMs(), reachMs: replicationMs });
    calm = { at, master };
  };
  const watching = (async () => {
    while (calm.at < endMs) {
      await look().catch(() => {}); // a server that is down just now
      await sleep(100);
    }
  })();
  return {
    async end() {
      endMs = nowMs();
      const late = sleep(15_000, undefined, { ref: false }).then(() => (endMs = 0));
      await Promise.race([watching, late]);
    },
  };
}

async function isMaster(server: RedisServer): Promise<boolean> {
  return server.isUp && String(await ask(server, 'INFO', 'replication')).includes('role:master');
}

async function follows(server: RedisServer): Promise<boolean> {
  return String(await ask(server, 'INFO', 'replication')).includes('master_link_status:up');
}

function within(ms: number, condition: () => Promise<boolean>): Promise<boolean> {
  return until('it is so', condition, ms).then(
    () => true,
    () => false,
  );
}

async function cluster(): Promise<Place> {
  const all = await startRedisCluster(1);
  const losses: Loss[] = [];
  const key = `{${space}}:fence`;
  const masterIs = (expected: (now: RedisServer) => boolean) => async (): Promise<boolean> =>
    expected(await all.masterOf(key).catch(() => all.nodes[0]!));
  const faults: StoreFault[] = [
    {
      name: 'kill -9 of the master, and fail-over',
      async run() {
        const master = await all.masterOf(key);
        const replica = await all.replicaOf(key);
        const from = nowMs();
        await master.stop();
        await until(
          'the replica is promoted',
          masterIs((now) => now === replica),
          40_000,
        );
        losses.push({ from, to: nowMs(), reachMs: replicationMs });
        await master.start();
        await until('the old master follows', () => follows(master), 40_000);
      },
    },
    {
      name: 'CLUSTER FAILOVER',
      async run() {
        const replica = await all.replicaOf(key);
        const isPromoted = masterIs((now) => now === replica);
        const endMs = nowMs() + 40_000;
        // It is given up after 5 s where the master does not answer, as it may be stopped.
        for (let is = false; !is; is = await within(6_000, isPromoted)) {
          if (nowMs() > endMs) throw new Error('not within 40000 ms: CLUSTER FAILOVER promotes the replica');
          await ask(replica, 'CLUSTER', 'FAILOVER').catch(() => {});
        }
      },
    },
    {
      name: 'the slot moves',
      async run(dice) {
        await all.move(key, await all.otherMaster(key), () => sleep(dice.between(0, 500)));
      },
    },
  ];
  return {
    where: () => all.address,
    direct: all.address,
    faults: [...serverFaults(() => all.masterOf(key), 600).slice(0, 4), ...faults, ...faults],
    losses,
    ttlMs,
    remove: () => all.remove(),
  };
}

async function quorum(): Promise<Place> {
  const servers = await Promise.all([0, 1, 2].map(() => startRedisServer(debuggable)));
  const proxies = await Promise.all(servers.map((server) => startProxy(server.socket)));
  const restart = (server: RedisServer): StoreFault => ({
    name: 'kill -9 of a server, and start without data',
    async run(dice) {
      await server.stop();
      await sleep(dice.between(0, 1_500));
      await server.start();
    },
  });
  return {
    where: () => proxies.map(({ address }) => address),
    direct: servers.map(({ address }) => address),
    faults: [
      ...proxies.flatMap((proxy) => networkFaults(proxy)),
      ...servers.flatMap((server) => [...serverFaults(() => server), restart(server), restart(server)]),
    ],
    losses: [],
    ttlMs,
    async remove() {
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await Promise.all(servers.map((server) => server.remove()));
    },
  };
}
