// One process at full load: all kinds of shared things at once, until it is told to stop; says how it is when it is asked.
import { getEventListeners } from 'node:events';
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { open } from '../../../src/index.ts';
import { hear, onWord, say, task } from '../../faults/programs/voice.ts';

export interface LoaderPlan {
  readonly where: string;
  readonly number: number;
}

/** How a process is: bytes, numbers, and how long its calls took since it was asked last (ms). */
export interface Load {
  readonly heap: number;
  readonly rss: number;
  readonly files: number;
  readonly resources: number;
  readonly listeners: number;
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
}

const { where, number } = task<LoaderPlan>();
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const options = { space: 'soak', label: `loader ${number}`, onWarning: () => {} };
const shared = await open(where, options);
const stop = new AbortController();
let times: number[] = [];
let calls = 0;

onWord(({ what }) => {
  if (what === 'sample') say('sample', { ...sample() });
});

const queue = shared.queue<number>('work', { capacity: 500, maxDeliveries: Infinity });
const all = Promise.all([
  ...Array.from({ length: 4 }, () => again((i) => shared.lock(`hot${i % 2}`).run(() => {}))),
  again((i) => shared.lock(`own ${number} ${i}`).run(() => {})),
  again((i) => shared.lock('tried', { ttl: 500 }).run(() => {}, { timeout: i % 3, signal: stop.signal })),
  again(() => shared.counter('count').add()),
  again((i) => shared.map<number>('map').set(`k${i % 1_000}`, i)),
  again((i) => shared.map<number>('brief').set(`${number} ${i}`, i, { ttl: 1_000 })),
  again((i) => shared.map<number>('map').update(`k${i % 10}`, (now) => (now ?? 0) + 1)),
  ...Array.from({ length: 2 }, () => again((i) => transfer(i))),
  again((i) => queue.push(i, { timeout: '1s' })),
  again((i) => (i % 2 === 0 ? shared.list<number>('list').push(i) : shared.list<number>('list').shift())),
  again((i) => shared.stats('stats', { every: '1s', keep: 10 }).record(i % 100)),
  again(() => visit()),
  queue.work(() => {}, { concurrency: 4, signal: stop.signal }),
]);
say('ready');
await hear('stop');
stop.abort();
await all;
await shared.close();

/** Calls one after the other, as fast as they go. */
async function again(call: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; !stop.signal.aborted; i++) {
    const begun = performance.now();
    await call(i).catch((error: unknown) => {
      const code = (error as { code?: unknown }).code;
      if (code !== 'TIMEOUT' && !stop.signal.aborted) throw error;
    });
    calls += 1;
    if (calls % 8 === 0) times.push(performance.now() - begun);
  }
}

async function transfer(i: number): Promise<void> {
  const [from, to] = [String(i % 7), String((i * 3) % 11)];
  await shared.transaction(async (tx) => {
    const map = tx.map<number>('accounts');
    await map.set(from, ((await map.get(from)) ?? 0) - 1);
    await map.set(to, ((await map.get(to)) ?? 0) + 1);
  });
}

/** Another session, which holds something when it closes. */
async function visit(): Promise<void> {
  const visitor = await open(where, options);
  await visitor.lock('visit').acquire();
  await visitor.close();
  await new Promise((next) => setTimeout(next, 100));
}

function sample(): Load {
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? 0;
  const load: Load = {
    heap: heapUsed + external,
    rss,
    files: process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0,
    resources: process.getActiveResourcesInfo().length,
    listeners: listeners(),
    calls,
    p50: at(0.5),
    p99: at(0.99),
  };
  times = [];
  calls = 0;
  return load;
}

function listeners(): number {
  const own = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  return own + getEventListeners(stop.signal, 'abort').length;
}
