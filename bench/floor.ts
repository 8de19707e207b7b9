/**
 * What single operations take, one after the other without anybody in the way, beside what nothing can be cheaper than:
 * on Redis the bare round trip by ioredis and by redis-benchmark, in a directory a bare transaction of SQLite.
 *
 * `--only Redis,embedded`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import type { Lockstep } from '../src/index.ts';
import { type Act, type Cost, costOf, cpuOf } from './rig/cost.ts';
import { bench, type Stage } from './rig/report.ts';
import { atMost } from './rig/rounds.ts';
import { spread, type Spread } from './rig/statistics.ts';
import { openStore, type Store, storeKinds } from './rig/stores.ts';
import { cell, digits } from './rig/table.ts';
import { type Traffic, trafficOf } from './rig/traffic.ts';

const rounds = 9;
const windowMs = 100;
const timesMax = 2;
const trivial = 'return 1';

/** A way to do something, and how many times the floor of its store it needs. */
interface Way {
  readonly act: Act;
  /** Round trips, or transactions, that it can't do without; 0: it is a floor itself. */
  readonly floors: number;
  /** Writes nothing. */
  readonly reads?: true;
}

await bench('floor', 120_000, async (stage) => {
  for (const kind of storeKinds) {
    if (stage.wants(kind)) await compare(stage, await openStore(stage, kind, kind));
  }
});

async function compare(stage: Stage, store: Store): Promise<void> {
  const bare = store.server === undefined ? bareSqlite(stage, store) : await bareRedis(store);
  const ways = new Map<string, Way>([...bare, ...operations(stage, store.shared)]);
  const costs = new Map<string, Cost[]>([...ways.keys()].map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, { act }] of ways) {
      const cost = await costOf(store, windowMs, act);
      if (round >= 0) costs.get(name)!.push(cost); // the first is to compile
    }
  }
  const traffic = new Map<string, Traffic>();
  if (store.server !== undefined) {
    for (const [name, { act }] of ways) traffic.set(name, await trafficOf(store.server, act));
  }
  const [reading, writing] = [...bare.keys()].map((name) => costs.get(name)!) as [Cost[], Cost[]];
  const times = (name: string, of: (cost: Cost) => number): Spread => {
    const { floors, reads = false } = ways.get(name)!;
    const floor = reads && store.server === undefined ? reading : writing;
    return spread(costs.get(name)!.map((cost, round) => of(cost) / of(floor[round]!) / floors));
  };
  const wall = ({ wallUs }: Cost): number => wallUs;
  const own = [...ways.keys()].filter((name) => ways.get(name)!.floors > 0);
  const heads = [
    '',
    'µs',
    'client CPU µs',
    'server CPU µs',
    'writes',
    'sent',
    'in scripts',
    'floors',
    'times the floor',
    'in CPU',
  ];
  stage.show({
    title: `${store.kind}: one after the other`,
    head: store.server === undefined ? [...heads.slice(0, 3), ...heads.slice(-3)] : heads,
    lines: [
      ...[...costs].map(([name, all]) => [
        name,
        cell(spread(all.map(({ wallUs }) => wallUs))),
        cell(spread(all.map(({ clientUs }) => clientUs))),
        ...(store.server === undefined ? [] : serverCells(all, traffic.get(name)!)),
        ...(ways.get(name)!.floors === 0
          ? []
          : [digits(ways.get(name)!.floors), `${cell(times(name, wall))} ×`, `${cell(times(name, cpuOf))} ×`]),
      ]),
      ...(store.server === undefined ? [] : [benchmarked(store)]),
    ],
    findings: own.map((name) =>
      atMost(`${store.kind}: ${name}, times the floor for each round trip`, times(name, wall).median, timesMax),
    ),
    figures: { costs: [...costs], traffic: [...traffic] },
  });
}

function serverCells(all: readonly Cost[], { writes, sent, inside }: Traffic): string[] {
  return [cell(spread(all.map(({ serverUs }) => serverUs))), digits(writes), digits(sent), digits(inside)];
}

