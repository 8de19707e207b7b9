import { Queue as BullQueue, Worker as BullWorker } from 'bullmq';
import BeeQueue from 'bee-queue';
import { open } from '../../src/index.ts';
import { nowMs } from './clock.ts';

export const queues = ['lockstep', 'BullMQ', 'bee-queue'] as const;
export type QueueName = (typeof queues)[number];

export interface QueuePlace {
  /** The socket of the server. */
  readonly redisPath: string;
  readonly name: string;
}

/** One process's way to a queue: for one who pushes, or one who works. */
export interface QueueEnd {
  push(item: Item): Promise<unknown>;
  /** Several in one call. */
  pushAll(items: readonly Item[]): Promise<unknown>;
  /** Handles messages until `stop`, so many at once. */
  work(concurrency: number, handler: (item: Item) => Promise<void>): void;
  close(): Promise<void>;
}

/** 90 bytes as JSON. */
export interface Item {
  readonly n: number;
  readonly text: string;
}

export interface Pushed {
  readonly startMs: number;
  readonly cpuUs: number;
}

export interface Worked {
  readonly handled: number;
  readonly sum: number;
  readonly lastMs: number;
  readonly cpuUs: number;
}

export async function openQueue(name: QueueName, place: QueuePlace): Promise<QueueEnd> {
  if (name === 'lockstep') return openLockstep(place);
  return name === 'BullMQ' ? openBull(place) : openBee(place);
}

/** Pushes the numbers from 1 to `count`, each by a call of its own, so many calls at once. */
export async function pushAll({ push }: QueueEnd, count: number, atOnce: number): Promise<Pushed> {
  const startMs = nowMs();
  const before = process.cpuUsage();
  let n = 0;
  const pusher = async (): Promise<void> => {
    while (n < count) {
      n += 1;
      await push(itemOf(n));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, pusher));
  const { user, system } = process.cpuUsage(before);
  return { startMs, cpuUs: user + system };
}

/** Pushes so many, as fast as it goes. */
export async function fill({ pushAll: push }: QueueEnd, count: number): Promise<void> {
  const atOnce = 10_000;
  for (let n = 0; n < count; n += atOnce) {
    await push(Array.from({ length: Math.min(atOnce, count - n) }, (_, i) => itemOf(n + i + 1)));
  }
}

/** What a process has handled so far, and has to tell of it. */
export function startWorking(end: QueueEnd, concurrency: number): () => Worked {
  const before = process.cpuUsage();
  const worked = { handled: 0, sum: 0, lastMs: 0 };
  end.work(concurrency, async ({ n }) => {
    worked.handled += 1;
    worked.sum += n;
    worked.lastMs = nowMs();
  });
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { ...worked, cpuUs: user + system };
  };
}

function itemOf(n: number): Item {
  const text = 'x'.repeat(90 - '{"n":,"text":""}'.length - String(n).length);
  return { n, text };
}

async function openLockstep({ redisPath, name }: QueuePlace): Promise<QueueEnd> {
  const shared = await open(`redis+unix:${redisPath}`, { onWarning() {} });
  const queue = shared.queue<Item>(name);
  const stop = new AbortController();
  let working: Promise<void> | undefined;
  return {
    push: (item) => queue.push(item),
    pushAll: (items) => queue.pushAll(items),
    work(concurrency, handler) {
      working = queue.work((job) => handler(job.data), { concurrency, signal: stop.signal });
    },
    async close() {
      stop.abort();
      await working;
      await shared.close();
    },
  };
}

async function openBull({ redisPath, name }: QueuePlace): Promise<QueueEnd> {
  const connection = { path: redisPath, maxRetriesPerRequest: null };
  const queue = new BullQueue<Item>(name, { connection });
  await queue.waitUntilReady();
  let worker: BullWorker<Item> | undefined;
  return {
    push: (item) => queue.add('item', item, { removeOnComplete: true, removeOnFail: true }),
    pushAll: (items) => queue.addBulk(items.map((data) => ({ name: 'item', data }))),
    work(concurrency, handler) {
      worker = new BullWorker<Item>(name, (job) => handler(job.data), { connection, concurrency });
    },
    async close() {
      await worker?.close(true);
      await queue.close();
    },
  };
}

/** Without events, and without jobs that are kept in memory, as its README advises for speed. */
async function openBee({ redisPath, name }: QueuePlace): Promise<QueueEnd> {
  const settings = { getEvents: false, sendEvents: false, storeJobs: false, removeOnSuccess: true };
  const queue = new BeeQueue<Item>(name, { redis: { path: redisPath }, ...settings });
  await queue.ready();
  return {
    push: (item) => queue.createJob(item).save(),
    pushAll: (items) => queue.saveAll(items.map((item) => queue.createJob(item))),
    work: (concurrency, handler) => queue.process(concurrency, (job: BeeQueue.Job<Item>) => handler(job.data)),
    close: () => queue.close(1_000),
  };
}
