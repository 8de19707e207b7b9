import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { open } from '../../src/index.ts';
import { until } from '../contract/sessions.ts';
import { chance, sizeOf } from './chance.ts';
import { leaveNobodyBehind, type Program, start, temporaryDirectory } from './processes.ts';

leaveNobodyBehind();

const kills = sizeOf('QUEUE_KILLS', 8);
const groups = 4;
const messages = 60 * kills;

test(
  `no message is lost and groups keep their order while workers are killed ${kills} times`,
  { timeout: 60_000 + kills * 3_000 },
  async () => {
    const { seed, between, pick } = chance();
    const directory = temporaryDirectory();
    const log = join(directory, 'history');
    const shared = await open(directory);
    onTestFinished(() => shared.close());
    const queue = shared.queue<string>('work');
    for (let i = 0; i < messages; i++) {
      const group = i % (2 * groups);
      await queue.push(`${group}-${i}`, group < groups ? { group: String(group) } : {});
    }

    const alive = new Set<Program>();
    const begin = async (): Promise<void> => {
      const program = start('queue-worker', { directory, log });
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
    // Leases are far longer: what the dead held was not waited for.
    await until('all are done', async () => Object.values(await queue.size()).every((n) => Number(n) === 0), 40_000);
    for (const program of alive) {
      program.tell({ what: 'stop' });
      expect(await program.ends()).toEqual({ code: 0, signal: null });
    }
    const faults = faultsOf(readFileSync(log, 'utf8').trimEnd().split('\n'));
    expect(faults, `SEED=${seed}`).toEqual([]);
  },
);

/** All that is wrong with a history, in words. */
function faultsOf(lines: readonly string[]): string[] {
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
