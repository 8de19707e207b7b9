/**
 * What things take while they are there: bytes of the server's memory or of the database, and of this process's heap, for
 * each lock, waiter, key, message and session.
 *
 * `--only Redis,embedded`.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Lockstep, open } from '../src/index.ts';
import { bench, type Stage } from './rig/report.ts';
import { numberIn, openStore, type Store, storeKinds } from './rig/stores.ts';
import { digits } from './rig/table.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Thing {
  readonly name: string;
  readonly count: number;
  /** Makes the one of this number; what it gives is kept. */
  make(shared: Lockstep, number: number, where: string): Promise<unknown>;
}

const many = 10_000;
/** Calls that are made before the first one is awaited. */
const atOnce = 500;
const text = 'x'.repeat(30); // and two quotes
const things: readonly Thing[] = [
  { name: 'lock that is held', count: many, make: (shared, i) => shared.lock(`held-${i}`).acquire() },
  {
    name: 'task that waits for a lock',
    count: many,
    make: async (shared, i) => (i === 0 ? shared.lock('wanted').acquire() : waiting(shared, 'wanted')),
  },
  { name: 'counter', count: many, make: (shared, i) => shared.counter(`counter-${i}`).add(1) },
  { name: 'value of 32 bytes', count: many, make: (shared, i) => shared.value(`value-${i}`).set(text) },
  { name: 'field of a map, 32 bytes', count: many, make: (shared, i) => shared.map('map').set(`field-${i}`, text) },
  {
    name: 'member of a set, 32 bytes',
    count: many,
    make: (shared, i) => shared.set('set').add(memberOf(i)),
  },
  {
    name: 'member of a sorted set, 32 bytes',
    count: many,
    make: (shared, i) => shared.sortedSet('sorted').set(memberOf(i), i),
  },
  { name: 'element of a list, 32 bytes', count: many, make: (shared) => shared.list('list').push(text) },
  { name: 'message of 32 bytes', count: many, make: (shared) => shared.queue('queue').push(text) },
  {
    name: 'session that waits for a lock',
    count: 50,
    async make(shared, i, where) {
      if (i === 0) return shared.lock('wanted by many').acquire();
      const session = await open(where, { onWarning() {} });
      sessions.push(session);
      return waiting(session, 'wanted by many');
    },
  },
];
const sessions: Lockstep[] = [];

await bench('memory', 90_000, async (stage) => {
  for (const kind of storeKinds) if (stage.wants(kind)) await weigh(stage, await openStore(stage, kind, kind));
});

async function weigh(stage: Stage, store: Store): Promise<void> {
  const kept: unknown[] = [];
  const found: { name: string; count: number; stored: number; heap: number }[] = [];
  for (const { name, count, make } of things) {
    const one = (i: number): Promise<unknown> => make(store.shared, i, store.where);
    kept.push(await one(0)); // what the first one needs besides
    const before = await sizes(store);
    for (let i = 1; i <= count; i += atOnce) {
      const some = Array.from({ length: Math.min(atOnce, count - i + 1) }, (_, next) => one(i + next));
      kept.push(...(await Promise.all(some)));
    }
    await sleep(50); // what follows the last one
    const after = await sizes(store);
    const each = (of: 'stored' | 'heap'): number => (after[of] - before[of]) / count;
    found.push({ name, count, stored: each('stored'), heap: each('heap') });
  }
  const where = store.server === undefined ? 'the database' : "the server's memory";
  stage.show({
    title: `${store.kind}: bytes for each`,
    head: ['', 'how many', where, 'the heap of the process'],
    lines: found.map(({ name, count, stored, heap }) => [
      name,
      digits(count),
      digits(stored),
      digits(Math.max(0, heap)),
    ]),
    findings: [],
    figures: found,
  });
  for (const session of sessions.splice(0)) await session.close();
  await store.close();
}

function memberOf(i: number): string {
  return `${text.slice(6)}${100_000 + i}`;
}

/** A task that waits from when this resolves on, as far as the store knows soon. */
async function waiting(shared: Lockstep, lock: string): Promise<{ lease: Promise<unknown> }> {
  const lease = shared.lock(lock).acquire();
  lease.catch(() => {}); // when the session is closed
  return { lease };
}

async function sizes({ directory, server }: Store): Promise<{ stored: number; heap: number }> {
  const stored = server === undefined ? databaseBytes(directory) : numberIn(await server.info('memory'), 'used_memory');
  collect();
  await sleep(20);
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return { stored, heap: heapUsed + external };
}

/** Pages that hold something. */
function databaseBytes(directory: string): number {
  const file = readdirSync(directory).find((name) => name.endsWith('.db'));
  const sqlite = new DatabaseSync(join(directory, file!), { readOnly: true });
  const pragma = (name: string): number => Object.values(sqlite.prepare(`PRAGMA ${name}`).get()!)[0] as number;
  const bytes = (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
  sqlite.close();
  return bytes;
}
