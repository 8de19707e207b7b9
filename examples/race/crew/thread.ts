/** A thread of the crew: eight tasks that do the same at the same time. */
import { parentPort, workerData } from 'node:worker_threads';
import { open } from '../../../src/index.ts';
import type { Events } from '../scenario.ts';
import { scenarios, space, tasks } from '../plan.ts';
import { machineMs, type News, type Order, type Run, type Sender, type Tally } from './messages.ts';

const { where, sender } = workerData as { where: string; sender: Sender };
const label = `racer ${sender.process}.${sender.thread}`;
const shared = await open(where, { space, label, onWarning() {} }); // the race itself is told
let stopHalfwayAtMs = Number.POSITIVE_INFINITY;

parentPort!.on('message', (order: Order) => {
  attempt(order.say === 'close' ? close() : run(order));
});
tell({ say: 'ready' });

type Running = { -readonly [K in keyof Tally]: Tally[K] };

async function close(): Promise<void> {
  await shared.close();
  parentPort!.close();
}

async function run({ scenario: name, safe, ms, stopHalfwayAfterMs = Number.POSITIVE_INFINITY }: Run): Promise<void> {
  const scenario = scenarios.find((one) => one.name === name)!;
  const way = safe ? scenario.safe : scenario.unsafe;
  const tally: Running = { operations: 0, updates: 0, worstMs: 0 };
  const untilMs = performance.now() + ms;
  stopHalfwayAtMs = performance.now() + stopHalfwayAfterMs;
  const ticker = setInterval(() => report(tally, false), 100);
  await Promise.all(
    Array.from({ length: tasks }, (_, i) => work(way.task(shared, `${label}.${i}`, events), untilMs, tally)),
  );
  clearInterval(ticker);
  report(tally, true);
}

async function work(operation: () => Promise<number>, untilMs: number, tally: Running): Promise<void> {
  for (let startedMs = performance.now(); startedMs < untilMs || stopHalfwayAtMs < untilMs;) {
    const updates = await operation();
    const nowMs = performance.now();
    tally.operations += 1;
    tally.updates += updates;
    tally.worstMs = Math.max(tally.worstMs, nowMs - startedMs);
    startedMs = nowMs;
  }
}

const events: Events = {
  async halfway(step) {
    if (performance.now() < stopHalfwayAtMs) return;
    tell({ say: 'halfway', step, atMs: machineMs() });
    await new Promise(() => {}); // the end comes from outside
  },
  found: (step) => tell({ say: 'found', step, atMs: machineMs() }),
};

function attempt(what: Promise<void>): void {
  what.catch((error: unknown) => {
    tell({ say: 'failed', error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  });
}

function report(tally: Tally, ended: boolean): void {
  tell({ say: 'progress', ended, ...tally });
}

function tell(news: News): void {
  parentPort!.postMessage(news);
}
