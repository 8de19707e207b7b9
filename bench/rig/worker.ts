/** One process of a crew: does the jobs that it is sent, and ends when its parent does. */
import { flushCompileCache } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from './clock.ts';
import { count, openCounter, type Adder, type Counted, type CounterName, type CountPlan } from './counting.ts';
import { hammer, type Hammered, type Plan } from './hammering.ts';
import { startPython, type PythonHammer } from './python.ts';
import {
  type Bank,
  type BankPlace,
  openBank,
  transfer,
  type Transferred,
  type TransferPlan,
  type TransferrerName,
} from './transferring.ts';
import {
  fill,
  openQueue,
  pushAll,
  startWorking,
  type Pushed,
  type QueueEnd,
  type QueueName,
  type QueuePlace,
  type Worked,
} from './queueing.ts';
import { openLocker, type Locker, type LockerName, type Places, type Section } from './lockers.ts';

export interface Jobs {
  /** Opens the ways to the stores, so that no measurement has to. */
  open(names: readonly LockerName[], places: Places): Promise<void>;
  hammer(name: LockerName, places: Places, plan: Plan): Promise<Hammered>;
  openCounter(name: CounterName, directory: string, counter: string): Promise<void>;
  /** With the counter that was opened last, which it closes. */
  count(plan: CountPlan): Promise<Counted>;
  openBank(name: TransferrerName, place: BankPlace): Promise<void>;
  /** With the bank that was opened last, which it closes. */
  transfer(plan: TransferPlan): Promise<Transferred>;
  openQueue(name: QueueName, place: QueuePlace): Promise<void>;
  /** To the queue that was opened last: so many messages, so many calls at once. */
  pushAll(count: number, atOnce: number): Promise<Pushed>;
  /** The same, as fast as it goes. */
  fill(count: number): Promise<void>;
  /** From the queue that was opened last, until it is closed. */
  startWorking(concurrency: number): Promise<void>;
  /** What came of that so far. */
  worked(): Promise<Worked>;
  closeQueue(): Promise<void>;
  /** Enters a section; resolves to when it was in. */
  enter(name: LockerName, places: Places, lock: string): Promise<number>;
  leave(lock: string): Promise<void>;
  /** Resolves when somebody waits for the lock. */
  waitedFor(name: LockerName, places: Places, lock: string): Promise<void>;
}

const jobs: Jobs = {
  async open(names, places) {
    await Promise.all(names.map((name) => (name === 'redis-py' ? redisPy(places) : locker(name, places))));
    flushCompileCache(); // for those that start later, and are killed
  },
  async hammer(name, places, plan) {
    if (name === 'redis-py') return (await redisPy(places))(plan);
    return hammer(await locker(name, places), plan);
  },
  async openCounter(name, directory, counter) {
    adder = await openCounter(name, directory, counter);
  },
  async count(plan) {
    const counted = await count(adder!, plan);
    await adder!.close();
    return counted;
  },
  async openBank(name, place) {
    bank = await openBank(name, place);
  },
  async transfer(plan) {
    const transferred = await transfer(bank!, plan);
    await bank!.close();
    return transferred;
  },
  async openQueue(name, place) {
    queue = await openQueue(name, place);
  },
  pushAll: (messages, atOnce) => pushAll(queue!, messages, atOnce),
  fill: (messages) => fill(queue!, messages),
  async startWorking(concurrency) {
    worked = startWorking(queue!, concurrency);
  },
  async worked() {
    return worked!();
  },
  async closeQueue() {
    await queue!.close();
  },
  async enter(name, places, lock) {
    const section = (await locker(name, places)).section(lock);
    await section.enter();
    entered.set(lock, section);
    return nowMs();
  },
  async leave(lock) {
    await entered.get(lock)!.leave();
    entered.delete(lock);
  },
  async waitedFor(name, places, lock) {
    const { waiting } = await locker(name, places);
    while ((await waiting!(lock)) === 0) await sleep(1);
  },
};

let bank: Bank | undefined;
let queue: QueueEnd | undefined;
let worked: (() => Worked) | undefined;
let adder: Adder | undefined;
const entered = new Map<string, Section>();
const open = new Map<LockerName, Promise<Locker>>();

let python: Promise<PythonHammer> | undefined;

function redisPy(places: Places): Promise<PythonHammer> {
  return (python ??= startPython(places));
}

function locker(name: LockerName, places: Places): Promise<Locker> {
  let found = open.get(name);
  if (found === undefined) open.set(name, (found = openLocker(name, places)));
  return found;
}

process.on('message', ([id, job, given]: [number, keyof Jobs, unknown[]]) => {
  const answer = (error: string, reply?: unknown): void => void process.send?.([id, error, reply], () => {});
  (jobs[job] as (...all: unknown[]) => Promise<unknown>)(...given).then(
    (reply) => answer('', reply),
    (error: unknown) => answer(error instanceof Error ? (error.stack ?? error.message) : String(error)),
  );
});
process.on('disconnect', () => process.exit());
