import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type Job, type Lockstep, open } from '../../src/index.ts';
import { until } from '../contract/sessions.ts';
import { hasRedisServer, startRedisServer } from '../redis/server.ts';
import { chance, sizeOf } from './chance.ts';
import { leaveNobodyBehind, type Program, start, temporaryDirectory } from './processes.ts';

leaveNobodyBehind();

const killsMax = sizeOf('QUEUE_KILLS', 8);
const groups = 4;
const messages = 60 * killsMax;

interface Case {
  readonly name: string;
  readonly redis: boolean;
  readonly topic: boolean;
  readonly kills: number;
}

/** What stays to be done. */
type Left = () => Promise<number>;

const cases: Case[] = [false, true].flatMap((topic) =>
  [false, true].map((redis) => ({
    name: `${topic ? 'a group of a topic' : 'a queue'} ${redis ? 'on Redis' : 'in a directory'}`,
    redis,
    topic,
    kills: topic || redis ? Math.ceil(killsMax / 2) : killsMax,
  })),
);

test.for(cases.filter(({ redis }) => hasRedisServer || !redis))(
  '$name loses nothing and keeps the order of its groups while workers are killed $kills times',
  { timeout: 60_000 + killsMax * 3_000 },
  async ({ redis, topic, kills }) => {
    const { seed, between, pick } = chance();
    const directory = temporaryDirectory();
    const log = join(directory, 'history');
    const where = redis ? await serverOfTest() : directory;
    const shared = await open(where, { onWarning: () => {} });
    onTestFinished(() => shared.close());
    const alone = topic ? readAll(shared) : Promise.resolve();
    const left = await (topic ? publish(shared) : push(shared));

    const alive = new Set<Program>();
    // In a directory leases are far longer than the test: what the dead held is not waited for. A server sees no end.
    const leaseMs = redis ? 2_000 : 60_000;
    const begin = async (): Promise<void> => {
      const program = start('queue-worker', { where, log, leaseMs, topic });
      await program.hears('ready');
      alive.add(program);
    };
    await Promise.all([begin(), begin(), begin()]);
    for (let i = 0; i < kills; i++) {
      await sleep(between(5, 60));
      const victim = pick([...alive]);
      victim.signal('SIGKILL');
      alive.delete(victim);
      await begin();
    }
    await until('all are done', async () => (await left()) === 0, 40_000);
    for (const program of alive) {
      program.tell({ what: 'stop' });
      expect(await program.ends()).toEqual({ code: 0, signal: null });
    }
    const faults = faultsOf(readFileSync(log, 'utf8').trimEnd().split('\n'), kills);
    expect(faults, `SEED=${seed}`).toEqual([]);
    await alone;
  },
);

test.for(cases.filter(({ redis }) => hasRedisServer || !redis))(
  '$name gives what a stopped worker holds to another when its lease is over, and refuses its late acknowledgement',
  async ({ redis, topic }) => {
    const where = redis ? await serverOfTest() : temporaryDirectory();
    const leaseMs = 500;
    const shared = await open(where, { onWarning: () => {} });
    onTestFinished(() => shared.close());
    const queue = shared.queue<string>('held', { lease: leaseMs });
    const group = shared.topic<string>('held').group('holders', { lease: leaseMs });
    const holder = start('queue-holder', { where, leaseMs, topic });
    await holder.hears('waits');
    if (topic) await until('the group is there', async () => (await shared.topic('held').groups()).length === 1);
    await (topic ? shared.topic('held').publish('m') : queue.push('m'));
    expect(await holder.hears('holds')).toMatchObject({ data: 'm', deliveries: 1 });

    holder.signal('SIGSTOP');
    const jobs: AsyncIterableIterator<Job<string>> = (topic ? group : queue).consume();
    const { value: job } = (await jobs.next()) as IteratorYieldResult<Job<string>>;
    expect(job).toMatchObject({ data: 'm', deliveries: 2 });

    holder.signal('SIGCONT');
    holder.tell({ what: 'ack' });
    expect(await holder.hears('acked')).toMatchObject({ code: 'LEASE_LOST' });
    expect(await holder.ends()).toEqual({ code: 0, signal: null });
    expect(job.signal.aborted).toBe(false);
    await job.ack();
    await jobs.return!();
    expect(await (topic ? group : queue).size()).toMatchObject({ ready: 0, delayed: 0, leased: 0, dead: 0 });
  },
);

async function serverOfTest(): Promise<string> {
  const server = await startRedisServer();
  onTestFinished(() => server.remove());
  return server.address;
}

/** Message `i`, and the group that it belongs to: half of them have none. */
function itemOf(i: number): [text: string, group: string | undefined] {
  const group = i % (2 * groups);
  return [`${group}-${i}`, group < groups ? String(group) : undefined];
}

async function push(shared: Lockstep): Promise<Left> {
  const queue = shared.queue<string>('work');
  for (let i = 0; i < messages; i++) {
    const [text, group] = itemOf(i);
    await queue.push(text, group === undefined ? {} : { group });
  }
  return async () => {
    const { ready, delayed, leased, dead } = await queue.size();
    return ready + delayed + leased + dead;
  };
}

async function publish(shared: Lockstep): Promise<Left> {
  const topic = shared.topic<string>('work', { keep: messages });
  for (let i = 0; i < messages; i++) {
    const [text, key] = itemOf(i);
    await topic.publish(text, key === undefined ? {} : { key });
  }
  return async () => {
    const { ready, leased, dead, delayed, behind } = await topic.group('workers').size();
    // Nobody has begun where there is no group.
    return (await topic.groups()).length === 0 ? messages : ready + leased + dead + delayed + behind;
  };
}

/** Whoever reads alone gets all, each once, in order, whatever becomes of the groups. */
async function readAll(shared: Lockstep): Promise<void> {
  let next = 0;
  for await (const { data, missed } of shared.topic<string>('work').subscribe()) {
    expect([data, missed]).toEqual([itemOf(next)[0], 0]);
    next += 1;
    if (next === messages) return;
  }
}

/** All that is wrong with a history, in words. */
function faultsOf(lines: readonly string[], kills: number): string[] {
  const faults: string[] = [];
  const deliveries = new Map<string, number>();
  const done = new Set<string>();
  const last = new Map<string, number>();
  for (const line of lines) {
    const [verb, message = '', count = ''] = line.split(' ');
    const [group = '', number = ''] = message.split('-');
    if (verb === 'done') {
      done.add(message);
      continue;
    }
    // A delivery that was counted may not have come to its first line.
    const before = deliveries.get(message) ?? 0;
    if (Number(count) <= before || Number(count) > kills + 1) faults.push(`${line} came after delivery ${before}`);
    deliveries.set(message, Number(count));
    if (Number(group) >= groups) continue;
    if (Number(number) < (last.get(group) ?? -1)) faults.push(`${line} came after ${last.get(group)} of its group`);
    last.set(group, Number(number));
  }
  if (done.size !== messages) faults.push(`${done.size} of ${messages} were done`);
  return faults;
}
