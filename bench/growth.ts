/**
 * What an operation costs as things grow: processes, waiters of a lock, keys, members of a collection, bytes of a value;
 * in a directory and on Redis. Sizes take turns in rounds: read the ratios.
 *
 * `--only processes,waiters,keys,map,set,sorted,list,values`; `--most 10000` leaves larger sizes out; `--plot DIR` writes
 * a picture of each part.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { growthOfCollection, type CollectionKind } from './rig/growing-collections.ts';
import { growthOfKeys, growthOfValues, growthOfWaiters } from './rig/growing-locks.ts';
import { growthOfProcesses } from './rig/growing-processes.ts';
import { type Growth, sectionOf } from './rig/growing.ts';
import { growthPlot } from './rig/growth-plot.ts';
import { bench, type Stage } from './rig/report.ts';
import { storeKinds } from './rig/stores.ts';

const collections: readonly CollectionKind[] = ['map', 'set', 'sorted', 'list'];

await bench('growth', 480_000, async (stage) => {
  const sizes = upTo(stage, [10, 1_000, 100_000, 1_000_000]);
  if (stage.wants('processes')) {
    for (const growth of await growthOfProcesses(stage, upTo(stage, [1, 2, 4, 8, 16]))) show(stage, growth, []);
  }
  for (const kind of storeKinds) {
    if (stage.wants('waiters')) {
      const waiters = upTo(stage, [1, 10, 1_000, 10_000]);
      for (const growth of await growthOfWaiters(stage, kind, waiters)) show(stage, growth);
    }
    if (stage.wants('keys')) show(stage, await growthOfKeys(stage, kind, sizes));
    for (const collection of collections) {
      if (stage.wants(collection)) show(stage, await growthOfCollection(stage, kind, collection, sizes));
    }
    if (stage.wants('values')) {
      show(stage, await growthOfValues(stage, kind, upTo(stage, [10, 1_000, 100_000, 1_000_000])), []);
    }
  }
});

function upTo(stage: Stage, sizes: readonly number[]): readonly number[] {
  const most = Number(stage.option('most') ?? Infinity);
  return sizes.filter((size) => size <= most);
}

function show(stage: Stage, growth: Growth, judged: readonly string[] = [...growth.costs.keys()]): void {
  stage.show(sectionOf(growth, judged));
  const directory = stage.option('plot');
  if (directory === undefined) return;
  mkdirSync(directory, { recursive: true });
  const file = `growth-${growth.title.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}.svg`;
  writeFileSync(join(directory, file), growthPlot(growth));
}
