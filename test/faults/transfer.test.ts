import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { open, type Queue } from '../../src/index.ts';
import { until } from '../contract/sessions.ts';
import { chance, sizeOf } from './chance.ts';
import { leaveNobodyBehind, type Program, start, temporaryDirectory } from './processes.ts';
import type { Transfer } from './programs/transfer-worker.ts';

leaveNobodyBehind();

const messages = sizeOf('TRANSFERS', 300);
const kills = Math.ceil(messages / 50);
const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

test(
  `of ${messages} transfers each is applied once, and sums are exact, while workers are killed ${kills} times`,
  { timeout: 90_000 + messages * 100 },
  async () => {
    const { seed, between, pick } = chance();
    const directory = temporaryDirectory();
    const shared = await open(directory);
    onTestFinished(() => shared.close());
    const transfers = shared.queue<Transfer>('transfers');
    const expected = new Map(names.map((name) => [name, 0]));
    for (const name of names) await shared.map<number>('accounts').set(name, 0);
    const all = Array.from({ length: messages }, (_, i): Transfer => {
      const [from, to] = [pick(names), pick(names)];
      const amount = Math.floor(between(1, 100));
      expected.set(from, expected.get(from)! - amount);
      expected.set(to, expected.get(to)! + amount);
      const pausesMs: [number, number, number] = [0, 0, 0];
      pausesMs[Math.floor(between(0, 3))] = Math.floor(between(0, 100));
      return { id: `t${i}`, from, to, amount, pausesMs };
    });
    await transfers.pushAll(all);

    const alive = new Set<Program>();
    const begin = async (): Promise<void> => {
      const program = start('transfer-worker', { directory });
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
    const left = async (): Promise<number> => {
      const { ready, delayed, leased, dead } = await transfers.size();
      return ready + delayed + leased + dead;
    };
    await until('all are done', async () => (await left()) === 0, 40_000 + messages * 20);
    for (const program of alive) {
      program.tell({ what: 'stop' });
      expect(await program.ends()).toEqual({ code: 0, signal: null });
    }

    const replay = `SEED=${seed}`;
    const applied = shared.map<number>('applied');
    for (const { id } of all) expect(await applied.get(id), `${replay}: ${id} was applied`).toBe(1);
    for (const [name, sum] of expected) expect(await shared.map('accounts').get(name), `${replay}: ${name}`).toBe(sum);
    const receipts = await receiptsOf(shared.queue<Receipt>('receipts'));
    expect(receipts.map(({ id }) => id).sort(), replay).toEqual(all.map(({ id }) => id).sort());
    // Else nobody was killed at work, and nothing was shown.
    expect(receipts.filter(({ deliveries }) => deliveries > 1).length, replay).toBeGreaterThan(0);
  },
);

interface Receipt {
  readonly id: string;
  readonly deliveries: number;
}

/** Takes all that there are. */
async function receiptsOf(queue: Queue<Receipt>): Promise<Receipt[]> {
  const receipts: Receipt[] = [];
  let { ready: left } = await queue.size();
  for await (const job of queue.consume({ prefetch: 100 })) {
    receipts.push(job.data);
    await job.ack();
    left -= 1;
    if (left === 0) break;
  }
  return receipts;
}
