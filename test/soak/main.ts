/**
 * `npm run soak`: everything at full load for a long time; nothing may grow. Prints a table, and draws it.
 *
 *   --minutes N     for each engine (15)
 *   --engine NAME   embedded, redis or all (default)
 *   --out DIR       where the pictures go (.cache/soak)
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { nowMs } from '../faults/programs/now.ts';
import { type Program, startProgram } from '../faults/program.ts';
import { ask, hasRedisServer, startRedisServer } from '../redis/server.ts';
import { growthOf, isFlat, median, type Tolerance } from './flat.ts';
import { type Curve, numberOf, plotOf } from './plot.ts';
import type { Load, LoaderPlan } from './programs/loader.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '15' },
    engine: { type: 'string', default: 'all' },
    out: { type: 'string', default: '.cache/soak' },
  },
});

/** A store at full load, and what it says of itself. */
interface Soaked {
  readonly where: string;
  measure(): Promise<Record<string, number>>;
  remove(): Promise<void>;
}

interface Measure {
  readonly unit: string;
  readonly tolerance: Tolerance;
}

const mib = 2 ** 20;
const count: Measure = { unit: '', tolerance: { share: 0.1, slack: 5 } };
const size: Measure = { unit: 'MiB', tolerance: { share: 0.1, slack: 3 } };
/** What a machine that does other things too makes of them goes up and down. */
const latency: Measure = { unit: 'ms', tolerance: { share: 0.5, slack: 1 } };

const measures: Readonly<Record<string, Measure>> = {
  'heap after collection': size,
  'resident memory': { unit: 'MiB', tolerance: { share: 0.15, slack: 15 } },
  'open files and sockets': count,
  'timers, sockets, threads': count,
  listeners: count,
  'latency, median': latency,
  'latency, 99 %': { unit: 'ms', tolerance: { share: 0.5, slack: 5 } },
  'files of the store': count,
  'size of the store': { unit: 'MiB', tolerance: { share: 0.15, slack: 4 } },
  'keys of the store': { unit: '', tolerance: { share: 0.1, slack: 50 } },
  connections: count,
};

const stores: Readonly<Record<string, () => Promise<Soaked>>> = { embedded, redis };

// Servers and disks are taken down when this process exits.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

process.exitCode = await main();

async function main(): Promise<number> {
  const minutes = Number(values.minutes);
  const chosen = Object.keys(stores).filter((name) => values.engine === 'all' || values.engine === name);
  if (chosen.length === 0 || !(minutes > 0)) {
    console.error('usage: npm run soak -- [--minutes N] [--engine embedded|redis|all] [--out DIR]');
    return 2;
  }
  let growing = 0;
  for (const name of chosen) {
    if (name === 'redis' && !hasRedisServer) continue;
    growing += await soak(name, minutes * 60_000);
  }
  return growing === 0 ? 0 : 1;
}

/** How many measures grew. */
async function soak(name: string, ms: number): Promise<number> {
  const store = await stores[name]!();
  const loaders: Program[] = [];
  const curves = new Map<string, { at: number; value: number }[]>();
  let calls = 0;
  try {
    for (const number of [1, 2]) {
      const plan: LoaderPlan = { where: store.where, number };
      loaders.push(startProgram(join(import.meta.dirname, 'programs/loader.ts'), plan));
    }
    await Promise.all(loaders.map((loader) => loader.hears('ready')));
    const begun = nowMs();
    while (nowMs() - begun < ms) {
      await sleep(Math.min(5_000, ms / 30));
      const sampled = await sample(loaders, store);
      calls += sampled.calls;
      for (const [what, value] of Object.entries(sampled.values)) {
        curves.set(what, [...(curves.get(what) ?? []), { at: nowMs() - begun, value }]);
      }
    }
    for (const loader of loaders) loader.tell({ what: 'stop' });
    for (const loader of loaders) {
      const { code } = await loader.ends(60_000);
      if (code !== 0) throw new Error(`a loader ended with ${code}: ${loader.stderr}`);
    }
  } finally {
    for (const loader of loaders) loader.signal('SIGKILL');
    await Promise.all(loaders.map(({ exited }) => exited));
    await store.remove();
  }
  return told(`${name}: ${Math.round(ms / 1_000)} s, ${numberOf(calls)} calls`, name, curves);
}

async function sample(
  loaders: readonly Program[],
  store: Soaked,
): Promise<{ calls: number; values: Record<string, number> }> {
  for (const loader of loaders) loader.tell({ what: 'sample' });
  const loads = await Promise.all(loaders.map(async (loader) => (await loader.hears('sample')) as unknown as Load));
  const sum = (of: (load: Load) => number): number => loads.reduce((all, load) => all + of(load), 0);
  return {
    calls: sum(({ calls }) => calls),
    values: {
      'heap after collection': sum(({ heap }) => heap) / mib,
      'resident memory': sum(({ rss }) => rss) / mib,
      'open files and sockets': sum(({ files }) => files),
      'timers, sockets, threads': sum(({ resources }) => resources),
      listeners: sum(({ listeners }) => listeners),
      'latency, median': Math.max(...loads.map(({ p50 }) => p50)),
      'latency, 99 %': Math.max(...loads.map(({ p99 }) => p99)),
      ...(await store.measure()),
    },
  };
}

function told(title: string, name: string, points: ReadonlyMap<string, Curve['points']>): number {
  const curves = [...points].map(([what, each]): Curve => {
    const { unit, tolerance } = measures[what]!;
    return { name: what, unit, points: each, isFlat: isFlat(each, tolerance) };
  });
  console.log(`\n${title}\n\n| | median | growth after the warm-up | |\n|---|---|---|---|`);
  for (const curve of curves) {
    const middle = median(curve.points.map(({ value }) => value));
    const growth = growthOf(curve.points);
    const cells = [middle, growth].map((value) => `${numberOf(value)} ${curve.unit}`.trim());
    console.log(`| ${curve.name} | ${cells.join(' | ')} | ${curve.isFlat ? 'flat' : 'GROWS'} |`);
  }
  mkdirSync(values.out, { recursive: true });
  const file = join(values.out, `soak-${name}.svg`);
  writeFileSync(file, plotOf(title, curves));
  console.log(`\n${file}`);
  return curves.filter((curve) => !curve.isFlat).length;
}

async function embedded(): Promise<Soaked> {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-soak-'));
  return {
    where: directory,
    async measure() {
      const files = readdirSync(directory);
      const bytes = files.map((file) => statSync(join(directory, file), { throwIfNoEntry: false })?.size ?? 0);
      return { 'files of the store': files.length, 'size of the store': bytes.reduce((a, b) => a + b, 0) / mib };
    },
    async remove() {
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

async function redis(): Promise<Soaked> {
  const server = await startRedisServer();
  const numberIn = (info: string, name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1]);
  return {
    where: server.address,
    async measure() {
      const info = String(await ask(server, 'INFO'));
      return {
        'keys of the store': Number(await ask(server, 'DBSIZE')),
        'size of the store': numberIn(info, 'used_memory_dataset') / mib,
        connections: numberIn(info, 'connected_clients'),
      };
    },
    remove: () => server.remove(),
  };
}