/** The last one is what an operation can't be cheaper than, the one before it less than any. */
async function bareRedis({ server }: Store): Promise<Map<string, Way>> {
  const digest = (await server!.script('LOAD', trivial)) as string;
  return new Map<string, Way>([
    ['ioredis: PING', { act: () => server!.ping(), floors: 0 }],
    ['ioredis: EVALSHA of a script that does nothing', { act: () => server!.evalsha(digest, 0), floors: 0 }],
  ]);
}

/** By the program that comes with the server: one connection, one request after the other. */
function benchmarked({ where }: Store): string[] {
  const socket = where.slice('redis+unix:'.length);
  const digest = createHash('sha1').update(trivial).digest('hex');
  const settings = ['-s', socket, '-c', '1', '-n', '20000', '-q'];
  const { stdout } = spawnSync('redis-benchmark', [...settings, 'EVALSHA', digest, '0'], { encoding: 'utf8' });
  const perSecond = Number([...stdout.matchAll(/([\d.]+) requests per second/g)].at(-1)?.[1]);
  return ['redis-benchmark: the same EVALSHA', digits(1e6 / perSecond)];
}

/** A row that is read and a row that is written, each in a transaction of its own: what operations that only read, and others, can't be cheaper than. */
function bareSqlite(stage: Stage, { directory }: Store): Map<string, Way> {
  const sqlite = new DatabaseSync(join(directory, 'bare.db'));
  stage.atEnd(async () => sqlite.close());
  sqlite.exec(`PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE keys (key TEXT PRIMARY KEY, value TEXT, expires INTEGER) WITHOUT ROWID, STRICT`);
  const [begin, commit] = [sqlite.prepare('BEGIN IMMEDIATE'), sqlite.prepare('COMMIT')];
  const read = sqlite.prepare('SELECT value, expires FROM keys WHERE key = ?');
  const write = sqlite.prepare('REPLACE INTO keys VALUES (?, ?, NULL)');
  return new Map<string, Way>([
    ['SQLite: a row is read', { act: async () => read.get('row'), floors: 0 }],
    [
      'SQLite: a transaction reads and writes a row',
      {
        async act(turn) {
          begin.run();
          read.get('row');
          write.run('row', String(turn));
          commit.run();
        },
        floors: 0,
      },
    ],
  ]);
}

function operations(stage: Stage, shared: Lockstep): Map<string, Way> {
  const lock = shared.lock('uncontended');
  const counter = shared.counter('counter');
  const map = shared.map<number>('map');
  const pushed = shared.queue<number>('pushed');
  const worked = shared.queue<number>('worked');
  let handled: () => void = () => {};
  const stop = new AbortController();
  let working: Promise<void> | undefined;
  stage.atEnd(async () => {
    stop.abort();
    await working;
  });
  return new Map<string, Way>([
    ['acquire and release', { act: async () => (await lock.acquire()).release(), floors: 2 }],
    ['counter.add', { act: () => counter.add(1), floors: 1 }],
    ['map.get', { act: () => map.get('field'), floors: 1, reads: true }],
    ['map.set', { act: (turn) => map.set('field', turn), floors: 1 }],
    [
      'transaction: two fields read and written',
      {
        act: () =>
          shared.transaction(async (tx) => {
            const fields = tx.map<number>('accounts');
            const [a = 0, b = 0] = await Promise.all([fields.get('a'), fields.get('b')]);
            await fields.set('a', a - 1);
            await fields.set('b', b + 1);
          }),
        floors: 2, // what it reads, and its commit
      },
    ],
    ['queue.push', { act: (turn) => pushed.push(turn), floors: 1 }],
    [
      'queue.push, until it is handled',
      {
        async act(turn) {
          working ??= worked.work(() => handled(), { signal: stop.signal });
          const done = new Promise<void>((resolve) => (handled = resolve));
          await worked.push(turn);
          await done;
        },
        floors: 2, // push, and fetch; the acknowledgement goes with the next one
      },
    ],
  ]);
}
