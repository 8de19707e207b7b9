import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from './clock.ts';
import type { Act } from './cost.ts';
import { type Grown, type Growth, grow, growthPlan } from './growing.ts';
import type { Stage } from './report.ts';
import { openStore, type Store, type StoreKind } from './stores.ts';

export type CollectionKind = 'map' | 'set' | 'sorted' | 'list';

const titles: Record<CollectionKind, string> = { map: 'Map', set: 'Set', sorted: 'Sorted set', list: 'List' };
const fillers: Record<CollectionKind, (store: Store, size: number) => Promise<Grown['acts']>> = {
  map: fillMap,
  set: fillSet,
  sorted: fillSorted,
  list: fillList,
};
const countingMsMax = 60_000;
/** Members that are put in at once. */
const pageMembers = 1_000;

/** Of so many members; each size in a store of its own. */
export async function growthOfCollection(
  stage: Stage,
  kind: StoreKind,
  collection: CollectionKind,
  sizes: readonly number[],
): Promise<Growth> {
  const all: Grown[] = [];
  for (const size of sizes) {
    const store = await openStore(stage, kind, `${collection}-${kind}-${size}`);
    all.push({ size, store, acts: await fillers[collection](store, size) });
  }
  const growth = await grow(`${titles[collection]}, ${kind}`, all, growthPlan);
  for (const { store } of all) await store.close();
  return growth;
}

async function fillMap({ shared }: Store, size: number): Promise<Record<string, Act>> {
  const map = shared.map<number>('grown');
  await paged(size, (page) => map.setAll(page.map((i) => [`field-${i}`, i])));
  return {
    get: (turn) => map.get(`field-${placeOf(turn, size)}`),
    set: (turn) => map.set(`field-${placeOf(turn, size)}`, turn),
    'set and delete a new field': async (turn) => {
      await map.set(`new-${turn}`, turn);
      await map.delete(`new-${turn}`);
    },
    size: () => map.size(),
  };
}

async function fillSet({ shared }: Store, size: number): Promise<Record<string, Act>> {
  const set = shared.set<string>('grown');
  await paged(size, (page) => set.addAll(page.map((i) => `member-${i}`)));
  return {
    has: (turn) => set.has(`member-${placeOf(turn, size)}`),
    'add and delete': async (turn) => {
      await set.add(`new-${turn}`);
      await set.delete(`new-${turn}`);
    },
    'pop and add': async () => set.add((await set.pop())!),
  };
}

async function fillSorted({ shared }: Store, size: number): Promise<Record<string, Act>> {
  const sorted = shared.sortedSet<string>('grown');
  await paged(size, (page) => sorted.setAll(page.map((i) => [`member-${i}`, i])));
  const set = (turn: number): Promise<boolean> => sorted.set(`member-${placeOf(turn, size)}`, placeOf(turn * 7, size));
  let counted: Promise<void> | undefined;
  return {
    score: (turn) => sorted.score(`member-${placeOf(turn, size)}`),
    'set another score': set,
    'popMin and set': async () => {
      const [[member, score]] = (await sorted.popMin()) as [[string, number]];
      await sorted.set(member, score);
    },
    'ten by score': (turn) => sorted.rangeByScore({ min: placeOf(turn, size - 9), limit: 10 }),
    'rank of a member': async (turn) => {
      await (counted ??= untilCounted(() => sorted.rank(`member-${placeOf(turn, size)}`)));
      return sorted.rank(`member-${placeOf(turn, size)}`);
    },
    'set another score, where ranks are asked for': set,
  };
}

/** A directory counts the members of a large set behind the first who asks for a rank. */
async function untilCounted(rank: () => Promise<unknown>): Promise<void> {
  for (const endMs = nowMs() + countingMsMax; nowMs() < endMs; await sleep(200)) {
    const beganMs = nowMs();
    for (let i = 0; i < 10; i++) await rank();
    if (nowMs() - beganMs < 10) return;
  }
}

async function fillList({ shared }: Store, size: number): Promise<Record<string, Act>> {
  const list = shared.list<number>('grown');
  await paged(size, (page) => list.pushAll(page));
  return {
    'push and shift': async (turn) => {
      await list.push(turn);
      await list.shift();
    },
    'at either end': (turn) => list.at(turn % 2 === 0 ? 0 : -1),
  };
}

async function paged(size: number, put: (page: number[]) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < size; from += pageMembers) {
    await put(Array.from({ length: Math.min(pageMembers, size - from) }, (_, i) => from + i));
  }
}

/** Some member, all over. */
function placeOf(turn: number, size: number): number {
  return (Math.imul(turn, 2_654_435_761) >>> 0) % size;
}
